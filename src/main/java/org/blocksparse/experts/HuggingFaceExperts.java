// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import java.io.IOException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.blocksparse.Activation;
import org.blocksparse.BlockMatrix;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.Workers;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.io.HuggingFaceModel;

/** Takes the experts of one layer from a model, by the names of Hugging Face's transformers. */
final class HuggingFaceExperts {
  private static final String CONFIG = "config.json: ";
  private static final String REMEDY =
      "; or build it from its matrices: MixtureOfExpertsBuilder.build(model, names, type)";

  /** The prefixes that layers may have. */
  private static final List<String> ROOTS =
      List.of("model.", "model.language_model.", "language_model.model.");

  /** The limit of gpt-oss's activation. */
  private static final double LIMIT = 7;

  private static final String CHOICE_BIAS = "gate.e_score_correction_bias";
  private static final String EXPERTS = "experts.";
  private static final String SHARED = "shared_expert.";
  private static final String UP = "up_proj.weight";

  private final HuggingFaceModel model;
  private final int layer;
  private final Set<String> tensors;
  private final Map<String, Object> config;
  private final Architecture architecture;
  private final Architecture.Names names;

  /** The prefix of the names of the layer. */
  private final String prefix;

  /** The requested tensors. */
  private final Set<String> known = new HashSet<>();

  HuggingFaceExperts(HuggingFaceModel model, int layer) throws IOException {
    this.model = model;
    this.layer = layer;
    this.tensors = model.names();
    Map<String, Object> all = new HashMap<>(model.config());
    if (all.get("text_config") instanceof Map<?, ?> ofText) {
      ofText.forEach((key, value) -> all.put((String) key, value));
    }
    this.config = all;
    Object type = config.get("model_type");
    this.architecture = Architecture.ofModelType(String.valueOf(type));
    if (architecture == null) {
      throw wrongKey(
          "model_type",
          "expected one of "
              + Architecture.modelTypes()
              + (type == null ? " but is missing" : " but was " + text(type))
              + REMEDY);
    }
    this.names = architecture.names();
    this.prefix = prefix();
  }

  /** Returns the prefix of the layer, which has a gate. */
  private String prefix() throws FileFormatException {
    for (String root : ROOTS) {
      String found = root + "layers." + layer + ".";
      if (tensors.contains(found + names.of(NamedExperts.GATE))) {
        return found;
      }
    }
    String gate = names.of(NamedExperts.GATE);
    Pattern layers = Pattern.compile(".*\\blayers\\.([0-9]{1,9})\\." + Pattern.quote(gate));
    List<Integer> others =
        tensors.stream()
            .map(layers::matcher)
            .filter(found -> found.matches())
            .map(found -> Integer.parseInt(found.group(1)))
            .sorted()
            .toList();
    throw new FileFormatException(
        model.path(),
        ROOTS.get(0) + "layers." + layer + "." + gate,
        "is missing; "
            + (others.isEmpty()
                ? "the files have no experts"
                : "there are experts in layers "
                    + others.get(0)
                    + " to "
                    + others.get(others.size() - 1)));
  }

  /** Returns the layer that config.json describes. */
  MixtureOfExperts layer(ElementType type) throws IOException {
    Activation activation = architecture.activation();
    requireActivation(activation);
    Shape ofGate = shape(NamedExperts.GATE, 2);
    int experts = (int) ofGate.dim(0);
    int inputs = (int) ofGate.dim(1);
    TopKGate gate = gate(experts);
    int hidden = hidden(activation);
    requireIfThere("hidden_size", inputs);
    requireIfThere("moe_intermediate_size", hidden);
    for (String key : List.of("num_experts", "num_local_experts", "n_routed_experts")) {
      requireIfThere(key, experts);
    }
    Map<String, BlockMatrix> given = new LinkedHashMap<>();
    try {
      if (architecture == Architecture.GPT_OSS) {
        addBiases(experts, hidden, inputs, given);
      } else if (architecture == Architecture.GEMMA4) {
        gate = addNormedGate(gate, inputs, given);
      }
      MixtureOfExpertsBuilder builder =
          MixtureOfExperts.builder(inputs, hidden, gate).activation(activation);
      if (hasShared()) {
        int size = (int) shape(SHARED + UP, 2).dim(0);
        requireIfThere("shared_expert_intermediate_size", size);
        builder =
            architecture.shared() == Architecture.Shared.GATED
                ? builder.gatedShared(size)
                : builder.shared(size);
      }
      boolean alternating = architecture == Architecture.GPT_OSS;
      NamedExperts named =
          new NamedExperts(
              model,
              this::name,
              names.isFused(),
              alternating,
              activation,
              type,
              Engine.from(Workers.common()));
      MixtureOfExperts made = builder.build(named, given);
      try {
        requireAllKnown();
        return made;
      } catch (Throwable e) {
        made.close();
        throw e;
      }
    } catch (Throwable e) {
      given.values().forEach(BlockMatrix::close);
      throw e;
    }
  }

