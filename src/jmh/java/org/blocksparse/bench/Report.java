// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import com.fasterxml.jackson.jr.ob.JSON;
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
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.blocksparse.Backend;
import org.bytedeco.mkl.global.mkl_rt;

/**
 * The results of a run: its command, the commit, the machine, its limits, what was skipped, and
 * JMH's full record of each measurement, in JMH's own format. Reads and writes JSON.
 */
final class Report {
  /**
   * One measurement.
   *
   * @param benchmark the class and method
   * @param params by name
   * @param threads callers at the same time
   * @param medianNs the median time of an operation
   * @param p99Ns the time that one operation in a hundred exceeds
   * @param bestNs the shortest time of an operation
   * @param meanNs the mean time of an operation
   * @param allocatedBytes on the heap for each operation
   * @param openedClasses for a row, on the average, if it was a search
   */
  record Row(
      String benchmark,
      Map<String, String> params,
      int threads,
      double medianNs,
      double p99Ns,
      double bestNs,
      double meanNs,
      double allocatedBytes,
      double openedClasses) {
    boolean is(Class<?> type, String method) {
      return benchmark.equals(type.getName() + "." + method);
    }

    String param(String name) {
      return params.getOrDefault(name, "");
    }

    /** Names the case, without machine and date. */
    String key() {
      String name =
          benchmark.substring(benchmark.lastIndexOf('.', benchmark.lastIndexOf('.') - 1) + 1);
      return params.values().stream().collect(Collectors.joining(", ", name + "(", ")"))
          + (threads == 1 ? "" : " x " + threads);
    }
  }

  private final Map<String, Object> json;
  private final List<Row> rows = new ArrayList<>();
  private final NavigableMap<Integer, Double> bytesPerNs = new TreeMap<>();
  private final double flopsPerNs;

  private Report(Map<String, Object> json) {
    this.json = json;
    for (Object result : list(json.get("jmh"))) {
      rows.add(row(map(result)));
    }
    for (Row row : rows) {
      if (row.is(MemoryBenchmark.class, "read")) {
        int megabytes = Integer.parseInt(row.param("megabytes"));
        bytesPerNs.put(megabytes, MemoryBenchmark.bytes() / row.bestNs);
      }
    }
    flopsPerNs =
        rows.stream()
            .filter(row -> row.is(DenseBenchmark.class, "sgemm"))
            .mapToDouble(
                row -> DenseBenchmark.flops(Integer.parseInt(row.param("size"))) / row.bestNs)
            .max()
            .orElse(Double.NaN);
  }

  /**
   * The report of a run that ends now, on this machine, with the sources of the current folder.
   *
   * @param command the arguments of the benchmarks
   * @param others results that JMH has not measured, in its form
   */
  static Report of(
      String command, String jmh, List<Map<String, Object>> others, List<String> skipped)
      throws IOException {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("command", command);
    json.put("commit", currentCommit());
    json.put("date", LocalDate.now(ZoneOffset.UTC).toString());
    json.put("machine", machine());
    json.put("skipped", skipped);
    List<Object> results = new ArrayList<>(JSON.std.listFrom(jmh));
    // Every single time of every operation: a hundred times the rest.
    results.forEach(
        result -> {
          Map<String, Object> metric = map(map(result).get("primaryMetric"));
          metric.remove("rawDataHistogram");
          metric.remove("rawData");
          map(result).put("primaryMetric", metric);
        });
    results.addAll(others);
    json.put("jmh", results);
    Report report = new Report(json);
    Map<String, Object> limits = new LinkedHashMap<>();
    limits.put("readGBPerSecondByMegabytes", report.bytesPerNs);
    limits.put("denseSgemmGflopsPerSecond", report.flopsPerNs);
    json.put("limits", limits);
    return report;
  }

  static Report read(Path file) throws IOException {
    return new Report(JSON.std.mapFrom(Files.readString(file)));
  }

  void write(Path file) throws IOException {
    Files.writeString(file, JSON.std.with(JSON.Feature.PRETTY_PRINT_OUTPUT).asString(json));
  }

  /** The commit of the sources, and whether they differ from it. */
  private static String currentCommit() {
    String commit = git("rev-parse", "--short=12", "HEAD");
    if (commit.isEmpty()) {
      return "unknown";
    }
    boolean isClean = git("status", "--porcelain", "--untracked-files=no").isEmpty();
    return commit + (isClean ? "" : " with changes");
  }

  /** Its output; empty without git, or outside of a clone. */
  private static String git(String... arguments) {
    List<String> command = new ArrayList<>(List.of("git"));
    command.addAll(List.of(arguments));
    try {
      Process git = new ProcessBuilder(command).start();
      try (InputStream output = git.getInputStream()) {
        String text = new String(output.readAllBytes(), StandardCharsets.UTF_8).strip();
        return git.onExit().join().exitValue() == 0 ? text : "";
      }
    } catch (IOException e) {
      return "";
    }
  }

