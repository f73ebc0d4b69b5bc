// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * The model card: facts on the training of a model, for people. They are strings in the metadata of
 * the model, which {@link Classifier#info} returns.
 */
public final class ModelCard {
  /** The key of a classifier's format. */
  public static final String CLASSIFIER_FORMAT = "classifier.format";

  /** The key of a next-item model's format. */
  public static final String NEXT_ITEM_FORMAT = "nextItem.format";

  /** The prefix of their keys. */
  private static final String ABOUT = "classifier.about.";

  private final Map<String, String> metadata;

  /** Reads the card in the metadata of a model. */
  public ModelCard(Map<String, String> metadata) {
    this.metadata = metadata;
  }

  /** Adds a fact. */
  public void put(String name, String value) {
    metadata.put(ABOUT + name, value);
  }

  /** Adds a fact that is a number. */
  public void put(String name, long value) {
    put(name, Long.toString(value));
  }

  /** Returns all facts, in the order of their names. */
  public Map<String, String> facts() {
    Map<String, String> facts = new TreeMap<>();
    metadata.forEach(
        (key, value) -> {
          if (key.startsWith(ABOUT)) {
            facts.put(key.substring(ABOUT.length()), value);
          }
        });
    return facts;
  }

  /** Returns a score with the four decimals of a card. */
  public static String decimals(double score) {
    return String.format(Locale.ROOT, "%.4f", score);
  }
}
