// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.LabelTree;

/**
 * Initializes the biases of a label tree with the frequencies of classes, and of labels given their
 * class. With biases of zero, every label of an opened class would have probability 1/2: the first
 * steps would push hundreds of labels down for each present one, and Adagrad would remember these
 * gradients and make the steps of right labels too small.
 */
final class PriorBiases {
  /** Added to counts, so that the odds of labels that always or never occur are finite. */
  private static final double HALF = 0.5;

  private PriorBiases() {}

  static void begin(LabelTree tree, TrainingSet set) {
    ClassAssignment assignment = tree.assignment();
    int[] classOf = new int[assignment.outputs()];
    for (int label = 0; label < classOf.length; label++) {
      classOf[label] = assignment.classOf(label);
    }
    long[] ofClasses = set.examplesByClass(classOf, assignment.classCount());
    for (int c = 0; c < ofClasses.length; c++) {
      tree.b1().set(logOdds(ofClasses[c], set.size()), c);
    }
    long[] ofLabels = set.labelCounts();
    for (int label = 0; label < classOf.length; label++) {
      int c = classOf[label];
      tree.b2().set(logOdds(ofLabels[label], ofClasses[c]), c, assignment.slotOf(label));
    }
  }

  private static float logOdds(long count, long all) {
    return (float) Math.log((count + HALF) / (all - count + HALF));
  }
}
