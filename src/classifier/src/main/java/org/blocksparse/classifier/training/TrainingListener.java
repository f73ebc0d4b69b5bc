// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

/**
 * Receives the progress of a training. The training thread calls all methods, except where a method
 * says otherwise. An exception ends the training.
 */
public interface TrainingListener {
  /**
   * Called when all examples have been read, before {@link #putIntoClasses}.
   *
   * @param features the number of features that were dropped
   * @param exactly false: the number is an upper bound, because more than four million different
   *     word n-grams were counted
   * @param examples the number of examples without a feature that was kept; they only train the
   *     frequencies of their labels
   */
  default void leftOut(int features, boolean exactly, int examples) {}

  /**
   * Called before labels are clustered into classes, which takes minutes for millions of labels;
   * not for one class.
   */
  default void putIntoClasses(int labels, int classes) {}

  /**
   * Called when training begins. Without an embedding head there are 0 epochs and 0 classes.
   *
   * @param examples the number of training examples
   * @param epochs the maximum number of epochs
   * @param features the number of rows of the table
   * @param labels the number of distinct labels
   * @param classes the number of classes of labels
   */
  default void begin(int examples, int epochs, int features, int labels, int classes) {}

  /**
   * Called before each of several trainings of the layers of a {@link
   * org.blocksparse.classifier.nextitem.NextItem}, after {@link #begin}; each has its own epochs.
   *
   * @param number from 1 on; again from 1 on when the chosen settings are trained on all items
   * @param count the number of trainings
   * @param settings such as {@code decays [0.4, 0.9], dropout 0.5}
   * @param examples the number of examples of all its steps, at most
   */
  default void training(int number, int count, String settings, long examples) {}

  /**
   * Called after each step.
   *
   * @param examples the number of examples of the step
   * @param loss their mean loss, before the step
   */
  default void step(int examples, double loss) {}

  /**
   * Called while the model is measured on the validation examples, after an epoch.
   *
   * @param examples the number that has been measured so far
   * @param all the number of validation examples with labels
   */
  default void measured(int examples, int all) {}

  /**
   * Called while the weights of the scorers of a {@link
   * org.blocksparse.classifier.nextitem.NextItem} are chosen, after the epochs.
   *
   * @param examples the number that has been measured so far
   * @param all the number of validation examples, once for each choice
   */
  default void weighed(int examples, int all) {}

  /** Called after each epoch, and at the end of one that was stopped after a step. */
  default void epoch(LearningPoint point) {}

  /**
   * Called when training has ended before the last planned epoch, because the model did not improve
   * on the validation examples.
   *
   * @param epoch the last epoch
   * @param kept the epoch of the resulting model
   */
  default void endedEarly(int epoch, int kept) {}

  /**
   * Called when the heads have been chosen on held-out examples; not if options request heads, or
   * if there are too few examples for an embedding.
   *
   * @param both whether the embedding stays beside the linear head: whether it gains more than a
   *     standard error
   * @param gain the gain of the embedding beside the linear head over that alone, in nDCG@5
   * @param standardError the standard error of the gain
   */
  default void chosen(boolean both, double gain, double standardError) {}

  /**
   * Called when a part stays in the model beside others, with what it costs: the median times of
   * answers to held-out examples, one at a time, in microseconds.
   *
   * @param part what stays, in words
   * @param with the time of an answer by all parts
   * @param without the time of an answer by the other parts
   */
  default void answerTimes(String part, double with, double without) {}

  /**
   * Called when the labels of the nearest examples have been tried beside the linear head; only if
   * labels outnumber examples, which are 500 at least, and options request no head.
   *
   * @param stay whether they gain more than a standard error
   * @param gain over the linear head alone, in nDCG@5
   * @param standardError the standard error of the gain
   */
  default void neighbours(boolean stay, double gain, double standardError) {}

  /**
   * Called when {@linkplain TrainingOptions#withLabelTexts texts of labels} have been weighed
   * beside the linear head.
   *
   * @param stay whether they are kept
   * @param gain the mean nDCG@5 on held-out examples, less that of the linear head alone
   * @param standardError the standard error of the gain; infinite unless two examples are held out
   */
  default void labelTexts(boolean stay, double gain, double standardError) {}

  /**
   * Called while the linear head is trained, by the training threads, one at a time.
   *
   * @param part the share of the work that is done, in [0, 1]; it never falls, but starts anew
   *     where texts of labels gain nothing and the head is trained without them
   */
  default void linear(double part) {}

  /** Reports a problem that does not end the training, such as a full disk. */
  default void warning(String message) {}
}
