// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.blocksparse.classifier.training.LearningPoint;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.knowm.xchart.XYChart;

final class LearningCurveTest {
  @Test
  void eachAxis_saysWhatItShows() {
    XYChart chart =
        LearningCurve.chart(
            List.of(
                new LearningPoint(1, 2.5, 0.5, 0.6, true),
                new LearningPoint(2, 1.5, 0.75, 0.8, true)));
    assertEquals("epoch", chart.getXAxisTitle());
    assertEquals("loss", chart.getYAxisTitle());
    assertEquals("P@1, nDCG@5", chart.getYAxisGroupTitle(1));
    assertEquals(3, chart.getSeriesMap().size());
  }

  @Test
  void whatCannotBeDrawn_leavesTheOldPicture(@TempDir Path folder) throws IOException {
    Path png = Files.writeString(folder.resolve("png"), "an old one");
    assertThrows(RuntimeException.class, () -> LearningCurve.draw(List.of(), png));
    assertEquals("an old one", Files.readString(png));
  }

  @Test
  void withoutValidation_onlyTheLossIsShown() {
    XYChart chart =
        LearningCurve.chart(
            List.of(
                new LearningPoint(1, 2.5, Double.NaN, Double.NaN, true),
                new LearningPoint(2, 1.5, Double.NaN, Double.NaN, true)));
    assertEquals(
        Set.of("loss, of each example before it is learned from"), chart.getSeriesMap().keySet());
  }
}
