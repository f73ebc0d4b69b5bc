// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** The commands of next-item, on users who walk around a circle of ten items. */
final class NextItemCommandTest {
  private static final int ITEMS = 10;

  @TempDir static Path folder;

  private static Path model;
  private static Path walks;

  @BeforeAll
  static void train() throws IOException {
    StringBuilder lines = new StringBuilder();
    for (int user = 0; user < 100; user++) {
      lines.append('u').append(user);
      for (int step = 0; step < 3 + user % 3; step++) {
        lines.append(" i").append((user * 7 + step) % ITEMS);
      }
      lines.append('\n');
    }
    walks = Files.writeString(folder.resolve("walks.txt"), lines);
    model = folder.resolve("walks.model");
    String told = trainOn(walks, model);
    assertTrue(told.startsWith("100 sequences\n"), told);
    assertTrue(told.contains("P@1 on validation"), told);
    assertTrue(told.contains("nDCG@10"), told);
    assertTrue(told.contains(" on each example up to 10 times in each training;"), told);
    for (String setting : List.of("1 of 2: decays [0.4, 0.9]", "2 of 2: any order")) {
      assertTrue(told.contains("training " + setting), told);
      String after = told.substring(told.indexOf(setting));
      assertTrue(after.lines().skip(1).findFirst().orElseThrow().startsWith("epoch 1: "), told);
    }
    assertTrue(told.contains(" epochs, with what was held out\nepoch 1: "), told);
  }

  private static String trainOn(Path file, Path to, Object... more) {
    List<Object> words =
        new java.util.ArrayList<>(
            List.of("next-item", "train", "-o", to, "--dimension", 8, "--rate", 1, file));
    words.addAll(List.of(more));
    Commands.Result result = Commands.run(words.toArray());
    assertEquals(0, result.code(), result.err());
    return result.out();
  }

  private static Path file(String name, String text) throws IOException {
    return Files.writeString(folder.resolve(name), text);
  }

  @Test
  void testPrintsHitRates() throws IOException {
    Path others =
        file("others.txt", "a i1 i2 i3\nb i5 i6\nunknown i5 nix\nrepeated i5 i6 i5\nshort i1\n");
    String told = Commands.runWell("next-item", "test", model, others, "--top", "1,5");
    assertTrue(told.startsWith("4 sequences; "), told);
    assertTrue(
        told.contains(
            "4 sequences; 1 with one item are left out; 1 unknown items to predict;"
                + " 1 of 4 items to predict (25.0 %) are in the history\n"
                + "New items alone, as the model recommends none of the history:\n"
                + "   k      HR@k    nDCG@k     MRR@k\n"),
        told);
    assertTrue(told.contains("   1    0.5000    0.5000    0.5000\n"), told);
  }

  @Test
  void aClassifierIsNoModelOfNextItems() throws IOException {
    Path classifier = folder.resolve("classifier.model");
    Path examples = file("examples.txt", "__label__a one\n__label__b two\n");
    Commands.runWell("train", "-o", classifier, examples);
    assertEquals(
        classifier
            + ": nextItem.format: is missing: this is a classifier, which Classifier.load reads,"
            + " and the commands without next-item\n",
        Commands.run("next-item", "test", classifier, walks).err());
    assertEquals(
        model
            + ": classifier.format: is missing: this is a model of next items, which NextItem.load"
            + " reads, and the commands of next-item\n",
        Commands.run("test", model, walks).err());
  }

  @Test
  void recommendPrintsALineForEachUser() throws IOException {
    Path users = file("users.txt", "a i1 i2\nnobody\n");
    String[] lines =
        Commands.runWell("next-item", "recommend", model, users, "--top", 2)
            .lines()
            .toArray(String[]::new);
    assertEquals(2, lines.length);
    assertEquals(List.of("a", "i3"), List.of(lines[0].split("\t", -1)).subList(0, 2));
    assertEquals(5, lines[1].split("\t", -1).length);
    Path stock = file("stock.txt", "i9 i2\n");
    assertTrue(
        Commands.runWell("next-item", "recommend", model, users, "--only", stock)
            .matches("a\ti9\t0\\.\\d{6}\nnobody\ti[29]\t.*\n"));
    assertTrue(
        !Commands.runWell("next-item", "recommend", model, users, "--without", stock)
            .contains("i9"));
  }

