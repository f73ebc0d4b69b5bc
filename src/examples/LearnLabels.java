///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import java.util.*;
import org.blocksparse.*;
import org.blocksparse.softmax.*;

class LearnLabels {
  static final int LABELS = 1000, FEATURES = 32, BATCH = 128, STEPS = 78; // of an epoch

  public static void main(String[] args) {
    // Each label has a centre, and vectors around it. The numbers of labels mean nothing.
    SplittableRandom random = new SplittableRandom(2);
    double[] centres = new double[LABELS * FEATURES];
    Arrays.setAll(centres, k -> random.nextGaussian(0, 2));
    int[] labels = random.ints(STEPS * BATCH, 0, LABELS).toArray();
    float[] vectors = new float[labels.length * FEATURES];
    for (int k = 0; k < vectors.length; k++) {
      double centre = centres[labels[k / FEATURES] * FEATURES + k % FEATURES];
      vectors[k] = (float) random.nextGaussian(centre, 0.5);
    }
    System.out.println(loss(vectors, labels, similar(vectors, labels)) < 0.2); // true
    System.out.println(loss(vectors, labels, ClassAssignment.contiguous(LABELS, 31)) > 2.5); // true
  }

  /** Labels with similar vectors share a class: the sums of their vectors are clustered. */
  static ClassAssignment similar(float[] vectors, int[] labels) {
    float[] sums = new float[LABELS * FEATURES];
    for (int k = 0; k < vectors.length; k++) {
      sums[labels[k / FEATURES] * FEATURES + k % FEATURES] += vectors[k];
    }
    try (var ofLabels = FloatTensor.of(sums, LABELS, FEATURES)) {
      return ClassAssignment.clustered(ofLabels, 31, 1, Workers.common());
    }
  }

  /** Learns which label each vector has; the mean loss in the last of four epochs. */
  static double loss(float[] vectors, int[] labels, ClassAssignment classes) {
    double sum = 0;
    try (var layer = HierarchicalSoftmax.builder(FEATURES, LABELS).classes(classes).build();
        var x = FloatTensor.zeros(BATCH, FEATURES);
        var targets = IntTensor.zeros(BATCH)) {
      for (int step = 0; step < 4 * STEPS; step++) {
        int begin = step % STEPS * BATCH;
        x.put(0, vectors, begin * FEATURES, BATCH * FEATURES);
        targets.put(0, labels, begin, BATCH);
        double loss = layer.step(x, targets, Optimizer.adagrad(0.3f));
        sum += step < 3 * STEPS ? 0 : loss;
      }
    }
    return sum / STEPS;
  }
}
