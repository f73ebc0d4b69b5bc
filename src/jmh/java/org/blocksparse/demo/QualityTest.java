// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.blocksparse.ElementType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

final class QualityTest {
  @TempDir private Path folder;

  /** Runs the command on a text of 12 words, with models that train for a second each. */
  private List<String> lines(String of) throws IOException {
    Path text = folder.resolve("text");
    Files.writeString(text, "one two three four five six\nseven eight nine ten\n".repeat(200));
    StringWriter out = new StringWriter();
    CommandLine command =
        new CommandLine(new QualityCommand()).setCaseInsensitiveEnumValuesAllowed(true);
    command.setOut(new PrintWriter(out, true));
    String options = " --seconds 1 --batch 32 --features 16 --embedding 8";
    String[] files = {"--text", text.toString(), "--output", folder.resolve("out").toString()};
    int code = command.execute((of + options + " " + String.join(" ", files)).split(" "));
    assertEquals(0, code, out::toString);
    return out.toString().lines().toList();
  }

  @Test
  void classesUpToTheFullSoftmax() throws IOException {
    List<String> lines = lines("classes");
    assertEquals(4, lines.size(), lines::toString);
    assertTrue(lines.get(3).startsWith("full softmax           12 "), lines::toString);
    for (String row : lines.subList(1, 4)) {
      double passes = Double.parseDouble(row.substring(row.lastIndexOf(' ')));
      assertTrue(passes > 1, row);
    }
  }

  @Test
  void allAssignments() throws IOException {
    assertEquals(1 + WordClasses.values().length, lines("assignments").size());
  }

  @Test
  void allTypesOfExperts() throws IOException {
    List<String> lines = lines("experts");
    for (ElementType type : ElementType.values()) {
      assertTrue(lines.stream().anyMatch(line -> line.startsWith(type + " ")), lines::toString);
    }
  }

  @Test
  void allTypesOfWeights() throws IOException {
    List<String> lines = lines("bits");
    for (ElementType type : NarrowWeights.TYPES) {
      assertTrue(lines.stream().anyMatch(line -> line.contains(type + " ")), lines::toString);
    }
  }
}
