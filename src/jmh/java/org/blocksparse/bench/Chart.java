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
 * panel TEXT                   the bars below have a scale of their own
 * x TEXT, y TEXT               names of the axes of curves
 * point NAME X Y               the next point of a curve
 * line NAME X Y                the next point of a line to compare with
 * }</pre>
 */
final class Chart {
  /** The width, narrow enough for a phone. */
  private static final int WIDTH = 560;

  private static final int TITLE_COLUMNS = 52;
  private static final int SUBTITLE_COLUMNS = 84;
  private static final int TITLE_LINE = 24;
  private static final int SUBTITLE_LINE = 17;

  private static final int ROW = 46;
  private static final int BAR = 16;
  private static final int BARS_LEFT = 24;
  private static final int BARS_RIGHT = 490;
  private static final int PANEL_GAP = 52;

  /** The possible ends of the scales of bars: few, so that bars of two charts compare. */
  private static final double[] SCALES = {5, 10, 20, 50, 100, 200, 500, 1000};

  private static final int LEFT = 64;
  private static final int RIGHT = 420;
  private static final int CURVES = 272;
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
      .equal { stroke: var(--text); fill: none; stroke-dasharray: 3 3; }
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
  private final Map<String, List<String[]>> panels = new LinkedHashMap<>();
  private final Map<String, List<Point>> curves = new LinkedHashMap<>();
  private final Map<String, List<Point>> lines = new LinkedHashMap<>();
  private final StringBuilder svg = new StringBuilder();

  /** The top of the space below the titles. */
  private final int top;

  private Chart(List<String> rows) {
    String panel = "";
    for (String row : rows) {
      String[] cells = row.split("\t", -1);
      switch (cells[0]) {
        case "title", "subtitle", "x", "y" -> texts.put(cells[0], cells[1]);
        case "panel" -> panel = cells[1];
        case "bar" -> panels.computeIfAbsent(panel, name -> new ArrayList<>()).add(cells);
        case "point", "line" ->
            (cells[0].equals("line") ? lines : curves)
                .computeIfAbsent(cells[1], name -> new ArrayList<>())
                .add(new Point(Double.parseDouble(cells[2]), Double.parseDouble(cells[3])));
        default -> throw new IllegalArgumentException("unknown: " + row);
      }
    }
    List<String> title = lines(texts.get("title"), TITLE_COLUMNS);
    List<String> subtitle = lines(texts.getOrDefault("subtitle", ""), SUBTITLE_COLUMNS);
    top = 34 + title.size() * TITLE_LINE + subtitle.size() * SUBTITLE_LINE;
    int height = panels.isEmpty() ? top + 24 + CURVES + 54 : barsBottom() + 28;
    add(HEAD, WIDTH, height, escaped(texts.get("title")));
    int y = 34;
    for (String line : title) {
      text("title", 24, y, line);
      y += TITLE_LINE;
    }
    for (String line : subtitle) {
      text("soft", 24, y - 3, line);
      y += SUBTITLE_LINE;
    }
    if (panels.isEmpty()) {
      drawCurves();
    } else {
      drawPanels();
    }
    add("</svg>%n");
  }

  /** Returns a text in lines of at most so many columns. */
  private static List<String> lines(String text, int columns) {
    List<String> lines = new ArrayList<>();
    String line = "";
    for (String word : text.split(" ", -1)) {
      if (!line.isEmpty() && line.length() + 1 + word.length() > columns) {
        lines.add(line);
        line = "";
      }
      line = line.isEmpty() ? word : line + " " + word;
    }
    lines.add(line);
    return lines;
  }

  /** Returns the chart of a file. */
  static String of(Path numbers) throws IOException {
    return new Chart(Files.readAllLines(numbers)).svg.toString();
  }

  private static double ratio(String... bar) {
    return Double.parseDouble(bar[4]) / Double.parseDouble(bar[3]);
  }

  private static int nameHeight(String panel) {
    return panel.isEmpty() ? 0 : 24;
  }

  private int barsBottom() {
    int bottom = top + PANEL_GAP * (panels.size() - 1);
    for (Map.Entry<String, List<String[]>> panel : panels.entrySet()) {
      bottom += nameHeight(panel.getKey()) + panel.getValue().size() * ROW;
    }
    return bottom;
  }

  private void drawPanels() {
    int y = top;
    for (Map.Entry<String, List<String[]>> panel : panels.entrySet()) {
      if (!panel.getKey().isEmpty()) {
        text("value", BARS_LEFT, y + 6, panel.getKey());
      }
      y += nameHeight(panel.getKey());
      drawBars(panel.getValue(), y);
      y += panel.getValue().size() * ROW + PANEL_GAP;
    }
  }

  /** Bars from zero, and a line where times are equal. */
  private void drawBars(List<String[]> bars, int begin) {
    double max = bars.stream().mapToDouble(Chart::ratio).max().orElseThrow();
    double end = DoubleStream.of(SCALES).filter(each -> each >= max).findFirst().orElseThrow();
    Axis axis = new Axis(0, end, end / TICKS, BARS_LEFT, BARS_RIGHT);
    int bottom = begin + bars.size() * ROW;
    axis.ticks()
        .forEach(tick -> text("soft mid", axis.at(tick), bottom + 16, format("%.0f\u00d7", tick)));
    for (int i = 0; i < bars.size(); i++) {
      String[] bar = bars.get(i);
      int y = begin + i * ROW;
      axis.ticks().forEach(tick -> mark("grid", axis.at(tick), y));
      double ratio = ratio(bar);
      add(
          "<text x=\"%d\" y=\"%d\">%s <tspan class=\"soft\">%s</tspan></text>%n",
          BARS_LEFT, y + 13, escaped(bar[1]), escaped("beside " + bar[2]));
      add(
          "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>%n",
          ratio < 1 ? "other" : "ours", BARS_LEFT, y + 19, axis.at(ratio) - BARS_LEFT, BAR);
      mark("equal", axis.at(1), y);
      text("value", axis.at(ratio < 1 ? 1 : ratio) + 8, y + 32, times(ratio));
    }
  }

  /** Draws a line beside a bar, clear of the text above it. */
  private void mark(String kind, double x, int y) {
    add("<path class=\"%s\" d=\"M%.1f %d V%d\"/>%n", kind, x, y + 16, y + 22 + BAR);
  }

  private static String times(double ratio) {
    return format(ratio < 1 ? "%.2f" : ratio < 10 ? "%.1f" : "%.0f", ratio) + "\u00d7";
  }

  /** A range of an axis, from and to round numbers, in pixels. */
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
    int bottom = top + 24 + CURVES;
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
            bottom,
            top + 24);
    y.ticks()
        .forEach(
            tick -> {
              add("<path class=\"grid\" d=\"M%d %.1f H%d\"/>%n", LEFT, y.at(tick), RIGHT);
              text("soft end", LEFT - 8, y.at(tick) + 4, y.name(tick));
            });
    x.ticks().forEach(tick -> text("soft mid", x.at(tick), bottom + 18, x.name(tick)));
    text("soft", 24, top + 8, texts.get("y"));
    text("soft mid", (LEFT + RIGHT) / 2.0, bottom + 38, texts.get("x"));
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

  /** Returns the kind of a curve: the last one is ours. */
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

  /** Writes the names at the right of the ends of curves, spaced for the text. */
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
