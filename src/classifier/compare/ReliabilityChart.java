// SPDX-License-Identifier: Apache-2.0

import java.awt.Color;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.Example;
import org.blocksparse.classifier.ExampleReader;
import org.blocksparse.classifier.Prediction;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * Draws how many of the labels that a model predicts with some probability are right; prints the
 * numbers, too: {@code java ReliabilityChart.java CHART.png NAME MODEL TEST NAME MODEL TEST...}
 */
class ReliabilityChart {
  private static final int BINS = 10;

  /** A share of fewer labels has a standard error of more than 0.05. */
  private static final int LEAST = 100;

  private static final int TOP = 50;

  public static void main(String[] args) throws Exception {
    System.setProperty("java.awt.headless", "true");
    XYChart chart =
        new XYChartBuilder()
            .width(900)
            .height(560)
            .title("Predicted probabilities, and how often such labels are right")
            .xAxisTitle("probability, in the mean of a tenth")
            .yAxisTitle("share that is right, held out")
            .build();
    chart.getStyler().setChartBackgroundColor(Color.WHITE);
    chart.getStyler().setLegendPosition(LegendPosition.InsideNW);
    chart.getStyler().setXAxisMin(0.0).setXAxisMax(1.0).setYAxisMin(0.0).setYAxisMax(1.0);
    double[] both = {0, 1};
    chart.addSeries("calibrated", both, both).setMarker(SeriesMarkers.NONE);
    for (int i = 1; i < args.length; i += 3) {
      draw(args[i], Path.of(args[i + 1]), Path.of(args[i + 2]), chart);
    }
    BitmapEncoder.saveBitmap(chart, args[0], BitmapEncoder.BitmapFormat.PNG);
  }

  private static void draw(String name, Path file, Path test, XYChart chart) throws Exception {
    int[] count = new int[BINS];
    int[] right = new int[BINS];
    double[] sum = new double[BINS];
    try (Classifier model = Classifier.load(file);
        ExampleReader reader = ExampleReader.open(test)) {
      for (Example example : (Iterable<Example>) reader.examples()::iterator) {
        for (Prediction prediction : model.predict(example, TOP)) {
          int bin = Math.min(BINS - 1, (int) (BINS * prediction.probability()));
          count[bin]++;
          sum[bin] += prediction.probability();
          right[bin] += example.labels().contains(prediction.label()) ? 1 : 0;
        }
      }
    }
    List<Double> predicted = new ArrayList<>();
    List<Double> observed = new ArrayList<>();
    for (int bin = 0; bin < BINS; bin++) {
      if (count[bin] >= LEAST) {
        predicted.add(sum[bin] / count[bin]);
        observed.add((double) right[bin] / count[bin]);
        System.out.printf(
            "%s: %.3f predicted, %.3f right, of %d labels%n",
            name, sum[bin] / count[bin], (double) right[bin] / count[bin], count[bin]);
      }
    }
    chart.addSeries(name, predicted, observed);
  }
}
