// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.Function;
import org.blocksparse.Activation;
import org.blocksparse.internal.files.Dimensions;
import org.blocksparse.internal.files.Dtype;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.files.ModelMetadata;
import org.blocksparse.internal.files.ModelNames;
import org.blocksparse.internal.files.OptimizerStateFile;
import org.blocksparse.internal.files.SafeTensorsReader;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.files.TensorEntry;
import org.blocksparse.internal.files.TensorSource;
import org.blocksparse.internal.files.WeightsFile;
import org.blocksparse.internal.memory.GrowingArrays;
import org.blocksparse.internal.memory.StorageLease;
import org.blocksparse.internal.weights.StoredWeights;
import org.blocksparse.internal.weights.WeightType;

/** A mixture of experts in a safetensors file; {@link ModelNames} lists what is in it. */
final class ExpertsFile {
  private static final String KIND = "mixture of experts";

  /** Matches a number that is not negative, as {@link Float#toString} writes it. */
  private static final String NUMBER = "[0-9]{1,9}([.][0-9]{1,20})?(E-?[0-9]{1,2})?";

  private ExpertsFile() {}

  /** A parameter; all except weights of experts are floats. */
  @SuppressWarnings("ArrayRecordComponent")
  public record Parameter(long[] dims, StoredWeights weights) {}

  /**
   * A layer.
   *
   * @param gate or null
   * @param parameters the parameters by name
   * @param metadata the caller's own strings
   */
  public record Content(
      Activation activation,
      Gating gate,
      Map<String, Parameter> parameters,
      Map<String, String> metadata) {}

  // ------------------------------------------------------------------------------------ writing

  /**
   * Writes a file.
   *
   * @param state the state of the parameters, if they are trained
   * @param lease the lease of the parameters
   * @throws IllegalArgumentException if the file cannot hold what is asked for
   * @throws IllegalStateException if the state is closed, or a parameter is not finite
   */
  public static void save(
      Content content,
      List<OptimizerStateFile.Entry> state,
      StorageLease lease,
      Path file,
      SaveSettings settings)
      throws IOException {
    settings.requireNoPart();
    try (WeightsFile weights = new WeightsFile(KIND, settings)) {
      List<TensorSource> tensors = weights.tensors();
      Map<String, String> metadata = new TreeMap<>(settings.metadataOr(content.metadata()));
      metadata.put(ModelNames.FORMAT, ModelNames.VERSION);
      metadata.put(ModelNames.LAYER, ModelNames.EXPERTS);
      metadata.put(ModelNames.ACTIVATION, content.activation().name());
      if (content.gate() != null) {
        add(content.gate(), metadata);
      }
      content
          .parameters()
          .forEach(
              (name, parameter) -> {
                if (ExpertsParameters.isOfExperts(name)) {
                  weights.add(name, parameter.dims(), parameter.weights());
                } else {
                  tensors.add(
                      TensorSource.floats(name, parameter.dims(), parameter.weights().elements()));
                }
              });
      if (settings.optimizerState()) {
        OptimizerStateFile.add(state, metadata, lease, tensors);
      }
      weights.write(file, "W1", metadata, lease);
    }
  }

  private static void add(Gating gate, Map<String, String> metadata) {
    metadata.put(ModelNames.GATE_K, Integer.toString(gate.k()));
    if (gate.sigmoid()) {
      metadata.put(ModelNames.GATE_SIGMOID, "true");
    }
    if (!gate.renormalized()) {
      metadata.put(ModelNames.GATE_RENORMALIZED, "false");
    }
    addIfThere(ModelNames.GATE_CHOICE_BIAS, gate.choiceBias(), metadata);
    addIfThere(ModelNames.GATE_SCALES, gate.scales(), metadata);
    if (gate.groups() != 1) {
      metadata.put(ModelNames.GATE_GROUPS, Integer.toString(gate.groups()));
      metadata.put(ModelNames.GATE_GROUPS_USED, Integer.toString(gate.groupsUsed()));
    }
    if (gate.isRagged()) {
      metadata.put(ModelNames.GATE_CAPACITY, Integer.toString(gate.capacity()));
    }
    if (gate.balancing() != 0) {
      metadata.put(ModelNames.GATE_BALANCING, Float.toString(gate.balancing()));
    }
  }

  private static void addIfThere(String key, float[] numbers, Map<String, String> metadata) {
    if (numbers != null) {
      StringJoiner text = new StringJoiner(" ");
      for (float number : numbers) {
        text.add(Float.toString(number));
      }
      metadata.put(key, text.toString());
    }
  }

  // ------------------------------------------------------------------------------------ reading

