// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import static org.blocksparse.ElementType.BFLOAT16;
import static org.blocksparse.ElementType.FLOAT32;
import static org.blocksparse.ElementType.INT8;
import static org.blocksparse.ElementType.MXFP4;
import static org.blocksparse.ElementType.PACKED_BFLOAT16;
import static org.blocksparse.ElementType.Q4_0;
import static org.blocksparse.ElementType.Q8_0;

import ai.onnxruntime.OrtEnvironment;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.blocksparse.ElementType;

/**
 * A layer of SwiGLU experts, forward, in this library and in others that run the experts of
 * language models on CPUs, with other experts in each call:
 *
 * <pre>{@code
 * src/jmh/peers/build ggml FOLDER
 * src/jmh/peers/build ik-llama FOLDER
 * mvn -f src/jmh -Dbench.args="experts"
 * mvn -f src/jmh -Dbench.args="experts QWEN,OWN 1,32"    only these shapes and numbers of tokens
 * }</pre>
 *
 * <p>Not by JMH, which would make gigabytes of weights for each of hundreds of cases, and measure
 * one engine long after the other. Engines with weights of equal size exist at the same time and
 * take turns, so that a change of the machine's speed affects all of them.
 */
final class Experts {
  /** The types whose engines exist at the same time. */
  private static final List<List<ElementType>> GROUPS =
      List.of(
          List.of(Q4_0, MXFP4),
          List.of(INT8, Q8_0),
          List.of(BFLOAT16, PACKED_BFLOAT16),
          List.of(FLOAT32));

  private static final String ALL_TOKENS = "1,32,256,1024";
  private static final int TURNS = 2;

  /** An engine takes only one turn if its calls take this many times as long as a turn. */
  private static final int LONG_CALL = 5;

  private static final String CLASS_PATH = System.getProperty("java.class.path");

  /** A library of experts. */
  private enum Peer {
    BLOCKSPARSE(FLOAT32, BFLOAT16, PACKED_BFLOAT16, INT8, Q8_0, Q4_0, MXFP4) {
      @Override
      ProcessBuilder program(MoeShape shape, ElementType type) {
        return java(CLASS_PATH, BlocksparseExperts.class, shape.name(), type.name());
      }
    },
    GGML(FLOAT32, BFLOAT16, Q8_0, Q4_0, MXFP4) {
      @Override
      ProcessBuilder program(MoeShape shape, ElementType type) {
        return ggml("ggml", shape, type, type == Q4_0 || type == MXFP4);
      }
    },
    IK_LLAMA(BFLOAT16, Q8_0, Q4_0, MXFP4) {
      @Override
      ProcessBuilder program(MoeShape shape, ElementType type) {
        return ggml("ik-llama", shape, type, true);
      }
    },
    ONNX_RUNTIME(Q8_0, Q4_0) {
      @Override
      ProcessBuilder program(MoeShape shape, ElementType type) {
        // ONNX Runtime crashes with the class path of all benchmarks.
        String classPath =
            place(OnnxExperts.class) + File.pathSeparator + place(OrtEnvironment.class);
        ProcessBuilder program =
            java(classPath, OnnxExperts.class, shape.name(), type == Q4_0 ? "4" : "8");
        program.environment().putAll(OnnxExperts.ENVIRONMENT);
        return program;
      }
    };

    @SuppressWarnings("ImmutableEnumChecker") // List.of is immutable
    private final List<ElementType> types;

    Peer(ElementType... types) {
      this.types = List.of(types);
    }

    abstract ProcessBuilder program(MoeShape shape, ElementType type);
  }

