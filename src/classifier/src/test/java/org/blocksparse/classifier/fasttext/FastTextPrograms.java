// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.fasttext;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;

/** Runs fastText's own program, which makes models and answers for tests. */
public final class FastTextPrograms {
  private static final String[] WORDS = {
    "naïve", "żółć", "日本語", "привет", "emoji\uD83D\uDE00", "a", "the", "of", "don't", "x-ray"
  };

  private FastTextPrograms() {}

  /** Skips a test where the program is not installed; CI installs it. */
  public static void assumeInstalled() {
    boolean isInstalled =
        Stream.of(System.getenv("PATH").split(":"))
            .anyMatch(folder -> Files.isExecutable(Path.of(folder, "fasttext")));
    Assumptions.assumeTrue(isInstalled, "no program fasttext");
  }

  /** Runs a command of fastText, and returns its output. */
  public static String run(Path input, Object... words) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of("fasttext"));
    Stream.of(words).map(Object::toString).forEach(command::add);
    Path out = Files.createTempFile("fasttext", "out");
    Path err = Files.createTempFile("fasttext", "err");
    try {
      ProcessBuilder builder =
          new ProcessBuilder(command).redirectOutput(out.toFile()).redirectError(err.toFile());
      if (input != null) {
        builder.redirectInput(input.toFile());
      }
      assertEquals(0, builder.start().waitFor(), () -> command + ": " + text(err));
      return Files.readString(out);
    } finally {
      Files.delete(out);
      Files.delete(err);
    }
  }

  private static String text(Path file) {
    try {
      return Files.readString(file, UTF_8);
    } catch (IOException e) {
      return e.toString();
    }
  }

  /** Trains a supervised model, and returns its file. */
  public static Path train(Path folder, String name, Path examples, String options)
      throws IOException, InterruptedException {
    List<Object> words = new ArrayList<>(List.of("supervised", "-input", examples));
    words.addAll(List.of("-output", folder.resolve(name), "-thread", "1"));
    words.addAll(List.of(options.split(" ")));
    run(null, words.toArray());
    return folder.resolve(name + ".bin");
  }

  /** Returns a line of words, some of which belong to a label, and some are of any script. */
  public static String line(int label, SplittableRandom random) {
    StringBuilder line = new StringBuilder();
    for (int i = random.nextInt(3, 12); i > 0; i--) {
      int kind = random.nextInt(4);
      String word =
          switch (kind) {
            case 0 -> WORDS[random.nextInt(WORDS.length)];
            case 1 -> "topic" + label;
            case 2 -> "w" + random.nextInt(1 << random.nextInt(1, 9));
            default -> WORDS[random.nextInt(WORDS.length)] + label % 17;
          };
      line.append(word).append(random.nextInt(20) == 0 ? "\t\u000B\f \u0000" : " ");
    }
    return line.toString();
  }

  /** Returns examples in fastText's format, with labels of unequal frequency. */
  public static String examples(int count, int labels, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    StringBuilder lines = new StringBuilder();
    for (int e = 0; e < count; e++) {
      int label = e < labels ? e : random.nextInt(random.nextInt(1, labels + 1));
      lines.append("__label__l").append(label).append(' ');
      lines.append(line(label, random)).append('\n');
    }
    return lines.toString();
  }
}