  /**
   * Loads a layer.
   *
   * @param maker takes what the file holds
   * @param state the state of a layer, into which that of the file is read
   * @param closer closes a layer whose state is refused
   * @throws MalformedException if the file does not hold one
   */
  public static <L> L load(
      Path file,
      LoadSettings settings,
      Function<Content, L> maker,
      Function<L, List<OptimizerStateFile.Entry>> state,
      Consumer<L> closer)
      throws IOException {
    return settings.read(
        file, layer -> KIND, reader -> new Loading(reader, settings).load(maker, state, closer));
  }

  /** One file on its way to a layer. Flaws of the header are reported first. */
  private static final class Loading {
    private final SafeTensorsReader reader;
    private final LoadSettings settings;
    private final ModelMetadata metadata;

    Loading(SafeTensorsReader reader, LoadSettings settings) throws MalformedException {
      this.reader = reader;
      this.settings = settings;
      this.metadata =
          new ModelMetadata(reader.metadata()).requireVersion().requireLayer(ModelNames.EXPERTS);
    }

    <L> L load(
        Function<Content, L> maker,
        Function<L, List<OptimizerStateFile.Entry>> state,
        Consumer<L> closer)
        throws IOException {
      Activation activation = activation();
      Map<String, WeightsFile.BlockEntries> blocks = new LinkedHashMap<>();
      Map<String, TensorEntry> floats = new LinkedHashMap<>();
      WeightsFile.BlockEntries first = WeightsFile.BlockEntries.of(reader, "W1");
      int experts = dimension("W1", first.dims(), 1);
      int inputs = dimension("W1", first.dims(), 2);
      int outputs = dimension("W2", WeightsFile.BlockEntries.of(reader, "W2").dims(), 3);
      addExperts("", experts, inputs, outputs, activation, blocks, floats);
      Gating gate = gateOrNull(experts);
      if (gate != null) {
        floats.put("Wg", reader.entry("Wg", Dtype.F32, 1, 1, inputs, experts));
        addIfThere("bg", floats, 1, experts);
      }
      String shared = ExpertsParameters.SHARED;
      if (reader.typeOrNull(shared + "W1") != null) {
        addExperts(shared, 1, inputs, outputs, activation, blocks, floats);
        if (reader.typeOrNull(shared + "Wg") != null) {
          floats.put(shared + "Wg", reader.entry(shared + "Wg", Dtype.F32, 1, 1, inputs, 1));
          addIfThere(shared + "bg", floats, 1, 1);
        }
      }
      boolean hasState = metadata.entries().containsKey(ModelNames.RULE);
      boolean mapped = settings.isMapped();
      long bytes = floats.values().stream().mapToLong(TensorEntry::bytes).sum();
      for (WeightsFile.BlockEntries entries : blocks.values()) {
        if (hasState && entries.type() != WeightType.FLOAT32) {
          throw ModelMetadata.stateOfNarrow(ModelNames.RULE, entries.elements().type());
        }
        bytes += entries.bytes(mapped);
      }
      reader.reportTo(settings.progress(), bytes);

      Map<String, Parameter> parameters = new LinkedHashMap<>();
      for (Map.Entry<String, WeightsFile.BlockEntries> entry : blocks.entrySet()) {
        WeightsFile.BlockEntries entries = entry.getValue();
        parameters.put(entry.getKey(), new Parameter(entries.dims(), entries.read(reader, mapped)));
      }
      for (Map.Entry<String, TensorEntry> entry : floats.entrySet()) {
        StoredWeights read =
            new StoredWeights(WeightType.FLOAT32, reader.readFloats(entry.getValue()), null);
        parameters.put(entry.getKey(), new Parameter(entry.getValue().dims(), read));
      }
      L layer = maker.apply(new Content(activation, gate, parameters, metadata.ofUser()));
      try {
        if (hasState && settings.optimizerState()) {
          OptimizerStateFile.restore(reader, metadata, state.apply(layer));
        }
        reader.requireIntact();
        return layer;
      } catch (Throwable e) {
        closer.accept(layer);
        throw e;
      }
    }

    /** Checks and adds the weights and biases of experts whose names begin with a prefix. */
    private void addExperts(
        String prefix,
        int experts,
        int inputs,
        int outputs,
        Activation activation,
        Map<String, WeightsFile.BlockEntries> blocks,
        Map<String, TensorEntry> floats)
        throws MalformedException {
      String W1 = prefix + "W1";
      String W2 = prefix + "W2";
      WeightsFile.BlockEntries first = WeightsFile.BlockEntries.of(reader, W1);
      WeightsFile.BlockEntries second = WeightsFile.BlockEntries.of(reader, W2);
      int hidden = dimension(W2, second.dims(), 2);
      long sums = activation.isGated() ? 2L * hidden : hidden;
      requireDims(W1, first.dims(), 1, experts, inputs, sums);
      requireDims(W2, second.dims(), experts, 1, hidden, outputs);
      blocks.put(W1, first);
      blocks.put(W2, second);
      addIfThere(prefix + "b1", floats, experts, sums);
      addIfThere(prefix + "b2", floats, experts, outputs);
    }

