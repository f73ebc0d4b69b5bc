// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.EnumSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import me.tongfei.progressbar.DelegatingProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import org.blocksparse.testing.Terminal;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.results.format.ResultFormatFactory;
import org.openjdk.jmh.results.format.ResultFormatType;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.format.OutputFormat;
import org.openjdk.jmh.runner.format.OutputFormatFactory;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Measures, and writes a table, results as JSON, and charts. */
@Command(
    name = "run",
    mixinStandardHelpOptions = true,
    description = "Runs the benchmarks, and writes results.json, table.md and charts.")
final class RunCommand implements Callable<Integer> {
  @Option(
      names = "--quick",
      description = "Fewer and shorter measurements, for a first impression.")
  private boolean quick;

  @Option(
      names = "--workload",
      description = "Run only this workload, for example hsm-200. May be repeated.")
  private Set<String> workloads = new LinkedHashSet<>();

  @Option(
      names = "--peer",
      description = "Only this one; may be repeated: ${COMPLETION-CANDIDATES}.",
      converter = PeerConverter.class,
      completionCandidates = PeerConverter.class)
  private Set<Peer> peers = new LinkedHashSet<>();

  @Option(
      names = "--part",
      description = "Only this one; may be repeated: ${COMPLETION-CANDIDATES}.")
  private Set<Cases.Part> parts = EnumSet.noneOf(Cases.Part.class);

  @Option(
      names = "--seconds",
      description = "Seconds to measure each case. Default: 5, or 1 with --quick.")
  private Integer seconds;

  @Option(
      names = "--out",
      defaultValue = "target/bench",
      description = "The folder to write to. Default: ${DEFAULT-VALUE}.")
  private Path out;

  @Option(
      names = "--tokens",
      description =
          "Batch sizes in tokens for --part experts. May be repeated. Default: 1, 4, 32, 256,"
              + " 1024.")
  private Set<Integer> tokens = new LinkedHashSet<>();

  @Option(
      names = "--programs",
      defaultValue = "target/peers",
      description = "The folder that src/jmh/peers/build writes to. Default: ${DEFAULT-VALUE}.")
  private Path programs;

  @Spec private CommandSpec spec;

  private static final String RESULTS = "results.json";
  private static final String LOG = "jmh.log";
  private static final String PEERS_LOG = "peers.log";

  /** Iterations of each case; the first one more warms up. */
  private static final int ITERATIONS = 5;

  /** About what it takes to start a JVM, and to make what is measured. */
  private static final double SECONDS_TO_BEGIN = 2;

  private static final int LINE_INTERVAL_MILLIS = 60_000;
  private static final int LINE_LENGTH = 100;

  private static final List<String> JVM_ARGS =
      List.of(
          "--enable-native-access=ALL-UNNAMED",
          "-Xmx2g",
          "-XX:MaxDirectMemorySize=8g",
          // JavaCPP counts all memory of the process, not only its own.
          "-Dorg.bytedeco.javacpp.maxPhysicalBytes=0");

  @Override
  public Integer call() throws IOException, RunnerException {
    requireKnown(workloads);
    Set<Cases.Part> measured = parts.isEmpty() ? EnumSet.allOf(Cases.Part.class) : parts;
    Set<Peer> wanted = peers.isEmpty() ? EnumSet.allOf(Peer.class) : peers;
    Cases cases = new Cases(measured, workloads, wanted, quick);
    List<MoeShape> shapes =
        Arrays.stream(MoeShape.values())
            .filter(shape -> measured.contains(Cases.Part.EXPERTS))
            .filter(shape -> workloads.isEmpty() || workloads.contains(shape.toString()))
            .toList();
    warnOfVariables();
    int choices = cases.all().stream().mapToInt(Case::choices).sum();
    System.out.printf(
        "Measures %d cases, %d choices of their parameters in all: about %d minutes; JMH's words"
            + " are in %s%n",
        cases.all().size(), choices, minutes(choices), out.resolve(LOG));
    cases.skipped().forEach(line -> System.out.println("skipped: " + line));
    Files.createDirectories(out);
    Path log = out.resolve(LOG);
    List<RunResult> results = new ArrayList<>();
    List<String> skipped = new ArrayList<>(cases.skipped());
    MoeTurns turns =
        new MoeTurns(
            wanted,
            tokens.isEmpty() ? MoeTurns.TOKENS : tokens,
            1.0 * seconds() / ITERATIONS,
            programs,
            out.resolve(PEERS_LOG));
    try (PrintStream stream = new PrintStream(log.toFile(), StandardCharsets.UTF_8);
        ProgressBar progress = progress(choices + shapes.size())) {
      OutputFormat format = OutputFormatFactory.createFormatInstance(stream, VerboseMode.NORMAL);
      for (Case one : cases.all()) {
        progress.setExtraMessage(one.toString());
        Collection<RunResult> ofCase = run(one, format);
        if (ofCase.isEmpty()) {
          skipped.add(one + " failed, see " + log.getFileName());
        }
        results.addAll(ofCase);
        // After each case: who interrupts a long run keeps what was measured.
        report(results, turns, skipped).write(out.resolve(RESULTS));
        progress.stepBy(one.choices());
      }
      if (!shapes.isEmpty()) {
        turns.limits();
      }
      for (MoeShape shape : shapes) {
        turns.measure(shape, progress::setExtraMessage);
        report(results, turns, skipped).write(out.resolve(RESULTS));
        progress.step();
      }
    }
    skipped.addAll(turns.skipped());
    Report report = report(results, turns, skipped);
    report.write(out.resolve(RESULTS));
    String table = new Table(report).toString();
    Files.writeString(out.resolve("table.md"), table);
    System.out.println(table);
    new Charts(report).write(out);
    System.out.println("Written to " + out + ": results.json, table.md, *.png");
    return 0;
  }