  @Test
  void unknownItemsAreCounted() throws IOException {
    Path users = file("unknown.txt", "a i1 nix\n");
    Commands.Result result = Commands.run("next-item", "recommend", model, users);
    assertEquals(0, result.code());
    assertEquals("1 items of histories are unknown and ignored\n", result.err());
  }

  @Test
  void infoPrintsTheCard() {
    String told = Commands.runWell("info", model);
    assertTrue(told.contains("items: " + ITEMS + "\n"), told);
    assertTrue(told.contains("data: walks.txt\n"), told);
    assertTrue(told.contains("data SHA-256: "), told);
  }

  /** The model keeps the names of columns. */
  @Test
  void eventsHaveColumns() throws IOException {
    StringBuilder lines = new StringBuilder("when,price,sku,user_id\n");
    for (int user = 0; user < 60; user++) {
      for (int step = 0; step < 5; step++) {
        lines.append("%d,9.5,i %d,u%d\n".formatted(step, (user + step) % ITEMS, user));
      }
    }
    Path events = file("columns.csv", lines.toString());
    Path of = folder.resolve("columns.model");
    trainOn(events, of, "--format", "events", "--item", "sku", "--time", "when", "--until", 4);
    String told = Commands.runWell("next-item", "test", of, events, "--from", 4, "--top", 1);
    assertTrue(told.contains("   1    1.0000    1.0000    1.0000\n"), told);
    Path ann = file("ann.csv", "user,sku,when\nann,i 4,2\nann,i 3,1\n");
    assertTrue(
        Commands.runWell("next-item", "recommend", of, ann, "--top", 1).startsWith("ann\ti 5\t"));
    Path other = file("other.csv", "user,item,when\nann,i 4,2\n");
    refused(
        other
            + ":1: expected a header with the column 'sku' but was 'user', 'item', 'when'; --item"
            + " names another one, and lines without a header are user, item and time",
        "recommend",
        of,
        other);
    refused(
        "--user: expected --format events, which have columns",
        "test",
        model,
        walks,
        "--user",
        "u");
  }

  /** Training uses the events before a time, and the test the later ones. */
  @Test
  void eventsAreSplitByTime() throws IOException {
    StringBuilder lines = new StringBuilder();
    for (int user = 0; user < 60; user++) {
      for (int step = 4; step >= 0; step--) { // out of order
        lines.append("u%d i%d %d%n".formatted(user, (user + step) % ITEMS, step));
      }
    }
    Path events = file("events.txt", lines.toString());
    Path byTime = folder.resolve("events.model");
    trainOn(events, byTime, "--format", "events", "--until", 4);
    String told = Commands.runWell("next-item", "test", byTime, events, "--from", 4, "--top", 1);
    assertTrue(told.startsWith("60 sequences; "), told);
    assertTrue(told.contains("   1    1.0000    1.0000    1.0000\n"), told);
    String info = Commands.runWell("info", byTime);
    assertTrue(info.contains("format: events\n"), info);
    assertTrue(info.contains("until: 4\n"), info);
    refused(
        "--from: expected at least 4, the --until of the model, which has learned earlier events",
        "test",
        byTime,
        events,
        "--from",
        3.5);
  }

