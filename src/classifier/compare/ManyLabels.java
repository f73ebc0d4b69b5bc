// SPDX-License-Identifier: Apache-2.0

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SplittableRandom;

/**
 * Makes as many texts as labels, and a hundredth as many to test: {@code java ManyLabels.java COUNT
 * FOLDER}. Few labels are frequent, and most have one text or none, as have their words. A text has
 * three words of its label, which are the same in all its texts, and three others.
 */
class ManyLabels {
  private static final int OF_A_LABEL = 3;

  public static void main(String[] args) throws IOException {
    int labels = Integer.parseInt(args[0]);
    Path folder = Path.of(args[1]);
    SplittableRandom random = new SplittableRandom(1);
    write(folder.resolve("train.txt"), labels, labels, random);
    write(folder.resolve("test.txt"), Math.max(1, labels / 100), labels, random);
  }

  private static void write(Path file, int texts, int labels, SplittableRandom random)
      throws IOException {
    try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(file))) {
      for (int i = 0; i < texts; i++) {
        int label = rank(labels, random);
        StringBuilder line = new StringBuilder("__label__").append(label);
        SplittableRandom ofLabel = new SplittableRandom(label);
        for (int word = 0; word < OF_A_LABEL; word++) {
          line.append(" w").append(rank(labels, ofLabel));
          line.append(" w").append(rank(labels, random));
        }
        out.println(line);
      }
    }
  }

  /** Returns a number below n: i has a chance like that of 1 / (i + 1)^0.8. */
  private static int rank(int n, SplittableRandom random) {
    double x = 1 + random.nextDouble() * (Math.pow(n + 1.0, 0.2) - 1);
    return Math.min(n - 1, (int) Math.pow(x, 5) - 1);
  }
}
