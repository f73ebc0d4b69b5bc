// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.blocksparse.Activation;
import org.blocksparse.BlockMatrix;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.Weights;
import org.blocksparse.internal.Check;
import org.blocksparse.io.GgufFile;

/**
 * Takes the experts of one block from a file, by the names of llama.cpp.
 *
 * @param prefix of the names of the block
 */
record GgufExperts(GgufFile file, String prefix) {
  private static final String WEIGHT = ".weight";
  private static final String BIAS = ".bias";
  private static final String GATE_AND_UP = "gate_up_exps";
  private static final String DOWN = "down_exps";
  private static final String GATE = "gate_inp";

  /** Blocks that a message lists, before the last one. */
  private static final int MOST_BLOCKS = 8;

  /** The layer; gate may be null. */
  MixtureOfExperts layer(TopKGate gate, Activation activation) throws IOException {
    Map<String, BlockMatrix> made = new LinkedHashMap<>();
    try {
      List<String> first = first(activation);
      boolean halves = activation.isGated() && first.size() == 1;
      Weights W1 = file.weights(names(first), 1, experts(first.get(0), halves));
      made.put("W1", W1);
      int experts = (int) W1.shape().dim(1);
      int inputs = (int) W1.shape().dim(2);
      long sums = W1.shape().dim(3);
      int hidden = (int) (activation.isGated() ? sums / 2 : sums);
      Shape down = tensor(DOWN + WEIGHT).shape();
      int outputs = (int) (down.rank() == 3 ? down.dim(1) : 0);
      requireShape(DOWN + WEIGHT, experts, Math.max(1, outputs), hidden);
      made.put("W2", file.weights(List.of(prefix + DOWN + WEIGHT), experts, 1));
      addBias("b1", first, experts, sums / first.size(), made);
      addBias("b2", List.of(DOWN), experts, outputs, made);
      if (gate != null) {
        requireExperts(gate, experts);
        requireShape(GATE + WEIGHT, experts, inputs);
        made.put("Wg", transposed(experts, inputs));
        if (has(GATE + BIAS)) {
          requireShape(GATE + BIAS, experts);
          made.put("bg", floats(GATE + BIAS, 1, experts));
        }
      }
      MixtureOfExpertsBuilder builder =
          gate == null
              ? MixtureOfExperts.builder(inputs, hidden, experts)
              : MixtureOfExperts.builder(inputs, hidden, gate);
      return builder.outputs(outputs).activation(activation).build(made);
    } catch (Throwable e) {
      made.values().forEach(BlockMatrix::close);
      throw e;
    }
  }

  /** The tensors that W1 is made of, without their endings. */
  private List<String> first(Activation activation) {
    if (!activation.isGated()) {
      return List.of("up_exps");
    }
    return has(GATE_AND_UP + WEIGHT) ? List.of(GATE_AND_UP) : List.of("gate_exps", "up_exps");
  }

  private List<String> names(List<String> tensors) {
    return tensors.stream().map(name -> prefix + name + WEIGHT).toList();
  }

  private boolean has(String name) {
    return file.tensors().containsKey(prefix + name);
  }

  /**
   * How many experts the tensor of the way in has.
   *
   * @param halves whether its outputs are those of gate and up
   */
  private int experts(String name, boolean halves) throws IOException {
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
    GgufFile.TensorInfo info = file.tensors().get(prefix + name);
    if (info == null) {
      throw wrong(name, "is missing" + others());
    }
    return info;
  }

  /** The blocks of the file that have experts, unless this is one of them. */
  private String others() {
    String ending = ".ffn_" + DOWN + WEIGHT;
    List<String> blocks =
        file.tensors().keySet().stream()
            .filter(name -> name.endsWith(ending))
            .map(name -> name.substring(0, name.length() - ending.length()))
            .toList();
    if (blocks.stream().anyMatch(block -> prefix.equals(block + ".ffn_"))) {
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

  /** The weights of the gate, which lie (experts, in) in the file. */
  private FloatTensor transposed(int experts, int inputs) throws IOException {
    try (FloatTensor inFile = file.floats(prefix + GATE + WEIGHT);
        FloatTensor view = inFile.reshape(1, 1, experts, inputs).transposeBlocks()) {
      return FloatTensor.of(view.toArray(), 1, 1, inputs, experts);
    }
  }

  /** Biases (experts, size) side by side, if the file has them. */
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
