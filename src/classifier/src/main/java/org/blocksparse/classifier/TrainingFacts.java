// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.LinkedHashMap;
import java.util.Map;

/** The part of a model card that trainings of all heads have in common. */
final class TrainingFacts {
  private TrainingFacts() {}

  static Map<String, String> of(TrainingSet set, TrainingOptions options) {
    Map<String, String> about = new LinkedHashMap<>(options.card());
    String version = TrainingFacts.class.getPackage().getImplementationVersion();
    if (version != null) { // classes that are in no jar have none
      about.put("version", version);
    }
    about.put("examples", Integer.toString(set.size()));
    if (set.isText()) {
      about.put("word n-grams", Integer.toString(options.textFeatures().wordNgrams()));
      about.put("words", options.textFeatures().isPlain() ? "plain" : "unicode");
    }
    if (set.vocabulary().isShared()) {
      about.put("shared rows", Integer.toString(set.vocabulary().rows()));
    } else {
      int minCount = options.minCount(set.size());
      about.put("min count", Integer.toString(Math.max(1, minCount)));
      if (minCount == 0) {
        about.put("min count of words in a row", Integer.toString(FeatureCounts.FEWEST_IN_A_ROW));
      }
      about.put("max features", Integer.toString(options.maxFeatures()));
    }
    about.put("features left out", Integer.toString(set.featuresLeftOut()));
    about.put("seed", Long.toString(options.seed()));
    if (!options.validation().isEmpty()) {
      about.put("validation examples", Integer.toString(options.validation().size()));
      about.put("validation metric", options.validationMetric().toString());
    }
    return about;
  }
}
