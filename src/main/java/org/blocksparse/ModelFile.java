// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.blocksparse.internal.memory.MappedFile;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.optimizer.OptimizerState;
import org.blocksparse.internal.optimizer.TensorState;
import org.blocksparse.internal.optimizer.UpdateRule;
import org.blocksparse.internal.softmax.Parameter;

/**
 * A {@link HierarchicalSoftmax} as a safetensors file.
 *
 * <pre>
 * W2                        F32 (classes, features, slots)
 * W1 b1 b2                  F32 (features, classes) (classes) (classes, slots)
 * classOf slotOf            I32 (outputs)
 * optimizer.first.W1  ...   F32 as the parameter; the first thing that Adagrad and Adam remember
 * optimizer.second.W1 ...   F32 as the parameter; the second, Adam
 * optimizer.steps           I32 (classes); steps that each class has taken
 *
 * blocksparse.format        1
 * blocksparse.steps         steps of training that the layer has taken
 * blocksparse.optimizer     the rule, if its state is there
 * blocksparse.optimizer.steps   steps that the class level has taken
 * </pre>
 *
 * <p>W2 comes first, at a multiple of 64 bytes: it is used where it lies. The format allows no
 * gaps, so nothing behind it can be aligned; all of that is small and is copied.
 */
final class ModelFile {
  private static final String FORMAT = SaveOptions.RESERVED + "format";
  private static final String VERSION = "1";
  private static final String STEPS = SaveOptions.RESERVED + "steps";
  private static final String RULE = SaveOptions.RESERVED + "optimizer";
  private static final String RULE_STEPS = RULE + ".steps";
  private static final String STATE_STEPS = "optimizer.steps";
  private static final String[] PARAMETERS = {"W1", "b1", "W2", "b2"};
  private static final String[] STATES = {"optimizer.first.", "optimizer.second."};

  private static final int ALIGNMENT = 64;
  private static final int CHUNK = 1 << 20;

  private ModelFile() {}

  // ------------------------------------------------------------------------------------ writing

  /** Puts some elements of a tensor into a buffer. */
  private interface Elements {
    void put(long begin, int count, ByteBuffer into);
  }

  static void save(HierarchicalSoftmax layer, Path file, SaveOptions options) throws IOException {
    requireNonNull(file, "file");
    requireNonNull(options, "options");
    try (Lease lease = layer.lease()) {
      Plan plan = new Plan(layer, options, lease);
      byte[] header = plan.layout.header(plan.metadata, ALIGNMENT);
      AtomicFile.write(
          file,
          channel -> {
            writeFully(channel, ByteBuffer.wrap(header));
            plan.write(channel, options.progress(), header.length);
            layer.W2().requireIntact();
          });
    }
  }

  /** What goes into the file, in its order. */
  private static final class Plan {
    final SafeTensorsHeader.Builder layout = new SafeTensorsHeader.Builder();
    final List<Elements> elements = new ArrayList<>();
    final Map<String, String> metadata;

    Plan(HierarchicalSoftmax layer, SaveOptions options, Lease lease) {
      add("W2", layer.W2());
      add("W1", layer.W1());
      add("b1", layer.b1());
      add("b2", layer.b2());
      add("classOf", layer.classes().table().classOf());
      add("slotOf", layer.classes().table().slotOf());
      metadata = new TreeMap<>(options.metadata() != null ? options.metadata() : layer.metadata());
      metadata.put(FORMAT, VERSION);
      metadata.put(STEPS, Long.toString(layer.steps()));
      if (options.optimizerState()) {
        add(layer.optimizerState(), layer, lease);
      }
    }

    private void add(String name, FloatTensor tensor) {
      add(name, tensor.shape(), tensor.storage());
    }

    private void add(String name, Shape shape, Storage storage) {
      layout.add(name, "F32", shape);
      float[] floats = new float[(int) Math.min(CHUNK, shape.size())];
      elements.add(
          (begin, count, into) -> {
            storage.getFloats(begin, floats, 0, count);
            int bad = firstNotFinite(floats, count);
            if (bad >= 0) {
              throw new IllegalStateException(
                  name
                      + ": element "
                      + (begin + bad)
                      + " is "
                      + floats[bad]
                      + "; a layer that is not finite is not saved");
            }
            into.asFloatBuffer().put(floats, 0, count);
          });
    }

    private void add(String name, int[] values) {
      layout.add(name, "I32", Shape.of(values.length));
      elements.add((begin, count, into) -> into.asIntBuffer().put(values, (int) begin, count));
    }

