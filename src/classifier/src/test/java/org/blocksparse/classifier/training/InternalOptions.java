// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

/** Sets what only tests set, for those of other packages. */
public final class InternalOptions {
  private InternalOptions() {}

  public static TrainingOptions withBatch(TrainingOptions options, int value) {
    return options.withBatch(value);
  }

  public static TrainingOptions withClasses(TrainingOptions options, int value) {
    return options.withClasses(value);
  }

  public static TrainingOptions withPatience(TrainingOptions options, int value) {
    return options.withPatience(value);
  }
}
