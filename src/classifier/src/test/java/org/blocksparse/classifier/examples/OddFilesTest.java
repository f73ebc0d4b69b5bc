// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.ModelHead;
import org.blocksparse.classifier.training.Training;
import org.blocksparse.classifier.training.TrainingOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** Files that are neither a model nor examples, in place of these. */
final class OddFilesTest {
  @TempDir private Path folder;

  /** Returns the message of a file's exception, which names nothing else. */
  private static String told(Path file, IOException e) {
    String message = String.valueOf(e.getMessage());
    assertTrue(message.startsWith(file.toString()), e::toString);
    return message.substring(file.toString().length());
  }

  private static IOException ofModel(Path file) {
    return assertThrows(IOException.class, () -> Classifier.load(file).close());
  }

  private static IOException ofExamples(Path file) {
    return assertThrows(
        IOException.class,
        () -> {
          try (ExampleReader reader = ExampleReader.open(file)) {
            reader.next();
          }
        });
  }

  @Test
  void nothing() {
    Path none = folder.resolve("none");
    for (IOException e : new IOException[] {ofModel(none), ofExamples(none)}) {
      assertEquals(NoSuchFileException.class, e.getClass());
      assertEquals("", told(none, e));
    }
  }

  @Test
  void aFolder() {
    assertEquals(": file: is not a regular file", told(folder, ofModel(folder)));
    assertTrue(told(folder, ofExamples(folder)).length() > 2);
  }

  @Test
  void aFileOfOthersAlone() throws IOException {
    Path file = Files.createFile(folder.resolve("file"));
    if (Files.getFileStore(file).supportsFileAttributeView("posix")) {
      Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("---------"));
    }
    assumeFalse(Files.isReadable(file), "root may read all");
    for (IOException e : new IOException[] {ofModel(file), ofExamples(file)}) {
      assertEquals(AccessDeniedException.class, e.getClass());
      assertEquals("", told(file, e));
    }
  }

  @Test
  @DisabledOnOs(OS.WINDOWS) // Windows has no named pipes
  void aPipe_isNoModel_andNobodyWaitsForIt() throws Exception {
    Path pipe = folder.resolve("pipe");
    assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());
    assertEquals(": file: is not a regular file", told(pipe, ofModel(pipe)));
  }

  @Test
  void anEmptyFile_holdsNoModel_andNoExample() throws IOException {
    Path empty = Files.createFile(folder.resolve("empty"));
    assertTrue(told(empty, ofModel(empty)).startsWith(": header: "));
    try (ExampleReader reader = ExampleReader.open(empty)) {
      assertFalse(reader.nextLine());
    }
  }

  @Test
  void aText_isNoModel_andAModelIsNoText() throws IOException {
    Path text = Files.writeString(folder.resolve("text"), Texts.lines(9, 3, 1));
    assertTrue(told(text, ofModel(text)).startsWith(": header: "));
    Path model = folder.resolve("model");
    TrainingOptions options =
        TrainingOptions.defaults().withHead(ModelHead.EMBEDDING).withDimension(4);
    try (Classifier classifier = Training.train(Texts.examples(9, 3, 1), options);
        ExampleReader reader = ExampleReader.open(save(classifier, model))) {
      String message = assertThrows(InvalidInputException.class, reader::next).getMessage();
      assertTrue(message.startsWith(model + ": line 1: "), message);
      assertEquals(1, message.lines().count());
    }
  }

  private static Path save(Classifier classifier, Path file) throws IOException {
    classifier.save(file);
    return file;
  }
}
