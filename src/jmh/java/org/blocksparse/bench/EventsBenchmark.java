// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import jdk.jfr.Recording;
import org.blocksparse.FloatTensor;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.events.SearchEvent;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** The cost of recording events: {@code mvn -f src/jmh -Dbench.args="run --part EVENTS"}. */
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class EventsBenchmark {
  private static final int[] OPENED = {1};

  /** Whether anybody records, and what. */
  public enum Events {
    /** No recording. */
    NONE,
    /** A recording without our events. */
    OTHERS,
    /** All of ours. */
    OURS
  }

  /** A recording in memory. */
  @State(Scope.Benchmark)
  public static class Recorded {
    @Param public Events events;

    private Recording recording;

    @Setup
    public void setUp() {
      if (events == Events.NONE) {
        return;
      }
      recording = new Recording();
      recording.setToDisk(false);
      recording.enable("jdk.ThreadSleep");
      if (events == Events.OURS) {
        Stream.of("Step", "Product", "Search", "File")
            .forEach(name -> recording.enable("org.blocksparse." + name));
      }
      recording.start();
    }

    @TearDown
    public void tearDown() {
      if (recording != null) {
        recording.close();
      }
    }
  }

  /** As in {@link ServingBenchmark}: a request for the likeliest of 200,000 outputs. */
  @State(Scope.Benchmark)
  public static class Request {
    private final HierarchicalSoftmax layer = HierarchicalSoftmax.builder(64, 200_000).build();
    private final FloatTensor x = SoftmaxProblem.random(1, 64, true);
  }

  /** A step of training. */
  @State(Scope.Benchmark)
  public static class Training {
    private final SoftmaxProblem problem =
        SoftmaxProblem.of(SoftmaxWorkload.OUTPUTS_20000, SoftmaxOperation.STEP);
    private final BlocksparseSoftmax softmax = new BlocksparseSoftmax(problem);
  }

  /** A product of the smallest workload. */
  @State(Scope.Benchmark)
  public static class SmallProduct {
    private final BlocksparseProducts products =
        new BlocksparseProducts(new Problem(Workload.WINDOW_32));
  }

  @Benchmark
  public Ranking topK(Request request, Recorded recorded) {
    return request.layer.topK(request.x, Softmax.K);
  }

  @Benchmark
  public void step(Training training, Recorded recorded) {
    training.softmax.run(SoftmaxOperation.STEP);
  }

  @Benchmark
  public void product(SmallProduct small, Recorded recorded) {
    small.products.run(Operation.FORWARD);
  }

  /** Records the events of a thousand searches of one row, without the searches. */
  @Benchmark
  public int thousandEvents(Recorded recorded) {
    int count = 0;
    for (int i = 0; i < 1000; i++) {
      SearchEvent event = Recorder.search();
      if (event != null) {
        event.record("topK", "softmax", OPENED, 448);
        count++;
      }
    }
    return count;
  }
}
