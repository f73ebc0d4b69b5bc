// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.io.IOException;
import java.nio.IntBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.blocksparse.Optimizer;
import org.blocksparse.internal.files.Dtype;
import org.blocksparse.internal.files.LabelsFile;
import org.blocksparse.internal.files.LayerFile;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.files.ModelMetadata;
import org.blocksparse.internal.files.ModelNames;
import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.files.SafeTensorsReader;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.files.TensorEntry;
import org.blocksparse.internal.files.TensorSource;
import org.blocksparse.internal.files.TensorStateEntries;
import org.blocksparse.internal.files.WeightsFile;
import org.blocksparse.internal.files.WeightsFile.Grid;
import org.blocksparse.internal.kernels.Link;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.memory.StorageLease;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.training.LayerState;
import org.blocksparse.internal.training.Parameter;
import org.blocksparse.internal.training.TensorState;
import org.blocksparse.internal.weights.StoredWeights;
import org.blocksparse.internal.weights.WeightType;

/** A two-level layer as a safetensors file; {@link ModelNames} lists what is in it. */
final class ModelFile {
  private ModelFile() {}

  // ------------------------------------------------------------------------------------ writing

  /**
   * Writes a file.
   *
   * @throws IllegalArgumentException if the file cannot hold what is asked for
   * @throws IllegalStateException if the layer is closed, or a parameter is not finite
   */
  public static void save(LayerContent layer, Path file, SaveSettings settings) throws IOException {
    LayerMemory memory = layer.memory();
    new LayerFile(
            memory.kind(), "W2", part(memory, layer.steps()), layer.metadata(), layer.labels())
        .write(file, settings);
  }

  /** Returns a layer without names as a part of a file. */
  static SaveSettings.Part part(LayerMemory memory, long steps) {
    return (file, settings, metadata, lease) -> {
      memory.lease(lease);
      metadata.putAll(metadata(Map.of(), memory.link(), memory.table(), steps));
      List<TensorSource> tensors = file.tensors();
      addWeights(memory, file);
      for (Parameter bias : List.of(Parameter.B1, Parameter.B2)) {
        tensors.add(
            TensorSource.floats(
                bias.label(), memory.sizes().dims(bias), memory.parameters().of(bias)));
      }
      tensors.add(TensorSource.ints(ModelNames.CLASS_OF, memory.table().classOf()));
      tensors.add(TensorSource.ints(ModelNames.SLOT_OF, memory.table().slotOf()));
      if (settings.optimizerState()) {
        addState(memory, lease, tensors, metadata);
      }
    };
  }

  private static void addWeights(LayerMemory layer, WeightsFile file) {
    SoftmaxStorage all = layer.parameters();
    SoftmaxSizes sizes = layer.sizes();
    int classes = sizes.classes();
    int slots = sizes.slots();
    long[] dims2 = sizes.dims(Parameter.W2);
    file.add(
        new Grid("W2", classes, sizes.features(), slots, dims2, new long[] {classes, slots}),
        new StoredWeights(all.type(), all.w2(), all.w2Scales()));
    long[] dims1 = sizes.dims(Parameter.W1);
    file.add(
        new Grid("W1", 1, sizes.features(), classes, dims1, new long[] {classes}),
        new StoredWeights(all.type(), all.w1(), all.w1Scales()));
  }

  /** Returns the strings of a layer without optimizer state. */
  static Map<String, String> metadata(
      Map<String, String> ofUser, Link link, ClassTable table, long steps) {
    Map<String, String> metadata = new TreeMap<>(ofUser);
    metadata.put(ModelNames.FORMAT, ModelNames.VERSION);
    metadata.put(ModelNames.STEPS, Long.toString(steps));
    if (link == Link.LOGISTIC) {
      metadata.put(ModelNames.LAYER, ModelNames.LABEL_TREE);
    }
    int retired = table.outputs() - table.live();
    if (retired > 0) {
      metadata.put(ModelNames.RETIRED_OUTPUTS, Integer.toString(retired));
    }
    return metadata;
  }

  private static void addState(
      LayerMemory memory,
      StorageLease lease,
      List<TensorSource> tensors,
      Map<String, String> metadata) {
    LayerState state = memory.state();
    metadata.put(ModelNames.RULE, state.kind().name());
    metadata.put(
        ModelNames.RULE_STEPS, Integer.toString(state.of(Parameter.W1.index()).steps()[0]));
    TensorState ofSlots = state.of(Parameter.W2.index());
    tensors.add(TensorSource.ints(ModelNames.STATE_STEPS, ofSlots.steps()));
    if (ofSlots.hasLaterColumns()) {
      int slots = memory.sizes().slots();
      tensors.add(
          begun(
              memory.sizes(),
              (c, into) -> {
                int[] columns = ofSlots.begun(c);
                for (int slot = 0; slot < slots; slot++) {
                  into.put(columns == null ? 0 : columns[slot]);
                }
              }));
    }
    for (int moment = 0; moment < state.kind().moments(); moment++) {
      for (Parameter parameter : Parameter.values()) {
        long[] dims = memory.sizes().dims(parameter);
        tensors.add(
            TensorStateEntries.moment(
                state, parameter.index(), moment, parameter.label(), dims, lease));
      }
    }
  }

