// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class MoeTurnsTest {
  @TempDir private Path folder;

  /** Each engine that is there is compared with double precision before it is measured. */
  @Test
  void measuresEnginesThatAreThere_andNamesThoseThatAreAbsent() throws IOException {
    List<Peer> peers = List.of(Peer.BLOCKSPARSE, Peer.GGML, Peer.ONNX_RUNTIME);
    MoeTurns turns = new MoeTurns(peers, List.of(1, 3), 1e-4, folder, folder.resolve("peers.log"));
    turns.limits();
    turns.measure(MoeShape.OWN, shape -> {});

    List<String> skipped = new ArrayList<>();
    skipped.add("experts, limits: absent; src/jmh/peers/build limits builds them");
    MoeTurns.GROUPS.stream()
        .flatMap(List::stream)
        .filter(type -> Peer.GGML.typesOfExperts().contains(type))
        .forEach(
            type ->
                skipped.add(
                    "experts, own: ggml %s: absent; src/jmh/peers/build ggml FOLDER builds it"
                        .formatted(type)));
    assertEquals(skipped, turns.skipped());

    Report report = Report.of("run", "[]", turns.results(), turns.skipped());
    int ours = Peer.BLOCKSPARSE.typesOfExperts().size();
    int theirs = Peer.ONNX_RUNTIME.typesOfExperts().size();
    int counts = Math.min(2, Runtime.getRuntime().availableProcessors());
    assertEquals(2 * (counts * ours + theirs), report.rows().size());
    String table = new Table(report).toString();
    assertTrue(table.contains("| own 1 | "), table);
    assertTrue(table.contains("| own 3 | "), table);
    assertTrue(table.contains("onnx-runtime Q4_0"), table);
    Path chart = folder.resolve("experts.png");
    assertTrue(new Charts(report).writeExperts(chart));
    assertTrue(Files.size(chart) > 0);
  }
}
