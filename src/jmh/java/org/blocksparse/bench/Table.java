// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import org.blocksparse.ElementType;

/** A report as tables in Markdown, which read well in a terminal too. */
final class Table {
  /** Facts on the machine that a reader compares; all of them are in the report. */
  private static final List<String> FACTS =
      List.of(
          "processor",
          "threads",
          "Java",
          "instruction set",
          "rounded inputs",
          "packed weights",
          "OpenBLAS",
          "OpenBLAS core",
          "MKL");

  private final Report report;
  private final StringBuilder text = new StringBuilder();
  private final List<String> lost = new ArrayList<>();

  Table(Report report) {
    this.report = report;
    machine();
    for (Cases.Part part : Cases.Part.values()) {
      part(part);
    }
    bullets("Cases that we lose", lost);
    bullets("Skipped", report.skipped());
  }

  /** The tables of a part, if it was measured, below the command that measures it alone. */
  private void part(Cases.Part part) {
    int start = text.length();
    tables(part);
    if (text.length() > start) {
      text.insert(
          start,
          """

          ## %s

          `mvn -f src/jmh -Dbench.args="run --part %s"`
          """
              .formatted(title(part), part));
    }
  }

  private static String title(Cases.Part part) {
    return switch (part) {
      case PRODUCTS -> "Products of chosen blocks";
      case SOFTMAX -> "The softmax";
      case TOPK -> "The likeliest outputs";
      case BAG -> "Embedding bag";
      case WEIGHTS -> "Weights in fewer bits";
      case MOE -> "Mixture of experts";
      case EXPERTS -> "Experts beside other engines";
      case PLAN -> "Plans";
      case CONCURRENCY -> "Callers and workers";
      case OPEN -> "Opening a mapped model";
      case SERVING -> "Serving";
      case GROWTH -> "Growth";
      case FILL -> "Filling memory";
      case NETWORK -> "A network of PyTorch's that ends in our softmax";
      case EVENTS -> "Events of Java Flight Recorder";
    };
  }

  private void tables(Cases.Part part) {
    switch (part) {
      case PRODUCTS -> Arrays.stream(Operation.values()).forEach(this::products);
      case SOFTMAX -> Arrays.stream(SoftmaxOperation.values()).forEach(this::softmax);
      case TOPK -> topK();
      case BAG -> bag();
      case WEIGHTS -> {
        weights(Operation.FORWARD, "forward", "roundedForward");
        weights(Operation.GRAD_H, "gradientOfH");
        simple("Weights of each type: top k of a million", WeightsBenchmark.class, "topK");
      }
      case MOE -> Arrays.stream(MoeOperation.values()).forEach(this::moe);
      case EXPERTS -> text.append(new MoeTable(report));
      case PLAN -> simple("100,000 pairs", PlanBenchmark.class, "gemm", "outer");
      case CONCURRENCY -> concurrency();
      case OPEN -> simple("A million outputs", OpenBenchmark.class, "open");
      case SERVING -> serving();
      case GROWTH -> {
        simple("Time of a product", GrowthBenchmark.class, "batch", "blocks");
        outputs();
      }
      case FILL -> simple("Bytes of one size", FillBenchmark.class, "memset", "fill", "zeros");
      case NETWORK ->
          simple("One training step", NetworkBenchmark.class, "softmaxOfOurs", "softmaxOfPyTorch");
      case EVENTS ->
          simple(
              "Recorded and not",
              EventsBenchmark.class,
              "topK",
              "step",
              "product",
              "thousandEvents");
    }
  }

  private void machine() {
    line("Measured on %s, commit `%s`, by", report.date(), report.commit());
    line("");
    line("```sh");
    line("mvn -f src/jmh -Dbench.args=\"%s\"", report.command());
    line("```");
    line("");
    line("| | |");
    line("|---|---|");
    FACTS.forEach(name -> line("| %s | %s |", name, report.machineFacts().getOrDefault(name, "-")));
    report
        .bytesPerNs()
        .forEach((megabytes, rate) -> line("| reading %d MB | %.1f GB/s |", megabytes, rate));
    line("| a dense product | %.1f Gflop/s |", report.flopsPerNs());
    line("");
    line("Times are the shortest measured, in milliseconds; in brackets, multiples of the limit.");
  }

  private void products(Operation operation) {
    matrix(
        operation.toString(),
        ProductsBenchmark.class,
        operation.name(),
        Workload.values(),
        Workload::shape,
        w -> report.limitNs(w.bytes(operation), w.flops()));
  }

  private void softmax(SoftmaxOperation operation) {
    matrix(
        "softmax: " + operation,
        SoftmaxBenchmark.class,
        operation.name(),
        SoftmaxWorkload.values(),
        SoftmaxWorkload::shape,
        w -> report.limitNs(w.bytes(operation), w.flops(operation)));
  }