  /** Puts the numbers of a class into a buffer. */
  interface OfClass {
    void put(int c, IntBuffer into);
  }

  /** Returns the steps that classes had taken when their outputs were added. */
  static TensorSource begun(SoftmaxSizes sizes, OfClass numbers) {
    long[] dims = {sizes.classes(), sizes.slots()};
    IntBuffer ofClass = IntBuffer.allocate(sizes.slots());
    return new TensorSource(
        ModelNames.STATE_BEGUN,
        Dtype.I32,
        dims,
        (begin, count, into) -> {
          for (long at = begin; at < begin + count; at++) {
            int slot = (int) (at % sizes.slots());
            if (slot == 0 || at == begin) {
              numbers.put((int) (at / sizes.slots()), ofClass.clear());
            }
            into.putInt(ofClass.get(slot));
          }
        });
  }

  // ------------------------------------------------------------------------------------ reading

  /**
   * Loads a layer of the kind that has the given link.
   *
   * @throws MalformedException if the file does not hold one
   */
  public static LayerContent load(Path file, LoadSettings settings, Link link) throws IOException {
    return settings.readPart(
        file,
        content -> content.memory().kind(),
        reader -> new Loading(reader, settings, link).load());
  }

  /** The entries of W1, W2 and their scales in a file, whose headers are checked. */
  private record WeightEntries(
      WeightType type, TensorEntry w1, TensorEntry w2, TensorEntry w1Scales, TensorEntry w2Scales) {
    static WeightEntries of(SafeTensorsReader reader, int features, int classes, int slots)
        throws MalformedException {
      WeightType type = WeightsFile.typeOf(reader, "W2");
      TensorEntry w1Scales = null;
      TensorEntry w2Scales = null;
      if (type.hasScales()) {
        w1Scales = reader.entry(ModelNames.scales("W1"), Dtype.F32, classes);
        w2Scales = reader.entry(ModelNames.scales("W2"), Dtype.F32, classes, slots);
      }
      return new WeightEntries(
          type,
          reader.entry("W1", WeightsFile.dtype(type), features, classes),
          reader.entry("W2", WeightsFile.dtype(type), classes, features, slots),
          w1Scales,
          w2Scales);
    }

    /** Returns the bytes of the scales. */
    long scaleBytes() {
      return type.hasScales() ? w1Scales.bytes() + w2Scales.bytes() : 0;
    }

    /** Reads W1. */
    StoredWeights readW1(SafeTensorsReader reader) throws IOException {
      return WeightsFile.read(reader, type, w1, w1Scales, null);
    }

    /** Returns W2 in the given memory, or reads it if that is null. */
    StoredWeights readW2(SafeTensorsReader reader, Storage mapped) throws IOException {
      return WeightsFile.read(reader, type, w2, w2Scales, mapped);
    }
  }

  /** The state of loading a layer's file. Errors in the header are reported first. */
  private static final class Loading {
    private final SafeTensorsReader reader;
    private final ModelMetadata metadata;
    private final LoadSettings settings;
    private final Link link;

    Loading(SafeTensorsReader reader, LoadSettings settings, Link link) throws MalformedException {
      this.reader = reader;
      this.metadata = new ModelMetadata(reader.metadata()).requireVersion().requireLayer(link);
      this.settings = settings;
      this.link = link;
    }

    /** The sizes of a layer. */
    private record Sizes(int features, int classes, int slots, int outputs, long retired) {}

