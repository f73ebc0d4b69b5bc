// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import org.blocksparse.FloatTensor;
import org.blocksparse.Workers;
import org.blocksparse.bench.jobs.Softmax;
import org.blocksparse.bench.jobs.SoftmaxProblem;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/**
 * The latency of a request for its caller, when several callers (JMH's threads, {@code -t 64}) ask
 * one layer for the ten likeliest of 200,000 outputs, one row at a time. Callers ask again as soon
 * as they are answered, or after a pause that does not count.
 */
@State(Scope.Benchmark)
public class ServingBenchmark extends Measured {
  private static final int OUTPUTS = 200_000;
  private static final int FEATURES = 64;
  private static final int ROWS = 256;

  /** The threads that compute a request. */
  public enum Service {
    /** The calling thread. */
    CALLING_THREAD,
    /** The calling thread and helpers. */
    COMMON,
    /**
     * The calling thread, with as many calls at a time as there are processors, first come first
     * served.
     */
    IN_TURNS,
    /** A pool with as many threads as there are processors. */
    POOL
  }

  @Param public Service service;

  @Param({"0", "20"})
  public int pauseMillis;

  private HierarchicalSoftmax layer;
  private float[][] rows;
  private Semaphore turns;
  private ExecutorService pool;

  @Setup
  public void setUp() {
    int processors = Runtime.getRuntime().availableProcessors();
    Workers workers = service == Service.COMMON ? Workers.common() : Workers.callingThread();
    layer = HierarchicalSoftmax.builder(FEATURES, OUTPUTS).workers(workers).build();
    turns = new Semaphore(service == Service.IN_TURNS ? processors : Integer.MAX_VALUE, true);
    pool = service == Service.POOL ? Executors.newFixedThreadPool(processors) : null;
    try (FloatTensor x = SoftmaxProblem.random(ROWS, FEATURES, true)) {
      rows = new float[ROWS][FEATURES];
      for (int r = 0; r < ROWS; r++) {
        x.get((long) r * FEATURES, rows[r], 0, FEATURES);
      }
    }
  }

  @TearDown
  public void tearDown() {
    layer.close();
    if (pool != null) {
      pool.shutdown();
    }
  }

  /** One caller. */
  @State(Scope.Thread)
  public static class Caller {
    private int next;

    /** Pauses between two requests. */
    @Setup(Level.Invocation)
    public void pause(ServingBenchmark shared) throws InterruptedException {
      next = (next + 1) % ROWS;
      if (shared.pauseMillis > 0) {
        Thread.sleep(shared.pauseMillis);
      }
    }
  }

  @Benchmark
  public int[] topK(Caller caller) throws InterruptedException, ExecutionException {
    float[] row = rows[caller.next];
    if (pool != null) {
      return pool.submit(() -> likeliest(row)).get();
    }
    turns.acquire();
    try {
      return likeliest(row);
    } finally {
      turns.release();
    }
  }

  private int[] likeliest(float[] row) {
    try (FloatTensor x = FloatTensor.of(row, 1, FEATURES)) {
      return layer.topK(x, Softmax.K).outputs(0);
    }
  }
}
