// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.ToDoubleBiFunction;
import java.util.stream.Collectors;
import org.blocksparse.ElementType;
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

  /** The benchmarks of whole layers, not single products, by what a chart calls the layer. */
  private static final Map<String, String> LAYERS =
      Map.of(
          SoftmaxBenchmark.class.getName() + ".run", "softmax",
          FastTextBenchmark.class.getName() + ".run", "softmax",
          TopKBenchmark.class.getName() + ".run", "top 10",
          BagBenchmark.class.getName() + ".run", "bag",
          MoeBenchmark.class.getName() + ".run", "experts");

  private static final Set<String> BLOCKSPARSE = Set.of(Peer.BLOCKSPARSE.name());

  /** The alternatives of a JVM user, by their names in a chart. */
  private static final Map<String, Set<String>> INSTEAD = new LinkedHashMap<>();

  static {
    INSTEAD.put(
        "PyTorch, through DJL",
        Set.of(Peer.PYTORCH_LOOP.name(), Peer.PYTORCH_DENSE.name(), BagPeer.PYTORCH.name()));
    INSTEAD.put("fastText, the program", Set.of(Peer.FASTTEXT.name()));
    INSTEAD.put("loops in Java", Set.of(BagPeer.PLAIN_JAVA.name()));
  }

  private final Report report;

  Charts(Report report) {
    this.report = report;
  }

  /** Writes a chart for each part of the report that has results. */
  void write(Path folder) throws IOException {
    System.setProperty("java.awt.headless", "true");
    for (Operation operation : Operation.values()) {
      peers(operation, folder.resolve(operation + ".png"));
    }
    topK(folder);
    writeInstead(folder.resolve("instead.png"));
    writeExperts(folder.resolve("experts.png"));
    growth("batch", "samples", "", folder);
    growth("blocks", "blocks", "", folder);
    growth("outputs", "outputs", "targets", folder);
  }

  /** Writes the chart of products forward, and returns whether the report has any. */
  boolean writeForward(Path file) throws IOException {
    return peers(Operation.FORWARD, file);
  }

  /** Time as a multiple of the limit, by workload and peer. */
  private boolean peers(Operation operation, Path file) throws IOException {
    List<Report.Row> rows =
        report.rows().stream()
            .filter(
                row ->
                    row.is(ProductsBenchmark.class, "run")
                        && row.param("operation").equals(operation.name()))
            .toList();
    CategoryChart chart = bars(operation + ": time / limit that was measured (may be below 1)");
    chart.setYAxisTitle("time / limit");
    chart.getStyler().setYAxisMin(0.5);
    return save(
        chart,
        rows,
        Workload.values(),
        (row, w) -> row.bestNs() / report.limitNs(w.bytes(operation), w.flops()),
        file);
  }

  /** Time of a search, and of scoring all. */
  private void topK(Path folder) throws IOException {
    List<Report.Row> rows =
        report.rows().stream().filter(row -> row.is(TopKBenchmark.class, "run")).toList();
    CategoryChart chart = bars("The %d likeliest outputs".formatted(Softmax.K));
    chart.setYAxisTitle("milliseconds");
    chart.getStyler().setYAxisMin(0.01);
    save(
        chart,
        rows,
        TopKWorkload.values(),
        (row, workload) -> row.bestNs() / 1e6,
        folder.resolve("top-k.png"));
  }

  /**
   * Writes the chart of whole layers, the time of others as a multiple of ours, and returns whether
   * the report has any.
   */
  boolean writeInstead(Path file) throws IOException {
    Map<String, List<Report.Row>> jobs =
        report.rows().stream()
            .filter(row -> LAYERS.containsKey(row.benchmark()))
            .collect(Collectors.groupingBy(Charts::job, LinkedHashMap::new, Collectors.toList()));
    jobs.values()
        .removeIf(
            rows ->
                best(rows, BLOCKSPARSE).isEmpty()
                    || INSTEAD.values().stream().allMatch(peers -> best(rows, peers).isEmpty()));
    CategoryChart chart = bars("What a JVM user would pick instead: time / ours (below 1: faster)");
    chart.setYAxisTitle("time / ours");
    chart.getStyler().setYAxisMin(0.5).setXAxisLabelRotation(90);
    INSTEAD.forEach(
        (name, peers) -> {
          List<Double> ratios = new ArrayList<>();
          for (List<Report.Row> rows : jobs.values()) {
            double ours = best(rows, BLOCKSPARSE).getAsDouble();
            OptionalDouble theirs = best(rows, peers);
            ratios.add(theirs.isPresent() ? theirs.getAsDouble() / ours : null);
          }
          if (ratios.stream().anyMatch(ratio -> ratio != null)) {
            chart.addSeries(name, List.copyOf(jobs.keySet()), ratios);
          }
        });
    return saveIfFilled(chart, file);
  }

  /**
   * Writes the chart of experts in fewer bits, on all processors, for one token and for the most,
   * and returns whether the report has any.
   */
  boolean writeExperts(Path file) throws IOException {
    List<Report.Row> all =
        report.rows().stream().filter(row -> row.is(MoeTurns.class, MoeTurns.FORWARD)).toList();
    int workers = most(all, "workers");
    List<Report.Row> rows =
        all.stream().filter(row -> row.param("workers").equals("" + workers)).toList();
    int tokens = most(rows, "tokens");
    Map<String, List<Report.Row>> batches =
        rows.stream()
            .filter(row -> List.of("1", "" + tokens).contains(row.param("tokens")))
            .collect(
                Collectors.groupingBy(
                    row -> row.param("shape").toLowerCase(Locale.ROOT) + " " + row.param("tokens"),
                    LinkedHashMap::new,
                    Collectors.toList()));
    CategoryChart chart = bars("A layer of experts: milliseconds for 1 token and for " + tokens);
    chart.setYAxisTitle("milliseconds");
    chart.setXAxisTitle("shape and tokens");
    chart.getStyler().setYAxisMin(0.01);
    MoeTurns.BITS.forEach(
        (bits, types) -> {
          for (Peer peer : Peer.values()) {
            addExperts(chart, peer + ", " + bits, batches, peer, types);
          }
        });
    return saveIfFilled(chart, file);
  }

  private static int most(List<Report.Row> rows, String param) {
    return rows.stream().mapToInt(row -> Integer.parseInt(row.param(param))).max().orElse(1);
  }

  private static void addExperts(
      CategoryChart chart,
      String name,
      Map<String, List<Report.Row>> batches,
      Peer peer,
      List<ElementType> types) {
    List<Double> heights = new ArrayList<>();
    for (List<Report.Row> rows : batches.values()) {
      OptionalDouble best =
          rows.stream()
              .filter(row -> row.param("peer").equals(peer.name()))
              .filter(row -> types.contains(ElementType.valueOf(row.param("type"))))
              .mapToDouble(Report.Row::bestNs)
              .min();
      heights.add(best.isPresent() ? best.getAsDouble() / 1e6 : null);
    }
    if (heights.stream().anyMatch(height -> height != null)) {
      chart.addSeries(name, List.copyOf(batches.keySet()), heights);
    }
  }

  /** The case that a row measures, for all peers. */
  private static String job(Report.Row row) {
    return row.params().entrySet().stream()
        .filter(param -> !param.getKey().equals("peer"))
        .map(param -> param.getValue().toLowerCase(Locale.ROOT).replace('_', ' '))
        .collect(Collectors.joining(", ", LAYERS.get(row.benchmark()) + ": ", ""));
  }

  private static OptionalDouble best(List<Report.Row> rows, Set<String> peers) {
    return rows.stream()
        .filter(row -> peers.contains(row.param("peer")))
        .mapToDouble(Report.Row::bestNs)
        .min();
  }

  private static CategoryChart bars(String title) {
    CategoryChart chart =
        new CategoryChartBuilder()
            .width(WIDTH)
            .height(HEIGHT)
            .title(title)
            .xAxisTitle("workload")
            .build();
    chart
        .getStyler()
        .setYAxisLogarithmic(true)
        .setXAxisLabelRotation(30)
        .setLegendPosition(LegendPosition.OutsideE);
    return chart;
  }

  /** Adds a bar for each row by workload and peer, and saves the chart if there are any. */
  private static <W extends Enum<W>> boolean save(
      CategoryChart chart,
      List<Report.Row> rows,
      W[] all,
      ToDoubleBiFunction<Report.Row, W> height,
      Path file)
      throws IOException {
    List<W> workloads =
        Arrays.stream(all)
            .filter(w -> rows.stream().anyMatch(row -> row.param("workload").equals(w.name())))
            .toList();
    for (Peer peer : Peer.values()) {
      List<Double> heights = new ArrayList<>();
      for (W workload : workloads) {
        heights.add(
            rows.stream()
                .filter(
                    row ->
                        row.param("workload").equals(workload.name())
                            && row.param("peer").equals(peer.name()))
                .map(row -> height.applyAsDouble(row, workload))
                .findFirst()
                .orElse(null));
      }
      if (heights.stream().anyMatch(value -> value != null)) {
        chart.addSeries(peer.toString(), workloads.stream().map(W::toString).toList(), heights);
      }
    }
    return saveIfFilled(chart, file);
  }

  private static boolean saveIfFilled(CategoryChart chart, Path file) throws IOException {
    boolean filled = !chart.getSeriesMap().isEmpty();
    if (filled) {
      save(chart, file);
    }
    return filled;
  }

  /**
   * Time by one size.
   *
   * @param series the parameter with a line for each of its values; empty: there is one line
   */
  private void growth(String method, String axis, String series, Path folder) throws IOException {
    Map<String, List<Report.Row>> lines =
        report.rows().stream()
            .filter(row -> row.is(GrowthBenchmark.class, method))
            .collect(
                Collectors.groupingBy(row -> row.param(series), TreeMap::new, Collectors.toList()));
    if (lines.isEmpty()) {
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
    chart
        .getStyler()
        .setXAxisLogarithmic(true)
        .setYAxisLogarithmic(true)
        .setLegendVisible(lines.size() > 1)
        .setLegendPosition(LegendPosition.InsideNW);
    lines.forEach(
        (name, rows) ->
            chart.addSeries(
                name.isEmpty() ? method : name.toLowerCase(Locale.ROOT).replace('_', ' '),
                rows.stream().map(row -> Double.valueOf(row.param(method))).toList(),
                rows.stream().map(row -> row.bestNs() / 1e6).toList()));
    save(chart, folder.resolve("growth-" + method + ".png"));
  }

  private static void save(org.knowm.xchart.internal.chartpart.Chart<?, ?> chart, Path file)
      throws IOException {
    BitmapEncoder.saveBitmap(chart, file.toString(), BitmapFormat.PNG);
  }
}
