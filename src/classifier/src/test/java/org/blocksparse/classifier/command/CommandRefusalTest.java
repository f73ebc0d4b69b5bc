// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.blocksparse.FloatTensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Input that commands reject or skip, and their messages. */
final class CommandRefusalTest extends Commands {
  @Test
  @DisabledOnOs(OS.WINDOWS) // Windows has none
  void devices_areNoPlaceForAModel() {
    Result refused = run("train", "-o", "/dev/null", training);
    assertEquals(2, refused.code());
    assertTrue(refused.err().startsWith("--output: "), refused.err());
  }

  @Test
  void linesBeforeABadOne_haveTheirAnswers() throws IOException {
    Path sparse = folder.resolve("sparse.txt");
    runWell("train", "-o", model, "--epochs", 1, "--dimension", 8, sparse);
    Path lines = Files.writeString(folder.resolve("lines"), " 3:1\n 4:1\n x:1\n 5:1\n");
    Result refused = run("predict", model, lines, "--top", 1);
    assertEquals(2, refused.code());
    assertEquals(2, refused.out().lines().count(), refused.out());
    assertTrue(refused.err().startsWith(lines + ": line 3: expected index:"), refused.err());
    assertTrue(refused.err().endsWith("; --skip-bad-lines leaves it out\n"), refused.err());
  }

  @Test
  void tooLittleMemory_isToldWithWhatAUserCanDo() {
    OutOfMemoryError heap = new OutOfMemoryError("Java heap space");
    assertEquals(
        "not enough memory: Java heap space; java -Xmx sets how much Java takes",
        Main.tooLittleMemory(heap, "predict", "model"));
    assertEquals(
        "not enough memory: Java heap space; java -Xmx sets how much Java takes, and for texts"
            + " --word-ngrams 1 needs less",
        Main.tooLittleMemory(heap, "train", "-o", "model", "file"));
    for (String ofJava :
        List.of("GC overhead limit exceeded", "Requested array size exceeds VM limit")) {
      assertEquals(
          Main.tooLittleMemory(heap, "train").replace("Java heap space", ofJava),
          Main.tooLittleMemory(new OutOfMemoryError(ofJava), "train"));
    }
    OutOfMemoryError ofTensors =
        assertThrows(OutOfMemoryError.class, () -> FloatTensor.zeros(1L << 50).close());
    String told = Main.tooLittleMemory(ofTensors, "train");
    assertTrue(
        told.matches(
            "not enough memory: cannot allocate 4503599627370496 bytes for a tensor; \\d+ bytes are"
                + " held by other tensors; a smaller --dimension needs less"),
        told);
  }

  @Test
  void warnings_haveNoAdviceToPrograms() {
    OutOfMemoryError e =
        assertThrows(OutOfMemoryError.class, () -> FloatTensor.zeros(1L << 50).close());
    StringWriter err = new StringWriter();
    new TrainingLog(new PrintWriter(new StringWriter()), new PrintWriter(err), false, 5)
        .warning("the best model so far cannot be kept: " + e.getMessage());
    String told = err.toString().strip();
    assertTrue(
        told.matches(
            "Warning: the best model so far cannot be kept: cannot allocate \\d+ bytes for a"
                + " tensor; \\d+ bytes are held by other tensors"),
        told);
  }

  @Test
  void badLines_areTold_whereNoneIsRight() throws IOException {
    Files.writeString(training, "neither this\nnor that\n");
    Result refused = run("train", "-o", model, "--skip-bad-lines", training);
    assertEquals(2, refused.code());
    List<String> lines = refused.err().lines().toList();
    assertTrue(lines.get(0).startsWith("Left out 2 bad lines; the first: "), refused.err());
    assertTrue(
        lines
            .get(0)
            .endsWith(", give --format text, --format sparse or, for a table, --format csv"),
        refused.err());
    assertEquals(training + ": no examples", lines.get(1));
  }

