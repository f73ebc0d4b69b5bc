// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.features;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Path;
import org.blocksparse.classifier.examples.ChunkedIntList;
import org.junit.jupiter.api.Test;

/** The memory of examples grows to little more than its final size. */
final class GrowingTest {
  /** Each of them takes 128 MB in the end. */
  private static final int NUMBERS = 1 << 25;

  private static final int KEYS = (1 << 22) + 1;

  /** The program of the child process. */
  static final class Child {
    private Child() {}

    public static void main(String[] args) {
      if (args[0].equals("keys")) {
        KeyTable table = new KeyTable();
        for (int key = 0; key < KEYS; key++) {
          table.add(key);
        }
        System.out.print(table.size());
      } else {
        ChunkedIntList numbers = new ChunkedIntList();
        for (int number = 0; number < NUMBERS; number++) {
          numbers.add(number);
        }
        System.out.print(numbers.size());
      }
    }
  }

  @Test
  void numbers_andKeys_grow_whereTheyFitOnce() throws Exception {
    assertEquals(Integer.toString(NUMBERS), told("numbers"));
    assertEquals(Integer.toString(KEYS), told("keys"));
  }

  private static String told(String what) throws IOException {
    Process child =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC", // its share of the heap for long-lived objects is known
                "-Xmn8m",
                "-Xmx148m",
                "-cp",
                System.getProperty("java.class.path"),
                Child.class.getName(),
                what)
            .redirectErrorStream(true)
            .start();
    return new String(child.getInputStream().readAllBytes(), UTF_8);
  }
}