  /**
   * Each user has two sessions of four items an hour apart; the second starts five items further on
   * the circle. Only its last two items are from hour 1 on, at seconds 3662 and 3663.
   */
  @Test
  void sessionsEndByAGap() throws IOException {
    StringBuilder lines = new StringBuilder();
    for (int user = 0; user < 60; user++) {
      for (int step = 0; step < 8; step++) {
        int time = step < 4 ? step : 3656 + step;
        int item = (user + step + (step < 4 ? 0 : 5)) % ITEMS;
        lines.append("u%d i%d %d%n".formatted(user, item, time));
      }
    }
    Path events = file("sessions.txt", lines.toString());
    Path of = folder.resolve("sessions.model");
    String trained =
        trainOn(events, of, "--format", "events", "--session-gap", "30m", "--until", 3662);
    assertTrue(trained.startsWith("120 sequences\n"), trained);
    assertTrue(Commands.runWell("info", of).contains("session gap: 30m\n"));
    String told = Commands.runWell("next-item", "test", of, events, "--top", 1);
    assertTrue(told.startsWith("120 sequences; 0 of 120 items to predict (0.0 %) are in"), told);
    String later = Commands.runWell("next-item", "test", of, events, "--from", 3662, "--top", 1);
    assertTrue(later.startsWith("120 sequences; 0 of 120 items to predict (0.0 %) are in"), later);
    Path user = file("sessions-of-a-user.txt", "u i1 0\nv i4 9\nu i7 3600\nu i2 1\n");
    String[] users =
        Commands.runWell("next-item", "recommend", of, user, "--top", 1)
            .lines()
            .toArray(String[]::new);
    assertEquals(2, users.length);
    assertTrue(users[0].startsWith("u\ti8\t"), users[0]);
    assertTrue(users[1].startsWith("v\ti5\t"), users[1]);
    refused(
        "--session-gap: expected --format events, which have times",
        "train",
        "-o",
        of,
        "--session-gap",
        "30m",
        walks);
    for (String gap : List.of("30", "0m", "m", "1.5h", "-1h", "30 m", "1000000d", "")) {
      refused(
          "--session-gap: expected a number from 1 to 999999 and s, m, h or d, such as 30m, but was"
              + " '%s'".formatted(gap),
          "train",
          "-o",
          of,
          "--format",
          "events",
          "--session-gap",
          gap,
          events);
    }
  }

  /** The lines that training prints are valid: the model has the format. */
  @Test
  void theFormatIsThatOfTheModel() throws IOException {
    StringBuilder lines = new StringBuilder();
    for (int user = 0; user < 60; user++) {
      for (int step = 0; step < 4; step++) {
        lines.append("u%d %d %d%n".formatted(user, (user + step) % ITEMS, step));
      }
    }
    Path events = file("numbers.txt", lines.toString());
    Path of = folder.resolve("numbers.model");
    refused(
        events
            + ": looks like events: each line has 3 words, the last one a number, and users have"
            + " several lines; --format events if it is a time, --format sequences if it is an item",
        "train",
        "-o",
        of,
        events);
    String trained = trainOn(events, of, "--format", "events", "--until", 4);
    assertTrue(trained.contains(" test " + of + " --from 4 FILE\n"), trained);
    Path user = file("user.txt", "u 4 7\nu 3 6\n");
    String told = Commands.runWell("next-item", "recommend", of, user, "--top", 1);
    assertTrue(told.startsWith("u\t5\t"), told);
    assertTrue(Commands.runWell("next-item", "test", of, events).startsWith("60 sequences; "));
    refused(
        "--from: expected a model of train --until, which leaves out later events; this one has"
            + " learned all",
        "test",
        model,
        events,
        "--format",
        "events",
        "--from",
        3);
  }