  @Test
  void examplesWithoutAnyLabel_areRefused_withWhatALabelIs() throws IOException {
    Path sparse = Files.writeString(folder.resolve("none.txt"), " 3:1\n 4:1\n");
    String told =
        sparse
            + ": none of 2 examples has a label; labels are what a line begins with, with commas"
            + " between them\n";
    assertEquals(told, run("train", "-o", model, sparse).err());
    assertEquals(told, run("train", "-o", model, "--validation", sparse, training).err());
    Files.writeString(training, "#a b\n");
    assertEquals(
        training
            + ": none of 1 examples has a label; labels are words that begin with __label__"
            + " (--label-prefix)\n",
        run("train", "-o", model, "--format", "text", training).err());
  }

  @Test
  void aPrefixThatIsNearlyRight_isGuessed() throws IOException {
    Files.writeString(training, "__lable__tea green leaves\n");
    Result ofAny = run("train", "-o", model, training);
    assertTrue(ofAny.err().endsWith("; did you mean --label-prefix __lable__?\n"), ofAny.err());
    Result ofText = run("train", "-o", model, "--format", "text", training);
    assertTrue(
        ofText
            .err()
            .endsWith(
                "labels are words that begin with __label__ (--label-prefix); did you mean"
                    + " --label-prefix __lable__?\n"),
        ofText.err());
  }

  private static void assertRefused(String message, Result result) {
    assertEquals(2, result.code());
    assertEquals(message, result.err());
  }

  @Test
  void aFormatOfAnotherKind_isRefused() throws IOException {
    Files.write(model, trained);
    Path sparse = folder.resolve("sparse.txt");
    Path ofFeatures = folder.resolve("of-features");
    runWell("train", "-o", ofFeatures, "--epochs", 1, "--dimension", 8, sparse);
    for (String command : List.of("predict", "test", "latency")) {
      assertRefused(
          "--format: expected text, on which the model was trained, but was sparse\n",
          run(command, model, sparse, "--format", "sparse"));
      assertRefused(
          "--format: expected sparse, on which the model was trained, but was text\n",
          run(command, ofFeatures, test, "--format", "TEXT"));
    }
  }

  @Test
  void aPrefixOfLabels_isRefused_byAModelOfFeatures() throws IOException {
    Path sparse = folder.resolve("sparse.txt");
    runWell("train", "-o", model, "--epochs", 1, "--dimension", 8, sparse);
    for (String command : List.of("predict", "test", "latency")) {
      assertRefused(
          "--label-prefix: expected texts, but the model was trained on features\n",
          run(command, model, sparse, "--label-prefix", "__label__"));
    }
  }

  @Test
  void aLabelThatIsNotUtf8_isNoStackTrace() throws IOException {
    Files.write(model, trained);
    byte[] bytes = Files.readAllBytes(model);
    int at = new String(bytes, ISO_8859_1).lastIndexOf("label7");
    bytes[at] = (byte) 0xff;
    Files.write(model, bytes);
    Result refused = run("predict", model, test, "--top", LABELS);
    assertEquals(2, refused.code());
    assertEquals("labels: the name of output 7 is not UTF-8\n", refused.err());
  }

  @Test
  void aModelThatCannotBeTrained_isRefused_byTheNameOfItsOption() throws IOException {
    Files.write(model, trained);
    Path small = folder.resolve("small");
    runWell("quantize", model, small);
    assertRefused(
        "--from: expected weights of FLOAT32 but was INT8; take the model that these were rounded"
            + " from\n",
        run("train", "-o", folder.resolve("m"), "--from", small, training));
  }

  @Test
  void aPrefixThatIsNone_isRefused_byTheNameOfItsOption() throws IOException {
    Files.write(model, trained);
    for (String command : List.of("predict", "test", "latency")) {
      Result refused = run(command, model, test, "--label-prefix", "");
      assertEquals(2, refused.code());
      assertEquals("--label-prefix: expected at least one character\n", refused.err());
    }
  }

