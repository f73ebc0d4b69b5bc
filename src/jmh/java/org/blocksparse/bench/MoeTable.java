// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import static org.blocksparse.ElementType.BFLOAT16;
import static org.blocksparse.ElementType.FLOAT32;
import static org.blocksparse.ElementType.INT8;
import static org.blocksparse.ElementType.MXFP4;
import static org.blocksparse.ElementType.Q4_0;
import static org.blocksparse.ElementType.Q8_0;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import org.blocksparse.ElementType;

/** The results of {@link MoeTurns} as tables: times, and the goals. */
final class MoeTable {
  private static final ElementType[] EIGHT_BITS = {INT8, Q8_0};
  private static final ElementType[] FOUR_BITS = {Q4_0, MXFP4};

  /** Tokens from which on arithmetic takes longer than reading, in all shapes. */
  private static final int MANY_TOKENS = 256;

  private final Report report;
  private final List<Report.Row> rows;
  private final StringBuilder text = new StringBuilder();

  /** A case that engines have measured. */
  private record Cell(MoeShape shape, int tokens, String workers) {
    @Override
    public String toString() {
      return shape + " " + tokens + (workers.equals("1") ? "" : " on " + workers);
    }
  }

  MoeTable(Report report) {
    this.report = report;
    rows = report.rows().stream().filter(row -> row.is(MoeTurns.class, MoeTurns.FORWARD)).toList();
    if (!rows.isEmpty()) {
      limits();
      rows.stream().map(row -> row.param("workers")).distinct().forEach(this::times);
      goals();
    }
  }

  private void limits() {
    heading("The highest rates of the processor");
    line("| threads | memory, GB/s | multiply-adds of floats, Gflop/s | `vpdpbusd`, Gop/s |");
    line("|---|---|---|---|");
    for (String workers : workers()) {
      line(
          "| %s | %.1f | %.0f | %.0f |",
          workers,
          report.rate("read", workers),
          report.rate("fma", workers),
          report.rate("bytes", workers));
    }
  }

  private List<String> workers() {
    return rows.stream().map(row -> row.param("workers")).distinct().toList();
  }

  private List<Cell> cells() {
    return rows.stream()
        .map(
            row ->
                new Cell(
                    MoeShape.valueOf(row.param("shape")),
                    Integer.parseInt(row.param("tokens")),
                    row.param("workers")))
        .distinct()
        .sorted(
            (a, b) ->
                a.shape != b.shape
                    ? a.shape.compareTo(b.shape)
                    : Integer.compare(a.tokens, b.tokens))
        .toList();
  }

  /** The shortest time of a peer in nanoseconds with any of the types; NaN: not measured. */
  private double best(Cell cell, Peer peer, ElementType... types) {
    return rows.stream()
        .filter(row -> row.param("shape").equals(cell.shape.name()))
        .filter(row -> row.param("tokens").equals(Integer.toString(cell.tokens)))
        .filter(row -> row.param("workers").equals(cell.workers))
        .filter(row -> row.param("peer").equals(peer.name()))
        .filter(row -> Arrays.stream(types).anyMatch(type -> row.param("type").equals(type.name())))
        .mapToDouble(Report.Row::bestNs)
        .min()
        .orElse(Double.NaN);
  }

  /** Milliseconds of all engines; the shortest of a row is bold. */
  private void times(String workers) {
    List<String> engines =
        rows.stream()
            .filter(row -> row.param("workers").equals(workers))
            .map(row -> row.param("peer") + " " + row.param("type"))
            .distinct()
            .sorted(
                (a, b) -> {
                  int byPeer = Peer.valueOf(word(a, 0)).compareTo(Peer.valueOf(word(b, 0)));
                  return byPeer != 0
                      ? byPeer
                      : ElementType.valueOf(word(a, 1)).compareTo(ElementType.valueOf(word(b, 1)));
                })
            .toList();
    heading("Milliseconds on %s thread%s".formatted(workers, workers.equals("1") ? "" : "s"));
    line(
        "| shape, tokens | %s |",
        engines.stream()
            .map(engine -> Names.of(Peer.valueOf(word(engine, 0))) + " " + word(engine, 1))
            .collect(Collectors.joining(" | ")));
    line("|---|%s", "---|".repeat(engines.size()));
    for (Cell cell : cells()) {
      if (cell.workers.equals(workers)) {
        double[] times =
            engines.stream()
                .mapToDouble(
                    engine ->
                        best(
                            cell,
                            Peer.valueOf(word(engine, 0)),
                            ElementType.valueOf(word(engine, 1))))
                .toArray();
        double shortest =
            Arrays.stream(times).filter(time -> !Double.isNaN(time)).min().orElse(Double.NaN);
        line(
            "| %s %d | %s |",
            cell.shape,
            cell.tokens,
            Arrays.stream(times)
                .mapToObj(time -> milliseconds(time, time == shortest))
                .collect(Collectors.joining(" | ")));
      }
    }
  }

  private static String word(String engine, int index) {
    return engine.split(" ", -1)[index];
  }