    private void add(OptimizerState state, HierarchicalSoftmax layer, Lease lease) {
      metadata.put(RULE, state.kind().name());
      metadata.put(RULE_STEPS, Integer.toString(state.of(Parameter.W1.ordinal()).steps()[0]));
      add(STATE_STEPS, state.of(Parameter.W2.ordinal()).steps());
      FloatTensor[] parameters = {layer.W1(), layer.b1(), layer.W2(), layer.b2()};
      for (int moment = 0; moment < state.kind().moments(); moment++) {
        for (int p = 0; p < parameters.length; p++) {
          Storage storage = state.of(p).moment(moment);
          if (!storage.acquire()) {
            throw new IllegalStateException("layer: the layer is closed");
          }
          lease.adopt(storage);
          add(STATES[moment] + PARAMETERS[p], parameters[p].shape(), storage);
        }
      }
    }

    void write(FileChannel channel, Progress progress, int headerBytes) throws IOException {
      long total = headerBytes + layout.dataBytes();
      ByteBuffer bytes = ByteBuffer.allocateDirect(4 * CHUNK).order(ByteOrder.LITTLE_ENDIAN);
      for (int i = 0; i < elements.size(); i++) {
        long size = layout.entries().get(i).shape().size();
        for (long begin = 0; begin < size; begin += CHUNK) {
          int count = (int) Math.min(CHUNK, size - begin);
          elements.get(i).put(begin, count, bytes.clear());
          writeFully(channel, bytes.limit(4 * count));
          progress.update(channel.position(), total);
        }
      }
    }
  }