  private int hidden(Activation activation) throws IOException {
    if (!names.isFused()) {
      return (int) shape(EXPERTS + "0." + UP, 2).dim(0);
    }
    String name = name(NamedExperts.FUSED_FIRST);
    long sums = shape(NamedExperts.FUSED_FIRST, 3).dim(1);
    if (activation.isGated() && sums % 2 != 0) {
      throw wrong(name, "expected (experts, even out, in) but out is " + sums);
    }
    String type = model.info(name).type();
    if (architecture == Architecture.GPT_OSS && !type.equals(ElementType.MXFP4.name())) {
      // Unquantized tensors are (experts, in, out), which the shape of a square one does not show.
      throw wrong(name, "expected MXFP4, as gpt-oss was published, but was " + type);
    }
    return (int) (sums / 2);
  }

  private boolean hasShared() throws IOException {
    return switch (architecture.shared()) {
      case NONE -> false;
      case GATED -> true;
      case BY_KEY -> number("n_shared_experts", 0, 0, Integer.MAX_VALUE) > 0;
    };
  }

  // -------------------------------------------------------------------------------------- gate

  private TopKGate gate(int experts) throws IOException {
    String used = config.containsKey("top_k_experts") ? "top_k_experts" : "num_experts_per_tok";
    TopKGate gate = TopKGate.of(experts, number(used, 0, 1, experts));
    boolean sigmoid = architecture.gate() == Architecture.Gate.SIGMOID;
    requireText("scoring_func", sigmoid ? "sigmoid" : "softmax");
    requireText("topk_method", "noaux_tc");
    if (sigmoid) {
      gate = gate.withSigmoid().withChoiceBias(floats(CHOICE_BIAS, experts));
    }
    boolean renormalized = architecture.isRenormalized();
    if (architecture.hasNormKey()) {
      Object value = config.get("norm_topk_prob");
      if (!(value instanceof Boolean renormalizes)) {
        throw wrongKey("norm_topk_prob", "expected true or false but " + found(value));
      }
      renormalized = renormalizes;
    }
    gate = renormalized ? gate : gate.withoutRenormalization();
    float scale = factor("routed_scaling_factor");
    gate = scale == 1 ? gate : gate.withScales(scale);
    int groups = number("n_group", 1, 1, experts);
    if (groups == 1) {
      return gate;
    }
    try {
      return gate.withGroups(groups, number("topk_group", 0, 1, groups));
    } catch (IllegalArgumentException e) {
      throw wrongKey("n_group", e.getMessage());
    }
  }

  /** Adds the gate of Gemma 4, which has scales, and reads rows with a norm of its own. */
  private TopKGate addNormedGate(TopKGate gate, int inputs, Map<String, BlockMatrix> to)
      throws IOException {
    int experts = gate.experts();
    float[] norm = floats("pre_feedforward_layernorm_2.weight", inputs);
    float[] weights;
    try (FloatTensor inFile = model.floats(name(NamedExperts.GATE));
        FloatTensor view = inFile.reshape(1, 1, experts, inputs).transposeBlocks()) {
      weights = view.toArray();
    }
    int small = GgufExperts.ofNormedRows(weights, experts, floats("router.scale", inputs), norm);
    if (small >= 0) {
      throw wrong(
          prefix + "pre_feedforward_layernorm_2.weight",
          "element " + small + " is too small to divide by: " + norm[small]);
    }
    to.put("Wg", FloatTensor.of(weights, 1, 1, inputs, experts));
    return gate.withScales(floats("router.per_expert_scale", experts));
  }