  @Test
  @DisabledOnOs(OS.WINDOWS) // Windows has no such pipes
  void pipesAreRead() throws Exception {
    for (String command : List.of("train", "test", "recommend")) {
      Path pipe = folder.resolve(command + ".pipe");
      assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());
      Thread writer = new Thread(() -> writeTo(pipe));
      writer.start();
      if (command.equals("train")) {
        String told = trainOn(pipe, folder.resolve("piped.model"));
        assertTrue(told.startsWith("100 sequences\n"), told);
      } else {
        assertTrue(Commands.runWell("next-item", command, model, pipe).contains("\n"));
      }
      writer.join();
    }
  }

  private static void writeTo(Path pipe) {
    try (OutputStream out = new FileOutputStream(pipe.toFile())) {
      out.write(Files.readAllBytes(walks));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void eventsOfAUserThatComeAgainAreCounted() throws IOException {
    Path events = file("again.txt", "a i1 1\na i2 2\na i1 3\na i3 4\na i1 5\nb i1 1\nb i3 2\n");
    Path early = file("early.txt", "a i1 1\na i2 1.5\nb i1 1\nb i3 1.6\n");
    Path byTime = folder.resolve("early.model");
    trainOn(early, byTime, "--format", "events", "--until", 2);
    String told = Commands.runWell("next-item", "test", byTime, events, "--from", 2);
    assertTrue(told.startsWith("5 sequences; "), told);
    assertTrue(told.contains("; 2 of 5 items to predict (40.0 %) are in the history\n"), told);
  }

  /** Each user repeats one basket, and has another one before the last. */
  @Test
  void historiesOfUsersWhoComeBack() throws IOException {
    StringBuilder lines = new StringBuilder();
    for (int user = 0; user < 90; user++) {
      int first = user % 9;
      String basket = " a%d,b%d".formatted(first, first);
      lines.append("u%d%s%s c%d%s%n".formatted(user, basket, basket, (user * 7) % 5, basket));
    }
    Path histories = file("histories.txt", lines.toString());
    Path of = folder.resolve("histories.model");
    trainOn(histories, of, "--format", "histories");
    String told = Commands.runWell("next-item", "test", of, histories, "--top", "2");
    assertTrue(
        told.startsWith(
            "90 sequences; 180 of 180 items to predict (100.0 %) are in the history\nAll items, "),
        told);
    assertTrue(told.contains("   k  recall@k    nDCG@k     MRR@k\n"), told);
    assertTrue(told.contains("   2    1.0000    1.0000    1.0000\nNew items alone:\n"), told);
    assertTrue(told.endsWith("   2    0.0000    0.0000    0.0000\n"), told);
    Path user = file("comer.txt", "u a1,b1 c2\n");
    for (String which : List.of("include", "only", "exclude")) {
      String line =
          Commands.runWell("next-item", "recommend", of, user, "--top", 1, "--repeats", which);
      assertEquals(!which.equals("exclude"), line.matches("u\t(a1|b1|c2)\t.*\n"), line);
    }
    String known = Commands.runWell("next-item", "recommend", of, file("no-basket.txt", "u\n"));
    assertTrue(known.startsWith("u\t"), known);
    Path bad = file("bad-basket.txt", "u a1\nv a1 ,,\n");
    for (String command : List.of("test", "recommend")) {
      refused(bad + ":2: expected items with commas between them but was ',,'", command, of, bad);
    }
  }

  @Test
  void basketsAreTrained() throws IOException {
    Path baskets = file("baskets.txt", "a b c\nc b a\n\nd e f\nf e d\n".repeat(30));
    Path of = folder.resolve("baskets.model");
    trainOn(baskets, of, "--format", "baskets", "--validation", baskets);
    Path part = file("part.txt", "b a\n");
    String told =
        Commands.runWell("next-item", "recommend", of, part, "--format", "baskets", "--top", 1);
    assertTrue(told.startsWith("1\tc\t"), told);
    assertEquals(told, Commands.runWell("next-item", "recommend", of, part, "--top", 1));
    String tested = Commands.runWell("next-item", "test", of, baskets);
    assertTrue(tested.startsWith("120 sequences; "), tested);
    for (String format : List.of("sequences", "events")) {
      refused(
          "--format: expected baskets, on which the model was trained, but was " + format,
          "recommend",
          of,
          part,
          "--format",
          format);
    }
    for (String command : List.of("test", "recommend")) {
      refused(
          "--format: expected sequences, histories or events, on which the model was trained, but was baskets",
          command,
          model,
          walks,
          "--format",
          "baskets");
    }
  }

  @Test
  void textsOfItemsAreCounted() throws IOException {
    Path texts = file("texts.txt", "i1 Black tea\ni2\ni3 Milk\nnix Nothing\n\n");
    String told = trainOn(walks, folder.resolve("texts.model"), "--item-texts", texts);
    assertTrue(
        told.startsWith(
            """
            100 sequences
            2 of 10 items have a text; 1 texts of items that no sequence has are left out
            """),
        told);
    String card = Commands.runWell("info", folder.resolve("texts.model"));
    assertTrue(card.contains("weight of item texts: 0.0000\n"), card);
    assertTrue(card.contains("validation nDCG@10 gained by item texts: "), card);
  }

  @Test
  void problemsOfTextsAreOneLine() throws IOException {
    Path twice = file("twice.txt", "i1 tea\ni2 milk\ni1 bread\n");
    Path unknown = file("nix.txt", "nix tea\ni1\n");
    Object[] train = {"train", "-o", folder.resolve("x"), walks, "--item-texts", twice};
    refused(twice + ":3: expected one text of each item, but 'i1' has one in line 1", train);
    train[train.length - 1] = unknown;
    refused(
        unknown + ": expected the text of an item that a sequence has, but none of 1 is of one",
        train);
    train[train.length - 1] = "-";
    refused("--item-texts: expected the name of a file but was standard input", train);
  }

  @Test
  void problemsAreOneLine() throws IOException {
    refused(
        "--until: expected --format events, which have times",
        "train",
        "-o",
        folder.resolve("x"),
        "--until",
        3,
        walks);
    refused(
        "--from: expected --format events, which have times", "test", model, walks, "--from", 3);
    refused(
        "--only: expected no --without as well",
        "recommend",
        model,
        walks,
        "--only",
        walks,
        "--without",
        walks);
    Path bad = file("bad.txt", "u i 1\nu i soon\n");
    refused(
        bad + ":2: expected a number or a date of ISO 8601 as the time but was 'soon'",
        "train",
        "-o",
        folder.resolve("x"),
        "--format",
        "events",
        bad);
    Path single = file("single.txt", "u i\nv j\n");
    refused(
        "sequences: expected one with two items to learn or more",
        "train",
        "-o",
        folder.resolve("x"),
        single);
    refused(single + ": expected a sequence with two items or more", "test", model, single);
    refused(
        "--validation: expected a sequence with two items or more, the last of which is predicted",
        "train",
        "-o",
        folder.resolve("x"),
        "--validation",
        single,
        walks);
    Path empty = file("empty.txt", "\n");
    refused(empty + ": no sequences", "recommend", model, empty);
    refused(
        "--dropout: expected a number in [0, 1) but was 1.0",
        "train",
        "-o",
        folder.resolve("x"),
        "--dropout",
        1,
        walks);
    refused(
        "--dropout: expected a number in [0, 1) but was 0.99999999",
        "train",
        "-o",
        folder.resolve("x"),
        "--dropout",
        ".99999999",
        walks);
    refused(
        "--until: expected a finite number but was NaN",
        "train",
        "-o",
        folder.resolve("x"),
        "--format",
        "events",
        "--until",
        "NaN",
        walks);
    refused(
        "--from: expected a finite number but was Infinity",
        "test",
        model,
        walks,
        "--format",
        "events",
        "--from",
        "Infinity");
    Path latin = Files.write(folder.resolve("latin.txt"), new byte[] {'i', (byte) 0xe9});
    for (String option : List.of("--only", "--without")) {
      refused(latin + ":1: is not UTF-8", "recommend", model, walks, option, latin);
    }
  }

  @Test
  void unknownItemsOfAFilterAreCounted_andRefusedWhereAllAre() throws IOException {
    Path users = file("users.txt", "a i1\n");
    Path some = file("some.txt", "i2 nix i2\nnox\n");
    Path none = file("none.txt", "nix\n");
    Path empty = file("empty.txt", "\n");
    for (String option : List.of("--only", "--without")) {
      Commands.Result result = Commands.run("next-item", "recommend", model, users, option, some);
      assertEquals(
          option + ": 2 of 3 items of " + some + " are unknown, such as 'nix'\n", result.err());
      assertEquals(0, result.code());
      refused(
          option + ": 1 of 1 items of " + none + " are unknown, such as 'nix'",
          "recommend",
          model,
          users,
          option,
          none);
    }
    refused("--only: " + empty + " has no item", "recommend", model, users, "--only", empty);
    Commands.runWell("next-item", "recommend", model, users, "--without", empty);
  }

  @Test
  void aCommandIsNeeded() {
    refused("next-item: expected train, test or recommend; --help describes them");
  }

  private static void refused(String message, Object... args) {
    Object[] words = new Object[args.length + 1];
    words[0] = "next-item";
    System.arraycopy(args, 0, words, 1, args.length);
    Commands.Result result = Commands.run(words);
    assertEquals(message + "\n", result.err());
    assertEquals(2, result.code());
  }
}
