// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.nextitem;

import java.io.IOException;
import java.nio.file.Path;
import org.blocksparse.FloatTensor;
import org.blocksparse.Workers;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.HierarchicalSoftmax;

/** The exact search of a softmax, as one serves it: mapped, on the thread that asks. */
final class SoftmaxSearch implements Recommender, AutoCloseable {
  private final HierarchicalSoftmax softmax;
  private long opened;
  private long searches;

  SoftmaxSearch(Path file) throws IOException {
    this.softmax =
        HierarchicalSoftmax.load(file, LoadOptions.mapped().withWorkers(Workers.callingThread()));
  }

  @Override
  public int[] best(float[] user, int[] seen) {
    try (FloatTensor x = FloatTensor.of(user, 1, user.length)) {
      Ranking ranking = softmax.topK(x, K, Filter.without(seen));
      opened += ranking.openedClasses(0);
      searches++;
      return ranking.outputs(0);
    }
  }

  /** How many classes a search opened, on the average, of how many there are. */
  String openedClasses() {
    return "%.0f of %d classes".formatted((double) opened / searches, softmax.classCount());
  }

  @Override
  public void close() {
    softmax.close();
  }
}