    private void addIfThere(String name, Map<String, TensorEntry> entries, long... dims)
        throws MalformedException {
      if (reader.typeOrNull(name) != null) {
        entries.put(name, reader.entry(name, Dtype.F32, dims));
      }
    }

    /** Returns a dimension, as builders allow it. */
    private static int dimension(String name, long[] dims, int axis) throws MalformedException {
      if (dims[axis] < 1 || dims[axis] > GrowingArrays.MAX_LENGTH) {
        throw new MalformedException(
            name, "dimension " + axis + " of " + Dimensions.text(dims) + " is 0 or too large");
      }
      return (int) dims[axis];
    }

    private static void requireDims(String name, long[] dims, long... expected)
        throws MalformedException {
      if (!Arrays.equals(dims, expected)) {
        throw new MalformedException(
            name,
            "expected the shape "
                + Dimensions.text(expected)
                + " but was "
                + Dimensions.text(dims));
      }
    }

    private Activation activation() throws MalformedException {
      String name = metadata.get(ModelNames.ACTIVATION);
      for (Activation function : Activation.values()) {
        if (function.name().equals(name)) {
          return function;
        }
      }
      throw ModelMetadata.wrong(
          ModelNames.ACTIVATION + " is none: " + MalformedException.excerpt(name));
    }

    private Gating gateOrNull(int experts) throws MalformedException {
      Map<String, String> all = metadata.entries();
      if (!all.containsKey(ModelNames.GATE_K)) {
        return null;
      }
      int groups = numberOr(ModelNames.GATE_GROUPS, experts, 1);
      int used = numberOr(ModelNames.GATE_GROUPS_USED, groups, 1);
      int k = number(ModelNames.GATE_K, experts);
      if (experts % groups != 0 || experts / groups * (long) used < k) {
        throw ModelMetadata.wrong(
            ModelNames.GATE_GROUPS + " does not divide the experts, or has fewer than are chosen");
      }
      return new Gating(
          k,
          flag(ModelNames.GATE_SIGMOID, false),
          flag(ModelNames.GATE_RENORMALIZED, true),
          ofExperts(ModelNames.GATE_CHOICE_BIAS, experts),
          groups,
          used,
          ofExperts(ModelNames.GATE_SCALES, experts),
          numberOr(ModelNames.GATE_CAPACITY, Integer.MAX_VALUE, Integer.MAX_VALUE),
          balancing());
    }

    private boolean flag(String key, boolean ifMissing) throws MalformedException {
      String text = metadata.entries().getOrDefault(key, Boolean.toString(ifMissing));
      if (!text.equals("true") && !text.equals("false")) {
        throw ModelMetadata.wrong(
            key + " is neither true nor false: " + MalformedException.excerpt(text));
      }
      return text.equals("true");
    }

    /** Returns a number for each expert; null if the file has none. */
    private float[] ofExperts(String key, int experts) throws MalformedException {
      String text = metadata.entries().get(key);
      if (text == null) {
        return null;
      }
      String[] words = text.split(" ", -1);
      float[] numbers = new float[words.length];
      for (int e = 0; e < words.length; e++) {
        numbers[e] = words[e].matches("-?" + NUMBER) ? Float.parseFloat(words[e]) : Float.NaN;
        if (!Float.isFinite(numbers[e])) {
          throw ModelMetadata.wrong(
              key + " has no finite number at " + e + ": " + MalformedException.excerpt(words[e]));
        }
      }
      if (numbers.length != experts) {
        throw ModelMetadata.wrong(key + " has " + numbers.length + " numbers, not " + experts);
      }
      return numbers;
    }

    private int numberOr(String key, int most, int ifMissing) throws MalformedException {
      return metadata.entries().containsKey(key) ? number(key, most) : ifMissing;
    }

    private int number(String key, int most) throws MalformedException {
      String text = metadata.get(key);
      if (!text.matches("[0-9]{1,10}") || Long.parseLong(text) < 1 || Long.parseLong(text) > most) {
        throw ModelMetadata.wrong(
            key + " is no number from 1 to " + most + ": " + MalformedException.excerpt(text));
      }
      return Integer.parseInt(text);
    }

    private float balancing() throws MalformedException {
      String text = metadata.entries().getOrDefault(ModelNames.GATE_BALANCING, "0");
      boolean isNumber = text.matches(NUMBER);
      float weight = isNumber ? Float.parseFloat(text) : -1;
      if (!(weight >= 0 && weight < Float.POSITIVE_INFINITY)) {
        throw ModelMetadata.wrong(
            ModelNames.GATE_BALANCING
                + " is no finite number >= 0: "
                + MalformedException.excerpt(text));
      }
      return weight;
    }
  }
}