  private static ProcessBuilder java(String classPath, Class<?> main, String... arguments) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-Xmx3g", "-XX:MaxDirectMemorySize=4g", Measured.MEMORY));
    command.addAll(List.of("-cp", classPath, main.getName()));
    command.addAll(List.of(arguments));
    return new ProcessBuilder(command);
  }

  /** Returns the folder or jar of a class. */
  private static Path place(Class<?> type) {
    return Path.of(URI.create(type.getProtectionDomain().getCodeSource().getLocation().toString()));
  }

  private static ProcessBuilder ggml(
      String name, MoeShape shape, ElementType type, boolean packed) {
    String ggmlType =
        switch (type) {
          case FLOAT32 -> "f32";
          case BFLOAT16 -> "bf16";
          default -> type.name().toLowerCase(Locale.ROOT);
        };
    return new ProcessBuilder(
        Path.of("target/peers", name, "experts").toString(),
        ggmlType,
        packed ? "1" : "0",
        Integer.toString(shape.experts),
        Integer.toString(shape.top),
        Integer.toString(shape.inputs),
        Integer.toString(shape.hidden));
  }

  /** An engine, and the type of its weights. */
  private record Engine(Peer peer, ElementType type) {}

  private final List<MoeShape> shapes;
  private final int[] tokens;
  private final double seconds;
  private final Path log;
  private final Results results = new Results();

  /**
   * Starts without measurements.
   *
   * @param seconds the seconds of a turn
   * @param arguments shapes and numbers of tokens; all without them
   */
  Experts(double seconds, Path log, String... arguments) {
    this.seconds = seconds;
    this.log = log;
    shapes =
        arguments.length == 0
            ? List.of(MoeShape.values())
            : Arrays.stream(arguments[0].split(",", -1)).map(MoeShape::valueOf).toList();
    tokens =
        Arrays.stream((arguments.length < 2 ? ALL_TOKENS : arguments[1]).split(",", -1))
            .mapToInt(Integer::parseInt)
            .toArray();
  }

  Results measure() throws IOException {
    int done = 0;
    long start = System.nanoTime();
    for (MoeShape shape : shapes) {
      double[] expected = MoeNumbers.expected(shape);
      for (List<ElementType> group : GROUPS) {
        System.out.printf(
            "%d of %d parts after %d s; now %s %s%n",
            done++,
            shapes.size() * GROUPS.size(),
            TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - start),
            shape,
            group);
        measure(shape, group, expected);
      }
    }
    return results;
  }

  private void measure(MoeShape shape, List<ElementType> group, double... expected)
      throws IOException {
    Map<Engine, Child> engines = new LinkedHashMap<>();
    try {
      for (ElementType type : group) {
        for (Peer peer : Peer.values()) {
          if (peer.types.contains(type)) {
            open(new Engine(peer, type), shape, engines);
          }
        }
      }
      for (int count : tokens) {
        Map<Engine, double[]> times = new LinkedHashMap<>();
        for (Map.Entry<Engine, Child> each : engines.entrySet()) {
          requireClose(each.getKey(), expected, each.getValue().askNumbers("tokens " + count));
        }
        for (int turn = 0; turn < TURNS; turn++) {
          for (Map.Entry<Engine, Child> each : engines.entrySet()) {
            turn(each.getKey(), each.getValue(), times);
          }
        }
        times.forEach((engine, all) -> add(shape, count, engine, all));
      }
    } finally {
      engines.values().forEach(Child::close);
    }
  }

  private void open(Engine engine, MoeShape shape, Map<Engine, Child> engines) throws IOException {
    ProcessBuilder program = engine.peer.program(shape, engine.type);
    if (!Files.isExecutable(Path.of(program.command().get(0)))) {
      results.skip(
          "%s: src/jmh/peers/build makes %s".formatted(engine.peer, program.command().get(0)));
      return;
    }
    Child child = new Child(program, log);
    String answer = child.answer();
    if (answer.equals("ready")) {
      engines.put(engine, child);
    } else {
      child.close();
      results.skip("%s %s of %s: %s".formatted(engine.peer, engine.type, shape, answer));
    }
  }

  private void turn(Engine engine, Child child, Map<Engine, double[]> times) throws IOException {
    double[] before = times.getOrDefault(engine, new double[0]);
    if (Arrays.stream(before).min().orElse(0) > LONG_CALL * 1e9 * seconds) {
      return;
    }
    int threads = Runtime.getRuntime().availableProcessors();
    double[] more = child.askNumbers("time %d %s".formatted(threads, seconds));
    double[] all = Arrays.copyOf(before, before.length + more.length);
    System.arraycopy(more, 0, all, before.length, more.length);
    times.put(engine, all);
  }

  private void add(MoeShape shape, int count, Engine engine, double... times) {
    Map<String, String> params = new LinkedHashMap<>();
    params.put("shape", shape.name());
    params.put("tokens", Integer.toString(count));
    params.put("weights", engine.type.name());
    String peer = engine.peer.name().toLowerCase(Locale.ROOT).replace('_', '-');
    results.add(Experts.class.getName() + "." + peer, params, times);
  }

  /** Compares the root mean square of errors: they come from rounding, and differ by engine. */
  private static void requireClose(Engine engine, double[] expected, double... actual) {
    double error = 0;
    double size = 0;
    for (int i = 0; i < actual.length; i++) {
      error += Math.pow(actual[i] - expected[i], 2);
      size += Math.pow(expected[i], 2);
    }
    double max =
        switch (engine.type) {
          case FLOAT32 -> 1e-5;
          case BFLOAT16, PACKED_BFLOAT16, FLOAT16 -> 0.01;
          case INT8, Q8_0 -> 0.03;
          case Q6_K -> 0.1;
          case Q5_K, Q5_1 -> 0.15;
          case Q4_0, MXFP4, Q4_K, IQ4_NL, IQ4_XS -> 0.3;
          case Q2_K -> 0.9;
        };
    if (!(Math.sqrt(error / size) <= max)) {
      throw new IllegalStateException(
          "%s: off by %.3g of the result".formatted(engine, Math.sqrt(error / size)));
    }
  }
}
