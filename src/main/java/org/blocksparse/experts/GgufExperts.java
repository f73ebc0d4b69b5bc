// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.blocksparse.Activation;
import org.blocksparse.BlockMatrix;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.Weights;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.io.GgufFile;

/** Takes the experts of one block from a file, by the names of llama.cpp. */
final class GgufExperts {
  private static final String WEIGHT = ".weight";
  private static final String BIAS = ".bias";
  private static final String SCALE = ".scale";
  private static final String GATE_AND_UP = "ffn_gate_up_exps";
  private static final String DOWN = "ffn_down_exps";
  private static final String GATE = "ffn_gate_inp";
  private static final String CHOICE_BIAS = "exp_probs_b" + BIAS;
  private static final List<String> SHARED_FIRST = List.of("ffn_gate_shexp", "ffn_up_shexp");
  private static final String SHARED_DOWN = "ffn_down_shexp";
  private static final String SHARED_GATE = "ffn_gate_inp_shexp" + WEIGHT;

  /** The name of the norm of the rows that the experts of Gemma read. */
  private static final String NORM = "pre_ffw_norm_2" + WEIGHT;

  /** Blocks that a message lists, before the last one. */
  private static final int MOST_BLOCKS = 8;

  private final GgufFile file;
  private final int block;

  /** The prefix of the names of the block. */
  private final String prefix;

  /** The requested tensors. */
  private final Set<String> known = new HashSet<>();

  GgufExperts(GgufFile file, int block) {
    this.file = file;
    this.block = block;
    this.prefix = "blk." + block + ".";
  }

  /** Returns the layer that the metadata of the file describes. */
  MixtureOfExperts layer() throws IOException {
    GgufKeys keys = GgufKeys.of(file, block);
    Activation activation = keys.activation();
    int experts = experts(activation);
    TopKGate gate = keys.gate(experts, has(CHOICE_BIAS));
    for (String name : keys.tensors()) {
      tensor(name);
    }
    MixtureOfExperts layer = layer(gate, activation);
    try {
      keys.requireIfThere("embedding_length", layer.inputs());
      keys.requireIfThere("expert_feed_forward_length", layer.hidden());
      ExpertsParameters shared = layer.ofParameters().shared();
      if (shared != null) {
        keys.requireIfThere("expert_shared_feed_forward_length", shared.hidden());
      }
      requireAllKnown();
      return layer;
    } catch (Throwable e) {
      layer.close();
      throw e;
    }
  }

  /** Returns the layer; gate may be null. */
  MixtureOfExperts layer(TopKGate gate, Activation activation) throws IOException {
    Map<String, BlockMatrix> made = new LinkedHashMap<>();
    try {
      List<String> first = first(activation);
      int experts = experts(activation);
      Weights W1 = file.weights(names(first), 1, experts);
      made.put("W1", W1);
      int inputs = (int) W1.shape().dim(2);
      long sums = W1.shape().dim(3);
      int hidden = (int) (activation.isGated() ? sums / 2 : sums);
      Shape down = tensor(DOWN + WEIGHT).shape();
      int outputs = (int) (down.rank() == 3 ? down.dim(1) : 0);
      requireShape(DOWN + WEIGHT, experts, Math.max(1, outputs), hidden);
      made.put("W2", file.weights(names(List.of(DOWN)), experts, 1));
      addBias("b1", first, experts, sums / first.size(), made);
      addBias("b2", List.of(DOWN), experts, outputs, made);
      MixtureOfExpertsBuilder builder = MixtureOfExperts.builder(inputs, hidden, experts);
      if (gate != null) {
        requireExperts(gate, experts);
        requireShape(GATE + WEIGHT, experts, inputs);
        made.put("Wg", gate(experts, inputs));
        if (has(GATE + BIAS)) {
          requireShape(GATE + BIAS, experts);
          made.put("bg", floats(GATE + BIAS, 1, experts));
        }
        builder = MixtureOfExperts.builder(inputs, hidden, ofTensors(gate, made));
      }
      builder.outputs(outputs).activation(activation);
      if (has(SHARED_DOWN + WEIGHT)) {
        addShared(inputs, outputs, activation, builder, made);
      }
      return builder.build(made);
    } catch (Throwable e) {
      made.values().forEach(BlockMatrix::close);
      throw e;
    }
  }

