// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.blocksparse.bench.nextitem.BasketsCommand;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** The script and the command for baskets, on a package index that is made up. */
final class BasketsTest {
  private static final int PACKAGES = 600;
  private static final int ITEMS_OF_A_KIND = 8;

  @TempDir private Path folder;

  @Test
  void allFindMoreThanWhatIsPopular() throws IOException, InterruptedException {
    Path index = Files.writeString(folder.resolve("index"), index());
    Path baskets = folder.resolve("baskets.txt");
    Process awk =
        new ProcessBuilder("awk", "-f", "src/jmh/debian-baskets.awk", index.toString())
            .redirectOutput(baskets.toFile())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    assertEquals(0, awk.waitFor());
    List<String> lines = Files.readAllLines(baskets);
    assertEquals(PACKAGES, lines.size());
    assertTrue(lines.get(0).matches("item0-\\d( item0-\\d){3}"), lines.get(0));

    String printed = printed(baskets.toString(), "--features", "16", "--epochs", "40");
    List<Double> hits =
        printed
            .lines()
            .filter(line -> line.matches("\\| [^|]+ \\| [\\d.]+ \\| [\\d.]+ \\|"))
            .map(line -> Double.parseDouble(line.split("\\|", -1)[3].strip()))
            .toList();
    assertEquals(6, hits.size(), printed);
    assertTrue(hits.get(0) > 0 && hits.get(0) < 0.8, printed);
    hits.subList(1, 6).forEach(hit -> assertTrue(hit > 0.9 && hit <= 1, printed));
  }

  /** Each package depends on four of the eight items of its kind, and one on too little. */
  private static String index() {
    Random random = new Random(1);
    return IntStream.range(0, PACKAGES)
        .mapToObj(
            number -> {
              List<String> items = new ArrayList<>();
              IntStream.range(0, ITEMS_OF_A_KIND)
                  .forEach(item -> items.add("item%d-%d".formatted(number % 3, item)));
              Collections.shuffle(items, random);
              return "Package: p%d\nDepends: %s (>= 2), %s | other, %s:any, %s, %s\n"
                  .formatted(
                      number, items.get(0), items.get(1), items.get(2), items.get(3), items.get(0));
            })
        .collect(Collectors.joining("\n", "Package: alone\nDepends: item0-0\n\n", "\n"));
  }

  private static String printed(String... args) {
    PrintStream out = System.out;
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    System.setOut(new PrintStream(bytes, true, UTF_8));
    try {
      assertEquals(0, new CommandLine(new BasketsCommand()).execute(args));
    } finally {
      System.setOut(out);
    }
    return bytes.toString(UTF_8);
  }
}