  private Report report(Collection<RunResult> results, MoeTurns turns, List<String> skipped)
      throws IOException {
    String command = String.join(" ", spec.root().commandLine().getParseResult().originalArgs());
    return Report.of(command, json(results), turns.results(), skipped);
  }

  private static void requireKnown(Set<String> names) {
    List<String> known =
        Stream.of(
                Workload.values(),
                SoftmaxWorkload.values(),
                TopKWorkload.values(),
                MoeShape.values())
            .flatMap(Arrays::stream)
            .map(Enum::toString)
            .toList();
    for (String name : names) {
      if (!known.contains(name)) {
        throw new IllegalArgumentException("--workload: there is no " + name + " in " + known);
      }
    }
  }

  private static void warnOfVariables() {
    for (String name : List.of("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS")) {
      if (System.getenv(name) != null) {
        System.out.println(
            "warning: " + name + " is set, which changes what is measured: unset it");
      }
    }
  }

  private static ProgressBar progress(int choices) {
    ProgressBarBuilder builder =
        new ProgressBarBuilder()
            .setTaskName("Measuring")
            .setInitialMax(choices)
            .setUpdateIntervalMillis(1000);
    if (!Terminal.isThere()) {
      // A line without a bar now and then.
      builder
          .setUpdateIntervalMillis(LINE_INTERVAL_MILLIS)
          .setRenderer(
              (state, length) ->
                  "%d of %d measured after %d minutes, now %s"
                      .formatted(
                          state.getCurrent(),
                          state.getMax(),
                          state.getTotalElapsed().toMinutes(),
                          state.getExtraMessage()))
          .setConsumer(new DelegatingProgressBarConsumer(System.err::println, LINE_LENGTH));
    }
    return builder.build();
  }

  /** About how long that many choices take; warming up is a part of it. */
  private long minutes(int choices) {
    double each = SECONDS_TO_BEGIN + seconds() * (ITERATIONS + 1.0) / ITERATIONS;
    return (long) Math.ceil(choices * each / 60);
  }

  /** How long each is measured. */
  private int seconds() {
    return seconds != null ? seconds : quick ? 1 : 5;
  }

  private Collection<RunResult> run(Case one, OutputFormat format) throws RunnerException {
    TimeValue iteration = TimeValue.milliseconds(1000L * seconds() / ITERATIONS);
    boolean wholeProgram = one.benchmark() == FastTextBenchmark.class;
    ChainedOptionsBuilder options =
        new OptionsBuilder()
            .include("^" + Pattern.quote(one.benchmark().getName() + "." + one.method()) + "$")
            .threads(one.threads())
            .forks(1)
            .warmupIterations(wholeProgram ? 0 : 1)
            .warmupTime(iteration)
            .measurementIterations(wholeProgram ? 1 : ITERATIONS)
            .measurementTime(iteration)
            .addProfiler(GCProfiler.class)
            .shouldFailOnError(false)
            .jvmArgsAppend(
                Stream.concat(JVM_ARGS.stream(), one.jvmArgs().stream()).toArray(String[]::new));
    one.params().forEach(options::param);
    if (one.benchmark() == TopKBenchmark.class) {
      options.addProfiler(OpenedClasses.class);
    }
    return new Runner(options.build(), format).run();
  }

  /** The results as JMH writes them. */
  private static String json(Collection<RunResult> results) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (PrintStream stream = new PrintStream(bytes, false, StandardCharsets.UTF_8)) {
      ResultFormatFactory.getInstance(ResultFormatType.JSON, stream).writeOut(results);
    }
    return bytes.toString(StandardCharsets.UTF_8);
  }
}
