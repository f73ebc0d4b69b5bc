// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.util.List;
import org.blocksparse.bench.nextitem.NextItemCommand;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

/** The comparison with HNSW, as a user starts it, with few items. */
final class NextItemTest {
  @Test
  void bothFindMoreThanWhatIsPopular() {
    String printed = printed("--items", "2000", "--sessions", "10000");
    List<String> rows =
        printed.lines().filter(line -> line.startsWith("| ") && !line.startsWith("| |")).toList();
    assertEquals(8, rows.size(), printed);
    double popular = cell(rows.get(0), 2);
    double neighbours = cell(rows.get(1), 2);
    double softmax = cell(rows.get(2), 2);
    double towers = cell(rows.get(3), 2);
    assertTrue(popular > 0 && popular < 1, printed);
    assertTrue(neighbours > popular && neighbours <= 1, printed);
    assertTrue(softmax > popular && softmax <= 1, printed);
    assertTrue(towers > popular && towers <= 1, printed);
    assertEquals(1, cell(rows.get(2), 3), printed);
    for (String hnsw : rows.subList(4, 8)) {
      assertTrue(cell(hnsw, 3) > .5 && cell(hnsw, 3) <= 1, printed);
    }
  }

  private static double cell(String row, int column) {
    return Double.parseDouble(row.split("\\|", -1)[column].strip());
  }

  private static String printed(String... args) {
    PrintStream out = System.out;
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    System.setOut(new PrintStream(bytes, true, UTF_8));
    try {
      assertEquals(0, new CommandLine(new NextItemCommand()).execute(args));
    } finally {
      System.setOut(out);
    }
    return bytes.toString(UTF_8);
  }
}
