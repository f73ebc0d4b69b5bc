// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import java.util.Map;
import org.blocksparse.classifier.ModelCard;
import org.blocksparse.classifier.TrainedClassifier;
import org.blocksparse.classifier.features.FeatureCounts;

/** Writes the figures of a training into the {@link ModelCard} of its model. */
final class TrainingCard {
  private static final String EPOCH = "epoch of this model";

  private final ModelCard card;

  /** Reads the card in the metadata of a model. */
  TrainingCard(Map<String, String> metadata) {
    this.card = new ModelCard(metadata);
  }

  static TrainingCard of(TrainedClassifier model) {
    return new TrainingCard(model.metadata());
  }

  /** Adds the facts of all trainings, including those of the caller. */
  void putTraining(TrainingSet set, TrainingOptions options) {
    options.card().forEach(card::put);
    String version = ModelCard.class.getPackage().getImplementationVersion();
    if (version != null) { // null for classes outside of a jar
      card.put("version", version);
    }
    TrainingDefaults values = new TrainingDefaults(options);
    card.put("examples", set.size());
    if (set.examplesMerged() > 0) {
      card.put("examples merged into others", set.examplesMerged());
    }
    if (options.labelNames()) {
      card.put("label names", "examples");
    }
    if (set.isText()) {
      card.put("word n-grams", options.textFeatures().wordNgrams());
      card.put("character n-grams", options.textFeatures().characters().toString());
      card.put("words", options.textFeatures().words().toString());
    }
    int minCount = set.minCount();
    card.put("min count", Math.max(1, minCount));
    if (minCount == 0) {
      card.put("min count of words or characters in a row", FeatureCounts.FEWEST_IN_A_ROW);
    }
    card.put("max features", options.maxFeatures());
    if (set.isText() && !options.hasMaxFeatures()) {
      card.put("max words or characters in a row", set.mostInARow());
    }
    card.put("features left out", (set.forgot() ? "up to " : "") + set.featuresLeftOut());
    card.put("seed", options.seed());
    if (!options.validation().isEmpty()) {
      card.put("validation examples", options.validation().size());
      card.put("validation metric", values.validationMetric().toString());
    }
  }

  /** The setting of a linear head. */
  void putLinear(TrainingOptions options) {
    card.put("cost of an error", Float.toString(options.cost()));
  }

  /** The settings of an embedding head. */
  void putEmbedding(TrainingOptions options, int epochs, int batch) {
    TrainingDefaults values = new TrainingDefaults(options);
    card.put("epochs planned", epochs);
    card.put("rate", Double.toString(values.rate()));
    card.put("smoothing", Double.toString(values.smoothing()));
    card.put("batch", batch);
    if (!options.validation().isEmpty()) {
      card.put("patience", values.patience(epochs));
    }
  }

  /** Adds the number of rows that began with a pretrained vector. */
  void putPretrained(int rows) {
    card.put("pretrained rows", rows);
  }

  /** Adds the epoch after which the model was the best. */
  void putEpoch(int epoch) {
    card.put(EPOCH, epoch);
  }

  int epoch() {
    return Integer.parseInt(card.facts().get(EPOCH));
  }

  void putScores(ValidationScores scores) {
    card.put("validation P@1", ModelCard.decimals(scores.precision()));
    card.put("validation nDCG@5", ModelCard.decimals(scores.ndcg()));
    card.put("validation micro F1", ModelCard.decimals(scores.f1()));
    card.put("threshold", Double.toString(scores.threshold()));
  }
}