  private void addBiases(int experts, int hidden, int outputs, Map<String, BlockMatrix> to)
      throws IOException {
    to.put("bg", FloatTensor.of(floats("router.bias", experts), 1, experts));
    float[] alternating = floats("experts.gate_up_proj_bias", experts, 2L * hidden);
    float[] first = new float[alternating.length];
    for (int i = 0; i < first.length; i++) {
      int output = i % (2 * hidden);
      first[i - output + output % 2 * hidden + output / 2] = alternating[i];
    }
    to.put("b1", FloatTensor.of(first, experts, 2L * hidden));
    float[] second = floats("experts.down_proj_bias", experts, outputs);
    to.put("b2", FloatTensor.of(second, experts, outputs));
  }

  // -------------------------------------------------------------------------------------- tensors

  /** Returns the name of a tensor, by the name that Qwen has for it. */
  private String name(String ofQwen) {
    String name = prefix + names.of(ofQwen);
    known.add(name);
    return name;
  }

  private Shape shape(String ofQwen, int rank) throws IOException {
    String name = name(ofQwen);
    Shape shape = model.info(name).shape();
    if (shape.rank() != rank) {
      throw wrong(name, "expected " + rank + " dimensions but was " + shape);
    }
    return shape;
  }

  private float[] floats(String ofQwen, long... dims) throws IOException {
    String name = name(ofQwen);
    Shape shape = model.info(name).shape();
    if (!shape.equals(Shape.of(dims))) {
      throw wrong(name, "expected " + Shape.of(dims) + " but was " + shape);
    }
    try (FloatTensor inFile = model.floats(name)) {
      return inFile.toArray();
    }
  }

  /** Checks that no tensor of experts was left out, which would make the output wrong. */
  private void requireAllKnown() throws IOException {
    for (String name : tensors) {
      boolean isOfExperts =
          names.layer().isEmpty()
              ? name.startsWith(prefix + "router.") || name.startsWith(prefix + EXPERTS)
              : name.startsWith(prefix + names.layer());
      if (isOfExperts && !known.contains(name)) {
        throw wrong(name, "is not known to this library" + REMEDY);
      }
    }
  }

  private FileFormatException wrong(String name, String reason) {
    return new FileFormatException(model.path(), name, reason);
  }

  // -------------------------------------------------------------------------------------- keys

  private void requireActivation(Activation activation) throws FileFormatException {
    String expected = activation == Activation.GEGLU_TANH ? "gelu_pytorch_tanh" : "silu";
    requireText("hidden_act", expected);
    requireText("hidden_activation", expected);
    Object limit = config.get("swiglu_limit");
    boolean isKnown = limit instanceof Number number && number.doubleValue() == LIMIT;
    if (limit != null && (architecture != Architecture.GPT_OSS || !isKnown)) {
      throw wrongKey("swiglu_limit", "expected 7.0, as of gpt-oss, but was " + text(limit));
    }
  }

  private void requireText(String key, String expected) throws FileFormatException {
    Object value = config.get(key);
    if (value != null && !value.equals(expected)) {
      throw wrongKey(key, "expected " + expected + " but was " + text(value) + REMEDY);
    }
  }

  private int number(String key, int ifMissing, int min, int max) throws FileFormatException {
    Object value = config.get(key);
    long number = value == null ? ifMissing : value instanceof Long found ? found : -1;
    if (number < min || number > max) {
      throw wrongKey(key, "expected a number from " + min + " to " + max + " but " + found(value));
    }
    return (int) number;
  }

  private float factor(String key) throws FileFormatException {
    Object value = config.get(key);
    float factor = value == null ? 1 : value instanceof Number number ? number.floatValue() : 0;
    if (!Float.isFinite(factor) || factor == 0) {
      throw wrongKey(key, "expected a finite number but " + found(value));
    }
    return factor;
  }

  /** Checks a size of the tensors, if config.json has it. */
  private void requireIfThere(String key, int size) throws FileFormatException {
    int found = number(key, size, 0, Integer.MAX_VALUE);
    if (found != size) {
      throw wrongKey(key, "expected " + size + ", as the tensors have, but was " + found);
    }
  }

  private static String found(Object value) {
    return value == null ? "is missing" + REMEDY : "was " + text(value);
  }

  private static String text(Object value) {
    return MalformedException.excerpt(value.toString());
  }

  private FileFormatException wrongKey(String key, String reason) {
    return new FileFormatException(model.path(), CONFIG + key, reason);
  }
}
