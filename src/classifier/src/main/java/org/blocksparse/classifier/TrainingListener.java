// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

/**
 * Receives the progress of a training, on the thread that trains unless a method says otherwise.
 * Its exceptions end it.
 */
public interface TrainingListener {
  /**
   * Everything has been read; what of it training does not see. Before {@link #putIntoClasses}.
   *
   * @param features how many were not kept
   * @param examples how many have no feature that was kept; they only train the frequencies of
   *     their labels
   */
  default void leftOut(int features, int examples) {}

  /**
   * While options are {@linkplain TrainingOptions#withTuning searched}, after each step: how long
   * that has taken.
   */
  default void tuning(double seconds) {}

  /** After each training of a search for options; such a training calls no other method. */
  default void tried(TuningTrial trial) {}

  /**
   * Labels are about to be put into classes: of millions, that takes minutes. Not called where
   * there is one class.
   */
  default void putIntoClasses(int labels, int classes) {}

  /**
   * More examples than a tenth have several labels, which share one probability: it is not a label
   * tree that is trained. Before {@link #begin}.
   *
   * @param examples how many
   */
  default void severalLabels(int examples) {}

  /**
   * Training begins. Without an embedding head there are 0 epochs and 0 classes.
   *
   * @param examples those that are learned from in each epoch
   * @param epochs how many there will be, if none is too much
   * @param features rows of the table
   * @param labels different labels
   * @param classes that these are in
   */
  default void begin(int examples, int epochs, int features, int labels, int classes) {}

  /**
   * After each step.
   *
   * @param examples how many have been learned from in this step
   * @param loss the mean over them, before the step
   */
  default void step(int examples, double loss) {}

  /**
   * While the model is measured on the validation examples, after an epoch.
   *
   * @param examples how many of them have been, so far
   * @param all how many of them have labels
   */
  default void measured(int examples, int all) {}

  /** After each epoch, and at the end of one that was stopped after a step. */
  default void epoch(LearningPoint point) {}

  /**
   * Training has ended before the last epoch that was planned, since the model became no better on
   * the validation examples.
   *
   * @param epoch the last that was learned
   * @param kept the epoch of the model that is the result
   */
  default void endedEarly(int epoch, int kept) {}

  /**
   * While the linear head is trained, on the threads that train, one at a time.
   *
   * @param part of the work that is done, in [0, 1]
   */
  default void linear(double part) {}

  /** Something went wrong that does not end the training, as that a disk is full. */
  default void warning(String message) {}
}
