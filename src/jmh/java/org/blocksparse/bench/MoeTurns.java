// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import static org.blocksparse.ElementType.BFLOAT16;
import static org.blocksparse.ElementType.FLOAT32;
import static org.blocksparse.ElementType.INT8;
import static org.blocksparse.ElementType.MXFP4;
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
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.LongStream;
import org.blocksparse.ElementType;
import org.blocksparse.experts.MixtureOfExperts;

/**
 * A layer of SwiGLU experts, forward, in this library and in others that run the experts of
 * language models on CPUs, with other experts in each call:
 *
 * <pre>{@code
 * src/jmh/peers/build limits
 * src/jmh/peers/build ggml FOLDER
 * src/jmh/peers/build ik-llama FOLDER
 * mvn -f src/jmh -Dbench.args="run --part EXPERTS"
 * }</pre>
 *
 * <p>Not by JMH, which would start a JVM and make gigabytes of weights for each of hundreds of
 * cases, and measure one engine long after the other: engines with weights of equal size exist at
 * the same time and take turns, so that a change of the machine's speed meets all of them. The
 * results have JMH's form.
 */
final class MoeTurns {
  /** The name of the results: shape, tokens, workers, peer, type. */
  static final String FORWARD = "forward";

  /** The name of the results that are limits: what is counted, workers; of 10^9 of them. */
  static final String LIMIT = "limit";

  static final List<Integer> TOKENS = List.of(1, 4, 32, 256, 1024);

  /** Types of about the same size, as charts show them. */
  static final Map<String, List<ElementType>> BITS = new LinkedHashMap<>();

  static {
    BITS.put("8 bits", List.of(INT8, Q8_0));
    BITS.put("4 bits", List.of(Q4_0, MXFP4));
  }

  /** Types whose engines exist at the same time; the last takes the weights they are made of. */
  static final List<List<ElementType>> GROUPS =
      List.of(List.of(Q4_0, MXFP4), List.of(INT8, Q8_0), List.of(BFLOAT16), List.of(FLOAT32));

  private static final int TURNS = 2;

  /** An engine whose calls take that many times as long as a turn has only one. */
  private static final int LONG_CALL = 5;

  /** An engine, and the type of its weights. */
  private record Engine(Peer peer, ElementType type) {}

  private final Collection<Peer> peers;
  private final Collection<Integer> tokens;
  private final double seconds;
  private final Path programs;
  private final Path log;
  private final List<Map<String, Object>> results = new ArrayList<>();
  private final Set<String> skipped = new LinkedHashSet<>();

  /**
   * Nothing measured yet.
   *
   * @param seconds how long a turn is
   * @param programs the folder that {@code peers/build} writes to
   * @param log the error streams of the programs
   */
  MoeTurns(
      Collection<Peer> peers, Collection<Integer> tokens, double seconds, Path programs, Path log) {
    this.peers = peers.stream().filter(peer -> !peer.typesOfExperts().isEmpty()).toList();
    this.tokens = tokens;
    this.seconds = seconds;
    this.programs = programs;
    this.log = log;
  }

  /** Results as JMH writes them. */
  List<Map<String, Object>> results() {
    return results;
  }

  /** A line for each case that cannot be measured. */
  List<String> skipped() {
    return List.copyOf(skipped);
  }

  /** Measures the highest rates of the processor, if that program is there. */
  void limits() throws IOException {
    Path program = programs.resolve("limits/limits");
    if (!Files.isExecutable(program)) {
      skipped.add("experts, limits: absent; src/jmh/peers/build limits builds them");
      return;
    }
    Process process =
        new ProcessBuilder(program.toString())
            .redirectError(ProcessBuilder.Redirect.appendTo(log.toFile()))
            .start();
    process
        .inputReader()
        .lines()
        .map(line -> line.split(" ", -1))
        .forEach(
            words ->
                add(
                    LIMIT,
                    Map.of("limit", words[0], "workers", words[1]),
                    (long) (1e9 / Double.parseDouble(words[2]))));
  }

  /** Measures all engines with a shape. */
  void measure(MoeShape shape, Consumer<String> progress) throws IOException {
    double[] expected = MoeNumbers.expected(shape);
    try (MixtureOfExperts floats = BlocksparseForward.floats(shape)) {
      for (List<ElementType> group : GROUPS) {
        progress.accept(shape + " " + group);
        Map<Engine, MoeForward> engines = new LinkedHashMap<>();
        try {
          for (ElementType type : group) {
            for (Peer peer : peers) {
              if (peer.typesOfExperts().contains(type)) {
                open(new Engine(peer, type), shape, floats, engines);
              }
            }
          }
          for (int count : tokens) {
            turns(shape, count, engines, expected);
          }
        } finally {
          engines.values().forEach(MoeForward::close);
        }
      }
    }
  }

  private void open(
      Engine engine, MoeShape shape, MixtureOfExperts floats, Map<Engine, MoeForward> engines) {
    try {
      engines.put(
          engine,
          switch (engine.peer) {
            case BLOCKSPARSE -> BlocksparseForward.of(shape, floats, engine.type);
            case GGML -> ggml(engine, shape, engine.type == Q4_0 || engine.type == MXFP4);
            case IK_LLAMA -> ggml(engine, shape, true);
            case ONNX_RUNTIME -> new ProcessForward(onnxRuntime(engine.type, shape), log);
            default -> throw new IllegalStateException(engine.toString());
          });
    } catch (IOException e) {
      skip(engine, shape, e);
    }
  }