  /** A row for each workload, a column for each peer. */
  private <W extends Enum<W>> void matrix(
      String title,
      Class<?> benchmark,
      String operation,
      W[] workloads,
      Function<W, String> shape,
      ToDoubleFunction<W> limitNs) {
    List<Report.Row> rows =
        report.rows().stream()
            .filter(
                row ->
                    (row.is(benchmark, "run") || row.is(FastTextBenchmark.class, "run"))
                        && row.param("operation").equals(operation))
            .toList();
    List<Peer> peers =
        Arrays.stream(Peer.values())
            .filter(peer -> rows.stream().anyMatch(row -> row.param("peer").equals(peer.name())))
            .toList();
    if (peers.isEmpty()) {
      return;
    }
    heading(title);
    line(
        "| workload | shape | limit | %s | our median | our bytes allocated |",
        peers.stream().map(Peer::toString).collect(Collectors.joining(" | ")));
    line("|---|---|---|%s", "---|".repeat(peers.size() + 2));
    for (W workload : workloads) {
      List<Report.Row> cells =
          rows.stream().filter(row -> row.param("workload").equals(workload.name())).toList();
      if (cells.isEmpty()) {
        continue;
      }
      double limit = limitNs.applyAsDouble(workload);
      Optional<Report.Row> ours = cell(cells, Peer.BLOCKSPARSE);
      List<String> columns = new ArrayList<>();
      for (Peer peer : peers) {
        Optional<Report.Row> row = cell(cells, peer);
        columns.add(
            row.map(r -> "%s (%.2f)".formatted(milliseconds(r.bestNs()), r.bestNs() / limit))
                .orElse("-"));
        addIfLost(workload + ", " + title, peer, row, ours);
      }
      line(
          "| %s | %s | %s | %s | %s | %s |",
          workload,
          shape.apply(workload),
          milliseconds(limit),
          String.join(" | ", columns),
          ours.map(row -> milliseconds(row.medianNs())).orElse("-"),
          ours.map(row -> "%.0f".formatted(row.allocatedBytes())).orElse("-"));
    }
  }

  private void addIfLost(
      String what, Peer peer, Optional<Report.Row> theirs, Optional<Report.Row> ours) {
    if (theirs.isPresent() && ours.isPresent() && theirs.get().bestNs() < ours.get().bestNs()) {
      lost.add(
          "%s: %s takes %s ms, we take %s"
              .formatted(
                  what,
                  peer,
                  milliseconds(theirs.get().bestNs()),
                  milliseconds(ours.get().bestNs())));
    }
  }

  /** Searches against scoring all. */
  private void topK() {
    List<Report.Row> rows = rows(TopKBenchmark.class, "run");
    if (rows.isEmpty()) {
      return;
    }
    heading("The %d likeliest outputs".formatted(Softmax.K));
    line("| workload | classes opened | search | our full scoring | PyTorch, dense |");
    line("|---|---|---|---|---|");
    for (TopKWorkload workload : TopKWorkload.values()) {
      List<Report.Row> cells =
          rows.stream().filter(row -> row.param("workload").equals(workload.name())).toList();
      if (!cells.isEmpty()) {
        Optional<Report.Row> search = cell(cells, Peer.BLOCKSPARSE);
        line(
            "| %s | %s | %s | %s | %s |",
            workload,
            search.map(row -> "%.1f".formatted(row.openedClasses())).orElse("-"),
            search.map(row -> milliseconds(row.bestNs())).orElse("-"),
            slowdown(cell(cells, Peer.BLOCKSPARSE_FULL), search),
            slowdown(cell(cells, Peer.PYTORCH_DENSE), search));
      }
    }
    line("");
    line("In brackets: times as long as the search. The batch is the number in the name.");
  }

  /** Sums and steps of an embedding bag. */
  private void bag() {
    List<Report.Row> rows = rows(BagBenchmark.class, "run");
    if (rows.isEmpty()) {
      return;
    }
    BagProblem problem = new BagProblem();
    heading(
        "Embedding bag: %d x %d, %d rows of %d indices"
            .formatted(
                BagProblem.VOCABULARY, BagProblem.FEATURES, BagProblem.BATCH, BagProblem.ENTRIES));
    line("| operation | limit | %s |", joined(BagPeer.values()));
    line("|---|---|%s", "---|".repeat(BagPeer.values().length));
    for (BagOperation operation : BagOperation.values()) {
      double limit = report.memoryNs(operation.bytes(problem));
      line(
          "| %s | %s | %s |",
          operation,
          milliseconds(limit),
          Arrays.stream(BagPeer.values())
              .map(peer -> bagTime(rows, operation, peer, limit))
              .collect(Collectors.joining(" | ")));
    }
  }

