// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.ForkJoinPool;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.bench.jobs.BlocksparseProducts;
import org.blocksparse.bench.jobs.Operation;
import org.blocksparse.bench.jobs.Problem;
import org.blocksparse.bench.jobs.Workload;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.softmax.HierarchicalSoftmax;

/**
 * Calls so small that waking a thread shows, on one thread, with the common pool, and with the
 * library's own helpers, which take turns in one process:
 *
 * <pre>{@code
 * mvn -f src/jmh -Dbench.args="small"
 * mvn -f src/jmh -Dbench.args="small OWN_Q4_0,SINGLE 0,50"    only these calls, and these pauses
 * }</pre>
 *
 * <p>A pause, in microseconds, is between two calls, and is no part of the time. Prints the medians
 * in microseconds. Nothing else should run on the machine.
 */
final class SmallCalls {
  private static final int TURNS = 3;
  private static final long TURN_NANOS = 150_000_000;

  /** The duration of the first turn, in which the JVM's compiler has the second processor. */
  private static final long FIRST_TURN_NANOS = 600_000_000;

  /** A call to time. */
  private enum Call {
    SINGLE {
      @Override
      Runnable with(Workers workers) {
        return product(Workload.SINGLE, workers);
      }
    },
    ONE_ROW {
      @Override
      Runnable with(Workers workers) {
        return product(Workload.ONE_ROW, workers);
      }
    },
    WINDOW_32 {
      @Override
      Runnable with(Workers workers) {
        return product(Workload.WINDOW_32, workers);
      }
    },
    EMBED_64 {
      @Override
      Runnable with(Workers workers) {
        return product(Workload.EMBED_64, workers);
      }
    },
    /** Searches the ten likeliest of 200,000 outputs, for one row. */
    TOP_K {
      @Override
      Runnable with(Workers workers) {
        HierarchicalSoftmax layer = layer(200_000, workers);
        FloatTensor x = FloatTensor.of(random(64), 1, 64);
        return () -> layer.topK(x, 10);
      }
    },
    /** Computes the probabilities of all of 20,000 outputs, for one row. */
    SOFTMAX {
      @Override
      Runnable with(Workers workers) {
        HierarchicalSoftmax layer = layer(20_000, workers);
        FloatTensor x = FloatTensor.of(random(64), 1, 64);
        FloatTensor out = FloatTensor.zeros(1, 20_000);
        return () -> layer.probabilities(x, out);
      }
    },
    /** Searches the five likeliest of 2,000 labels of a tree, for one row of 50 words. */
    TREE {
      @Override
      Runnable with(Workers workers) {
        LinearLabelTree tree = tree(workers);
        SparseRows x = SparseRows.of(List.of(words(new SplittableRandom(7), 50)));
        return () -> tree.topK(x, 5);
      }
    },
    OWN_Q4_0 {
      @Override
      Runnable with(Workers workers) {
        return experts(ElementType.Q4_0, workers);
      }
    },
    OWN_INT8 {
      @Override
      Runnable with(Workers workers) {
        return experts(ElementType.INT8, workers);
      }
    },
    OWN_FLOAT32 {
      @Override
      Runnable with(Workers workers) {
        return experts(ElementType.FLOAT32, workers);
      }
    };

    abstract Runnable with(Workers workers);
  }

  private static Runnable product(Workload workload, Workers workers) {
    BlocksparseProducts products = new BlocksparseProducts(new Problem(workload), workers);
    return () -> products.run(Operation.FORWARD);
  }

  private static HierarchicalSoftmax layer(int outputs, Workers workers) {
    return HierarchicalSoftmax.builder(64, outputs).workers(workers).build();
  }

  private static float[] random(int count) {
    SplittableRandom random = new SplittableRandom(1);
    float[] all = new float[count];
    for (int i = 0; i < count; i++) {
      all[i] = (float) random.nextDouble() - 0.5f;
    }
    return all;
  }

  private static int[] words(SplittableRandom random, int count) {
    return random.ints(count, 0, 5_000).distinct().sorted().toArray();
  }

  /** Returns a tree of 2,000 labels, each with words of its own. */
  private static LinearLabelTree tree(Workers workers) {
    SplittableRandom random = new SplittableRandom(2);
    List<int[]> rows = new ArrayList<>();
    List<int[]> labels = new ArrayList<>();
    for (int i = 0; i < 6_000; i++) {
      int label = i % 2_000;
      int[] noise = words(random, 20);
      int[] own = words(new SplittableRandom(label), 10);
      rows.add(
          java.util.stream.IntStream.concat(Arrays.stream(noise), Arrays.stream(own))
              .distinct()
              .sorted()
              .toArray());
      labels.add(new int[] {label});
    }
    try (SparseRows x = SparseRows.of(rows);
        SparseRows targets = SparseRows.of(labels)) {
      return LinearLabelTree.builder(5_000, 2_000).workers(workers).train(x, targets);
    }
  }

  private static Runnable experts(ElementType type, Workers workers) {
    BlocksparseExperts engine = new BlocksparseExperts(MoeShape.OWN, type, workers);
    engine.prepare(1);
    int[] next = {0};
    return () -> engine.call(next[0]++ % MoeNumbers.ROUTINGS);
  }

  private SmallCalls() {}

  static void measure(String... arguments) {
    List<Call> calls =
        arguments.length == 0
            ? List.of(Call.values())
            : Arrays.stream(arguments[0].split(",", -1)).map(Call::valueOf).toList();
    int[] pauses =
        Arrays.stream((arguments.length < 2 ? "0,50" : arguments[1]).split(",", -1))
            .mapToInt(Integer::parseInt)
            .toArray();
    int processors = Runtime.getRuntime().availableProcessors();
    Map<String, Workers> all = new LinkedHashMap<>();
    all.put("one thread", Workers.callingThread());
    all.put("common pool", Workers.of(ForkJoinPool.commonPool(), processors));
    all.put("helpers", Workers.common());
    System.out.println("| call | pause | " + String.join(" | ", all.keySet()) + " |");
    System.out.println("|---|---|" + "---|".repeat(all.size()));
    for (Call call : calls) {
      List<Runnable> runs = all.values().stream().map(call::with).toList();
      for (int pause : pauses) {
        List<List<Long>> times =
            runs.stream().map(run -> (List<Long>) new ArrayList<Long>()).toList();
        for (int turn = 0; turn <= TURNS; turn++) {
          for (int i = 0; i < runs.size(); i++) {
            List<Long> turnTimes =
                turn(runs.get(i), pause, turn == 0 ? FIRST_TURN_NANOS : TURN_NANOS);
            if (turn > 0) { // the first one warms up
              times.get(i).addAll(turnTimes);
            }
          }
        }
        StringBuilder line = new StringBuilder("| " + call + " | " + pause);
        for (List<Long> some : times) {
          some.sort(null);
          line.append(String.format(" | %.1f", some.get(some.size() / 2) / 1e3));
        }
        System.out.println(line + " |");
      }
    }
  }

  private static List<Long> turn(Runnable run, int pauseMicros, long nanos) {
    List<Long> times = new ArrayList<>();
    long end = System.nanoTime() + nanos;
    for (long now = System.nanoTime(); now < end; now = System.nanoTime()) {
      run.run();
      long done = System.nanoTime();
      times.add(done - now);
      while (System.nanoTime() - done < 1_000L * pauseMicros) {
        Thread.onSpinWait();
      }
    }
    return times;
  }
}
