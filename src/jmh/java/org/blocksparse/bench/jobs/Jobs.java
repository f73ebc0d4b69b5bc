// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

import static org.blocksparse.ElementType.INT8;
import static org.blocksparse.ElementType.MXFP4;
import static org.blocksparse.ElementType.Q4_0;
import static org.blocksparse.ElementType.Q8_0;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.StringJoiner;
import java.util.concurrent.Callable;
import org.blocksparse.Activation;
import org.blocksparse.ElementType;

/**
 * Products and layers of one version of this library, as a program that {@code Versions} compiles
 * and starts for each of two versions. It reads commands from its standard input:
 *
 * <pre>{@code
 * jobs             prints the names of all jobs
 * job NAME         checks it, warms it up, and prints "ready"
 * time SECONDS     prints the nanoseconds of calls; but the first, none begins later
 * }</pre>
 */
public final class Jobs {
  private static final int WARM_UP = 10;

  /** A call to be timed. */
  private interface Job extends AutoCloseable {
    void call();

    @Override
    void close();
  }

  private final Map<String, Callable<Job>> jobs = new LinkedHashMap<>();
  private Job current;

  private Jobs() {
    for (Workload workload :
        new Workload[] {
          Workload.HSM_200,
          Workload.WINDOW_128,
          Workload.WINDOW_64,
          Workload.WINDOW_32,
          Workload.WINDOW_8,
          Workload.EXPERTS,
          Workload.SINGLE,
          Workload.ZIPF,
          Workload.ONE_ROW
        }) {
      for (Operation operation : Operation.values()) {
        jobs.put(name(workload, operation), () -> product(workload, operation));
      }
    }
    for (SoftmaxOperation operation : SoftmaxOperation.values()) {
      jobs.put("softmax-" + operation, () -> softmax(operation));
    }
    jobs.put("top-k-" + Names.of(TopKWorkload.PEAKED_1), () -> topK(TopKWorkload.PEAKED_1));
    jobs.put("bag-forward", () -> bag(true));
    jobs.put("bag-step", () -> bag(false));
    for (int tokens : new int[] {1, 64, 1024}) {
      jobs.put("experts-forward-" + tokens, () -> experts(tokens, Moe::forward));
      jobs.put("experts-step-" + tokens, () -> experts(tokens, Moe::step));
    }
    for (ElementType type : new ElementType[] {INT8, Q8_0, Q4_0, MXFP4}) {
      for (int tokens : new int[] {1, 4, 32}) {
        String name = "packed-experts-" + Names.of(type) + "-" + tokens;
        jobs.put(name, () -> packedExperts(type, tokens));
      }
    }
  }

  private static String name(Workload workload, Operation operation) {
    return Names.of(workload) + "-" + operation;
  }

  private static Job product(Workload workload, Operation operation) {
    Problem problem = new Problem(workload);
    Products products = new BlocksparseProducts(problem);
    products.run(operation);
    problem.check(operation, products.result(operation));
    return job(
        () -> products.run(operation),
        () -> {
          products.close();
          problem.close();
        });
  }

  private static Job softmax(SoftmaxOperation operation) {
    return softmax(operation, SoftmaxProblem.of(SoftmaxWorkload.OUTPUTS_20000, operation));
  }

  private static Job topK(TopKWorkload workload) {
    return softmax(SoftmaxOperation.TOP_K, workload.problem());
  }

  private static Job softmax(SoftmaxOperation operation, SoftmaxProblem problem) {
    Softmax softmax = new BlocksparseSoftmax(problem);
    return job(
        () -> softmax.run(operation),
        () -> {
          softmax.close();
          problem.close();
        });
  }

  private static Job bag(boolean forward) {
    Bag bag = new BlocksparseBag(new BagProblem());
    int[] batch = {0};
    return job(
        () -> {
          batch[0] = (batch[0] + 1) % BagProblem.BATCHES;
          if (forward) {
            bag.forward(batch[0]);
          } else {
            bag.step(batch[0]);
          }
        },
        bag::close);
  }

  private static Job experts(int tokens, java.util.function.Consumer<Moe> call) {
    Moe moe = new BlocksparseMoe(new MoeProblem(tokens, Activation.SWIGLU));
    return job(() -> call.accept(moe), moe::close);
  }

  private static Job packedExperts(ElementType type, int tokens) {
    PackedMoe experts = new PackedMoe(type, tokens);
    return job(experts::apply, experts::close);
  }

  private static Job job(Runnable call, Runnable close) {
    return new Job() {
      @Override
      public void call() {
        call.run();
      }

      @Override
      public void close() {
        close.run();
      }
    };
  }

  private String answer(String... words) throws Exception {
    return switch (words[0]) {
      case "jobs" -> String.join(" ", jobs.keySet());
      case "job" -> {
        if (current != null) {
          current.close();
        }
        current = jobs.get(words[1]).call();
        for (int i = 0; i < WARM_UP; i++) {
          current.call();
        }
        yield "ready";
      }
      case "time" -> times(Double.parseDouble(words[1]));
      default -> throw new IllegalArgumentException(words[0]);
    };
  }

  private String times(double seconds) {
    StringJoiner times = new StringJoiner(" ");
    long end = System.nanoTime() + (long) (1e9 * seconds);
    do {
      long start = System.nanoTime();
      current.call();
      times.add(Long.toString(System.nanoTime() - start));
    } while (System.nanoTime() < end);
    return times.toString();
  }

  /** Answers lines of the standard input. */
  public static void main(String[] args) throws Exception {
    Locale.setDefault(Locale.ROOT);
    Jobs jobs = new Jobs();
    BufferedReader commands =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = commands.readLine(); line != null; line = commands.readLine()) {
      System.out.println(jobs.answer(line.split(" ", -1)));
    }
  }
}
