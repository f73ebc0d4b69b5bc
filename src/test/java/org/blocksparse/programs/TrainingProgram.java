// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import static org.blocksparse.testing.ChildJvm.check;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;

/**
 * Trains a layer and saves it repeatedly until it is killed; the main class of the JVMs of {@code
 * KillTest}.
 */
public final class TrainingProgram {
  private static final String SUM = "sum";
  private static final int FEATURES = 64;
  private static final int OUTPUTS = 2000;
  private static final int BATCH = 64;

  private TrainingProgram() {}

  /**
   * Runs until it is killed.
   *
   * @param args the file, and the number of training steps before each save
   */
  public static void main(String[] args) throws IOException {
    Path file = Path.of(args[0]);
    int steps = Integer.parseInt(args[1]);
    Data data = new Data(1);
    Optimizer adagrad = Optimizer.adagrad(0.1f);
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(FEATURES, OUTPUTS).build();
        FloatTensor x =
            FloatTensor.of(data.floats(Numbers.GAUSSIAN, BATCH * FEATURES), BATCH, FEATURES);
        IntTensor targets = IntTensor.of(data.indices(BATCH, OUTPUTS), BATCH)) {
      while (true) {
        for (int step = 0; step < steps; step++) {
          layer.step(x, targets, adagrad);
        }
        layer.save(
            file,
            SaveOptions.defaults()
                .withOptimizerState()
                .withMetadata(Map.of(SUM, Integer.toString(sum(layer)))));
      }
    }
  }

  private static int sum(HierarchicalSoftmax layer) {
    int sum = 0;
    for (FloatTensor tensor : new FloatTensor[] {layer.W1(), layer.b1(), layer.W2(), layer.b2()}) {
      sum = 31 * sum + Arrays.hashCode(tensor.toArray());
    }
    return sum;
  }

  /** Checks that the loaded layer is that of one moment. */
  public static void assertWhole(HierarchicalSoftmax layer) {
    String expected = layer.metadata().get(SUM);
    String actual = Integer.toString(sum(layer));
    check(expected.equals(actual), "sum " + expected + " was saved, " + actual + " loaded");
  }
}