  /** Products by what the weights are stored as, with limits by the bytes of that. */
  private void weights(Operation operation, String... methods) {
    List<Report.Row> rows =
        Arrays.stream(methods)
            .flatMap(method -> rows(WeightsBenchmark.class, method).stream())
            .toList();
    if (rows.isEmpty()) {
      return;
    }
    heading("Weights of each type: " + operation);
    line("| workload | shape | type | limit | shortest | of float32 | median |");
    line("|---|---|---|---|---|---|---|");
    for (Report.Row row : rows) {
      Workload workload = Workload.valueOf(row.param("workload"));
      ElementType type = ElementType.valueOf(row.param("type"));
      double limit = report.limitNs(workload.bytes(operation, type), workload.flops());
      line(
          "| %s | %s | %s | %s | %s (%.2f) | %s | %s |",
          workload,
          workload.shape(),
          row.is(WeightsBenchmark.class, "roundedForward") ? type + ", h too" : type,
          milliseconds(limit),
          milliseconds(row.bestNs()),
          row.bestNs() / limit,
          rows.stream()
              .filter(other -> other.param("workload").equals(row.param("workload")))
              .filter(other -> other.param("type").equals(ElementType.FLOAT32.name()))
              .findFirst()
              .map(wide -> "%.2f".formatted(row.bestNs() / wide.bestNs()))
              .orElse("-"),
          milliseconds(row.medianNs()));
    }
  }

  /** Whole mixtures of experts. */
  private void moe(MoeOperation operation) {
    List<Report.Row> rows =
        rows(MoeBenchmark.class, "run").stream()
            .filter(row -> row.param("operation").equals(operation.name()))
            .toList();
    if (rows.isEmpty()) {
      return;
    }
    heading(
        "Mixture of %d experts, top %d, %d -> %d -> %d: %s"
            .formatted(
                MoeProblem.EXPERTS,
                MoeProblem.TOP,
                MoeProblem.FEATURES,
                MoeProblem.HIDDEN,
                MoeProblem.FEATURES,
                operation));
    line(
        "| tokens | activation | limit of its products | %s | %s |",
        Peer.BLOCKSPARSE, Peer.PYTORCH_LOOP);
    line("|---|---|---|---|---|");
    for (String tokens : rows.stream().map(row -> row.param("tokens")).distinct().toList()) {
      for (MoeActivation activation : MoeActivation.values()) {
        List<Report.Row> cells =
            rows.stream()
                .filter(row -> row.param("tokens").equals(tokens))
                .filter(row -> row.param("activation").equals(activation.name()))
                .toList();
        double limit =
            report.limitNs(
                operation.bytes(activation), operation.flops(Integer.parseInt(tokens), activation));
        line(
            "| %s | %s | %s | %s | %s |",
            tokens,
            activation,
            milliseconds(limit),
            moeTime(cells, Peer.BLOCKSPARSE, limit),
            moeTime(cells, Peer.PYTORCH_LOOP, limit));
        addIfLost(
            "mixture of experts, %s tokens, %s, %s".formatted(tokens, activation, operation),
            Peer.PYTORCH_LOOP,
            cell(cells, Peer.PYTORCH_LOOP),
            cell(cells, Peer.BLOCKSPARSE));
      }
    }
  }

  private static String moeTime(List<Report.Row> cells, Peer peer, double limit) {
    return cell(cells, peer).map(row -> bestAndMedian(row, limit)).orElse("-");
  }

  private static String bestAndMedian(Report.Row row, double limit) {
    return "%s (%.2f), median %s"
        .formatted(milliseconds(row.bestNs()), row.bestNs() / limit, milliseconds(row.medianNs()));
  }

  private static String joined(Object[] names) {
    return Arrays.stream(names).map(Object::toString).collect(Collectors.joining(" | "));
  }

  private static String bagTime(
      List<Report.Row> rows, BagOperation operation, BagPeer peer, double limit) {
    return rows.stream()
        .filter(row -> row.param("operation").equals(operation.name()))
        .filter(row -> row.param("peer").equals(peer.name()))
        .findFirst()
        .map(row -> bestAndMedian(row, limit))
        .orElse("-");
  }

  private static String slowdown(Optional<Report.Row> other, Optional<Report.Row> search) {
    return other
        .map(
            row ->
                milliseconds(row.bestNs())
                    + search
                        .map(ours -> " (%.1f)".formatted(row.bestNs() / ours.bestNs()))
                        .orElse(""))
        .orElse("-");
  }

