// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

/**
 * About how long a run takes on two processors that do nothing else, by what was measured on the
 * definitions of WordNet (src/doc/quality.md and performance.md).
 */
final class Estimate {
  /** What takes a word of training of the default model, classes of any kind and number. */
  private static final double MICROS_OF_CLASSES = 5;

  /** The same of a full softmax, for each word of the vocabulary. */
  private static final double MICROS_OF_FULL_SOFTMAX = 0.0025;

  /** Everything else of a run, for each word: to count, to put words into classes, to evaluate. */
  private static final double MICROS_OF_THE_REST = 9;

  private static final int FEATURES_OF_DEFAULT = 128;
  private static final int SECONDS_TOLD_AS_SUCH = 90;

  private Estimate() {}

  /**
   * A run that trains some models, in words.
   *
   * @param withFull whether one of them is a full softmax
   */
  static String of(Settings settings, Corpus corpus, int models, boolean withFull) {
    int words = corpus.training().length;
    double training;
    if (settings.seconds != null) {
      training = (double) models * settings.seconds;
    } else {
      double micros = (withFull ? models - 1 : models) * MICROS_OF_CLASSES;
      if (withFull) {
        micros += MICROS_OF_FULL_SOFTMAX * corpus.vocabulary().size();
      }
      double size = (double) settings.features / FEATURES_OF_DEFAULT;
      training = 1e-6 * words * settings.epochs * micros * size;
    }
    return inWords(training + 1e-6 * words * MICROS_OF_THE_REST);
  }

  private static String inWords(double seconds) {
    return seconds < SECONDS_TOLD_AS_SUCH
        ? "about %.0f seconds".formatted(10 * Math.ceil(seconds / 10))
        : "about %.0f minutes".formatted(Math.ceil(seconds / 60));
  }
}
