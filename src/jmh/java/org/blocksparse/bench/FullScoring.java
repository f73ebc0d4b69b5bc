// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.softmax.ClassAssignment;

/**
 * The likeliest outputs without a search: computes all probabilities, some rows at a time, and
 * selects the best on all processors.
 */
final class FullScoring implements Softmax {
  /** Probabilities that are made at a time: 256 MB. */
  private static final int ELEMENTS_AT_A_TIME = 1 << 26;

  private final SoftmaxProblem problem;
  private final List<FloatTensor> parts = new ArrayList<>();
  private final List<FloatTensor> all = new ArrayList<>();
  private final int[] outputs;
  private final float[] probabilities;

  FullScoring(SoftmaxProblem problem) {
    this.problem = problem;
    int features = problem.layer.features();
    int step = rowsAtATime(problem);
    for (int begin = 0; begin < problem.batch; begin += step) {
      float[] rows = new float[features * Math.min(step, problem.batch - begin)];
      problem.x.get((long) begin * features, rows, 0, rows.length);
      parts.add(FloatTensor.of(rows, rows.length / features, features));
    }
    all.add(FloatTensor.zeros(step, problem.layer.outputs()));
    long last = parts.get(parts.size() - 1).shape().dim(0);
    if (last < step) {
      all.add(FloatTensor.zeros(last, problem.layer.outputs()));
    }
    outputs = new int[problem.batch * K];
    probabilities = new float[problem.batch * K];
  }

  /** As equal parts of the batch as possible. */
  static int rowsAtATime(SoftmaxProblem problem) {
    ClassAssignment classes = problem.layer.assignment();
    int most = Math.max(1, ELEMENTS_AT_A_TIME / (classes.classCount() * classes.slots()));
    int parts = (problem.batch - 1) / most + 1;
    return (problem.batch - 1) / parts + 1;
  }

  @Override
  public void run(SoftmaxOperation operation) {
    if (operation != SoftmaxOperation.TOP_K) {
      throw new IllegalArgumentException(operation.toString());
    }
    int begin = 0;
    for (FloatTensor part : parts) {
      int rows = (int) part.shape().dim(0);
      int first = begin;
      FloatTensor result = all.get(rows == all.get(0).shape().dim(0) ? 0 : 1);
      problem.layer.probabilities(part, result);
      IntStream.range(0, rows).parallel().forEach(row -> select(result, row, first + row));
      begin += rows;
    }
  }

  private void select(FloatTensor from, int row, int to) {
    float[] values = new float[problem.layer.outputs()];
    from.get((long) row * values.length, values, 0, values.length);
    int at = to * K;
    Arrays.fill(probabilities, at, at + K, -1);
    for (int output = 0; output < values.length; output++) {
      if (values[output] > probabilities[at + K - 1]) {
        int place = at + K - 1;
        for (; place > at && values[output] > probabilities[place - 1]; place--) {
          probabilities[place] = probabilities[place - 1];
          outputs[place] = outputs[place - 1];
        }
        probabilities[place] = values[output];
        outputs[place] = output;
      }
    }
  }

  @Override
  public FloatBuffer result() {
    FloatBuffer logarithms = FloatBuffer.allocate(probabilities.length);
    for (int i = 0; i < probabilities.length; i++) {
      logarithms.put(i, (float) Math.log(probabilities[i]));
    }
    return logarithms;
  }

  @Override
  public void close() {
    parts.forEach(FloatTensor::close);
    all.forEach(FloatTensor::close);
  }
}
