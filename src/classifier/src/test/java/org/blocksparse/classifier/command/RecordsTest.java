// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.blocksparse.classifier.examples.Texts;
import org.junit.jupiter.api.Test;

/** Commands on CSV, TSV and JSON Lines. */
final class RecordsTest extends Commands {
  private static final Pattern TEXT = Pattern.compile("__label__(\\S+) (.*)");

  private Path csv(String name, String lines, String header) throws IOException {
    String rows = TEXT.matcher(lines).replaceAll("\"$2\",$1");
    return Files.writeString(folder.resolve(name), header + "\n" + rows);
  }

  /** Returns a block of the page, by its beginning. */
  private static String onThePage(String beginning) throws IOException {
    String page = Files.readString(Path.of("../doc/classifier.md"));
    String block = "(?s)```text\n(" + Pattern.quote(beginning) + ".*?)```";
    Matcher found = Pattern.compile(block).matcher(page);
    assertTrue(found.find(), beginning);
    return found.group(1);
  }

  @Test
  void theExamplesOfThePageAreRead() throws IOException {
    Path csv = Files.writeString(folder.resolve("drinks.csv"), onThePage("id,text"));
    Path json = Files.writeString(folder.resolve("drinks.jsonl"), onThePage("{\"text\""));
    String log = runWell("train", "-o", model, csv);
    assertTrue(log.contains("2 examples, 8 features, 2 labels"), log);
    String tested = runWell("test", model, json);
    assertTrue(
        tested.contains("2 examples") && tested.contains("1 have labels that the model"), tested);
    List<String> answers = runWell("predict", model, json).lines().toList();
    assertEquals(2, answers.size());
    assertTrue(answers.get(0).startsWith("tea\t") && answers.get(1).startsWith("coffee\t"));
  }

  /** The format changes nothing else: the models are equal. */
  @Test
  void recordsMakeTheModelOfLines() throws IOException {
    String lines = Texts.lines(300, 5, 1);
    Path text = Files.writeString(folder.resolve("same.txt"), lines);
    Path records = csv("same.csv", lines, "body,tag");
    Path other = folder.resolve("other");
    runWell("train", "-o", model, text);
    String log =
        runWell("train", "-o", other, "--text-column", "body", "--label-column", "tag", records);
    assertTrue(log.contains(" test --text-column body --label-column tag "), log);
    assertEquals(
        runWell("predict", model, text),
        runWell("predict", other, "--text-column", "body", records));
    assertEquals(runWell("predict", model, text), runWell("predict", other, text));
  }

  @Test
  void aTableThatIsReadAsTextsIsWarnedOf() throws IOException {
    Files.write(model, trained);
    Path table = csv("table", Texts.lines(3, 2, 1), "text,label");
    Result result = run("predict", model, table);
    assertEquals(
        "Warning: "
            + table
            + ": line 1 looks like a record of CSV, but was read as a text; --format csv reads"
            + " columns\n",
        result.err().replaceAll("(?m)^1 lines have no feature.*\n", ""));
    assertEquals(4, result.out().lines().count());
    assertEquals(3, runWell("predict", model, "--format", "csv", table).lines().count());
    InputStream before = System.in;
    try {
      System.setIn(new ByteArrayInputStream("{\"text\": \"own1\"}\n".getBytes(UTF_8)));
      assertEquals(1, runWell("predict", model, "--format", "jsonl").lines().count());
    } finally {
      System.setIn(before);
    }
  }

  @Test
  void mistakesOfColumnsAreNamed() throws IOException {
    Files.write(model, trained);
    Path table = csv("table.csv", Texts.lines(3, 2, 1), "body,tag");
    String remedy =
        "; --text-column names another one, --format text reads lines without columns\n";
    String text = ": line 1: expected a header with the column 'text' but was 'body', 'tag'";
    assertEquals(table + text + remedy, run("predict", model, table).err());
    assertEquals(table + text + remedy, run("train", "-o", model, table).err());
    assertEquals(
        table
            + ": line 1: expected a header with the column 'label' but was 'body', 'tag';"
            + " --label-column names another one\n",
        run("test", model, "--text-column", "body", table).err());
    String columns = ": expected --format csv, tsv or jsonl, or a file with such an extension\n";
    assertEquals(
        "--text-column" + columns, run("train", "-o", model, "--text-column", "a", test).err());
    assertEquals(
        "--label-separator" + columns, run("test", model, "--label-separator", ";", test).err());
    assertEquals(
        "--label-prefix: expected lines of text, but " + table + " has columns\n",
        run("train", "-o", model, "--label-prefix", "#", table).err());
    assertEquals(
        "--label-column: expected another column than that of the text but was 'body'\n",
        run("test", model, "--text-column", "body", "--label-column", "body", table).err());
    Path empty = csv("empty.csv", "__label__ \n", "text,label");
    assertEquals(2, run("train", "-o", model, empty).code());
  }
}
