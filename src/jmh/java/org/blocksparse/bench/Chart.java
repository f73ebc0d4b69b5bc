// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.DoubleStream;

/**
 * Draws the charts of the pages: bars or curves with labels beside them, as SVG for light and dark
 * themes. It needs no other class:
 *
 * <pre>{@code java src/jmh/java/org/blocksparse/bench/Chart.java NUMBERS.tsv}</pre>
 *
 * <p>writes {@code NUMBERS.svg}. The lines of the file have columns, separated by tabs:
 *
 * <pre>{@code
 * title TEXT
 * subtitle TEXT
 * bar JOB OTHER OURS THEIRS    two times: the bar shows how many times as fast ours is
 * x TEXT, y TEXT               names of the axes of curves
 * point NAME X Y               the next point of a curve
 * line NAME X Y                the next point of a line to compare with
 * }</pre>
 */
final class Chart {
  private static final int WIDTH = 760;
  private static final int TOP = 74;

  private static final int ROW = 42;
  private static final int BAR = 20;
  private static final int BARS_LEFT = 310;
  private static final int BARS_RIGHT = 690;

  private static final int LEFT = 64;
  private static final int RIGHT = 580;
  private static final int BOTTOM = 370;
  private static final int TICKS = 5;
  private static final int MIN_LABEL_DISTANCE = 17;

  private static final String HEAD =
      """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %1$d %2$d" width="%1$d" height="%2$d" role="img">
      <!-- SPDX-License-Identifier: Apache-2.0 -->
      <title>%3$s</title>
      <style>
      svg { --back: #ffffff; --text: #1f2328; --soft: #59636e; --grid: #d1d9e0; --ours: #0969da; --other: #bc4c00; }
      @media (prefers-color-scheme: dark) {
        svg { --back: #0d1117; --text: #f0f6fc; --soft: #9198a1; --grid: #3d444d; --ours: #4493f8; --other: #db6d28; }
      }
      text { font: 14px -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", Helvetica, Arial, sans-serif; fill: var(--text); }
      .title { font-size: 18px; font-weight: 600; }
      .soft { font-size: 12px; fill: var(--soft); }
      .end { text-anchor: end; }
      .mid { text-anchor: middle; }
      .value { font-weight: 600; }
      .back { fill: var(--back); }
      .grid { stroke: var(--grid); fill: none; }
      .ours { fill: var(--ours); }
      .other { fill: var(--other); }
      .curve { fill: none; stroke-width: 2.5; }
      .curve.ours { stroke: var(--ours); }
      .curve.other { stroke: var(--other); }
      .curve.line { stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 5 4; }
      </style>
      <rect class="back" width="%1$d" height="%2$d"/>
      """;

  private record Point(double x, double y) {}

  private final Map<String, String> texts = new LinkedHashMap<>();
  private final List<String[]> bars = new ArrayList<>();
  private final Map<String, List<Point>> curves = new LinkedHashMap<>();
  private final Map<String, List<Point>> lines = new LinkedHashMap<>();
  private final StringBuilder svg = new StringBuilder();

  private Chart(List<String> rows) {
    for (String row : rows) {
      String[] cells = row.split("\t", -1);
      switch (cells[0]) {
        case "title", "subtitle", "x", "y" -> texts.put(cells[0], cells[1]);
        case "bar" -> bars.add(cells);
        case "point", "line" ->
            (cells[0].equals("line") ? lines : curves)
                .computeIfAbsent(cells[1], name -> new ArrayList<>())
                .add(new Point(Double.parseDouble(cells[2]), Double.parseDouble(cells[3])));
        default -> throw new IllegalArgumentException("unknown: " + row);
      }
    }
    int height = bars.isEmpty() ? BOTTOM + 54 : TOP + bars.size() * ROW + 8;
    add(HEAD, WIDTH, height, escaped(texts.get("title")));
    text("title", 24, 34, texts.get("title"));
    text("soft", 24, 55, texts.getOrDefault("subtitle", ""));
    if (bars.isEmpty()) {
      drawCurves();
    } else {
      drawBars();
    }
    add("</svg>%n");
  }

  /** The chart of a file. */
  static String of(Path numbers) throws IOException {
    return new Chart(Files.readAllLines(numbers)).svg.toString();
  }

  private static double ratio(String... bar) {
    return Double.parseDouble(bar[4]) / Double.parseDouble(bar[3]);
  }

  /** From the line of equal times to the right, or, where the other is faster, to the left. */
  private void drawBars() {
    double[] logs = bars.stream().mapToDouble(bar -> Math.log(ratio(bar))).toArray();
    double min = Math.min(0, DoubleStream.of(logs).min().orElseThrow());
    double max = DoubleStream.of(logs).max().orElseThrow();
    double scale = (BARS_RIGHT - BARS_LEFT) / (max - min);
    double equal = BARS_LEFT - min * scale;
    for (int i = 0; i < logs.length; i++) {
      String[] bar = bars.get(i);
      int y = TOP + i * ROW;
      double end = equal + logs[i] * scale;
      text("end", BARS_LEFT - 14, y + 13, bar[1]);
      text("soft end", BARS_LEFT - 14, y + 29, bar[2]);
      add(
          "<rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"3\"/>%n",
          logs[i] < 0 ? "other" : "ours",
          Math.min(equal, end),
          y + 6,
          Math.max(2, Math.abs(end - equal)),
          BAR);
      text("value", Math.max(equal, end) + 8, y + 21, times(ratio(bar)));
    }
    add("<path class=\"grid\" d=\"M%.1f %d V%d\"/>%n", equal, TOP - 4, TOP + bars.size() * ROW - 8);
  }

