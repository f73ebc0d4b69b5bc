// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import static java.util.stream.Collectors.joining;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.blocksparse.Backend;
import org.blocksparse.bench.Results.Result;
import org.blocksparse.bench.jobs.SoftmaxWorkload;
import org.blocksparse.bench.jobs.Workload;
import org.bytedeco.mkl.global.mkl_rt;

/**
 * Results as a page in Markdown: a table for each benchmark, with a row for each choice of its
 * parameters and a column for each library (a method of the benchmark) or variant (a parameter of
 * {@link #VARIANTS}). If the limits were measured, too, times have multiples of their limit: the
 * time to read the bytes of a call from the cache or memory that holds them, or, if longer, the
 * time of a dense product with as many operations.
 */
final class Page {
  /** The parameters whose values are columns. */
  private static final Set<String> VARIANTS = Set.of("type", "service", "events");

  /** The lines of the library's report that readers compare. */
  private static final Set<String> DESCRIPTION =
      Set.of("instruction set", "rounded inputs", "packed weights", "OpenBLAS", "OpenBLAS core");

  private static final String OURS = "blocksparse";
  private static final String LIMITS = "Limits";

  /** The benchmarks whose median and 99th percentile matter, not the shortest time. */
  private static final String SERVING = "Serving";

  private final Results results;
  private final StringBuilder text = new StringBuilder();
  private final List<String> lost = new ArrayList<>();
  private final TreeMap<Integer, Double> bytesPerNs = new TreeMap<>();
  private double flopsPerNs = Double.NaN;

  /** Makes the page of a run on this machine, with the sources of the current folder. */
  Page(Results results, String command) throws IOException {
    this.results = results;
    for (Result result : results.all()) {
      if (result.type().equals(LIMITS)) {
        addLimit(result);
      }
    }
    machine(command);
    results.all().stream()
        .map(Result::type)
        .filter(type -> !type.equals(LIMITS))
        .distinct()
        .forEach(this::table);
    bullets("Cases that we lose", lost);
    bullets("Skipped", results.skipped());
  }

  private void addLimit(Result result) {
    Double bytes = result.facts().get(Facts.BYTES);
    if (bytes != null) {
      bytesPerNs.put(Integer.parseInt(result.params().get("megabytes")), bytes / result.best());
    } else {
      double rate = result.facts().get(Facts.FLOPS) / result.best();
      flopsPerNs = Double.isNaN(flopsPerNs) ? rate : Math.max(flopsPerNs, rate);
    }
  }

  private void machine(String command) throws IOException {
    line("# Performance on %s", processor());
    line("");
    line("[Performance](../performance.md#how-it-is-measured) explains how to read these tables.");
    line("Measured on %s, commit `%s`, by", LocalDate.now(ZoneOffset.UTC), commit());
    line("");
    line("```sh\nmvn -f src/jmh -Dbench.args=\"%s\"\n```", command);
    line("");
    line("| | |");
    line("|---|---|");
    line("| processors | %d |", Runtime.getRuntime().availableProcessors());
    line("| Java | %s %s |", System.getProperty("java.vm.name"), Runtime.version());
    Backend.describe()
        .lines()
        .map(each -> List.of(each.substring(0, 18).strip(), each.substring(18).strip()))
        .filter(fact -> DESCRIPTION.contains(fact.get(0)))
        .forEach(fact -> line("| %s | %s |", fact.get(0), fact.get(1)));
    byte[] mkl = new byte[198];
    mkl_rt.MKL_Get_Version_String(mkl, mkl.length);
    line("| MKL | %s |", new String(mkl, StandardCharsets.UTF_8).trim());
    bytesPerNs.forEach((megabytes, rate) -> line("| reading %d MB | %.1f GB/s |", megabytes, rate));
    if (!Double.isNaN(flopsPerNs)) {
      line("| a dense product | %.1f Gflop/s |", flopsPerNs);
    }
    line("");
    line(
        "Times are the shortest, in milliseconds; in brackets, multiples of the limit. Three"
            + " times");
    line("are the shortest, the median and the 99th percentile.");
  }

  private static String processor() throws IOException {
    Path linux = Path.of("/proc/cpuinfo");
    if (!Files.exists(linux)) {
      return System.getProperty("os.arch");
    }
    try (Stream<String> lines = Files.lines(linux)) {
      return lines
          .filter(line -> line.startsWith("model name"))
          .map(line -> line.substring(line.indexOf(':') + 1).strip())
          .findFirst()
          .orElse(System.getProperty("os.arch"));
    }
  }

  /** Returns the commit of the sources, and whether they differ from it; "unknown" without git. */
  private static String commit() throws IOException {
    Process git =
        new ProcessBuilder("git", "describe", "--always", "--dirty", "--abbrev=12").start();
    try (InputStream output = git.getInputStream()) {
      String text = new String(output.readAllBytes(), StandardCharsets.UTF_8).strip();
      return text.isEmpty() ? "unknown" : text;
    }
  }

