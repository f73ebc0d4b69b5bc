// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxTensorLike;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;

/**
 * The experts of a {@link MoeShape} in ONNX Runtime's QMoE, as a program that reads the same
 * commands as {@code peers/experts.cpp}. It is a process of its own, since an environment variable
 * chooses its fastest kernels. The model is a graph of that one node; its weights stay in memory.
 *
 * <pre>{@code OnnxExperts SHAPE BITS}</pre>
 */
public final class OnnxExperts extends ExpertsEngine {
  /** Selects the products in 4 bits; by default they are only as fast as those in 8. */
  static final Map<String, String> ENVIRONMENT = Map.of("ORT_USE_MLAS_Q4_GEMM_MOE", "1");

  /** The inputs that share a scale. */
  private static final int GROUP = 32;

  /** The logit of experts that were not chosen; chosen ones have 0. */
  private static final float NOT_CHOSEN = -1e4f;

  private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
  private final MoeShape shape;
  private final int bits;
  private final Map<String, OnnxTensorLike> weights = new HashMap<>();
  private final OrtSession session;
  private final OnnxTensor[] routings = new OnnxTensor[MoeNumbers.ROUTINGS];
  private OnnxTensor x;

  private OnnxExperts(MoeShape shape, int bits) throws OrtException {
    this.shape = shape;
    this.bits = bits;
    // Rows of gate and up alternate.
    add(
        "first",
        2 * shape.hidden,
        shape.inputs,
        expert -> {
          float[] gate = MoeNumbers.weights(shape, MoeNumbers.Matrix.GATE, expert);
          float[] up = MoeNumbers.weights(shape, MoeNumbers.Matrix.UP, expert);
          float[] rows = new float[gate.length + up.length];
          for (int row = 0; row < shape.hidden; row++) {
            int from = row * shape.inputs;
            System.arraycopy(gate, from, rows, 2 * from, shape.inputs);
            System.arraycopy(up, from, rows, 2 * from + shape.inputs, shape.inputs);
          }
          return rows;
        });
    add(
        "second",
        shape.inputs,
        shape.hidden,
        expert -> MoeNumbers.weights(shape, MoeNumbers.Matrix.DOWN, expert));
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.setIntraOpNumThreads(Runtime.getRuntime().availableProcessors());
      options.addExternalInitializers(weights);
      session = environment.createSession(model(), options);
    }
  }

  /** Adds weights (outputs, inputs) of all experts, rounded, and their scales. */
  private void add(String name, int outputs, int inputs, IntFunction<float[]> ofExpert)
      throws OrtException {
    int size = outputs * inputs * bits / Byte.SIZE;
    int groups = outputs * inputs / GROUP;
    ByteBuffer codes = ByteBuffer.allocateDirect(shape.experts * size);
    FloatBuffer scales = direct(shape.experts * groups);
    for (int expert = 0; expert < shape.experts; expert++) {
      if (expert < MoeNumbers.DISTINCT) {
        round(ofExpert.apply(expert), codes, expert * size, scales, expert * groups);
      } else {
        int same = expert % MoeNumbers.DISTINCT;
        codes.put(expert * size, codes, same * size, size);
        scales.put(expert * groups, scales, same * groups, groups);
      }
    }
    long[] dims = {shape.experts, outputs, (long) inputs * bits / Byte.SIZE};
    weights.put(name, OnnxTensor.createTensor(environment, codes, dims, OnnxJavaType.UINT8));
    long[] scaleDims = {shape.experts, outputs, inputs / GROUP};
    weights.put(name + "Scales", OnnxTensor.createTensor(environment, scales, scaleDims));
  }

  private void round(float[] values, ByteBuffer codes, int begin, FloatBuffer scales, int group) {
    int middle = 1 << (bits - 1);
    int perByte = Byte.SIZE / bits;
    for (int from = 0; from < values.length; from += GROUP) {
      float largest = 0;
      for (int i = from; i < from + GROUP; i++) {
        largest = Math.abs(values[i]) > Math.abs(largest) ? values[i] : largest;
      }
      float scale = largest / -middle;
      scales.put(group + from / GROUP, scale);
      for (int i = from; i < from + GROUP; i += perByte) {
        int packed = 0;
        for (int part = 0; part < perByte; part++) {
          int code = Math.round(values[i + part] / scale) + middle;
          packed |= Math.min(code, 2 * middle - 1) << (part * bits);
        }
        codes.put(begin + i / perByte, (byte) packed);
      }
    }
  }

  private static FloatBuffer direct(int count) {
    return ByteBuffer.allocateDirect(Float.BYTES * count)
        .order(ByteOrder.nativeOrder())
        .asFloatBuffer();
  }

  private byte[] model() {
    Protobuf node = new Protobuf();
    for (String input :
        List.of("x", "logits", "first", "firstScales", "", "second", "secondScales")) {
      node.text(1, input);
    }
    node.text(2, "out").text(4, "QMoE").text(7, "com.microsoft");
    node.message(5, number("k", shape.top));
    node.message(5, number("expert_weight_bits", bits));
    node.message(5, number("block_size", GROUP));
    node.message(5, number("normalize_routing_weights", 1));
    node.message(5, number("swiglu_fusion", 1));
    node.message(5, fraction("activation_alpha", 1));
    node.message(5, fraction("activation_beta", 0));
    node.message(5, new Protobuf().text(1, "activation_type").text(4, "swiglu").number(20, 3));
    Protobuf graph = new Protobuf().message(1, node).text(2, "experts");
    weights.forEach((name, tensor) -> graph.message(5, initializer(name, (OnnxTensor) tensor)));
    graph.message(11, rows("x", shape.inputs)).message(11, rows("logits", shape.experts));
    graph.message(12, rows("out", shape.inputs));
    return new Protobuf()
        .number(1, 8)
        .message(7, graph)
        .message(8, new Protobuf().text(1, "").number(2, 17))
        .message(8, new Protobuf().text(1, "com.microsoft").number(2, 1))
        .bytes();
  }

  private static Protobuf number(String name, int value) {
    return new Protobuf().text(1, name).number(3, value).number(20, 2);
  }

  private static Protobuf fraction(String name, float value) {
    return new Protobuf().text(1, name).fraction(2, value).number(20, 1);
  }

  /** Returns weights that are provided when the session begins, as if they were in another file. */
  private static Protobuf initializer(String name, OnnxTensor tensor) {
    Protobuf message = new Protobuf();
    Arrays.stream(tensor.getInfo().getShape()).forEach(size -> message.number(1, size));
    return message
        .number(2, tensor.getInfo().type == OnnxJavaType.UINT8 ? 2 : 1)
        .text(8, name)
        .message(13, new Protobuf().text(1, "location").text(2, "memory"))
        .number(14, 1);
  }

  private static Protobuf rows(String name, int size) {
    Protobuf dims =
        new Protobuf()
            .message(1, new Protobuf().text(2, "tokens"))
            .message(1, new Protobuf().number(1, size));
    Protobuf type = new Protobuf().message(1, new Protobuf().number(1, 1).message(2, dims));
    return new Protobuf().text(1, name).message(2, type);
  }

  @Override
  void prepare(int tokens) throws OrtException {
    FloatBuffer rows = direct(tokens * shape.inputs);
    rows.put(0, MoeNumbers.x(shape, tokens));
    x = OnnxTensor.createTensor(environment, rows, new long[] {tokens, shape.inputs});
    for (int number = 0; number < routings.length; number++) {
      int[] chosen = MoeNumbers.routing(shape, number, tokens);
      FloatBuffer logits = direct(tokens * shape.experts);
      for (int i = 0; i < logits.capacity(); i++) {
        logits.put(i, NOT_CHOSEN);
      }
      for (int pair = 0; pair < chosen.length; pair++) {
        logits.put(pair / shape.top * shape.experts + chosen[pair], 0);
      }
      routings[number] =
          OnnxTensor.createTensor(environment, logits, new long[] {tokens, shape.experts});
    }
  }

  private OrtSession.Result run(int routing) throws OrtException {
    return session.run(Map.of("x", x, "logits", routings[routing]));
  }

  @Override
  void call(int routing) throws OrtException {
    run(routing).close();
  }

  @Override
  float[] firstOutputs() throws OrtException {
    try (OrtSession.Result result = run(0)) {
      FloatBuffer out = ((OnnxTensor) result.get(0)).getFloatBuffer();
      int rows = Math.min((int) x.getInfo().getShape()[0], MoeNumbers.CHECKED_TOKENS);
      float[] first = new float[rows * shape.inputs];
      out.get(first);
      return first;
    }
  }

  /** Answers lines of the standard input. */
  public static void main(String[] args) throws Exception {
    new OnnxExperts(MoeShape.valueOf(args[0]), Integer.parseInt(args[1])).serve();
  }
}