  @Test
  void emptyNamesOfFiles_areRefused() throws IOException {
    Files.write(model, trained);
    String told = "FILE: expected the name of a file, or -, but was empty\n";
    assertEquals(told, run("test", model, "").err());
    assertEquals(told, run("train", "-o", model, "").err());
    assertEquals(told, run("train", "-o", model, "--validation", "", training).err());
    assertEquals(
        "Invalid value for option '--output': expected the name of a file but was empty\n",
        run("train", "-o", "", training).err());
  }

  /** By default, picocli treats it as a file, and fails if it cannot read it. */
  @Test
  void whatBeginsWithAnAt_isNoFileOfOptions() throws IOException {
    assertEquals("there is no file @" + folder + "\n", run("info", "@" + folder).err());
    Files.writeString(training, Files.readString(training).replace("__label__", "@@"));
    runWell("train", "-o", model, "--epochs", 1, "--label-prefix", "@@", training);
    assertTrue(runWell("test", model, training).startsWith("2,000 examples in "));
  }

  @Test
  void namesThatAreTooLong_areRefused_beforeAnythingIsLearned() {
    Path longest = folder.resolve("n".repeat(300));
    Result refused = run("train", "-o", longest, training);
    assertEquals(2, refused.code());
    assertTrue(refused.err().startsWith("--output: cannot write " + longest + ": "), refused.err());
    assertEquals("", refused.out());
  }

  @Test
  void whatIsCutOff_isTold() throws IOException {
    Path zipped = folder.resolve("zipped");
    Files.write(zipped, new byte[] {0x1f, (byte) 0x8b, 8});
    Result refused = run("train", "-o", model, zipped);
    assertEquals(2, refused.code());
    assertEquals(zipped + ": ends in the middle: it is cut off\n", refused.err());
  }

  @Test
  void aFileOfFewerExamplesThanItsHeaderTells_isTold() throws IOException {
    Path sparse = Files.writeString(folder.resolve("short.txt"), "3 9 3\n1,2 3:1 5:2\n2 4:1\n");
    Result result = run("train", "-o", model, "--epochs", 1, sparse);
    assertEquals(0, result.code());
    assertEquals(
        "Warning: "
            + sparse
            + ": line 1 states 3 examples, but 2 follow; the file may be cut off\n",
        result.err());
  }

  @Test
  void adviceOnALine_namesOptions_andLeavesTheLineAsItIs() throws IOException {
    Files.writeString(training, "Genesis 1:1\na skipBadLines\n");
    assertEquals(
        training
            + ": line 2: expected index:value, with an index in [0, 2147483647] and a finite"
            + " decimal value, but was 'skipBadLines'; --format text if these are texts, else"
            + " --skip-bad-lines leaves it out\n",
        run("train", "-o", model, training).err());
  }

