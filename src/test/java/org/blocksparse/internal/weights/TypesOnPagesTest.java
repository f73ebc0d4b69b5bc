// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.weights;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The types that the pages list are those of the code. */
final class TypesOnPagesTest {
  private static String page(String name) throws IOException {
    return Files.readString(Path.of("src/doc", name)).replaceAll("\\s+", " ");
  }

  private static String after(String text, String begin, String end) {
    int from = text.indexOf(begin) + begin.length();
    return text.substring(from, text.indexOf(end, from));
  }

  /** The bytes of 32 weights of each packed type, up to a tenth. */
  @Test
  void sizesOfPackedTypes() throws IOException {
    Map<String, String> expected = new TreeMap<>();
    for (WeightType type : WeightType.values()) {
      if (type.isPacked()) {
        long ofPanel = new Panels(type, 256, Panels.PANEL_COLUMNS).blockBytes();
        BigDecimal size = BigDecimal.valueOf(ofPanel * 32.0 / (256 * Panels.PANEL_COLUMNS));
        BigDecimal tenths = size.setScale(1, RoundingMode.HALF_UP).stripTrailingZeros();
        expected.put(type.toString(), tenths.toPlainString());
      }
    }
    Map<String, String> found = new TreeMap<>();
    String table =
        after(page("products.md"), "| size of 32 weights | scale | |---|---|---|", " - Only");
    Matcher row = Pattern.compile("\\| ([^|`]+) \\| ([^|]+) bytes \\|").matcher(table);
    while (row.find()) {
      String[] names = row.group(1).split(", ", -1);
      String[] sizes = row.group(2).split(", ", -1);
      for (int i = 0; i < names.length; i++) {
        found.put(names[i], sizes[i]);
      }
    }
    assertEquals(expected, found);
  }

  /** What each type of GGUF files is packed as. */
  @Test
  void typesOfGgufFiles() throws IOException {
    Map<String, String> expected = new TreeMap<>();
    for (GgmlType type : GgmlType.widened()) {
      if (type.blockSize() > 1) {
        expected.put(type.name(), type.packed().name());
      }
    }
    Map<String, String> found = new TreeMap<>();
    String list = after(page("files.md"), "packed without rounding them again: ", " which take");
    String[] parts = list.split(" as they are, ", -1);
    for (String name : parts[0].split(", | and ", -1)) {
      found.put(name, name);
    }
    Matcher others = Pattern.compile("(?:(\\w+) and )?(\\w+) as (\\w+)").matcher(parts[1]);
    while (others.find()) {
      found.put(others.group(2), others.group(3));
      if (others.group(1) != null) {
        found.put(others.group(1), others.group(3));
      }
    }
    assertEquals(expected, found);
  }
}