  private static String times(double ratio) {
    return format(ratio < 1 ? "%.2f" : ratio < 10 ? "%.1f" : "%.0f", ratio) + "\u00d7";
  }

  /** A range of an axis, by round numbers, in pixels. */
  private record Axis(double begin, double end, double step, double from, double to) {
    static Axis of(double min, double max, double from, double to) {
      double begin = min < max / 2 ? 0 : min;
      double rough = (max - begin) / TICKS;
      double power = Math.pow(10, Math.floor(Math.log10(rough)));
      double step =
          DoubleStream.of(1, 2, 2.5, 5, 10)
              .map(factor -> factor * power)
              .filter(each -> each >= rough * (1 - 1e-9))
              .findFirst()
              .orElseThrow();
      return new Axis(
          step * Math.floor(begin / step + 1e-9),
          step * Math.ceil(max / step - 1e-9),
          step,
          from,
          to);
    }

    double at(double value) {
      return from + (value - begin) / (end - begin) * (to - from);
    }

    DoubleStream ticks() {
      return DoubleStream.iterate(begin, tick -> tick <= end + step / 2, tick -> tick + step);
    }

    String name(double tick) {
      return format(step % 1 == 0 ? "%,.0f" : step * 10 % 1 < 1e-9 ? "%.1f" : "%.2f", tick);
    }
  }

  private void drawCurves() {
    List<Point> all =
        List.of(curves, lines).stream()
            .map(Map::values)
            .flatMap(Collection::stream)
            .flatMap(List::stream)
            .toList();
    Axis x =
        Axis.of(
            all.stream().mapToDouble(Point::x).min().orElseThrow(),
            all.stream().mapToDouble(Point::x).max().orElseThrow(),
            LEFT,
            RIGHT);
    Axis y =
        Axis.of(
            all.stream().mapToDouble(Point::y).min().orElseThrow(),
            all.stream().mapToDouble(Point::y).max().orElseThrow(),
            BOTTOM,
            TOP + 24);
    y.ticks()
        .forEach(
            tick -> {
              add("<path class=\"grid\" d=\"M%d %.1f H%d\"/>%n", LEFT, y.at(tick), RIGHT);
              text("soft end", LEFT - 8, y.at(tick) + 4, y.name(tick));
            });
    x.ticks().forEach(tick -> text("soft mid", x.at(tick), BOTTOM + 18, x.name(tick)));
    text("soft", 24, TOP + 8, texts.get("y"));
    text("soft mid", (LEFT + RIGHT) / 2.0, BOTTOM + 38, texts.get("x"));
    lines.forEach((name, points) -> curve("line", points, x, y));
    curves.forEach(
        (name, points) -> {
          curve(kind(name), points, x, y);
          points.forEach(
              point ->
                  add(
                      "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>%n",
                      kind(name), x.at(point.x), y.at(point.y)));
        });
    label(x, y);
  }

  /** The last curve is ours. */
  private String kind(String name) {
    return name.equals(List.copyOf(curves.keySet()).get(curves.size() - 1)) ? "ours" : "other";
  }

  private void curve(String kind, List<Point> points, Axis x, Axis y) {
    String path =
        points.stream()
            .map(point -> format("%.1f %.1f", x.at(point.x), y.at(point.y)))
            .collect(Collectors.joining(" L"));
    add("<path class=\"curve %s\" d=\"M%s\"/>%n", kind, path);
  }

  /** Names at the right of the ends of curves, as far apart as text needs. */
  private void label(Axis x, Axis y) {
    Map<String, Point> ends = new LinkedHashMap<>();
    for (Map<String, List<Point>> each : List.of(lines, curves)) {
      each.forEach((name, points) -> ends.put(name, points.get(points.size() - 1)));
    }
    List<String> names =
        ends.keySet().stream()
            .sorted((a, b) -> Double.compare(ends.get(b).y, ends.get(a).y))
            .toList();
    double last = Double.NEGATIVE_INFINITY;
    for (String name : names) {
      last = Math.max(y.at(ends.get(name).y) + 5, last + MIN_LABEL_DISTANCE);
      text(lines.containsKey(name) ? "soft" : kind(name), x.at(ends.get(name).x) + 14, last, name);
    }
  }

  private void text(String kind, double x, double y, String text) {
    add("<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>%n", kind, x, y, escaped(text));
  }

  private static String escaped(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;");
  }

  private static String format(String format, Object... arguments) {
    return String.format(Locale.ROOT, format, arguments);
  }

  private void add(String format, Object... arguments) {
    svg.append(format(format, arguments).replace("\r", ""));
  }

  /** Draws the chart of a file beside it. */
  public static void main(String[] args) throws IOException {
    Path numbers = Path.of(args[0]);
    String name = numbers.getFileName().toString().replaceFirst("\\.tsv$", ".svg");
    Files.writeString(numbers.resolveSibling(name), of(numbers));
  }
}