    LayerContent load() throws IOException {
      Sizes sizes = sizes();
      TensorEntry classOf = reader.entry(ModelNames.CLASS_OF, Dtype.I32, sizes.outputs());
      TensorEntry slotOf = reader.entry(ModelNames.SLOT_OF, Dtype.I32, sizes.outputs());
      TensorEntry b1 = reader.entry("b1", Dtype.F32, sizes.classes());
      WeightEntries weights =
          WeightEntries.of(reader, sizes.features(), sizes.classes(), sizes.slots());
      TensorEntry b2 = reader.entry("b2", Dtype.F32, sizes.classes(), sizes.slots());
      Map<Parameter, TensorEntry> parameters = new EnumMap<>(Parameter.class);
      parameters.put(Parameter.W1, weights.w1());
      parameters.put(Parameter.B1, b1);
      parameters.put(Parameter.W2, weights.w2());
      parameters.put(Parameter.B2, b2);
      StateEntries inFile = stateOrNull(sizes.classes(), parameters);
      StateEntries state = settings.optimizerState() ? inFile : null;
      LabelsFile labels = LabelsFile.orNull(reader, sizes.outputs());
      long steps = metadata.number(ModelNames.STEPS);
      boolean mapped = settings.isMapped();
      long toRead = classOf.bytes() + slotOf.bytes() + weights.scaleBytes();
      toRead += state == null ? 0 : state.bytes();
      toRead += labels == null ? 0 : labels.bytes();
      for (Parameter parameter : Parameter.values()) {
        toRead += mapped && parameter == Parameter.W2 ? 0 : parameters.get(parameter).bytes();
      }
      reader.reportTo(settings.progress(), toRead);

      Storage mappedW2 = settings.mappedOrNull(reader, weights.w2());
      ClassTable classes = classes(reader.readInts(classOf), reader.readInts(slotOf), sizes);
      StoredWeights ofClasses = weights.readW1(reader);
      Storage classBiases = reader.readFloats(b1);
      StoredWeights ofSlots = weights.readW2(reader, mappedW2);
      LayerMemory memory =
          LayerMemory.owning(
              settings.engine(),
              link,
              sizes.features(),
              classes,
              new SoftmaxStorage(ofClasses, classBiases, ofSlots, reader.readFloats(b2)));
      try {
        NameTable names = labels == null ? null : labels.read(reader, !mapped);
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

    private Sizes sizes() throws MalformedException {
      Dtype type = WeightsFile.dtype(WeightsFile.typeOf(reader, "W2"));
      TensorEntry w1 = reader.entryOfRank(2, "W1", type);
      TensorEntry w2 = reader.entryOfRank(3, "W2", type);
      TensorEntry classOf = reader.entryOfRank(1, ModelNames.CLASS_OF, Dtype.I32);
      Sizes sizes =
          new Sizes(
              w1.dimension(0),
              w1.dimension(1),
              w2.dimension(2),
              classOf.dimension(0),
              metadata.entries().containsKey(ModelNames.RETIRED_OUTPUTS)
                  ? metadata.number(ModelNames.RETIRED_OUTPUTS)
                  : 0);
      long live = sizes.outputs() - sizes.retired();
      // The heap for tables of classes must be in proportion to the bytes of W2 in the file.
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

    private static ClassTable classes(int[] classOf, int[] slotOf, Sizes sizes)
        throws MalformedException {
      try {
        ClassTable classes = ClassTable.of(classOf, slotOf, sizes.classes(), sizes.slots());
        int retired = sizes.outputs() - classes.live();
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
        Optimizer.Kind rule,
        long steps,
        TensorEntry stepsOfClass,
        TensorEntry begunOrNull,
        List<List<TensorEntry>> moments) {
      long bytes() {
        return stepsOfClass.bytes()
            + (begunOrNull == null ? 0 : begunOrNull.bytes())
            + moments.stream().flatMap(List::stream).mapToLong(TensorEntry::bytes).sum();
      }
    }

    private StateEntries stateOrNull(int classes, Map<Parameter, TensorEntry> parameters)
        throws MalformedException {
      Optimizer.Kind rule = metadata.ruleOrNull(ModelNames.RULE);
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
      long[] ofSlots = parameters.get(Parameter.B2).dims();
      TensorEntry begun =
          rule.countsSteps() && reader.has(ModelNames.STATE_BEGUN)
              ? reader.entry(ModelNames.STATE_BEGUN, Dtype.I32, ofSlots)
              : null;
      long steps = metadata.number(ModelNames.RULE_STEPS);
      return new StateEntries(rule, steps, stepsOfClass, begun, moments);
    }

    private int[] readBegun(TensorEntry entry, int[] stepsOfClass) throws IOException {
      if (entry == null) {
        return null;
      }
      int[] begun = TensorStateEntries.readSteps(reader, entry);
      int slots = begun.length / stepsOfClass.length;
      for (int i = 0; i < begun.length; i++) {
        if (begun[i] > stepsOfClass[i / slots]) {
          throw new MalformedException(
              entry.name(),
              "element "
                  + i
                  + " = "
                  + begun[i]
                  + " is more than the "
                  + stepsOfClass[i / slots]
                  + " steps of its class");
        }
      }
      return begun;
    }

    private void restore(LayerState target, StateEntries state) throws IOException {
      int[] stepsOfClass = TensorStateEntries.readSteps(reader, state.stepsOfClass());
      target.reset(state.rule());
      int[] begun = readBegun(state.begunOrNull(), stepsOfClass);
      int[] stepsOfClassLevel = {(int) Math.min(state.steps(), Integer.MAX_VALUE)};
      int moments = state.moments().size();
      for (Parameter parameter : Parameter.values()) {
        boolean classLevel = parameter == Parameter.W1 || parameter == Parameter.B1;
        TensorState tensor = target.of(parameter.index());
        tensor.restoreSteps(classLevel ? stepsOfClassLevel : stepsOfClass);
        if (begun != null && !classLevel) {
          int slots = begun.length / stepsOfClass.length;
          for (int c = 0; c < stepsOfClass.length; c++) {
            int[] columns = Arrays.copyOfRange(begun, c * slots, (c + 1) * slots);
            if (Arrays.stream(columns).anyMatch(number -> number > 0)) {
              tensor.restoreBegun(c, columns);
            }
          }
        }
        for (int moment = 0; moment < moments; moment++) {
          TensorEntry entry = state.moments().get(moment).get(parameter.index());
          reader.readFloats(
              entry, tensor.moment(moment), TensorStateEntries.values(moment, moments));
        }
      }
    }
  }
}
