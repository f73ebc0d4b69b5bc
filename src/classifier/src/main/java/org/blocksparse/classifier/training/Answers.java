// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import java.util.ArrayList;
import java.util.List;
import org.blocksparse.classifier.ClassifierFile;
import org.blocksparse.classifier.Decisions;
import org.blocksparse.classifier.NumberedExamples;
import org.blocksparse.classifier.PredictionSets;
import org.blocksparse.classifier.TrainedClassifier;

/** The answers on held-out examples, which determine the thresholds of a model. */
final class Answers {
  private final Decisions decisions;
  private final List<Float> right = new ArrayList<>();

  /** Starts without answers, for a model or similar ones. */
  Answers(TrainedClassifier model) {
    this.decisions = model.decisions(Decisions.LEAST_THRESHOLD);
  }

  /** Adds the answers of a model. */
  void add(TrainedClassifier model, NumberedExamples examples) {
    model.decide(examples, decisions);
    for (float each : model.rightLogProbabilities(examples)) {
      right.add(each);
    }
  }

  /** Stores the thresholds in a model, unless there were no examples. */
  void keep(TrainedClassifier model) {
    if (right.isEmpty()) {
      return;
    }
    float[] all = new float[right.size()];
    for (int i = 0; i < all.length; i++) {
      all[i] = right.get(i);
    }
    ClassifierFile.setThreshold(model.metadata(), decisions.bestThreshold());
    ClassifierFile.setPredictionSets(model.metadata(), PredictionSets.of(all));
  }
}
