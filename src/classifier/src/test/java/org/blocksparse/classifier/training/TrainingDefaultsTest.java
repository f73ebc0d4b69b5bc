// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.blocksparse.softmax.ClassAssignment;
import org.junit.jupiter.api.Test;

final class TrainingDefaultsTest {
  @Test
  void defaults_goByWhatThereIs() {
    TrainingOptions options = TrainingOptions.defaults();
    TrainingDefaults values = new TrainingDefaults(options);
    assertEquals(3, values.epochs(1_000_000, 2_000_000));
    assertEquals(8, values.epochs(1_000_000, 5_000_000));
    assertEquals(40, values.epochs(1_000_000, 75_000_000));
    assertEquals(7, values.epochs(100_000, 300_000));
    assertEquals(5, values.epochs(20_000, 20_000));
    assertEquals(15, values.epochs(20_000, 60_000));
    assertEquals(10, values.epochs(2_000, 2_000));
    assertEquals(40, values.epochs(10, 10));
    assertEquals(9, new TrainingDefaults(options.withEpochs(9)).epochs(10, 10));
    assertEquals(50_000, values.mostInARow(500));
    assertEquals(200_000, values.mostInARow(100_000));
    assertEquals(1_000_000, values.mostInARow(2_000_000_000));
    assertEquals(9, new TrainingDefaults(options.withMaxFeatures(9)).mostInARow(500));
    assertEquals(64, values.dimension(4095, false));
    assertEquals(128, values.dimension(4096, false));
    assertEquals(64, values.dimension(4096, true));
    assertEquals(9, new TrainingDefaults(options.withDimension(9)).dimension(4096, false));
    assertEquals(1, values.classes(1024, 1_000_000, 0, 3));
    assertEquals(ClassAssignment.defaultCount(1025), values.classes(1025, 1_000_000, 0, 3));
    assertEquals(1, values.classes(10_000, 20_000, 0, 5));
    assertEquals(1, new TrainingDefaults(options.withLabelTree()).classes(1024, 20_000, 0, 5));
    assertEquals(
        ClassAssignment.defaultCount(1025),
        new TrainingDefaults(options.withLabelTree()).classes(1025, 20_000, 0, 5));
    assertEquals(ClassAssignment.defaultCount(10_001), values.classes(10_001, 20_000, 0, 5));
    assertEquals(1, values.classes(5_000, 2_000, 200, 20));
    assertEquals(
        ClassAssignment.defaultCount(5_000),
        values.classes(5_000, 2_000, 201, 20),
        "several labels");
    assertEquals(5, new TrainingDefaults(options.withClasses(9)).classes(5, 100, 0, 40));
  }
}