  /** Returns the gate with the bias of its choice and the scales that tensors have. */
  private TopKGate ofTensors(TopKGate gate, Map<String, BlockMatrix> made) throws IOException {
    int experts = gate.experts();
    TopKGate with = gate;
    if (has(CHOICE_BIAS)) {
      with = with.withChoiceBias(vector(CHOICE_BIAS, experts));
    }
    if (has(DOWN + SCALE)) {
      float[] scales = vector(DOWN + SCALE, experts);
      if (made.containsKey("b2")) {
        throw wrong(
            DOWN + SCALE, "is beside " + prefix + DOWN + BIAS + ", which it does not scale");
      }
      float[] ofGate = gate.gating().scales();
      for (int e = 0; e < experts && ofGate != null; e++) {
        scales[e] *= ofGate[e];
        if (!Float.isFinite(scales[e])) {
          throw wrong(DOWN + SCALE, "element " + e + " times the scale of the gate is infinite");
        }
      }
      with = with.withScales(scales);
    }
    return with;
  }

  private void addShared(
      int inputs,
      int outputs,
      Activation activation,
      MixtureOfExpertsBuilder builder,
      Map<String, BlockMatrix> made)
      throws IOException {
    List<String> first = activation.isGated() ? SHARED_FIRST : SHARED_FIRST.subList(1, 2);
    Shape down = tensor(SHARED_DOWN + WEIGHT).shape();
    int hidden = (int) (down.rank() == 2 ? down.dim(1) : 0);
    requireShape(SHARED_DOWN + WEIGHT, outputs, Math.max(1, hidden));
    for (String name : first) {
      requireShape(name + WEIGHT, hidden, inputs);
    }
    made.put("shared.W1", file.weights(names(first), 1, 1));
    made.put("shared.W2", file.weights(names(List.of(SHARED_DOWN)), 1, 1));
    if (!has(SHARED_GATE)) {
      builder.shared(hidden);
      return;
    }
    made.put("shared.Wg", FloatTensor.of(vector(SHARED_GATE, inputs), 1, 1, inputs, 1));
    builder.gatedShared(hidden);
  }

  /** Checks that no tensor of experts was left out, which would make the output wrong. */
  private void requireAllKnown() throws IOException {
    for (String name : file.tensors().keySet()) {
      boolean isOfExperts =
          name.startsWith(prefix + "exp_")
              || (name.startsWith(prefix + "ffn_")
                  && (name.contains("exp") || name.startsWith(prefix + GATE)));
      if (isOfExperts && !known.contains(name)) {
        throw new FileFormatException(
            file.path(),
            name,
            "is not known to this library; to leave it out, pass the gate and the activation:"
                + " MixtureOfExperts.of(file, block, gate, activation)");
      }
    }
  }

  /** Returns the tensors that W1 is made of, without their endings. */
  private List<String> first(Activation activation) {
    if (!activation.isGated()) {
      return List.of("ffn_up_exps");
    }
    return has(GATE_AND_UP + WEIGHT)
        ? List.of(GATE_AND_UP)
        : List.of("ffn_gate_exps", "ffn_up_exps");
  }

  private List<String> names(List<String> tensors) {
    List<String> names = tensors.stream().map(name -> prefix + name + WEIGHT).toList();
    known.addAll(names);
    return names;
  }

  private boolean has(String name) {
    known.add(prefix + name);
    return file.tensors().containsKey(prefix + name);
  }

  /** Returns how many experts the first tensor has, whose shape is checked. */
  private int experts(Activation activation) throws IOException {
    List<String> first = first(activation);
    String name = first.get(0);
    boolean halves = activation.isGated() && first.size() == 1;
    Shape shape = tensor(name + WEIGHT).shape();
    boolean sizes = shape.rank() == 3;
    for (long dim : shape.toArray()) {
      sizes &= dim >= 1 && dim <= Check.LARGEST_ARRAY;
    }
    if (!sizes || (halves && shape.dim(1) % 2 != 0)) {
      String out = halves ? "even out" : "out";
      throw wrong(name + WEIGHT, "expected (experts, " + out + ", in) but was " + shape);
    }
    return (int) shape.dim(0);
  }

  private GgufFile.TensorInfo tensor(String name) throws IOException {
    known.add(prefix + name);
    GgufFile.TensorInfo info = file.tensors().get(prefix + name);
    if (info == null) {
      throw wrong(name, "is missing" + others());
    }
    return info;
  }

