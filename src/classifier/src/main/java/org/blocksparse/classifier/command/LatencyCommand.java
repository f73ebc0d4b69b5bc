// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;
import org.blocksparse.Workers;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.InvalidInputException;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Measures how long predictions take. */
@Command(
    name = "latency",
    description =
        "Measures the latency of predictions, from a text to the names of its labels, with"
            + " one or more threads that predict at the same time.",
    sortOptions = false,
    usageHelpWidth = 100)
final class LatencyCommand implements Callable<Integer> {
  /** The warm-up, about as long as the compiler needs. */
  private static final double WARM_UP_SECONDS = 2;

  private static final int MOST_EXAMPLES = 100_000;

  @Mixin private ModelArgument model;

  @Parameters(index = "1", paramLabel = "FILE", description = "Examples; - is standard input.")
  private String file;

  @Option(
      names = "--threads",
      paramLabel = "N",
      defaultValue = "1",
      description = "Threads that predict. Default: ${DEFAULT-VALUE}.")
  private int threads;

  @Option(
      names = "--top",
      paramLabel = "K",
      defaultValue = "5",
      description = "Maximum number of labels per prediction. Default: ${DEFAULT-VALUE}.")
  private int top;

  @Option(
      names = "--seconds",
      paramLabel = "S",
      defaultValue = "5",
      description = "Seconds to measure, after a warm-up. Default: ${DEFAULT-VALUE}.")
  private int seconds;

  @Mixin private InputOptions input;

  @Mixin private Streams streams;

  @Override
  public Integer call() throws IOException, InterruptedException {
    Limits.require("--threads", threads, 1, 1024);
    Limits.require("--top", top, 1, Limits.MOST_LABELS);
    Limits.require("--seconds", seconds, 1, 3600);
    try (Classifier classifier = model.load(Workers.callingThread());
        Input some = input.open(file, "reading", classifier, streams.err()).withoutLabels()) {
      List<Example> examples = some.examples().limit(MOST_EXAMPLES).toList();
      if (examples.isEmpty()) {
        throw new InvalidInputException(file + ": no examples");
      }
      PrintWriter out = streams.out();
      out.printf(
          "%d threads ask for %d s, after a warm-up of %.0f s%n",
          threads, seconds, WARM_UP_SECONDS);
      out.flush();
      ask(classifier, examples, WARM_UP_SECONDS);
      print(ask(classifier, examples, seconds), out);
    }
    return ExitCode.OK;
  }

  /** Returns the times of all answers in nanoseconds, sorted. */
  private long[] ask(Classifier classifier, List<Example> examples, double forSeconds)
      throws InterruptedException {
    long length = (long) (forSeconds * 1e9);
    long begin = System.nanoTime();
    ExecutorService executor = Executors.newFixedThreadPool(threads);
    try (ProgressLine progress = new ProgressLine("asking", length, streams.err())) {
      List<Future<long[]>> times = new ArrayList<>();
      for (int t = 0; t < threads; t++) {
        int first = (int) ((long) examples.size() * t / threads);
        times.add(executor.submit(() -> times(classifier, examples, first, begin + length)));
      }
      executor.shutdown();
      while (!executor.awaitTermination(1, TimeUnit.SECONDS)) {
        progress.show(Math.min(System.nanoTime() - begin, length), () -> threads + " threads");
      }
      LongStream all = LongStream.empty();
      for (Future<long[]> ofThread : times) {
        all = LongStream.concat(all, Arrays.stream(ofThread.get()));
      }
      return all.sorted().toArray();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause; // such as a label whose name is not UTF-8
      }
      if (e.getCause() instanceof Error cause) {
        throw cause;
      }
      throw new IllegalStateException(e.getCause());
    } finally {
      executor.shutdownNow();
    }
  }

  private long[] times(Classifier classifier, List<Example> examples, int first, long end) {
    LongStream.Builder times = LongStream.builder();
    long begin = System.nanoTime();
    for (int e = first; begin < end; e = (e + 1) % examples.size()) {
      classifier.predict(examples.get(e), top);
      long now = System.nanoTime();
      times.add(now - begin);
      begin = now;
    }
    return times.build().toArray();
  }

  private void print(long[] sorted, PrintWriter out) {
    out.printf(
        "%,d answers by %d threads, %,d per second%n",
        sorted.length, threads, sorted.length / seconds);
    for (double part : new double[] {0.5, 0.99, 0.999}) {
      int at = (int) Math.min(sorted.length - 1L, (long) (part * sorted.length));
      out.printf("p%-5s %8.3f ms%n", 100 * part, sorted[at] * 1e-6);
    }
    out.flush();
  }
}