  /** The cost of a step by the number of outputs. */
  private void outputs() {
    List<Report.Row> rows = rows(GrowthBenchmark.class, "outputs");
    if (rows.isEmpty()) {
      return;
    }
    heading("A step of gradient descent, by outputs");
    line(
        "| outputs | %s |",
        Arrays.stream(GrowthTargets.values())
            .map(targets -> targets + " | classes touched")
            .collect(Collectors.joining(" | ")));
    line("|---|%s", "---|---|".repeat(GrowthTargets.values().length));
    rows.stream()
        .map(row -> row.param("outputs"))
        .distinct()
        .forEach(
            outputs ->
                line(
                    "| %s | %s |",
                    outputs,
                    Arrays.stream(GrowthTargets.values())
                        .map(targets -> step(rows, outputs, targets))
                        .collect(Collectors.joining(" | "))));
  }

  private String step(List<Report.Row> rows, String outputs, GrowthTargets targets) {
    GrowthTargets.Step step = targets.step(Integer.parseInt(outputs));
    double limit = report.limitNs(step.bytes(), step.flops());
    return rows.stream()
        .filter(
            row ->
                row.param("outputs").equals(outputs) && row.param("targets").equals(targets.name()))
        .findFirst()
        .map(
            row ->
                "%s (%.2f) | %d"
                    .formatted(milliseconds(row.bestNs()), row.bestNs() / limit, step.touched()))
        .orElse("- | -");
  }

  private static Optional<Report.Row> cell(List<Report.Row> rows, Peer peer) {
    return rows.stream().filter(row -> row.param("peer").equals(peer.name())).findFirst();
  }

  private void concurrency() {
    List<Report.Row> rows = rows(ConcurrencyBenchmark.class, "forward");
    if (rows.isEmpty()) {
      return;
    }
    heading("callers and workers, forward");
    line(
        "| workload | callers | workers of each | shortest ms | median ms | calls per second"
            + " together |");
    line("|---|---|---|---|---|---|");
    for (Report.Row row : rows) {
      line(
          "| %s | %d | %s | %s | %s | %.0f |",
          Names.of(Workload.valueOf(row.param("workload"))),
          row.threads(),
          row.param("workers"),
          milliseconds(row.bestNs()),
          milliseconds(row.medianNs()),
          row.threads() * 1e9 / row.meanNs());
    }
  }

  private void serving() {
    List<Report.Row> rows = rows(ServingBenchmark.class, "topK");
    if (rows.isEmpty()) {
      return;
    }
    heading("serving the ten likeliest of 200,000 outputs");
    line("| callers | pause ms | computed | p50 ms | p99 ms | requests per second together |");
    line("|---|---|---|---|---|---|");
    for (Report.Row row : rows) {
      double pauseNs = 1e6 * Integer.parseInt(row.param("pauseMillis"));
      line(
          "| %d | %s | %s | %s | %s | %.0f |",
          row.threads(),
          row.param("pauseMillis"),
          Names.of(ServingBenchmark.Service.valueOf(row.param("service"))),
          milliseconds(row.medianNs()),
          milliseconds(row.p99Ns()),
          row.threads() * 1e9 / (row.meanNs() + pauseNs));
    }
  }

  private void simple(String title, Class<?> benchmark, String... methods) {
    List<Report.Row> rows =
        Arrays.stream(methods).flatMap(method -> rows(benchmark, method).stream()).toList();
    if (rows.isEmpty()) {
      return;
    }
    heading(title);
    line("| case | shortest ms | median ms | bytes allocated |");
    line("|---|---|---|---|");
    for (Report.Row row : rows) {
      String method = row.benchmark().substring(row.benchmark().lastIndexOf('.') + 1);
      line(
          "| %s %s | %s | %s | %.0f |",
          method,
          row.params().entrySet().stream()
              .map(param -> param.getKey() + " " + param.getValue())
              .collect(Collectors.joining(", ")),
          milliseconds(row.bestNs()),
          milliseconds(row.medianNs()),
          row.allocatedBytes());
    }
  }

  private List<Report.Row> rows(Class<?> benchmark, String method) {
    return report.rows().stream().filter(row -> row.is(benchmark, method)).toList();
  }

  private void bullets(String title, List<String> lines) {
    if (!lines.isEmpty()) {
      line("");
      line("## %s", title);
      line("");
      line("Among the cases of `mvn -f src/jmh -Dbench.args=\"%s\"`:", report.command());
      line("");
      lines.forEach(each -> line("- %s", each));
    }
  }

  private void heading(String title) {
    line("");
    line("### %s", title);
    line("");
  }

  /** With three significant digits. */
  static String milliseconds(double ns) {
    double ms = ns / 1e6;
    int decimals = (int) Math.max(0, 2 - Math.floor(Math.log10(ms)));
    return String.format(Locale.ROOT, "%." + decimals + "f", ms);
  }

  private void line(String format, Object... arguments) {
    text.append(String.format(Locale.ROOT, format, arguments)).append('\n');
  }

  @Override
  public String toString() {
    return text.toString();
  }
}
