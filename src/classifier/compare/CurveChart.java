// SPDX-License-Identifier: Apache-2.0

import java.awt.Color;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler.LegendPosition;

/** Draws lines of (name, seconds, perplexity) as a curve for each name. */
class CurveChart {
  public static void main(String[] args) throws Exception {
    System.setProperty("java.awt.headless", "true");
    XYChart chart =
        new XYChartBuilder()
            .width(900)
            .height(560)
            .title("Quality by time of training: each point is a whole training")
            .xAxisTitle("seconds")
            .yAxisTitle("perplexity, held out")
            .build();
    chart.getStyler().setChartBackgroundColor(Color.WHITE);
    chart.getStyler().setXAxisMin(0.0).setYAxisMin(0.0).setLegendPosition(LegendPosition.InsideSE);
    Map<String, List<String[]>> curves =
        Files.readAllLines(Path.of(args[0])).stream()
            .map(line -> line.split("\t"))
            .collect(Collectors.groupingBy(r -> r[0], LinkedHashMap::new, Collectors.toList()));
    curves.forEach((name, rows) -> chart.addSeries(name, column(rows, 1), column(rows, 2)));
    BitmapEncoder.saveBitmap(chart, args[1], BitmapEncoder.BitmapFormat.PNG);
  }

  private static double[] column(List<String[]> rows, int column) {
    return rows.stream().mapToDouble(row -> Double.parseDouble(row[column])).toArray();
  }
}
