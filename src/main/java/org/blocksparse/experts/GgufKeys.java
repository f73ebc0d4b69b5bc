// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.blocksparse.Activation;
import org.blocksparse.FileFormatException;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.io.GgufFile;

/**
 * The metadata of one block of experts, by the keys of llama.cpp.
 *
 * @param values the values by key
 */
record GgufKeys(GgufFile file, int block, Map<String, Object> values) {
  private static final String ARCHITECTURE = "general.architecture";
  private static final String REMEDY =
      "; or pass the gate and the activation: MixtureOfExperts.of(file, block, gate, activation)";

  /** The numbers of llama.cpp's kinds of gates, from 1 on. */
  private static final List<Architecture.Gate> GATES =
      List.of(
          Architecture.Gate.SOFTMAX,
          Architecture.Gate.SIGMOID,
          Architecture.Gate.SOFTMAX_OF_CHOSEN);

  static GgufKeys of(GgufFile file, int block) throws IOException {
    GgufKeys keys = new GgufKeys(file, block, file.metadata());
    if (Architecture.ofGguf(keys.architecture()) == null) {
      throw keys.wrong(
          ARCHITECTURE,
          "expected one of "
              + Architecture.ggufNames()
              + (keys.values.containsKey(ARCHITECTURE)
                  ? " but was " + MalformedException.excerpt(keys.architecture())
                  : " but is missing")
              + REMEDY);
    }
    return keys;
  }

  private String architecture() {
    return String.valueOf(values.get(ARCHITECTURE));
  }

  private Architecture defaults() {
    return Architecture.ofGguf(architecture());
  }

  Activation activation() {
    return defaults().activation();
  }

  /** Returns the names of the block's required tensors. */
  List<String> tensors() throws FileFormatException {
    List<String> tensors = new ArrayList<>(defaults().ggufTensors());
    if (number("expert_shared_count", 0, 0, Integer.MAX_VALUE) > 0) {
      tensors.add("ffn_down_shexp.weight");
    }
    return tensors;
  }

  /** Returns the gate, without its parts in tensors. */
  TopKGate gate(int experts, boolean hasChoiceBias) throws FileFormatException {
    requireIfThere("expert_count", experts);
    int k = number("expert_used_count", 0, 1, experts);
    int kind = number("expert_gating_func", 0, 0, Integer.MAX_VALUE);
    if (kind == 0 && hasChoiceBias && defaults().gate() != Architecture.Gate.SIGMOID) {
      throw wrong(key("expert_gating_func"), "is missing, but the gate has exp_probs_b" + REMEDY);
    }
    if (kind > GATES.size()) {
      throw wrong(
          key("expert_gating_func"),
          "expected 1 (softmax), 2 (sigmoid) or 3 (softmax of the chosen) but was "
              + kind
              + "; pass a routing to each call: MixtureOfExperts.of(file, block, null,"
              + " activation)");
    }
    Architecture.Gate of = kind == 0 ? defaults().gate() : GATES.get(kind - 1);
    TopKGate gate = TopKGate.of(experts, k);
    gate = of == Architecture.Gate.SIGMOID ? gate.withSigmoid() : gate;
    if (of != Architecture.Gate.SOFTMAX_OF_CHOSEN
        && !flag("expert_weights_norm", defaults().isRenormalized())) {
      gate = gate.withoutRenormalization();
    }
    float scale = number("expert_weights_scale");
    gate = scale == 0 || scale == 1 ? gate : gate.withScales(scale);
    int groups = number("expert_group_count", 1, 0, experts);
    if (groups <= 1) {
      return gate;
    }
    int used = number("expert_group_used_count", 0, 1, groups);
    try {
      return gate.withGroups(groups, used);
    } catch (IllegalArgumentException e) {
      throw wrong(key("expert_group_count"), e.getMessage());
    }
  }

  /** Checks a size of the tensors, if the file has it. */
  void requireIfThere(String name, int size) throws FileFormatException {
    int found = number(name, size, 0, Integer.MAX_VALUE);
    if (found != size) {
      throw wrong(key(name), "expected " + size + ", as the tensors have, but was " + found);
    }
  }

  private String key(String name) {
    return architecture() + "." + name;
  }

  /** Returns the value of this block; null if there is none. */
  private Object value(String name) {
    Object value = values.get(key(name));
    if (value instanceof List<?> ofBlocks) {
      return block < ofBlocks.size() ? ofBlocks.get(block) : null;
    }
    return value;
  }

  private int number(String name, int ifMissing, int min, int max) throws FileFormatException {
    Object value = value(name);
    long number = value == null ? ifMissing : value instanceof Long found ? found : -1;
    if (number < min || number > max) {
      throw wrong(
          key(name),
          "expected a number from "
              + min
              + " to "
              + max
              + " but "
              + (value == null ? "is missing" + REMEDY : "was " + text(value)));
    }
    return (int) number;
  }

  private boolean flag(String name, boolean ifMissing) throws FileFormatException {
    Object value = value(name);
    if (value != null && !(value instanceof Boolean)) {
      throw wrong(key(name), "expected true or false but was " + text(value));
    }
    return value == null ? ifMissing : (Boolean) value;
  }

  /** Returns a factor; 0 if it is missing. */
  private float number(String name) throws FileFormatException {
    Object value = value(name);
    float number = value == null ? 0 : value instanceof Float found ? found : Float.NaN;
    if (!Float.isFinite(number)) {
      throw wrong(key(name), "expected a finite float but was " + text(value));
    }
    return number;
  }

  private static String text(Object value) {
    return MalformedException.excerpt(value.toString());
  }

  private FileFormatException wrong(String key, String reason) {
    return new FileFormatException(file.path(), key, reason);
  }
}
