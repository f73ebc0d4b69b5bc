// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.ModelFileTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** No file is open after a call has succeeded or failed. */
@EnabledOnOs(OS.LINUX) // Linux shows open files
final class OpenFilesTest {
  private interface Use {
    void of(Path file) throws IOException;
  }

  @TempDir Path folder;

  /** Returns the files of the folder that this process has open. */
  private List<Path> open() throws IOException {
    List<Path> open = new ArrayList<>();
    try (DirectoryStream<Path> descriptors =
        Files.newDirectoryStream(Path.of("/proc/self/fd"), Files::isSymbolicLink)) {
      for (Path descriptor : descriptors) {
        try {
          Path file = Files.readSymbolicLink(descriptor);
          if (file.startsWith(folder.toRealPath())) {
            open.add(file);
          }
        } catch (NoSuchFileException e) {
          // Another thread has closed it since it was listed.
        }
      }
    }
    return open;
  }

  private static Arguments kind(String name, Use writing, Use reading) {
    return Arguments.of(name, writing, reading);
  }

  private static Arguments layer(LoadOptions options) {
    return kind(
        "a layer, " + LoadSettings.from(options).memory(),
        file -> {
          try (HierarchicalSoftmax layer = ModelFileTest.layer()) {
            layer.save(file);
          }
        },
        file -> HierarchicalSoftmax.load(file, options).close());
  }

  private static Arguments tensors(LoadOptions options) {
    return kind(
        "tensors, " + LoadSettings.from(options).memory(),
        file -> {
          try (FloatTensor tensor = FloatTensor.zeros(5)) {
            TensorFile.save(file, Map.of("a", tensor));
          }
        },
        file -> {
          try (TensorFile tensors = TensorFile.open(file, options)) {
            tensors.floats("a").close();
          }
        });
  }

  static Stream<Arguments> kinds() {
    return Stream.of(
        layer(LoadOptions.copied()),
        layer(LoadOptions.mapped()),
        tensors(LoadOptions.copied()),
        tensors(LoadOptions.mapped()),
        kind(
            "an array",
            file -> {
              try (FloatTensor tensor = FloatTensor.zeros(5)) {
                NpyFile.write(file, tensor);
              }
            },
            file -> NpyFile.readFloats(file).close()));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("kinds")
  void noFileStaysOpen(String name, Use writing, Use reading) throws IOException {
    Path file = folder.resolve("file");
    writing.of(file);
    assertEquals(List.of(), open(), "after writing");
    writing.of(file);
    assertEquals(List.of(), open(), "after replacing");
    reading.of(file);
    assertEquals(List.of(), open(), "after reading");
    byte[] bytes = Files.readAllBytes(file);
    bytes[0] = (byte) (bytes[0] ^ 0x40);
    Files.write(file, bytes);
    assertThrows(FileFormatException.class, () -> reading.of(file));
    assertEquals(List.of(), open(), "after refusing");
    Path nowhere = folder.resolve("nowhere");
    assertThrows(IOException.class, () -> writing.of(nowhere.resolve("file")));
    assertEquals(List.of(), open(), "after refusing to write");
  }

  /**
   * An interrupt is reported as such, or the work is done: it does not mean that the file is
   * invalid.
   */
  @ParameterizedTest(name = "{0}")
  @MethodSource("kinds")
  void norDoesWhatWasInterrupted(String name, Use writing, Use reading) throws IOException {
    Path file = folder.resolve("file");
    writing.of(file);
    byte[] content = Files.readAllBytes(file);
    for (Use use : List.of(reading, writing)) {
      Thread.currentThread().interrupt();
      try {
        use.of(file);
      } catch (FileFormatException e) {
        throw new AssertionError("an interrupt makes no bad file", e);
      } catch (IOException e) {
        assertTrue(
            e instanceof ClosedByInterruptException || e instanceof InterruptedIOException,
            e::toString);
      } finally {
        assertTrue(Thread.interrupted(), "the interrupt is lost");
      }
      assertEquals(List.of(), open());
      assertArrayEquals(content, Files.readAllBytes(file));
      try (Stream<Path> files = Files.list(folder)) {
        assertEquals(List.of(file), files.toList());
      }
    }
    reading.of(file);
  }

  @Test
  void norDoesWhatCouldNotBeFinished() throws IOException {
    try (FloatTensor nan = FloatTensor.of(new float[] {Float.NaN}, 1)) {
      assertThrows(
          IllegalStateException.class,
          () -> TensorFile.save(folder.resolve("file"), Map.of("nan", nan)));
    }
    assertEquals(List.of(), open());
  }
}
