// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import org.blocksparse.FloatTensor;
import org.blocksparse.HierarchicalSoftmax;
import org.blocksparse.Workers;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** How long callers wait who ask at the same time, each again as soon as it has its answer. */
@Command(
    name = "serve",
    mixinStandardHelpOptions = true,
    description = "Measures how long 1, 8 and 64 callers at the same time wait for topK of a row.")
final class ServeCommand implements Callable<Integer> {
  private static final int OUTPUTS = 100_000;
  private static final int FEATURES = 256;
  private static final int K = 10;
  private static final int[] CALLERS = {1, 8, 64};
  private static final int PROCESSORS = Runtime.getRuntime().availableProcessors();

  @Option(names = "--seconds", description = "For each line of the table; by default 4.")
  private double seconds = 4;

  /** What stands between a caller and the layer. */
  private enum Admission {
    ALL("all at once, `callingThread()`", Workers.callingThread()),
    ALL_WITH_HELPERS("all at once, `common()`", Workers.common()),
    PROCESSORS_AT_ONCE("as many at once as processors", Workers.callingThread());

    private final String label;
    private final Workers workers;

    Admission(String label, Workers workers) {
      this.label = label;
      this.workers = workers;
    }
  }

  @Override
  public Integer call() throws Exception {
    System.out.println("| calls | callers | p50 ms | p99 ms | longest ms | calls per second |");
    System.out.println("|---|---|---|---|---|---|");
    for (Admission admission : Admission.values()) {
      try (HierarchicalSoftmax layer =
              HierarchicalSoftmax.builder(FEATURES, OUTPUTS).workers(admission.workers).build();
          FloatTensor x = SoftmaxProblem.random(1, FEATURES, true)) {
        measure(layer, x, admission, PROCESSORS, seconds / 2); // warm
        for (int callers : CALLERS) {
          long[] nanos = measure(layer, x, admission, callers, seconds);
          System.out.printf(
              Locale.ROOT,
              "| %s | %d | %s | %s | %s | %.0f |%n",
              admission.label,
              callers,
              Table.milliseconds(nanos[nanos.length / 2]),
              Table.milliseconds(nanos[(int) (nanos.length * 0.99)]),
              Table.milliseconds(nanos[nanos.length - 1]),
              nanos.length / seconds);
        }
      }
    }
    return 0;
  }

  /** The times of all calls, waiting included, in ascending order. */
  private static long[] measure(
      HierarchicalSoftmax layer, FloatTensor x, Admission admission, int callers, double seconds)
      throws Exception {
    Semaphore admitted =
        new Semaphore(
            admission == Admission.PROCESSORS_AT_ONCE ? PROCESSORS : Integer.MAX_VALUE, true);
    ExecutorService threads = Executors.newFixedThreadPool(callers);
    try {
      long end = System.nanoTime() + (long) (seconds * 1e9);
      List<Future<List<Long>>> all = new ArrayList<>();
      for (int caller = 0; caller < callers; caller++) {
        all.add(threads.submit(() -> askUntil(end, layer, x, admitted)));
      }
      List<Long> times = new ArrayList<>();
      for (Future<List<Long>> each : all) {
        times.addAll(each.get());
      }
      long[] nanos = times.stream().mapToLong(Long::longValue).toArray();
      Arrays.sort(nanos);
      return nanos;
    } finally {
      threads.shutdown();
    }
  }

  private static List<Long> askUntil(
      long end, HierarchicalSoftmax layer, FloatTensor x, Semaphore admitted)
      throws InterruptedException {
    List<Long> times = new ArrayList<>();
    for (long start = System.nanoTime(); start < end; ) {
      admitted.acquire();
      try {
        layer.topK(x, K);
      } finally {
        admitted.release();
      }
      long now = System.nanoTime();
      times.add(now - start);
      start = now;
    }
    return times;
  }
}
