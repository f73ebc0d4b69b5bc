// SPDX-License-Identifier: Apache-2.0
package topics;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class SentenceVectorsTest {
  @TempDir Path folder;

  /** No word of the second text is in a text that it was trained on. */
  @Test
  void theEncoderKnowsWordsThatNoExampleHas() throws IOException {
    List<String> lines = new ArrayList<>();
    for (int i = 0; i < 10; i++) {
      lines.add("__label__animal my cat and a dog sleep");
      lines.add("__label__animal horses eat grass");
      lines.add("__label__animal a bird with feathers");
      lines.add("__label__money my bank lends euros");
      lines.add("__label__money interest of loans");
      lines.add("__label__money a credit card was stolen");
    }
    Path train = Files.write(folder.resolve("train.txt"), lines);
    Path test =
        Files.write(
            folder.resolve("test.txt"),
            List.of(
                "__label__animal kitten purrs",
                "__label__money mortgage payments",
                "__label__money behind the most lines"));
    PrintStream out = System.out;
    ByteArrayOutputStream printed = new ByteArrayOutputStream();
    try {
      System.setOut(new PrintStream(printed, true, UTF_8));
      SentenceVectors.main(new String[] {train.toString(), test.toString(), "1", "60", "2"});
    } finally {
      System.setOut(out);
    }
    String expected = "words nDCG@5 0.815%nwords and vectors nDCG@5 1.000%n".formatted();
    assertEquals(expected, printed.toString(UTF_8)); // a right label on rank 2 is worth 0.631
  }
}
