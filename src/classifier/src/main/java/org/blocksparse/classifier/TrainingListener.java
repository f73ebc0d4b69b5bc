// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

/** Is told how a training goes, on the thread that trains. What it throws ends the training. */
public interface TrainingListener {
  /**
   * Everything has been read, and labels are about to be put into classes: of millions, that takes
   * minutes. Not told where there is one class.
   */
  default void putIntoClasses(int labels, int classes) {}

  /**
   * Everything has been read, and training begins.
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

  /** After each epoch, and at the end of one that was stopped after a step. */
  default void epoch(LearningPoint point) {}

  /** Something went wrong that does not end the training, as that a disk is full. */
  default void warning(String message) {}
}
