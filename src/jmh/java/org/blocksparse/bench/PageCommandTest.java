// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

final class PageCommandTest {
  /** A second to read 512 MB, and a hundredth of one for a dense product: slow, and simple. */
  private static final String LIMITS =
      result(MemoryBenchmark.class, "read", 1e9, Map.of("megabytes", "512"))
          + ","
          + result(
              DenseBenchmark.class, "sgemm", 1e7, Map.of("library", "OPENBLAS", "size", "1024"));

  @TempDir private Path folder;

  private static String result(
      Class<?> benchmark, String method, double ns, Map<String, String> params) {
    return """
    {"benchmark": "%s.%s", "threads": 1, "params": {%s}, "secondaryMetrics": {},
     "primaryMetric": {"score": %4$f,
       "scorePercentiles": {"0.0": %4$f, "50.0": %4$f, "99.0": %4$f}}}
    """
        .formatted(
            benchmark.getName(),
            method,
            params.entrySet().stream()
                .map(param -> "\"%s\": \"%s\"".formatted(param.getKey(), param.getValue()))
                .collect(Collectors.joining(", ")),
            ns);
  }

  private static String product(Peer peer, double ns) {
    return result(
        ProductsBenchmark.class,
        "run",
        ns,
        Map.of("workload", "HSM_200", "operation", "FORWARD", "peer", peer.name()));
  }

  private String page(String... results) throws IOException {
    Path json = folder.resolve("results.json");
    Files.writeString(
        json,
        """
        {"command": "run --part PRODUCTS", "commit": "0123456789ab", "date": "2026-11-29",
         "machine": {"processor": "a fast one"}, "skipped": [], "jmh": [%s]}
        """
            .formatted(
                Stream.concat(Stream.of(LIMITS), Stream.of(results))
                    .collect(Collectors.joining(","))));
    int code =
        new CommandLine(new PageCommand())
            .execute(json.toString(), "Zen-5", "--out", folder.resolve("pages").toString());
    assertEquals(0, code);
    return Files.readString(folder.resolve("pages/zen-5.md"));
  }

  @Test
  void namesTheRunAndTheMachine() throws IOException {
    String page = page(product(Peer.BLOCKSPARSE, 4e6), product(Peer.MKL_BATCH, 8e6));
    assertTrue(page.startsWith("# Performance on Zen 5\n"), page);
    assertTrue(page.contains("Measured on 2026-11-29, commit `0123456789ab`, by\n"), page);
    assertTrue(page.contains("```sh\nmvn -f src/jmh -Dbench.args=\"run --part PRODUCTS\"\n"), page);
    assertTrue(page.contains("| processor | a fast one |\n"), page);
    assertTrue(page.contains("| reading 512 MB | 0.5 GB/s |\n"), page);
  }

  @Test
  void hasTheTablesOfPartsThatWereMeasured() throws IOException {
    String page = page(product(Peer.BLOCKSPARSE, 4e6), product(Peer.MKL_BATCH, 8e6));
    double limit = Workload.HSM_200.bytes(Operation.FORWARD) / (MemoryBenchmark.bytes() / 1e9);
    assertTrue(
        page.contains(
            "| %s | %s | 4.00 (%.2f) | 8.00 (%.2f) | 4.00 |"
                .formatted(
                    Workload.HSM_200.shape(), Table.milliseconds(limit), 4e6 / limit, 8e6 / limit)),
        page);
    assertTrue(page.contains("## Products of chosen blocks\n"), page);
    assertFalse(page.contains("## The softmax"), page);
    assertFalse(page.contains("## Cases that we lose"), page);
  }

  @Test
  void listsWhatWasLost() throws IOException {
    String page = page(product(Peer.BLOCKSPARSE, 4e6), product(Peer.MKL_BATCH, 2e6));
    assertTrue(page.contains("## Cases that we lose\n"), page);
    assertTrue(page.contains("- hsm-200, forward: mkl-batch takes 2.00 ms, we take 4.00\n"), page);
  }

  @Test
  void showsChartsThatThereAre() throws IOException {
    String page = page(product(Peer.BLOCKSPARSE, 4e6), product(Peer.MKL_BATCH, 8e6));
    assertTrue(page.contains("](zen-5-forward.png)\n"), page);
    assertTrue(Files.size(folder.resolve("pages/zen-5-forward.png")) > 0);
    assertFalse(page.contains("zen-5-instead.png"), page);
  }
}
