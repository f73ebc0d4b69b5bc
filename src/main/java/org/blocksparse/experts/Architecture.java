// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.blocksparse.Activation;

/**
 * The architectures whose experts load by one call: what their gates and experts compute, unless a
 * key of the file says otherwise, and the names of their tensors. Both kinds of files are read by
 * this table.
 */
enum Architecture {
  MIXTRAL("llama", "mixtral", Gate.SOFTMAX, true, false, Shared.NONE, Names.MIXTRAL),
  QWEN2_MOE("qwen2moe", "qwen2_moe", Gate.SOFTMAX, false, true, Shared.GATED, Names.QWEN),
  QWEN3_MOE("qwen3moe", "qwen3_moe", Gate.SOFTMAX, true, true, Shared.NONE, Names.QWEN),
  QWEN3_VL_MOE("qwen3vlmoe", "", Gate.SOFTMAX, true, true, Shared.NONE, Names.QWEN),
  QWEN3_NEXT("qwen3next", "qwen3_next", Gate.SOFTMAX, true, true, Shared.GATED, Names.QWEN),
  QWEN35_MOE("qwen35moe", "", Gate.SOFTMAX, true, true, Shared.GATED, Names.QWEN),
  OLMOE("olmoe", "olmoe", Gate.SOFTMAX, false, true, Shared.NONE, Names.QWEN),
  GPT_OSS("gpt-oss", "gpt_oss", Gate.SOFTMAX_OF_CHOSEN, true, false, Shared.NONE, Names.GPT_OSS),
  /** DeepSeek V2 and V3; a key selects the gate. */
  DEEPSEEK2("deepseek2", "", Gate.SOFTMAX, false, true, Shared.BY_KEY, Names.DEEPSEEK),
  DEEPSEEK_V3(null, "deepseek_v3 kimi_k2", Gate.SIGMOID, true, true, Shared.BY_KEY, Names.DEEPSEEK),
  GLM4_MOE("glm4moe", "glm4_moe", Gate.SIGMOID, false, true, Shared.BY_KEY, Names.DEEPSEEK),
  GEMMA4("gemma4", "gemma4 gemma4_text", Gate.SOFTMAX, true, false, Shared.NONE, Names.GEMMA);

  /** The kinds of gates. */
  enum Gate {
    SOFTMAX,
    SIGMOID,
    SOFTMAX_OF_CHOSEN
  }

  /** The shared expert. */
  enum Shared {
    NONE,
    /** The layer has a shared expert if a key says so. */
    BY_KEY,
    /** The layer has a shared expert, behind a sigmoid. */
    GATED
  }

  /** The names of safetensors files: those of Qwen, or where they differ from those. */
  enum Names {
    QWEN("mlp.", false),
    DEEPSEEK("mlp.", false),
    MIXTRAL("block_sparse_moe.", false),
    GPT_OSS("mlp.", true),
    GEMMA("", true);

    private final String layer;
    private final boolean fused;

    Names(String layer, boolean fused) {
      this.layer = layer;
      this.fused = fused;
    }

    /** Returns what precedes the names, after that of the block. */
    String layer() {
      return layer;
    }

    /** Returns whether the experts of a layer are one tensor. */
    boolean isFused() {
      return fused;
    }

    /** Returns the name of a tensor, by the name that Qwen has for it. */
    String of(String name) {
      return layer
          + switch (this) {
            case QWEN -> name;
            case DEEPSEEK -> name.replace("shared_expert.", "shared_experts.");
            case MIXTRAL ->
                name.replace("gate_proj", "w1").replace("up_proj", "w3").replace("down_proj", "w2");
            case GPT_OSS -> name.replace("gate.weight", "router.weight");
            case GEMMA -> name.replace("gate.weight", "router.proj.weight");
          };
    }
  }

  /** The name in llama.cpp; null if it has none. */
  private final String gguf;

  /** The model types of config.json, with spaces between. */
  private final String modelTypes;

  private final Gate gate;
  private final boolean renormalized;
  private final boolean hasNormKey;
  private final Shared shared;
  private final Names names;

  Architecture(
      String gguf,
      String modelTypes,
      Gate gate,
      boolean renormalized,
      boolean hasNormKey,
      Shared shared,
      Names names) {
    this.gguf = gguf;
    this.modelTypes = modelTypes;
    this.gate = gate;
    this.renormalized = renormalized;
    this.hasNormKey = hasNormKey;
    this.shared = shared;
    this.names = names;
  }

  /** Returns the one that llama.cpp calls so, or null. */
  static Architecture ofGguf(String name) {
    return find(of -> of.gguf == null ? List.of() : List.of(of.gguf), name);
  }

  /** Returns the one of a model_type, or null. */
  static Architecture ofModelType(String name) {
    return find(Architecture::types, name);
  }

  private List<String> types() {
    return modelTypes.isEmpty() ? List.of() : List.of(modelTypes.split(" ", -1));
  }

  private static Architecture find(Function<Architecture, List<String>> names, String name) {
    return Arrays.stream(values())
        .filter(of -> names.apply(of).contains(name))
        .findFirst()
        .orElse(null);
  }

  /** Returns the names of llama.cpp. */
  static Collection<String> ggufNames() {
    return Arrays.stream(values())
        .filter(of -> of.gguf != null)
        .map(of -> of.gguf)
        .collect(Collectors.toCollection(TreeSet::new));
  }

  /** Returns the model types of config.json. */
  static Collection<String> modelTypes() {
    return Arrays.stream(values())
        .flatMap(of -> of.types().stream())
        .collect(Collectors.toCollection(TreeSet::new));
  }

  Gate gate() {
    return gate;
  }

  /** Returns whether the gates of a row add up to 1, but for their scales. */
  boolean isRenormalized() {
    return renormalized;
  }

  /** Returns whether a key of config.json decides about that. */
  boolean hasNormKey() {
    return hasNormKey;
  }

  Shared shared() {
    return shared;
  }

  Names names() {
    return names;
  }

  Activation activation() {
    return switch (this) {
      case GPT_OSS -> Activation.CLAMPED_SWIGLU;
      case GEMMA4 -> Activation.GEGLU_TANH;
      default -> Activation.SWIGLU;
    };
  }

  /** Tensors of llama.cpp that this architecture must have, and that are optional for others. */
  List<String> ggufTensors() {
    return switch (this) {
      case QWEN2_MOE, QWEN3_NEXT, QWEN35_MOE ->
          List.of("ffn_down_shexp.weight", "ffn_gate_inp_shexp.weight");
      case GPT_OSS -> List.of("ffn_gate_inp.bias", "ffn_gate_exps.bias", "ffn_down_exps.bias");
      case GLM4_MOE -> List.of("exp_probs_b.bias");
      case GEMMA4 -> List.of("ffn_gate_inp.scale");
      default -> List.of();
    };
  }
}