  private void skip(Engine engine, MoeShape shape, Exception reason) {
    skipped.add(
        "experts, %s: %s %s: %s".formatted(shape, engine.peer, engine.type, reason.getMessage()));
  }

  private MoeForward ggml(Engine engine, MoeShape shape, boolean packed) throws IOException {
    Path program = programs.resolve(engine.peer + "/experts");
    if (!Files.isExecutable(program)) {
      throw new IOException("absent; src/jmh/peers/build " + engine.peer + " FOLDER builds it");
    }
    String type =
        switch (engine.type) {
          case FLOAT32 -> "f32";
          case BFLOAT16 -> "bf16";
          default -> engine.type.name().toLowerCase(Locale.ROOT);
        };
    return new ProcessForward(
        new ProcessBuilder(
            program.toString(),
            type,
            packed ? "1" : "0",
            Integer.toString(shape.experts),
            Integer.toString(shape.top),
            Integer.toString(shape.inputs),
            Integer.toString(shape.hidden)),
        log);
  }

  private static ProcessBuilder onnxRuntime(ElementType type, MoeShape shape) {
    ProcessBuilder program =
        new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-Xmx2g",
            "-XX:MaxDirectMemorySize=4g",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            place(OnnxExperts.class) + File.pathSeparator + place(OrtEnvironment.class),
            OnnxExperts.class.getName(),
            shape.toString(),
            type == Q4_0 ? "4" : "8");
    program.environment().putAll(OnnxExperts.ENVIRONMENT);
    return program;
  }

  /** The folder or jar of a class: ONNX Runtime crashes with the class path of all benchmarks. */
  private static String place(Class<?> type) {
    return Path.of(URI.create(type.getProtectionDomain().getCodeSource().getLocation().toString()))
        .toString();
  }

  private void turns(
      MoeShape shape, int count, Map<Engine, MoeForward> engines, double[] expected) {
    Map<Engine, MoeForward> ready = new LinkedHashMap<>();
    for (Map.Entry<Engine, MoeForward> engine : engines.entrySet()) {
      try {
        requireClose(engine.getKey(), expected, engine.getValue().prepare(count));
        ready.put(engine.getKey(), engine.getValue());
      } catch (IOException e) {
        skip(engine.getKey(), shape, e);
      }
    }
    int processors = Runtime.getRuntime().availableProcessors();
    for (int workers : processors == 1 ? new int[] {1} : new int[] {1, processors}) {
      Map<Engine, List<Long>> times = new LinkedHashMap<>();
      for (int turn = 0; turn < TURNS; turn++) {
        ready.forEach((engine, forward) -> turn(engine, forward, shape, workers, times));
      }
      times.forEach(
          (engine, all) ->
              add(
                  FORWARD,
                  params(shape, count, workers, engine),
                  all.stream().mapToLong(Long::longValue).sorted().toArray()));
    }
  }

  /** Lets an engine measure for a turn. */
  private void turn(
      Engine engine,
      MoeForward forward,
      MoeShape shape,
      int workers,
      Map<Engine, List<Long>> times) {
    // A session of ONNX Runtime has one number of threads, and takes long to begin.
    if (engine.peer == Peer.ONNX_RUNTIME && workers < Runtime.getRuntime().availableProcessors()) {
      return;
    }
    List<Long> before = times.getOrDefault(engine, List.of());
    if (!before.isEmpty() && Collections.min(before) > LONG_CALL * 1e9 * seconds) {
      return;
    }
    try {
      List<Long> all = new ArrayList<>(before);
      Arrays.stream(forward.times(workers, seconds)).forEach(all::add);
      times.put(engine, all);
    } catch (IOException e) {
      skip(engine, shape, e);
    }
  }

  private static Map<String, String> params(
      MoeShape shape, int tokens, int workers, Engine engine) {
    Map<String, String> params = new LinkedHashMap<>();
    params.put("shape", shape.name());
    params.put("tokens", Integer.toString(tokens));
    params.put("workers", Integer.toString(workers));
    params.put("peer", engine.peer.name());
    params.put("type", engine.type.name());
    return params;
  }

  /** By the root mean square of the errors: rounding makes them, and they differ by engine. */
  private static void requireClose(Engine engine, double[] expected, float[] actual)
      throws IOException {
    double error = 0;
    double size = 0;
    for (int i = 0; i < actual.length; i++) {
      error += Math.pow(actual[i] - expected[i], 2);
      size += Math.pow(expected[i], 2);
    }
    double most =
        switch (engine.type) {
          case FLOAT32 -> 1e-5;
          case BFLOAT16, FLOAT16 -> 0.01;
          case INT8, Q8_0 -> 0.03;
          case Q4_0, MXFP4 -> 0.3;
        };
    if (!(Math.sqrt(error / size) <= most)) {
      throw new IOException("off by %.3g of the result".formatted(Math.sqrt(error / size)));
    }
  }

  /**
   * Adds a result.
   *
   * @param times in nanoseconds, ascending
   */
  private void add(String method, Map<String, String> params, long... times) {
    Map<String, Object> percentiles = new LinkedHashMap<>();
    percentiles.put("0.0", times[0]);
    percentiles.put("50.0", times[times.length / 2]);
    percentiles.put("99.0", times[(int) (0.99 * times.length)]);
    results.add(
        Map.of(
            "benchmark",
            MoeTurns.class.getName() + "." + method,
            "threads",
            1,
            "params",
            params,
            "primaryMetric",
            Map.of(
                "score",
                LongStream.of(times).average().orElseThrow(),
                "scorePercentiles",
                percentiles),
            "secondaryMetrics",
            Map.of()));
  }
}