  private void table(String type) {
    Map<String, Map<String, Result>> rows = new LinkedHashMap<>();
    Map<String, Boolean> columns = new LinkedHashMap<>();
    Map<String, Boolean> facts = new LinkedHashMap<>();
    for (Result result : results.all()) {
      if (result.type().equals(type)) {
        columns.put(column(result), true);
        rows.computeIfAbsent(row(result), name -> new LinkedHashMap<>())
            .put(column(result), result);
        result.facts().keySet().forEach(name -> facts.put(name, true));
      }
    }
    facts.keySet().removeAll(List.of(Facts.BYTES, Facts.FLOPS));
    line("");
    line("## %s", type);
    line("");
    List<String> names = new ArrayList<>(columns.keySet());
    names.addAll(facts.keySet());
    line("| | limit | %s |", String.join(" | ", names));
    line("|---|---|%s", "---|".repeat(names.size()));
    rows.forEach(
        (name, cells) -> {
          double best = cells.values().stream().mapToDouble(Result::best).min().orElseThrow();
          List<String> values = new ArrayList<>();
          columns.keySet().forEach(column -> values.add(cell(cells.get(column), best)));
          facts.keySet().forEach(fact -> values.add(fact(cells, fact)));
          line("| %s | %s | %s |", name, limit(cells), String.join(" | ", values));
          addIfLost(type + ": " + name, cells);
        });
  }

  private static String column(Result result) {
    return result.params().entrySet().stream()
        .filter(param -> VARIANTS.contains(param.getKey()))
        .map(Map.Entry::getValue)
        .findFirst()
        .orElse(result.method());
  }

  private static String row(Result result) {
    Stream<String> params =
        result.params().entrySet().stream()
            .filter(param -> !VARIANTS.contains(param.getKey()))
            .map(param -> value(param.getKey(), param.getValue()));
    Stream<String> method =
        column(result).equals(result.method()) ? Stream.of() : Stream.of(result.method());
    Stream<String> threads =
        result.threads() == 1 ? Stream.of() : Stream.of(result.threads() + " callers");
    return Stream.of(method, params, threads).flatMap(each -> each).collect(joining(", "));
  }

  /**
   * Returns the value of a parameter in the form for pages: workloads with their shapes, numbers
   * with names.
   */
  private static String value(String name, String value) {
    for (Enum<?>[] constants : new Enum<?>[][] {Workload.values(), SoftmaxWorkload.values()}) {
      for (Enum<?> constant : constants) {
        if (constant.name().equals(value)) {
          return constant.toString();
        }
      }
    }
    return value.matches("\\d+")
        ? value + " " + name
        : value.toLowerCase(Locale.ROOT).replace('_', '-');
  }

  private String cell(Result result, double best) {
    if (result == null) {
      return "-";
    }
    if (result.type().equals(SERVING)) {
      return Stream.of(result.best(), result.median(), result.p99())
          .map(Page::milliseconds)
          .collect(joining(", "));
    }
    String time = milliseconds(result.best());
    String multiple =
        Double.isNaN(limitNs(result)) ? "" : format(" (%.2f)", result.best() / limitNs(result));
    return (result.best() == best ? "**" + time + "**" : time) + multiple;
  }

  /** Returns the limit of a row whose cells share it. */
  private String limit(Map<String, Result> cells) {
    double[] limits = cells.values().stream().mapToDouble(this::limitNs).distinct().toArray();
    return limits.length == 1 && !Double.isNaN(limits[0]) ? milliseconds(limits[0]) : "";
  }

  /** Returns NaN if the cost of a call, or a limit, is unknown. */
  private double limitNs(Result result) {
    Double bytes = result.facts().get(Facts.BYTES);
    Double flops = result.facts().get(Facts.FLOPS);
    if (bytes == null || flops == null || bytesPerNs.isEmpty()) {
      return Double.NaN;
    }
    Map.Entry<Integer, Double> rate = bytesPerNs.ceilingEntry((int) Math.ceil(bytes / 0x1p20));
    return Math.max(
        bytes / (rate == null ? bytesPerNs.lastEntry() : rate).getValue(), flops / flopsPerNs);
  }

  private static String fact(Map<String, Result> cells, String name) {
    return cells.values().stream()
        .map(result -> result.facts().get(name))
        .filter(value -> value != null)
        .map(value -> format("%.1f", value))
        .findFirst()
        .orElse("");
  }

  private void addIfLost(String row, Map<String, Result> cells) {
    Result ours = cells.get(OURS);
    cells.forEach(
        (name, theirs) -> {
          if (ours != null && theirs.best() < ours.best()) {
            lost.add(
                "%s: %s takes %s ms, we take %s"
                    .formatted(row, name, milliseconds(theirs.best()), milliseconds(ours.best())));
          }
        });
  }

  private void bullets(String title, List<String> lines) {
    if (!lines.isEmpty()) {
      line("");
      line("## %s", title);
      line("");
      lines.forEach(each -> line("- %s", each));
    }
  }

  /** Returns milliseconds with three significant digits. */
  static String milliseconds(double ns) {
    int decimals = (int) Math.max(0, 2 - Math.floor(Math.log10(ns / 1e6)));
    return format("%." + decimals + "f", ns / 1e6);
  }

  private static String format(String format, Object... arguments) {
    return String.format(Locale.ROOT, format, arguments);
  }

  private void line(String format, Object... arguments) {
    text.append(format(format, arguments)).append('\n');
  }

  @Override
  public String toString() {
    return text.toString();
  }
}