  private static String milliseconds(double ns, boolean bold) {
    String ms = Double.isNaN(ns) ? "-" : Table.milliseconds(ns);
    return bold ? "**" + ms + "**" : ms;
  }

  private void goals() {
    heading("Goals");
    line("| | goal | found | cells that meet it | others |");
    line("|---|---|---|---|---|");
    Peer ours = Peer.BLOCKSPARSE;
    atMost(
        "INT8 with int8 rows, of `ik_llama.cpp`'s q8_0",
        0.9,
        cell -> true,
        cell -> best(cell, ours, INT8) / best(cell, Peer.IK_LLAMA, Q8_0));
    atMost(
        "the better of Q4_0 and MXFP4, of `ik_llama.cpp`'s",
        0.9,
        cell -> true,
        cell -> best(cell, ours, FOUR_BITS) / best(cell, Peer.IK_LLAMA, FOUR_BITS));
    atMost(
        "floats, one token, of `ggml`'s",
        1,
        cell -> cell.tokens == 1,
        cell -> best(cell, ours, FLOAT32) / best(cell, Peer.GGML, FLOAT32));
    atMost(
        "BFLOAT16, one token, of `ggml`'s",
        1,
        cell -> cell.tokens == 1,
        cell -> best(cell, ours, BFLOAT16) / best(cell, Peer.GGML, BFLOAT16));
    atMost(
        "BFLOAT16, many tokens, of `ik_llama.cpp`'s",
        1,
        cell -> cell.tokens >= MANY_TOKENS,
        cell -> best(cell, ours, BFLOAT16) / best(cell, Peer.IK_LLAMA, BFLOAT16));
    atMost(
        "the better of INT8 and Q8_0, of ONNX Runtime's 8 bits",
        1,
        cell -> true,
        cell -> best(cell, ours, EIGHT_BITS) / best(cell, Peer.ONNX_RUNTIME, Q8_0));
    atLeast(
        "1024 tokens of qwen in INT8, of the rate of `vpdpbusd`",
        0.5,
        cell -> cell.shape == MoeShape.QWEN && cell.tokens == 1024,
        cell -> operationsPerNs(cell, INT8) / report.rate("bytes", cell.workers));
    for (ElementType type : ourTypes()) {
      atLeast(
          "one token in %s, of the rate of memory".formatted(type),
          0.85,
          cell -> cell.tokens == 1 && cell.shape != MoeShape.OWN,
          cell -> bytesPerNs(cell, type) / report.rate("read", cell.workers));
    }
  }

  private static List<ElementType> ourTypes() {
    return Peer.BLOCKSPARSE.typesOfExperts();
  }

  private double operationsPerNs(Cell cell, ElementType type) {
    return cell.shape.operations(cell.tokens) / best(cell, Peer.BLOCKSPARSE, type);
  }

  /** The rate at which weights are read. */
  private double bytesPerNs(Cell cell, ElementType type) {
    double ofWeight =
        switch (type) {
          case FLOAT32 -> 4;
          case FLOAT16, BFLOAT16 -> 2;
          case INT8 -> 1;
          case Q8_0 -> 34.0 / 32;
          case Q4_0 -> 18.0 / 32;
          case MXFP4 -> 17.0 / 32;
        };
    return MoeNumbers.expertsRead(cell.shape, cell.tokens)
        * cell.shape.weightsOfExpert()
        * ofWeight
        / best(cell, Peer.BLOCKSPARSE, type);
  }

  private void atMost(String what, double goal, Predicate<Cell> of, ToDoubleFunction<Cell> found) {
    goal(what, "at most " + number(goal), of, found, value -> value <= goal);
  }

  private void atLeast(String what, double goal, Predicate<Cell> of, ToDoubleFunction<Cell> found) {
    goal(what, "at least " + number(goal), of, found, value -> value >= goal);
  }

  private void goal(
      String what,
      String goal,
      Predicate<Cell> of,
      ToDoubleFunction<Cell> found,
      Predicate<Double> isMet) {
    List<Double> values = new ArrayList<>();
    List<String> missed = new ArrayList<>();
    for (Cell cell : cells()) {
      double value = of.test(cell) ? found.applyAsDouble(cell) : Double.NaN;
      if (!Double.isNaN(value)) {
        values.add(value);
        if (!isMet.test(value)) {
          missed.add(cell + ": " + number(value));
        }
      }
    }
    if (!values.isEmpty()) {
      line(
          "| %s | %s | %s to %s | %d of %d | %s |",
          what,
          goal,
          number(values.stream().min(Double::compare).orElseThrow()),
          number(values.stream().max(Double::compare).orElseThrow()),
          values.size() - missed.size(),
          values.size(),
          missed.isEmpty() ? "-" : String.join(", ", missed));
    }
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, "%.2f", value);
  }

  private void heading(String title) {
    line("");
    line("### %s", title);
    line("");
  }

  private void line(String format, Object... arguments) {
    text.append(String.format(Locale.ROOT, format, arguments)).append('\n');
  }

  @Override
  public String toString() {
    return text.toString();
  }
}
