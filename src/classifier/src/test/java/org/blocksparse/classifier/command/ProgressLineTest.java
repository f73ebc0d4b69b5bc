// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

final class ProgressLineTest {
  private final StringWriter told = new StringWriter();
  private long now = 17;

  @BeforeAll
  static void speakEnglish() {
    Locale.setDefault(Locale.ROOT); // like main
  }

  private ProgressLine line(long total) {
    return line(total, false);
  }

  private ProgressLine line(long total, boolean terminal) {
    return new ProgressLine("training", total, new PrintWriter(told), () -> now, terminal);
  }

  private void waitFor(long seconds) {
    now += TimeUnit.SECONDS.toNanos(seconds);
  }

  @Test
  void withoutATerminal_thereIsALineEveryTenSeconds() {
    try (ProgressLine line = line(1000)) {
      for (int second = 0; second <= 40; second++) {
        line.show(20L * second, () -> "20 per second");
        waitFor(1);
      }
    }
    assertEquals(
        """
        training: 20 %, 20 per second, 40 s left
        training: 40 %, 20 per second, 30 s left
        training: 60 %, 20 per second, 20 s left
        training: 80 %, 20 per second, 10 s left
        """,
        told.toString().replace(System.lineSeparator(), "\n"));
  }

  @Test
  void whatTakesLittle_saysNothing() {
    try (ProgressLine line = line(1000)) {
      waitFor(9);
      line.show(900, () -> "much");
    }
    assertEquals("", told.toString());
  }

  @Test
  void timeLeft_isInMinutesAndHoursWhereItIsLong() {
    try (ProgressLine line = line(1000)) {
      line.show(0, () -> "0");
      waitFor(20);
      line.show(10, () -> "1");
      waitFor(100);
      line.show(11, () -> "2");
    }
    assertEquals(
        "training: 1 %, 1, 33 min left\ntraining: 1 %, 2, 27.5 h left\n",
        told.toString().replace(System.lineSeparator(), "\n"));
  }

  /** Preparation before the first report and the first slow steps are not typical. */
  @Test
  void timeLeft_dependsOnTheLatterHalf() {
    try (ProgressLine line = line(1000)) {
      waitFor(300);
      for (int second = 0; second < 20; second++) {
        line.show(second, () -> "1 per second");
        waitFor(1);
      }
      told.getBuffer().setLength(0);
      for (int second = 0; second < 45; second++) {
        line.show(20 + 10L * second, () -> "10 per second");
        waitFor(1);
      }
    }
    List<String> lines = told.toString().lines().toList();
    assertEquals("training: 42 %, 10 per second, 58 s left", lines.get(lines.size() - 1));
  }

  @Test
  void workThatMayEndEarly_hasABound() {
    try (ProgressLine line = line(1000).mayEndEarly()) {
      line.show(0, () -> "none");
      waitFor(10);
      line.show(100, () -> "some");
    }
    assertEquals(
        "training: 10 %, some, at most 90 s left" + System.lineSeparator(), told.toString());
  }

  @Test
  void withoutATotal_thereIsNoShareAndNoTimeLeft() {
    try (ProgressLine line = line(ProgressLine.UNKNOWN)) {
      waitFor(10);
      line.show(100, () -> "10 per second");
    }
    assertEquals("training: 10 per second" + System.lineSeparator(), told.toString());
  }

  @Test
  void onATerminal_oneLineIsWrittenOver_andLeavesNothingBehind() {
    try (ProgressLine line = line(1000, true)) {
      line.show(0, () -> "");
      waitFor(10);
      line.show(100, () -> "much");
      waitFor(10);
      line.show(500, () -> "");
    }
    String first = "training: [#               ] 10 %, much, 90 s left";
    String second = "training: [########        ] 50 %, , 13 s left";
    assertEquals(
        "\r"
            + first
            + "\r"
            + second
            + " ".repeat(first.length() - second.length())
            + "\r"
            + " ".repeat(second.length())
            + "\r",
        told.toString());
  }
}