  /** Returns the blocks of the file that have experts, unless this is one of them. */
  private String others() {
    String ending = "." + DOWN + WEIGHT;
    List<String> blocks =
        file.tensors().keySet().stream()
            .filter(name -> name.endsWith(ending))
            .map(name -> name.substring(0, name.length() - ending.length()))
            .toList();
    if (blocks.stream().anyMatch(block -> prefix.equals(block + "."))) {
      return "";
    }
    if (blocks.isEmpty()) {
      return "; the file has no experts";
    }
    String most = String.join(", ", blocks.subList(0, Math.min(MOST_BLOCKS, blocks.size())));
    String more = blocks.size() > MOST_BLOCKS ? " ... " + blocks.get(blocks.size() - 1) : "";
    return "; there are experts in " + most + more;
  }

  private void requireShape(String name, long... expected) throws IOException {
    Shape shape = tensor(name).shape();
    if (!shape.equals(Shape.of(expected))) {
      throw wrong(name, "expected " + Shape.of(expected) + " but was " + shape);
    }
  }

  private FileFormatException wrong(String name, String reason) {
    return new FileFormatException(file.path(), prefix + name, reason);
  }

  private static void requireExperts(TopKGate gate, int experts) {
    if (gate.experts() != experts) {
      throw new IllegalArgumentException(
          "gate: expected one of "
              + experts
              + " experts, as the file has, but was one of "
              + gate.experts());
    }
  }

  private FloatTensor floats(String name, long... dims) throws IOException {
    try (FloatTensor inFile = file.floats(prefix + name)) {
      return FloatTensor.of(inFile.toArray(), dims);
    }
  }

  private float[] vector(String name, int size) throws IOException {
    if (tensor(name).shape().size() != size) {
      requireShape(name, size);
    }
    try (FloatTensor inFile = file.floats(prefix + name)) {
      return inFile.toArray();
    }
  }

  /** Returns the weights of the gate, (1, 1, in, experts), which lie (experts, in) in the file. */
  private FloatTensor gate(int experts, int inputs) throws IOException {
    float[] turned;
    try (FloatTensor inFile = file.floats(prefix + GATE + WEIGHT);
        FloatTensor view = inFile.reshape(1, 1, experts, inputs).transposeBlocks()) {
      turned = view.toArray();
    }
    if (has(GATE + SCALE)) {
      float[] norm = vector(NORM, inputs);
      int small = ofNormedRows(turned, experts, vector(GATE + SCALE, inputs), norm);
      if (small >= 0) {
        throw wrong(NORM, "element " + small + " is too small to divide by: " + norm[small]);
      }
    }
    return FloatTensor.of(turned, 1, 1, inputs, experts);
  }

  /**
   * Multiplies the weights of Gemma's gate by scale / (norm * sqrt(inputs)), since the gate reads
   * rows with another norm than the experts.
   *
   * @return the first input whose norm is too small to divide by, or -1
   */
  static int ofNormedRows(float[] weights, int experts, float[] scale, float[] norm) {
    double root = Math.sqrt(scale.length);
    for (int i = 0; i < weights.length; i++) {
      int input = i / experts;
      weights[i] = (float) (weights[i] * (scale[input] / (norm[input] * root)));
      if (!Float.isFinite(weights[i])) {
        return input;
      }
    }
    return -1;
  }

  /** Adds biases (experts, size) side by side, if the file has them. */
  private void addBias(
      String name, List<String> tensors, int experts, long size, Map<String, BlockMatrix> to)
      throws IOException {
    if (!has(tensors.get(0) + BIAS)) {
      return;
    }
    List<float[]> parts = new ArrayList<>();
    for (String tensor : tensors) {
      requireShape(tensor + BIAS, experts, size);
      try (FloatTensor part = file.floats(prefix + tensor + BIAS)) {
        parts.add(part.toArray());
      }
    }
    FloatTensor bias = FloatTensor.zeros(experts, size * parts.size());
    to.put(name, bias);
    for (int row = 0; row < experts * parts.size(); row++) {
      float[] part = parts.get(row % parts.size());
      bias.put(row * size, part, (int) (row / parts.size() * size), (int) size);
    }
  }
}
