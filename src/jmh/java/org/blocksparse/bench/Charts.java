// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.BitmapEncoder.BitmapFormat;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler.LegendPosition;

/** A report as charts. */
final class Charts {
  private static final int WIDTH = 1400;
  private static final int HEIGHT = 700;

  private final Report report;

  Charts(Report report) {
    this.report = report;
  }

  /** Writes a chart for each part of the report that has results. */
  void write(Path folder) throws IOException {
    System.setProperty("java.awt.headless", "true");
    for (Operation operation : Operation.values()) {
      peers(operation, folder);
    }
    growth("batch", "samples", folder);
    growth("blocks", "blocks", folder);
    growth("outputs", "outputs", folder);
  }

  /** Time as a multiple of the limit, by workload and peer. */
  private void peers(Operation operation, Path folder) throws IOException {
    CategoryChart chart =
        new CategoryChartBuilder()
            .width(WIDTH)
            .height(HEIGHT)
            .title(operation + ": time / physical limit (1 is perfect)")
            .xAxisTitle("workload")
            .yAxisTitle("time / limit")
            .build();
    chart
        .getStyler()
        .setYAxisLogarithmic(true)
        .setYAxisMin(0.5)
        .setLegendPosition(LegendPosition.OutsideE);
    List<Report.Row> rows =
        report.rows().stream()
            .filter(
                row ->
                    row.is(ProductsBenchmark.class, "run")
                        && row.param("operation").equals(operation.name()))
            .toList();
    List<Workload> workloads =
        Arrays.stream(Workload.values())
            .filter(w -> rows.stream().anyMatch(row -> row.param("workload").equals(w.name())))
            .toList();
    for (Peer peer : Peer.values()) {
      List<Double> ratios = new ArrayList<>();
      for (Workload workload : workloads) {
        double limit = report.limitNs(workload.bytes(operation), workload.flops());
        ratios.add(
            rows.stream()
                .filter(
                    row ->
                        row.param("workload").equals(workload.name())
                            && row.param("peer").equals(peer.name()))
                .map(row -> row.bestNs() / limit)
                .findFirst()
                .orElse(null));
      }
      if (ratios.stream().anyMatch(ratio -> ratio != null)) {
        chart.addSeries(
            peer.toString(), workloads.stream().map(Workload::toString).toList(), ratios);
      }
    }
    if (!chart.getSeriesMap().isEmpty()) {
      save(chart, folder.resolve(operation + ".png"));
    }
  }

  private void growth(String method, String axis, Path folder) throws IOException {
    List<Report.Row> rows =
        report.rows().stream().filter(row -> row.is(GrowthBenchmark.class, method)).toList();
    if (rows.isEmpty()) {
      return;
    }
    XYChart chart =
        new XYChartBuilder()
            .width(WIDTH / 2)
            .height(HEIGHT)
            .title("Cost by " + axis)
            .xAxisTitle(axis)
            .yAxisTitle("milliseconds")
            .build();
    chart.getStyler().setXAxisLogarithmic(true).setYAxisLogarithmic(true).setLegendVisible(false);
    chart.addSeries(
        method,
        rows.stream().map(row -> Double.valueOf(row.param(method))).toList(),
        rows.stream().map(row -> row.bestNs() / 1e6).toList());
    save(chart, folder.resolve("growth-" + method.toLowerCase(Locale.ROOT) + ".png"));
  }

  private static void save(org.knowm.xchart.internal.chartpart.Chart<?, ?> chart, Path file)
      throws IOException {
    BitmapEncoder.saveBitmap(chart, file.toString(), BitmapFormat.PNG);
  }
}
