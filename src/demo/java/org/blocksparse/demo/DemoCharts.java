// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.awt.Color;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.BitmapEncoder.BitmapFormat;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler.LegendLayout;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Draws the pictures of the demo, without a screen. */
final class DemoCharts {
  private static final int WIDTH = 900;
  private static final int HEIGHT = 560;

  private final Path folder;

  DemoCharts(Path folder) {
    System.setProperty("java.awt.headless", "true");
    this.folder = folder;
  }

  /** Perplexity against words seen, with that of the baseline. */
  Path learningCurve(List<LanguageModelTrainer.Point> curve, double baseline) {
    double[] words = curve.stream().mapToDouble(point -> point.words() * 1e-6).toArray();
    double[] training = curve.stream().mapToDouble(LanguageModelTrainer.Point::training).toArray();
    double[] heldOut = curve.stream().mapToDouble(LanguageModelTrainer.Point::heldOut).toArray();
    XYChart chart = chart("Learning the next word", "million words seen", "perplexity");
    chart.addSeries("training, each word before it is learned from", words, training);
    chart.addSeries("held out", words, heldOut);
    chart
        .addSeries(
            "held out, Kneser-Ney bigram",
            new double[] {0, words[words.length - 1]},
            new double[] {baseline, baseline})
        .setMarker(SeriesMarkers.NONE);
    return write(chart, "learning-curve.png");
  }

  static XYChart chart(String title, String x, String y) {
    XYChart chart =
        new XYChartBuilder()
            .width(WIDTH)
            .height(HEIGHT)
            .title(title)
            .xAxisTitle(x)
            .yAxisTitle(y)
            .build();
    chart.getStyler().setLegendPosition(LegendPosition.OutsideS);
    chart.getStyler().setLegendLayout(LegendLayout.Horizontal);
    chart.getStyler().setChartBackgroundColor(Color.WHITE);
    chart.getStyler().setDecimalPattern("#,##0.#");
    return chart;
  }

  Path write(XYChart chart, String name) {
    Path file = folder.resolve(name);
    try {
      Files.createDirectories(folder);
      try (OutputStream out = Files.newOutputStream(file)) {
        BitmapEncoder.saveBitmap(chart, out, BitmapFormat.PNG);
      }
    } catch (IOException e) {
      throw new UsageException("cannot write " + file + ": " + e.getMessage());
    }
    return file;
  }
}
