// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class PageTest {
  @TempDir private Path folder;

  /** Returns a result in JMH's form; facts are names and values. */
  private static String result(String benchmark, double ns, String params, Object... facts) {
    StringBuilder metrics =
        new StringBuilder("\"p0.50\": {\"score\": 1, \"scoreUnit\": \"ns/op\"}");
    for (int i = 0; i < facts.length; i += 2) {
      metrics.append(
          ", \"%s\": {\"score\": %s, \"scoreUnit\": \"fact\"}".formatted(facts[i], facts[i + 1]));
    }
    return """
    {"benchmark": "org.blocksparse.bench.%s", "threads": 1, "params": {%s}, "secondaryMetrics": {%s},
     "primaryMetric": {"scorePercentiles": {"0.0": %4$f, "50.0": %4$f, "99.0": %4$f}}}
    """
        .formatted(benchmark, params, metrics, ns);
  }

  private String page(String... results) throws IOException {
    Path json = folder.resolve("results.json");
    Files.writeString(json, "[" + String.join(",", results) + "]");
    return new Page(Results.read(json), "Products Limits").toString();
  }

  private static void assertRow(String row, String page) {
    assertTrue(page.lines().anyMatch(row::equals), page);
  }

  /** Reading 512 MB takes a second, and 2 Mflop a hundredth of one: slow, and simple. */
  private static final String[] LIMITS = {
    result("LimitsBenchmark.read", 1e9, "\"megabytes\": \"512\"", "bytes", 512e6),
    result("LimitsBenchmark.mkl", 1e7, "\"size\": \"1024\"", "flops", 2e6)
  };

  @Test
  void products_haveMultiplesOfTheLimit_andWhatIsLost() throws IOException {
    String params = "\"operation\": \"GRAD_W\", \"workload\": \"WINDOW_8\"";
    String page =
        page(
            Stream.of(
                    LIMITS[0],
                    LIMITS[1],
                    result("ProductsBenchmark.blocksparse", 4e6, params, "bytes", 1e6, "flops", 1),
                    result("ProductsBenchmark.mklBatch", 2e6, params, "bytes", 1e6, "flops", 1))
                .toArray(String[]::new));
    assertTrue(page.contains("mvn -f src/jmh -Dbench.args=\"Products Limits\"\n"), page);
    assertRow("| reading 512 MB | 0.5 GB/s |", page);
    assertRow("| a dense product | 0.2 Gflop/s |", page);
    assertRow("| | limit | blocksparse | mklBatch |", page);
    String row = "grad-w, window-8: 256, 4x4, 64x64, 8x8";
    assertRow("| %s | 1.95 | 4.00 (2.05) | **2.00** (1.02) |".formatted(row), page);
    assertRow("- Products: %s: mklBatch takes 2.00 ms, we take 4.00".formatted(row), page);
  }

  @Test
  void variantsAreColumns_andOtherFacts() throws IOException {
    String page =
        page(
            result("WeightsBenchmark.forward", 4e6, "\"type\": \"FLOAT32\", \"workload\": \"W\""),
            result("WeightsBenchmark.forward", 1e6, "\"type\": \"INT8\", \"workload\": \"W\""),
            result("TopKBenchmark.blocksparse", 1e6, "\"workload\": \"PEAKED_1\"", "opened", 3));
    assertRow("| | limit | FLOAT32 | INT8 |", page);
    assertRow("| forward, w |  | 4.00 | **1.00** |", page);
    assertRow("| | limit | blocksparse | opened |", page);
    assertRow("| peaked-1 |  | **1.00** | 3.0 |", page);
  }

  @Test
  void resultsInTurnsAreRows() throws IOException {
    Results results = new Results();
    results.add("bench.Experts.ggml", Map.of("tokens", "32"), 3e6, 2e6);
    results.skip("no engine");
    String page = new Page(results, "experts").toString();
    assertRow("| 32 tokens |  | **2.00** |", page);
    assertRow("- no engine", page);
  }

  /** The charts of the pages match the numbers beside them. */
  @Test
  void charts_areDrawnFromTheirNumbers() throws IOException {
    List<Path> numbers;
    try (Stream<Path> files = Files.walk(Path.of("src/doc"))) {
      numbers = files.filter(file -> file.toString().endsWith(".tsv")).toList();
    }
    assertTrue(numbers.size() >= 4, numbers::toString);
    for (Path each : numbers) {
      Path svg = Path.of(each.toString().replaceFirst("tsv$", "svg"));
      assertEquals(Chart.of(each), Files.readString(svg), each::toString);
    }
  }
}