  @Test
  void badLines_endWithTwo_orAreSkipped() throws IOException {
    Files.writeString(training, "__label__ nameless\n", StandardOpenOption.APPEND);
    Result refused = run("train", "-o", model, training);
    assertEquals(2, refused.code());
    assertEquals(
        training
            + ": line 2001: a label has no name: '__label__'; --skip-bad-lines leaves it out\n",
        refused.err());
    assertTrue(Files.notExists(model));
    Result skipped = run("train", "-o", model, "--epochs", 1, "--skip-bad-lines", training);
    assertEquals(0, skipped.code());
    assertTrue(skipped.err().startsWith("Left out 1 bad lines; the first: "), skipped.err());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "train -o {}/m {}/none.txt             | there is no file {}/none.txt",
        "train -o {}/no/m {}/train.txt         | --output: cannot write {}/no/m: its folder is not",
        "train -o {}/empty/m {}/train.txt      | --output: cannot write {}/empty/m: its folder is",
        "train -o {}/folder {}/train.txt       | --output: cannot write {}/folder: is a folder",
        "train -o {}/m                         | Missing required parameter: 'FILE'",
        "train -o {}/m --rate 0 {}/train.txt   | --rate: expected a number in [1e-20, 100] but was"
            + " 0.0",
        "train -o {}/m --rate 1e-44 {}/train.txt | --rate: expected a number in [1e-20, 100] but"
            + " was 1.0E-44",
        "train -o {}/m --word-ngrams 9 {}/train.txt | --word-ngrams: expected a number in [1, 5]"
            + " but was 9",
        "train -o {}/m --epochs x {}/train.txt | Invalid value for option '--epochs': 'x' is not an"
            + " int",
        "train {}/train.txt                    | Missing required option: '--output=MODEL'",
        "test {}/none {}/test.txt              | there is no file {}/none",
        "test {}/test.txt {}/test.txt          | {}/test.txt: header: ",
        "train -o {}/m {}/empty                | {}/empty: no examples",
        "train -o {}/m {}/folder               | {}/folder: ",
        "train -o {}/m --label-prefix= {}/train.txt | --label-prefix: expected at least one"
            + " character",
        "test {}/none @{}/folder               | there is no file {}/none",
        "train -o {}/m --threads 0 {}/train.txt | --threads: expected a number in [1, 2147483647]"
            + " but was 0",
        "train -o {}/train.txt {}/train.txt    | --output: {}/train.txt is the same file as"
            + " {}/train.txt",
        "train -o {}/test.txt --validation {}/test.txt {}/train.txt | --output: {}/test.txt is the"
            + " same file as {}/test.txt",
        "train -o {}/m --chart {}/train.txt {}/train.txt | --chart: {}/train.txt is the same file",
        "train -o {}/m --chart {}/folder/../m {}/train.txt | --chart: {}/folder/../m is the same",
        "train -o {}/m --validation - - | --validation: is standard input, from which the examples",
        "train -o {}/m --min-count 99999 {}/train.txt | examples: none has a feature that is kept;"
            + " --min-count and --max-features leave out all ",
        "train -o {}/m --word-ngrams 2 {}/sparse.txt | --word-ngrams: expected texts, but",
        "train -o {}/m --plain-words {}/sparse.txt | --plain-words: expected texts, but",
        "train -o {}/m --label-prefix # {}/sparse.txt | --label-prefix: expected texts, but",
        "train -o {}/m --label-prefix # --format sparse {}/sparse.txt | --label-prefix: expected",
        "train -o {}/m --label-prefix # --validation {}/sparse.txt {}/sparse.txt | --label-prefix:"
            + " expected texts, but",
        "train -o {}/m --validation {}/sparse.txt {}/train.txt | validation: some have features",
        "predict {}/none --threshold 1.5       | --threshold: expected a number in [0, 1], or best,"
            + " but was 1.5",
        "predict {}/none --threshold NaN       | --threshold: expected a number in [0, 1], or best,"
            + " but was NaN",
        "predict {}/none --threshold bets      | --threshold: expected a number in [0, 1], or best,"
            + " but was bets",
        "test {}/none {}/test.txt --threshold 0 | --threshold: expected a number in [0.001, 1], or"
            + " best, but was 0",
        "test {}/none {}/test.txt --by-label {}/test.txt | --by-label: {}/test.txt is the same file"
            + " as {}/test.txt",
        "train -o {}/m --from {}/none {}/train.txt | there is no file {}/none",
        "train -o {}/m --from {}/m --dimension 9 {}/train.txt | --dimension: expected no --from as"
            + " well, whose model has it",
        "train -o {}/m --from {}/m --trees 2 {}/train.txt | --trees: expected no --from as well,"
            + " whose model has it",
        "train -o {}/m --trees 3 {}/train.txt | --trees: expected a number in [1, 2] but was 3",
        "train -o {}/m --trees 2 --label-tree {}/train.txt | --label-tree: expected --head both"
            + " with --trees 2 as well",
        "train -o {}/m --trees 2 --head embedding {}/train.txt | --head: expected linear, both, or"
            + " none, with --trees 2 as well",
        "train -o {}/m --from {}/m --label-tree {}/train.txt | --label-tree: expected no --from",
        "train -o {}/test.txt --from {}/test.txt {}/train.txt | --output: {}/test.txt is the same"
            + " file as {}/test.txt",
        "train -o {}/m --label-texts - {}/train.txt | --label-texts: expected the name of a file",
        "train -o {}/m --label-texts {}/none.txt {}/train.txt | there is no file {}/none.txt",
        "train -o {}/m --label-texts {}/empty {}/train.txt | {}/empty: --label-texts: expected at"
            + " least one but there is none",
        "train -o {}/m --label-texts {}/train.txt {}/train.txt | {}/train.txt: line 41:"
            + " --label-texts: expected one text of each label but 'label0' has two",
        "train -o {}/m --label-texts {}/sparse.txt {}/train.txt | {}/sparse.txt: line 1:"
            + " --label-texts: expected texts but one has features",
        "train -o {}/test.txt --label-texts {}/test.txt {}/train.txt | --output: {}/test.txt is"
            + " the same file as {}/test.txt",
        "train -o {}/m --label-texts {}/t --from {}/m {}/train.txt | --label-texts: expected no"
            + " --from as well",
        "train -o {}/m --label-texts {}/t --head embedding {}/train.txt | --head: expected linear,"
            + " both, or none, with --label-texts as well",
        "train -o {}/m --label-texts {}/t --label-tree {}/train.txt | --label-tree: expected --head"
            + " both with --label-texts as well",
        "quantize {}/test.txt {}/test.txt      | OUT: {}/test.txt is the same file as {}/test.txt",
        "train -o {}/m --validation {}/empty {}/train.txt | {}/empty: no examples",
        "train -o {}/m --chart {}/no/png {}/train.txt | --chart: cannot write {}/no/png",
        "test {}/none {}/test.txt --top ,      | --top: expected numbers with commas between them",
        "test {}/folder {}/test.txt            | {}/folder: ",
        "quantize {}/none {}/q                 | there is no file {}/none",
        "quantize {}/test.txt {}/q             | {}/test.txt: header: ",
        "quantize {}/none {}/no/q              | OUT: cannot write {}/no/q",
        "quantize {}/none                      | Missing required parameter: 'OUT'",
        "quantize --type float32 {}/none {}/q  | Invalid value for option '--type': expected one of"
            + " [FLOAT16, BFLOAT16, INT8] (case-insensitive) but was 'float32'",
        "predict {}/none --top 0               | --top: expected a number in [1, 100000] but was 0",
        "test {}/none {}/train.txt b.txt       | Unexpected argument 'b.txt': test takes MODEL and"
            + " FILE alone; several files are read through a pipe: cat A B, and -",
        "info {}/none b                        | Unexpected argument 'b': info takes MODEL alone",
        "frobnicate                            | Unmatched argument at index 0: 'frobnicate'",
        "tran -o {}/m {}/train.txt             | Unmatched arguments from index 0: 'tran', '-o',"
            + " '{}/m', '{}/train.txt'; did you mean train?",
        "train -o {}/m --epoch 5 {}/train.txt  | Unknown option: '--epoch'; did you mean --epochs?",
        "train -o {}/m --dim=5 {}/train.txt    | Unknown option: '--dim'; did you mean"
            + " --dimension?",
        "test {}/m {}/test.txt --colour        | Unknown option: '--colour'; --help lists all",
        "info {}/test.txt                      | {}/test.txt: header: expected a safetensors file,"
            + " but it begins with the text \"__label_\"",
      })
  void uselessArguments_endWithTwo_andOneLine(String line, String message) {
    String[] args = line.replace("{}", folder.toString()).split(" ", -1);
    Result result = run((Object[]) args);
    assertEquals(2, result.code());
    String expected = message.replace("{}", folder.toString());
    assertTrue(result.err().startsWith(expected), result.err());
    assertEquals(1, result.err().lines().count(), result.err());
  }
}
