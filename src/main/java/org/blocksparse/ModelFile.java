// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.blocksparse.internal.UpdateRule;
import org.blocksparse.internal.WeightType;
import org.blocksparse.internal.events.FileEvent;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.format.Dtype;
import org.blocksparse.internal.format.MalformedException;
import org.blocksparse.internal.format.SafeTensorsReader;
import org.blocksparse.internal.format.TensorEntry;
import org.blocksparse.internal.format.TensorSource;
import org.blocksparse.internal.layer.ModelMetadata;
import org.blocksparse.internal.layer.ModelNames;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.optimizer.LayerState;
import org.blocksparse.internal.optimizer.TensorState;
import org.blocksparse.internal.softmax.Link;
import org.blocksparse.internal.softmax.Parameter;

/**
 * A {@link HierarchicalSoftmax} or a {@link LabelTree} as a safetensors file; {@link ModelNames}
 * tells what is in it.
 */
final class ModelFile {
  private ModelFile() {}

  // ------------------------------------------------------------------------------------ writing

  static void save(LayerContent layer, Path file, SaveOptions options) throws IOException {
    requireNonNull(file, "file");
    requireNonNull(options, "options");
    LayerMemory memory = layer.memory();
    FileEvent event = Recorder.file();
    List<TensorSource> tensors = new ArrayList<>();
    try (Lease lease = memory.lease();
        WeightsFile weights = new WeightsFile(options, tensors)) {
      Map<String, String> metadata =
          metadata(
              options.metadata() != null ? options.metadata() : layer.metadata(),
              memory.link(),
              memory.assignment(),
              layer.steps());
      weights.add(memory);
      tensors.add(floats("b1", memory.parameters().b1()));
      tensors.add(floats("b2", memory.parameters().b2()));
      tensors.add(TensorSource.ints(ModelNames.CLASS_OF, memory.assignment().table().classOf()));
      tensors.add(TensorSource.ints(ModelNames.SLOT_OF, memory.assignment().table().slotOf()));
      if (options.optimizerState()) {
        addState(memory, lease, tensors, metadata);
      }
      if (options.bag() != null) {
        options.bag().addTo(lease);
        weights.add(options.bag());
        BagFile.add(options.bag(), lease, options.optimizerState(), tensors, metadata);
      }
      if (layer.labels() != null) {
        LabelsFile.add(layer.labels(), tensors);
      }
      weights.write(file, "W2", metadata, lease);
    }
    if (event != null) {
      event.record("save", memory.kind(), file);
    }
  }

  /** The strings of a layer without optimizer state. */
  static Map<String, String> metadata(
      Map<String, String> ofUser, Link link, ClassAssignment assignment, long steps) {
    Map<String, String> metadata = new TreeMap<>(ofUser);
    metadata.put(ModelNames.FORMAT, ModelNames.VERSION);
    metadata.put(ModelNames.STEPS, Long.toString(steps));
    if (link == Link.LOGISTIC) {
      metadata.put(ModelNames.LAYER, ModelNames.LABEL_TREE);
    }
    int retired = assignment.outputs() - assignment.table().live();
    if (retired > 0) {
      metadata.put(ModelNames.RETIRED_OUTPUTS, Integer.toString(retired));
    }
    return metadata;
  }

  private static TensorSource floats(String name, FloatTensor tensor) {
    return TensorSource.floats(name, tensor.shape().toArray(), tensor.storage());
  }

  private static void addState(
      LayerMemory memory, Lease lease, List<TensorSource> tensors, Map<String, String> metadata) {
    LayerState state = memory.state();
    metadata.put(ModelNames.RULE, state.kind().name());
    metadata.put(
        ModelNames.RULE_STEPS, Integer.toString(state.of(Parameter.W1.index()).steps()[0]));
    tensors.add(TensorSource.ints(ModelNames.STATE_STEPS, state.of(Parameter.W2.index()).steps()));
    for (int moment = 0; moment < state.kind().moments(); moment++) {
      for (Parameter parameter : Parameter.values()) {
        long[] dims = memory.parameters().of(parameter).shape().toArray();
        tensors.add(
            TensorStateEntries.moment(
                state, parameter.index(), moment, parameter.label(), dims, lease));
      }
    }
  }

  // ------------------------------------------------------------------------------------ reading

  /** Makes a layer of what a file holds. */
  interface Maker<L> {
    L make(LayerContent content);
  }

  /** Loads a layer of the kind that has the given link. */
  static <L> L load(Path file, LoadOptions options, Link link, Maker<L> maker) throws IOException {
    requireNonNull(file, "file");
    requireNonNull(options, "options");
    FileEvent event = Recorder.file();
    LayerContent content =
        FileFormatException.of(
            file,
            () -> {
              try (SafeTensorsReader reader = open(file, options.memory())) {
                LayerContent loaded = new Loading(reader, options, link).load();
                reader.keep();
                return loaded;
              }
            });
    if (event != null) {
      event.record(options.verb(), content.memory().kind(), file);
    }
    return maker.make(content);
  }