  private static void writeFully(FileChannel channel, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  private static int firstNotFinite(float[] values, int count) {
    for (int i = 0; i < count; i++) {
      if (!Float.isFinite(values[i])) {
        return i;
      }
    }
    return -1;
  }

  // ------------------------------------------------------------------------------------ reading

  static HierarchicalSoftmax load(Path file, LoadOptions options) throws IOException {
    requireNonNull(options, "options");
    ModelFormatException.requireRegularFile(file);
    if (options.memory() == LoadOptions.Memory.COPIED) {
      try (FileChannel channel = FileChannel.open(file)) {
        return new Reader(
                file,
                channel.size(),
                (position, into) -> MappedFile.readFully(channel, position, into),
                options,
                null)
            .read();
      }
    }
    if (Files.size(file) == 0) {
      throw new ModelFormatException(file, "file", "is empty");
    }
    MappedFile mapping =
        MappedFile.open(file, options.memory() == LoadOptions.Memory.COPY_ON_WRITE);
    Reader reader = new Reader(file, mapping.bytes(), mapping::read, options, mapping);
    try {
      return reader.read();
    } finally {
      reader.closeUnusedMapping();
    }
  }

  /** Reads a part of the file. */
  private interface Input {
    void read(long position, ByteBuffer into) throws IOException;
  }

  private static final class Reader {
    private final Path file;
    private final long fileBytes;
    private final Input input;
    private final LoadOptions options;
    private MappedFile mapping;
    private SafeTensorsHeader header;
    private long dataBegin;
    private long bytesRead;
    private long bytesToRead;
    private ByteBuffer bytes;
    private final List<Storage> storages = new ArrayList<>();

    Reader(Path file, long fileBytes, Input input, LoadOptions options, MappedFile mapping) {
      this.file = file;
      this.fileBytes = fileBytes;
      this.input = input;
      this.options = options;
      this.mapping = mapping;
    }

    /** The mapping goes with the storage that it was given to; without one, it ends here. */
    void closeUnusedMapping() {
      if (mapping != null) {
        mapping.close();
      }
    }

    HierarchicalSoftmax read() throws IOException {
      try {
        HierarchicalSoftmax layer = readLayer();
        try {
          layer.W2().requireIntact();
        } catch (UncheckedIOException e) { // checked, as all else that is wrong with a file
          layer.close();
          throw e.getCause();
        }
        return layer;
      } catch (Throwable e) {
        storages.forEach(Storage::close);
        throw e;
      }
    }

    private HierarchicalSoftmax readLayer() throws IOException {
      readHeader();
      String version = metadata(FORMAT);
      if (!version.equals(VERSION)) {
        throw malformed(
            "__metadata__", FORMAT + " is " + version + ", this library reads " + VERSION);
      }
      // All that can be told from the header is told before anything is allocated.
      SafeTensorsHeader.Entry w1 = entry("W1", "F32", 2);
      SafeTensorsHeader.Entry w2 = entry("W2", "F32", 3);
      SafeTensorsHeader.Entry classOf = entry("classOf", "I32", 1);
      int features = dimension(w1, 0);
      int nClasses = dimension(w1, 1);
      int slots = dimension(w2, 2);
      int outputs = dimension(classOf, 0);
      SafeTensorsHeader.Entry slotOf = entry("slotOf", "I32", new long[] {outputs});
      SafeTensorsHeader.Entry[] parameters = {
        w1,
        entry("b1", "F32", new long[] {nClasses}),
        entry(w2.name(), w2.type(), new long[] {nClasses, features, slots}),
        entry("b2", "F32", new long[] {nClasses, slots})
      };
      State state = stateOrNull(nClasses, parameters);
      Map<String, String> metadata = userMetadata();
      long steps = number(STEPS);
      boolean mapW2 = mapping != null;
      bytesToRead = classOf.bytes() + slotOf.bytes() + (state == null ? 0 : state.bytes());
      for (int p = 0; p < parameters.length; p++) {
        bytesToRead += mapW2 && p == 2 ? 0 : parameters[p].bytes();
      }
      // No parameter is larger than W2.
      int chunk = (int) Math.min(CHUNK, Math.max(outputs, parameters[2].shape().size()));
      bytes = ByteBuffer.allocateDirect(4 * chunk).order(ByteOrder.LITTLE_ENDIAN);

      ClassAssignment classes = classes(readInts(classOf), readInts(slotOf), nClasses, slots);
      FloatTensor[] tensors = new FloatTensor[parameters.length];
      for (int p = 0; p < parameters.length; p++) {
        Storage storage = mapW2 && p == 2 ? map(parameters[p]) : readFloats(parameters[p]);
        tensors[p] = FloatTensor.dense(storage, parameters[p].shape());
      }
      HierarchicalSoftmax layer =
          HierarchicalSoftmax.builder(features, outputs)
              .classes(classes)
              .workers(options.workers())
              .build(tensors[0], tensors[1], tensors[2], tensors[3]);
      layer.restore(metadata, steps);
      if (state != null) {
        try {
          restore(layer.optimizerState(), state);
        } catch (Throwable e) {
          layer.close();
          throw e;
        }
      }
      return layer;
    }

    private ModelFormatException malformed(String part, String reason) {
      return new ModelFormatException(file, part, reason);
    }

    private void readHeader() throws IOException {
      if (fileBytes < Long.BYTES) {
        throw malformed(SafeTensorsHeader.HEADER, "the file has only " + fileBytes + " bytes");
      }
      ByteBuffer first = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
      input.read(0, first);
      int length = SafeTensorsHeader.length(file, first.getLong(0), fileBytes);
      byte[] text = new byte[length];
      input.read(Long.BYTES, ByteBuffer.wrap(text));
      dataBegin = Long.BYTES + (long) length;
      header = SafeTensorsHeader.parse(file, text, fileBytes - dataBegin);
    }

    private String metadata(String key) throws ModelFormatException {
      String value = header.metadata().get(key);
      if (value == null) {
        throw malformed("__metadata__", "has no " + key + ": not a file of this library");
      }
      return value;
    }

    private long number(String key) throws ModelFormatException {
      String value = metadata(key);
      if (!value.matches("[0-9]{1,18}")) {
        throw malformed("__metadata__", key + " is not a number that counts steps");
      }
      return Long.parseLong(value);
    }

    private Map<String, String> userMetadata() {
      Map<String, String> metadata = new TreeMap<>(header.metadata());
      metadata.keySet().removeIf(key -> key.startsWith(SaveOptions.RESERVED));
      return metadata;
    }

    private SafeTensorsHeader.Entry entry(String name, String type, int rank)
        throws ModelFormatException {
      SafeTensorsHeader.Entry entry = header.entries().get(name);
      if (entry == null) {
        throw malformed(name, "is missing");
      }
      if (!entry.type().equals(type) || entry.shape().rank() != rank) {
        throw malformed(
            name,
            "expected "
                + type
                + " with "
                + rank
                + " dimensions but was "
                + entry.type()
                + " "
                + entry.shape());
      }
      return entry;
    }

    private SafeTensorsHeader.Entry entry(String name, String type, long[] dims)
        throws ModelFormatException {
      SafeTensorsHeader.Entry entry = entry(name, type, dims.length);
      if (!entry.shape().equals(Shape.of(dims))) {
        throw malformed(name, "expected " + Shape.of(dims) + " but was " + entry.shape());
      }
      return entry;
    }

    /** A dimension that must be at least 1 and countable in 31 bits. */
    private int dimension(SafeTensorsHeader.Entry entry, int axis) throws ModelFormatException {
      long dim = entry.shape().dim(axis);
      if (dim < 1 || dim > Integer.MAX_VALUE - 8) {
        throw malformed(
            entry.name(), "dimension " + axis + " of " + entry.shape() + " is 0 or too large");
      }
      return (int) dim;
    }

    private ClassAssignment classes(int[] classOf, int[] slotOf, int nClasses, int slots)
        throws ModelFormatException {
      try {
        return ClassAssignment.of(classOf, slotOf, nClasses, slots);
      } catch (IllegalArgumentException e) {
        throw new ModelFormatException(file, "classOf and slotOf", e.getMessage(), e);
      }
    }

    private Storage map(SafeTensorsHeader.Entry entry) throws IOException {
      if (ByteOrder.nativeOrder() != ByteOrder.LITTLE_ENDIAN) {
        throw new UnsupportedOperationException(
            "this machine is big-endian: a file can be read, but not used where it lies");
      }
      Storage storage = Storage.mapped(mapping, dataBegin + entry.begin(), entry.shape().size());
      mapping = null;
      storages.add(storage);
      return storage;
    }

    private Storage readFloats(SafeTensorsHeader.Entry entry) throws IOException {
      Storage storage = Storage.allocate(entry.shape().size());
      storages.add(storage);
      readFloats(entry, storage);
      return storage;
    }

    private void readFloats(SafeTensorsHeader.Entry entry, Storage storage) throws IOException {
      float[] floats = new float[(int) Math.min(CHUNK, storage.elements())];
      for (long begin = 0; begin < storage.elements(); begin += CHUNK) {
        int count = (int) Math.min(CHUNK, storage.elements() - begin);
        readChunk(entry, begin, count);
        bytes.asFloatBuffer().get(floats, 0, count);
        int bad = firstNotFinite(floats, count);
        if (bad >= 0) {
          throw malformed(entry.name(), "element " + (begin + bad) + " is " + floats[bad]);
        }
        storage.putFloats(begin, floats, 0, count);
      }
    }

    private int[] readInts(SafeTensorsHeader.Entry entry) throws IOException {
      int[] ints = new int[(int) entry.shape().size()];
      for (int begin = 0; begin < ints.length; begin += CHUNK) {
        int count = Math.min(CHUNK, ints.length - begin);
        readChunk(entry, begin, count);
        bytes.asIntBuffer().get(ints, begin, count);
      }
      return ints;
    }

    private void readChunk(SafeTensorsHeader.Entry entry, long begin, int count)
        throws IOException {
      bytes.clear().limit(4 * count);
      try {
        input.read(dataBegin + entry.begin() + 4 * begin, bytes);
      } catch (IOException e) {
        throw new ModelFormatException(file, entry.name(), "cannot be read: " + e.getMessage(), e);
      }
      bytes.flip();
      bytesRead += 4L * count;
      options.progress().update(bytesRead, bytesToRead);
    }

    // -------------------------------------------------------------------------- optimiser state

    private record State(
        UpdateRule.Kind rule,
        long steps,
        SafeTensorsHeader.Entry stepsOfClass,
        List<List<SafeTensorsHeader.Entry>> moments) {
      long bytes() {
        return stepsOfClass.bytes()
            + moments.stream()
                .flatMap(List::stream)
                .mapToLong(SafeTensorsHeader.Entry::bytes)
                .sum();
      }
    }

    private State stateOrNull(int nClasses, SafeTensorsHeader.Entry[] parameters)
        throws ModelFormatException {
      String name = header.metadata().get(RULE);
      if (name == null) {
        return null;
      }
      UpdateRule.Kind rule;
      try {
        rule = UpdateRule.Kind.valueOf(name);
      } catch (IllegalArgumentException e) {
        throw new ModelFormatException(file, "__metadata__", RULE + " is no rule: " + name, e);
      }
      List<List<SafeTensorsHeader.Entry>> moments = new ArrayList<>();
      for (int memory = 0; memory < rule.moments(); memory++) {
        List<SafeTensorsHeader.Entry> entries = new ArrayList<>();
        for (int p = 0; p < PARAMETERS.length; p++) {
          entries.add(
              entry(STATES[memory] + PARAMETERS[p], "F32", parameters[p].shape().toArray()));
        }
        moments.add(entries);
      }
      return new State(
          rule, number(RULE_STEPS), entry(STATE_STEPS, "I32", new long[] {nClasses}), moments);
    }

    private void restore(OptimizerState target, State state) throws IOException {
      int[] stepsOfClass = readInts(state.stepsOfClass());
      for (int c = 0; c < stepsOfClass.length; c++) {
        if (stepsOfClass[c] < 0) {
          throw malformed(STATE_STEPS, "element " + c + " is negative");
        }
      }
      target.reset(state.rule());
      int[] stepsOfClassLevel = {(int) Math.min(state.steps(), Integer.MAX_VALUE)};
      for (Parameter parameter : Parameter.values()) {
        boolean classLevel = parameter == Parameter.W1 || parameter == Parameter.B1;
        TensorState tensor = target.of(parameter.ordinal());
        tensor.restoreSteps(classLevel ? stepsOfClassLevel : stepsOfClass);
        for (int moment = 0; moment < state.moments().size(); moment++) {
          readFloats(state.moments().get(moment).get(parameter.ordinal()), tensor.moment(moment));
        }
      }
    }
  }
}
