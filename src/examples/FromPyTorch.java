///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import java.io.IOException;
import java.nio.file.Path;
import java.util.*;
import org.blocksparse.*;
import org.blocksparse.io.*;
import org.blocksparse.softmax.*;

class FromPyTorch {
  /** Arguments: what Python wrote, and where the model goes. */
  public static void main(String[] args) throws IOException {
    int batch = 256;
    Optimizer adagrad = Optimizer.adagrad(0.1f);
    try (var file = TensorFile.open(Path.of(args[0]));
        var hidden = file.floats("hidden");
        var targets = file.ints("targets")) {
      int rows = (int) hidden.shape().dim(0);
      int features = (int) hidden.shape().dim(1);
      float[] vectors = hidden.toArray();
      int[] words = targets.toArray();
      long[] counts = new long[Arrays.stream(words).max().orElseThrow() + 1];
      Arrays.stream(words).forEach(word -> counts[word]++);
      var classes =
          ClassAssignment.bySquareRootOfFrequency(
              counts, ClassAssignment.defaultCount(counts.length));
      try (var layer =
              HierarchicalSoftmax.builder(features, counts.length).classes(classes).build();
          var x = FloatTensor.zeros(batch, features);
          var y = IntTensor.zeros(batch)) {
        for (int epoch = 1; epoch <= 5; epoch++) {
          double sum = 0;
          for (int row = 0; row + batch <= rows; row += batch) {
            x.put(0, vectors, row * features, batch * features);
            y.put(0, words, row, batch);
            sum += layer.step(x, y, adagrad);
          }
          System.out.printf("epoch %d: loss %.3f%n", epoch, sum / (rows / batch));
        }
        layer.save(Path.of(args[1]));
        System.out.println(Arrays.toString(layer.topK(x, 3).outputs(0)) + " for " + y.get(0));
      }
    }
  }
}