  static SafeTensorsReader open(Path file, LoadOptions.Memory memory) throws IOException {
    return memory == LoadOptions.Memory.COPIED
        ? SafeTensorsReader.open(file)
        : SafeTensorsReader.map(
            file, memory == LoadOptions.Memory.COPY_ON_WRITE, FileFormatException::shrunk);
  }

  /** A dimension of a layer, as {@link Check#dimension} allows it. */
  static int dimension(TensorEntry entry, int axis) throws MalformedException {
    long dim = entry.dims()[axis];
    if (dim < 1 || dim > Check.LARGEST_ARRAY) {
      throw new MalformedException(
          entry.name(),
          "dimension " + axis + " of " + Shape.of(entry.dims()) + " is 0 or too large");
    }
    return (int) dim;
  }

  /** How many steps each block has taken. */
  static int[] readSteps(SafeTensorsReader reader, TensorEntry entry) throws IOException {
    int[] steps = reader.readInts(entry);
    for (int i = 0; i < steps.length; i++) {
      if (steps[i] < 0) {
        throw new MalformedException(
            entry.name(), "element " + i + " = " + steps[i] + " is negative");
      }
    }
    return steps;
  }

  /** What values a moment may have, given how many a rule keeps. */
  static SafeTensorsReader.Values values(int moment, int moments) {
    // The last, of Adagrad the only one, is made of squares, whose root a step takes.
    return moment == moments - 1
        ? SafeTensorsReader.Values.FINITE_AND_NOT_NEGATIVE
        : SafeTensorsReader.Values.FINITE;
  }

  /** One file on its way to a layer. All that can be told from its header is told first. */
  private static final class Loading {
    private final SafeTensorsReader reader;
    private final ModelMetadata metadata;
    private final LoadOptions options;
    private final Link link;

    Loading(SafeTensorsReader reader, LoadOptions options, Link link) throws MalformedException {
      this.reader = reader;
      this.metadata = new ModelMetadata(reader.metadata()).requireVersion().requireLayer(link);
      this.options = options;
      this.link = link;
    }

    /** The sizes of a layer. */
    private record Sizes(int features, int classes, int slots, int outputs, long retired) {}

    LayerContent load() throws IOException {
      Sizes sizes = sizes();
      TensorEntry classOf = reader.entry(ModelNames.CLASS_OF, Dtype.I32, sizes.outputs());
      TensorEntry slotOf = reader.entry(ModelNames.SLOT_OF, Dtype.I32, sizes.outputs());
      TensorEntry b1 = reader.entry("b1", Dtype.F32, sizes.classes());
      WeightsFile.Entries weights =
          WeightsFile.Entries.of(reader, sizes.features(), sizes.classes(), sizes.slots());
      TensorEntry b2 = reader.entry("b2", Dtype.F32, sizes.classes(), sizes.slots());
      Map<Parameter, TensorEntry> parameters = new EnumMap<>(Parameter.class);
      parameters.put(Parameter.W1, weights.w1());
      parameters.put(Parameter.B1, b1);
      parameters.put(Parameter.W2, weights.w2());
      parameters.put(Parameter.B2, b2);
      StateEntries inFile = stateOrNull(sizes.classes(), parameters);
      StateEntries state = options.optimizerState() ? inFile : null;
      LabelsFile labels = LabelsFile.orNull(reader, sizes.outputs());
      long steps = metadata.number(ModelNames.STEPS);
      boolean mapped = options.memory() != LoadOptions.Memory.COPIED;
      long toRead = classOf.bytes() + slotOf.bytes() + weights.scaleBytes();
      toRead += state == null ? 0 : state.bytes();
      toRead += labels == null ? 0 : labels.bytes();
      for (Parameter parameter : Parameter.values()) {
        toRead += mapped && parameter == Parameter.W2 ? 0 : parameters.get(parameter).bytes();
      }
      reader.tell(options.progress()::update, toRead);

      Storage mappedW2 = mapped ? reader.mapElements(weights.w2()) : null;
      ClassAssignment classes = classes(reader.readInts(classOf), reader.readInts(slotOf), sizes);
      LayerMemory memory =
          LayerMemory.owning(
              sizes.features(),
              classes,
              options.workers(),
              weights.type() == WeightType.FLOAT32
                  ? new SoftmaxParameters(
                      floats(weights.w1()),
                      floats(b1),
                      mappedW2 == null
                          ? floats(weights.w2())
                          : FloatTensor.dense(mappedW2, Shape.of(weights.w2().dims())),
                      floats(b2))
                  : new SoftmaxParameters(
                      null, floats(b1), null, floats(b2), weights.read(reader, mappedW2)),
              link);
      try {
        Labels names = labels == null ? null : labels.read(reader, !mapped);
        if (state != null) {
          restore(memory.state(), state);
        }
        reader.requireIntact();
        return new LayerContent(memory, metadata.ofUser(), steps, names);
      } catch (Throwable e) {
        memory.close();
        throw e;
      }
    }

