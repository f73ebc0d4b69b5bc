// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import org.blocksparse.internal.schedule.Scheduler;

/**
 * Receives the gradients of a {@link TrainingPass}: that of the class level once, those of opened
 * classes on the worker of each class.
 */
interface SoftmaxUpdate {
  /** The update of a pass that computes only the loss, and perhaps the gradient of x. */
  SoftmaxUpdate NONE =
      new SoftmaxUpdate() {
        @Override
        public boolean finiteOnly() {
          return false;
        }

        @Override
        public void classLevel(ClassLevelGradient gradient) {}

        @Override
        public Worker begin(OpenedClassGradient gradients) {
          return gradients::writeX;
        }
      };

  /**
   * Returns whether a class, or the class level, is only given if its loss is finite. Parameters
   * that follow gradients must not: one bad number would spread to all of them.
   */
  boolean finiteOnly();

  /**
   * Called if no row that counts opens a class here: other parts of the layer may have made the
   * step.
   */
  default void noRows() {}

  /** Takes the gradient of the class level; the last call of a pass. */
  void classLevel(ClassLevelGradient gradient);

  /** Begins to take the gradients of some classes: on the thread of a worker, for it alone. */
  Worker begin(OpenedClassGradient gradients);

  /** Takes the gradients of classes, one after the other. */
  interface Worker extends Scheduler.Share {
    /**
     * Takes the gradient of a class, given its position among the opened ones: first that with
     * respect to x, which needs the weights as they were.
     */
    void take(int position);

    @Override
    default void close() {}
  }
}
