// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.awt.Color;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.channels.Channels;
import java.nio.file.Path;
import java.util.List;
import javax.imageio.ImageIO;
import org.blocksparse.classifier.training.LearningPoint;
import org.blocksparse.internal.files.AtomicFile;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.BitmapEncoder.BitmapFormat;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler.LegendLayout;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.Styler.YAxisPosition;

/** Draws the picture of a training, without a screen. */
final class LearningCurve {
  private static final int WIDTH = 900;
  private static final int HEIGHT = 560;

  private LearningCurve() {}

  /**
   * Draws the loss, and the validation metrics if there are any, by epoch. An old picture stays
   * unless this succeeds.
   */
  static void draw(List<LearningPoint> points, Path png) throws IOException {
    ImageIO.setUseCache(false); // its file cannot be created any more after Ctrl-C
    ByteArrayOutputStream picture = new ByteArrayOutputStream();
    BitmapEncoder.saveBitmap(chart(points), picture, BitmapFormat.PNG);
    AtomicFile.write(png, channel -> picture.writeTo(Channels.newOutputStream(channel)));
  }

  static XYChart chart(List<LearningPoint> points) {
    System.setProperty("java.awt.headless", "true");
    XYChart chart =
        new XYChartBuilder()
            .width(WIDTH)
            .height(HEIGHT)
            .title("Training")
            .xAxisTitle("epoch")
            .yAxisTitle("loss")
            .build();
    chart.getStyler().setLegendPosition(LegendPosition.OutsideS);
    chart.getStyler().setLegendLayout(LegendLayout.Horizontal);
    chart.getStyler().setChartBackgroundColor(Color.WHITE);
    double[] epochs = points.stream().mapToDouble(LearningPoint::epoch).toArray();
    double[] losses = points.stream().mapToDouble(LearningPoint::loss).toArray();
    chart.addSeries("loss, of each example before it is learned from", epochs, losses);
    double[] precisions = points.stream().mapToDouble(LearningPoint::precision).toArray();
    if (!Double.isNaN(precisions[0])) {
      chart.getStyler().setYAxisGroupPosition(1, YAxisPosition.Right);
      chart.setYAxisGroupTitle(1, "P@1, nDCG@5");
      chart.addSeries("P@1 on validation (right)", epochs, precisions).setYAxisGroup(1);
      double[] ndcgs = points.stream().mapToDouble(LearningPoint::ndcg).toArray();
      chart.addSeries("nDCG@5 on validation (right)", epochs, ndcgs).setYAxisGroup(1);
    }
    return chart;
  }
}