    private FloatTensor floats(TensorEntry entry) throws IOException {
      return FloatTensor.dense(reader.readFloats(entry), Shape.of(entry.dims()));
    }

    private Sizes sizes() throws MalformedException {
      Dtype type = WeightsFile.dtype(WeightsFile.typeOf(reader, "W2"));
      TensorEntry w1 = reader.entryOfRank(2, "W1", type);
      TensorEntry w2 = reader.entryOfRank(3, "W2", type);
      TensorEntry classOf = reader.entryOfRank(1, ModelNames.CLASS_OF, Dtype.I32);
      Sizes sizes =
          new Sizes(
              dimension(w1, 0),
              dimension(w1, 1),
              dimension(w2, 2),
              dimension(classOf, 0),
              metadata.entries().containsKey(ModelNames.RETIRED_OUTPUTS)
                  ? metadata.number(ModelNames.RETIRED_OUTPUTS)
                  : 0);
      long live = sizes.outputs() - sizes.retired();
      // What tables of classes take on the heap is in proportion to what the file holds of W2.
      if (live > (long) sizes.classes() * sizes.slots() || live < sizes.classes()) {
        throw new MalformedException(
            ModelNames.CLASS_OF,
            live
                + " outputs cannot be in "
                + sizes.classes()
                + " classes of up to "
                + sizes.slots());
      }
      return sizes;
    }

    private static ClassAssignment classes(int[] classOf, int[] slotOf, Sizes sizes)
        throws MalformedException {
      try {
        ClassAssignment classes =
            ClassAssignment.of(classOf, slotOf, sizes.classes(), sizes.slots());
        int retired = sizes.outputs() - classes.table().live();
        if (retired != sizes.retired()) {
          throw new MalformedException(
              ModelNames.CLASS_OF,
              retired + " outputs are retired, which should be " + sizes.retired());
        }
        return classes;
      } catch (IllegalArgumentException e) {
        throw new MalformedException(
            ModelNames.CLASS_OF + " and " + ModelNames.SLOT_OF, e.getMessage(), e);
      }
    }

    // ------------------------------------------------------------------------ optimizer state

    private record StateEntries(
        UpdateRule.Kind rule,
        long steps,
        TensorEntry stepsOfClass,
        List<List<TensorEntry>> moments) {
      long bytes() {
        return stepsOfClass.bytes()
            + moments.stream().flatMap(List::stream).mapToLong(TensorEntry::bytes).sum();
      }
    }

    private StateEntries stateOrNull(int classes, Map<Parameter, TensorEntry> parameters)
        throws MalformedException {
      UpdateRule.Kind rule = metadata.ruleOrNull(ModelNames.RULE);
      if (rule == null) {
        return null;
      }
      Dtype type = parameters.get(Parameter.W2).type();
      if (type != Dtype.F32) {
        throw ModelMetadata.stateOfNarrow(ModelNames.RULE, type);
      }
      List<List<TensorEntry>> moments = new ArrayList<>();
      for (int moment = 0; moment < rule.moments(); moment++) {
        List<TensorEntry> entries = new ArrayList<>();
        for (Parameter parameter : Parameter.values()) {
          long[] dims = parameters.get(parameter).dims();
          String name = ModelNames.moment(moment, parameter.label());
          entries.add(reader.entry(name, Dtype.F32, dims));
        }
        moments.add(entries);
      }
      TensorEntry stepsOfClass = reader.entry(ModelNames.STATE_STEPS, Dtype.I32, classes);
      return new StateEntries(rule, metadata.number(ModelNames.RULE_STEPS), stepsOfClass, moments);
    }

    private void restore(LayerState target, StateEntries state) throws IOException {
      int[] stepsOfClass = readSteps(reader, state.stepsOfClass());
      target.reset(state.rule());
      int[] stepsOfClassLevel = {(int) Math.min(state.steps(), Integer.MAX_VALUE)};
      int moments = state.moments().size();
      for (Parameter parameter : Parameter.values()) {
        boolean classLevel = parameter == Parameter.W1 || parameter == Parameter.B1;
        TensorState tensor = target.of(parameter.index());
        tensor.restoreSteps(classLevel ? stepsOfClassLevel : stepsOfClass);
        for (int moment = 0; moment < moments; moment++) {
          TensorEntry entry = state.moments().get(moment).get(parameter.index());
          reader.readFloats(entry, tensor.moment(moment), values(moment, moments));
        }
      }
    }
  }
}