  private static Map<String, String> machine() throws IOException {
    Map<String, String> machine = new LinkedHashMap<>();
    machine.put("processor", processor());
    machine.put("threads", Integer.toString(Runtime.getRuntime().availableProcessors()));
    machine.put(
        "system",
        System.getProperty("os.name")
            + " "
            + System.getProperty("os.version")
            + " "
            + System.getProperty("os.arch"));
    machine.put("Java", System.getProperty("java.vm.name") + " " + Runtime.version());
    Backend.describe()
        .lines()
        .forEach(line -> machine.put(line.substring(0, 18).strip(), line.substring(18).strip()));
    byte[] version = new byte[198];
    mkl_rt.MKL_Get_Version_String(version, version.length);
    machine.put("MKL", new String(version, StandardCharsets.UTF_8).trim());
    return machine;
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

  private static Row row(Map<String, Object> result) {
    Map<String, Object> metric = map(result.get("primaryMetric"));
    Map<String, Object> percentiles = map(metric.get("scorePercentiles"));
    Map<String, String> params = new LinkedHashMap<>();
    if (result.get("params") != null) {
      map(result.get("params")).forEach((name, value) -> params.put(name, value.toString()));
    }
    return new Row(
        result.get("benchmark").toString(),
        params,
        (int) number(result.get("threads")),
        number(percentiles.get("50.0")),
        number(percentiles.get("99.0")),
        number(percentiles.get("0.0")),
        number(metric.get("score")),
        secondary(result, "gc.alloc.rate.norm"),
        secondary(result, OpenedClasses.LABEL));
  }

  private static double secondary(Map<String, Object> result, String name) {
    return map(result.get("secondaryMetrics")).entrySet().stream()
        .filter(entry -> entry.getKey().endsWith(name))
        .mapToDouble(entry -> number(map(entry.getValue()).get("score")))
        .findFirst()
        .orElse(Double.NaN);
  }

  /** JMH writes what is not a number as a string. */
  private static double number(Object value) {
    return value instanceof Number number ? number.doubleValue() : Double.NaN;
  }

  @SuppressWarnings("unchecked")
  private static Map<String, Object> map(Object value) {
    return (Map<String, Object>) value;
  }

  private static List<?> list(Object value) {
    return (List<?>) value;
  }

  /** The arguments of the benchmarks. */
  String command() {
    return json.get("command").toString();
  }

  /** The commit that was measured. */
  String commit() {
    return json.get("commit").toString();
  }

  String date() {
    return json.get("date").toString();
  }

  Map<String, Object> machineFacts() {
    return map(json.get("machine"));
  }

  List<String> skipped() {
    return list(json.get("skipped")).stream().map(Object::toString).toList();
  }

  List<Row> rows() {
    return rows;
  }

  /** Read bandwidth in bytes per nanosecond by how many megabytes are read. */
  NavigableMap<Integer, Double> bytesPerNs() {
    return bytesPerNs;
  }

  /** Throughput of a large dense product. */
  double flopsPerNs() {
    return flopsPerNs;
  }

  /**
   * The highest rate of something that the processor reaches, in 10^9 a second.
   *
   * @param limit as {@code peers/limits.cpp} names it
   * @param workers threads
   * @return NaN if it was not measured
   */
  double rate(String limit, String workers) {
    return rows.stream()
        .filter(row -> row.is(MoeTurns.class, MoeTurns.LIMIT))
        .filter(row -> row.param("limit").equals(limit) && row.param("workers").equals(workers))
        .mapToDouble(row -> 1e9 / row.bestNs)
        .findFirst()
        .orElse(Double.NaN);
  }

  /** The shortest time in which that many bytes can be touched and that much be computed. */
  double limitNs(double bytes, double flops) {
    return Math.max(bytes / bandwidth(bytes), flops / flopsPerNs);
  }

  /** The shortest time in which that many bytes come from memory, not from a cache. */
  double memoryNs(double bytes) {
    return bytesPerNs.isEmpty() ? Double.NaN : bytes / bytesPerNs.lastEntry().getValue();
  }

  /** The bandwidth of the cache, or memory, that holds that many bytes. */
  private double bandwidth(double bytes) {
    if (bytesPerNs.isEmpty()) {
      return Double.NaN;
    }
    Map.Entry<Integer, Double> entry = bytesPerNs.ceilingEntry((int) Math.ceil(bytes / 0x1p20));
    return Optional.ofNullable(entry).orElse(bytesPerNs.lastEntry()).getValue();
  }
}
