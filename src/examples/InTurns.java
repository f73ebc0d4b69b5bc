///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import java.util.*;
import java.util.concurrent.*;
import org.blocksparse.*;
import org.blocksparse.softmax.*;

class InTurns {
  /** As many calls at a time as there are processors; the first to come is the first served. */
  static final Semaphore TURNS = new Semaphore(Runtime.getRuntime().availableProcessors(), true);

  public static void main(String[] args) throws Exception {
    ExecutorService callers = Executors.newFixedThreadPool(64);
    Workers alone = Workers.callingThread();
    try (var layer = HierarchicalSoftmax.builder(2, 100_000).workers(alone).build();
        var x = FloatTensor.of(new float[] {1, 0, 0, 1}, 2, 2);
        var labels = IntTensor.of(new int[] {7, 70_000}, 2)) {
      for (int step = 0; step < 20; step++) {
        layer.step(x, labels, Optimizer.adagrad(0.5f));
      }
      Callable<Integer> request = () -> likeliestInTurn(layer, new float[] {0, 1});
      Set<Integer> answers = new HashSet<>();
      for (Future<Integer> answer : callers.invokeAll(Collections.nCopies(1000, request))) {
        answers.add(answer.get());
      }
      System.out.println(answers); // [70000]
    }
    callers.shutdown();
  }

  static int likeliestInTurn(HierarchicalSoftmax layer, float[] features)
      throws InterruptedException {
    TURNS.acquire();
    try (var x = FloatTensor.of(features, 1, features.length)) {
      return layer.topK(x, 1).output(0, 0);
    } finally {
      TURNS.release();
    }
  }
}
