// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

/**
 * What a {@link TrainingPass} does with gradients: of the class level once, of every opened class
 * on the worker that has it.
 */
public interface SoftmaxUpdate {
  /** For a pass of which nothing but the loss, and perhaps the gradient of x, is wanted. */
  SoftmaxUpdate NONE =
      new SoftmaxUpdate() {
        @Override
        public boolean finiteOnly() {
          return false;
        }

        @Override
        public void classLevel(ClassLevelGradient gradient) {}

        @Override
        public void openedClass(OpenedClassGradient gradient) {}
      };

  /**
   * Whether a class, or the class level, is only given if its loss is finite. Parameters that
   * follow gradients must not: one bad number would spread to all of them.
   */
  boolean finiteOnly();

  /** Takes the gradient of the class level; the last call of a pass. */
  void classLevel(ClassLevelGradient gradient);

  /** Takes the gradient of one class; different classes come on different threads. */
  void openedClass(OpenedClassGradient gradient);
}
