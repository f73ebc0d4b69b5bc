// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Tensor;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.ModelFileTest;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Invalid calls of every method that reads or writes files: the exception, its whole message, and
 * that no file was made or changed and no memory kept. {@link HostileModelTest} and {@link
 * HostileNumPyTest} cover files with invalid content.
 */
final class InvalidFileInputTest {
  /** Valid files of each kind. */
  private static final Map<String, byte[]> RIGHT = new HashMap<>();

  private static int count;

  @TempDir Path folder;

  /** A call in a folder, given a layer and tensors. */
  private interface Call {
    void run(InvalidFileInputTest test) throws IOException;
  }

  /** In the message, FOLDER stands for the folder of the test. */
  record Case(String name, Class<? extends Exception> type, String message, Call call) {
    @Override
    public String toString() {
      return name;
    }
  }

  private final HierarchicalSoftmax layer = ModelFileTest.layer();
  private final HierarchicalSoftmax closedLayer = ModelFileTest.layer();
  private final FloatTensor tensor = FloatTensor.zeros(2, 3);
  private final FloatTensor transposed = FloatTensor.zeros(1, 2, 3, 4).transposeBlocks();
  private final FloatTensor closed = FloatTensor.zeros(2, 3);
  private final IntTensor closedInts = IntTensor.zeros(5);

  private Path at(String name) {
    return folder.resolve(name);
  }

  private static void add(
      List<Case> cases, String name, Class<? extends Exception> type, String message, Call call) {
    cases.add(new Case(name, type, message, call));
  }

  private static final Class<NullPointerException> NULL = NullPointerException.class;
  private static final Class<IllegalArgumentException> ARGUMENT = IllegalArgumentException.class;
  private static final Class<IllegalStateException> STATE = IllegalStateException.class;

  /** Readers and writers of files. */
  private static final Map<String, Reader> READERS =
      new TreeMap<>(
          Map.of(
              "load", file -> HierarchicalSoftmax.load(file).close(),
              "load mapped", file -> HierarchicalSoftmax.load(file, LoadOptions.mapped()).close(),
              "load copyOnWrite",
                  file -> HierarchicalSoftmax.load(file, LoadOptions.copyOnWrite()).close(),
              "NpyFile.readFloats", file -> NpyFile.readFloats(file).close(),
              "NpyFile.readInts", file -> NpyFile.readInts(file).close(),
              "NpzFile.open", file -> NpzFile.open(file).close(),
              "ClassAssignment.read", ClassAssignment::read));

  private static final Map<String, String> EMPTY =
      Map.of(
          "load", "header: the file has only 0 bytes",
          "load mapped", "file: is empty",
          "load copyOnWrite", "file: is empty",
          "NpzFile.open", "archive: is no zip file: zip file is empty",
          "ClassAssignment.read", "classes: outputs: expected at least 1 but was 0");

  private interface Reader {
    void read(Path file) throws IOException;
  }

  private static final Map<String, Writer> WRITERS =
      new TreeMap<>(
          Map.of(
              "save", (test, file) -> test.layer.save(file),
              "NpyFile.write", (test, file) -> NpyFile.write(file, test.tensor),
              "NpzFile.write", (test, file) -> NpzFile.write(file, Map.of("a", test.tensor)),
              "ClassAssignment.write", (test, file) -> test.layer.assignment().write(file)));

  private interface Writer {
    void write(InvalidFileInputTest test, Path file) throws IOException;
  }

  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    READERS.forEach(
        (name, reader) -> {
          add(cases, name + " null", NULL, "file", test -> reader.read(null));
          add(
              cases,
              name + " of nothing",
              NoSuchFileException.class,
              "FOLDER/nothing",
              test -> reader.read(test.at("nothing")));
          add(
              cases,
              name + " of a folder",
              FileFormatException.class,
              "FOLDER/sub: file: is not a regular file",
              test -> reader.read(test.at("sub")));
          add(
              cases,
              name + " of an empty file",
              FileFormatException.class,
              "FOLDER/empty: " + EMPTY.getOrDefault(name, "array: the magic number is cut off"),
              test -> reader.read(test.at("empty")));
        });
    WRITERS.forEach(
        (name, writer) -> {
          add(cases, name + " null", NULL, "file", test -> writer.write(test, null));
          add(
              cases,
              name + " to a folder that is not there",
              NoSuchFileException.class,
              "FOLDER/no/such: its folder is not there",
              test -> writer.write(test, test.at("no/such")));
          add(
              cases,
              name + " onto a folder",
              FileSystemException.class,
              "FOLDER/sub: is a folder",
              test -> writer.write(test, test.at("sub")));
          add(
              cases,
              name + " into a file",
              NoSuchFileException.class,
              "FOLDER/old/file: its folder is not there",
              test -> writer.write(test, test.at("old/file")));
        });
    addModels(cases);
    addArrays(cases);
    return cases.stream();
  }

  private static void addModels(List<Case> cases) {
    add(
        cases,
        "load options null",
        NULL,
        "options",
        t -> HierarchicalSoftmax.load(t.at("old"), null));
    add(cases, "save options null", NULL, "options", t -> t.layer.save(t.at("old"), null));
    add(cases, "withWorkers null", NULL, "workers", t -> LoadOptions.copied().withWorkers(null));
    add(
        cases,
        "load withProgress null",
        NULL,
        "progress",
        t -> LoadOptions.mapped().withProgress(null));
    add(
        cases,
        "save withProgress null",
        NULL,
        "progress",
        t -> SaveOptions.defaults().withProgress(null));
    add(
        cases,
        "withMetadata null",
        NULL,
        "metadata",
        t -> SaveOptions.defaults().withMetadata(null));
    for (Map<String, String> entries :
        List.of(
            Collections.singletonMap("key", (String) null),
            Collections.singletonMap((String) null, "value"))) {
      add(
          cases,
          "withMetadata " + entries,
          NULL,
          "metadata",
          t -> SaveOptions.defaults().withMetadata(entries));
    }
    for (String key : List.of("blocksparse.", "blocksparse.format", "blocksparse.anything")) {
      add(
          cases,
          "withMetadata " + key,
          ARGUMENT,
          "metadata: the key " + key + " begins with blocksparse., as only the format's own do",
          t -> SaveOptions.defaults().withMetadata(Map.of(key, "value")));
    }
    for (String name : List.of("new", "old")) {
      add(
          cases,
          "save a closed layer " + name,
          STATE,
          "layer: the layer is closed",
          t -> t.closedLayer.save(t.at(name)));
      for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
        add(
            cases,
            "save " + bad + " " + name,
            STATE,
            "b1: element 1 is " + bad + "; a layer that is not finite is not saved",
            t -> {
              t.layer.b1().set(bad, 1);
              t.layer.save(t.at(name));
            });
      }
      add(
          cases,
          "save with a progress that throws " + name,
          UnsupportedOperationException.class,
          "stop",
          t ->
              t.layer.save(
                  t.at(name),
                  SaveOptions.defaults()
                      .withProgress(
                          (done, total) -> {
                            throw new UnsupportedOperationException("stop");
                          })));
    }
    add(
        cases,
        "load with a progress that throws",
        UnsupportedOperationException.class,
        "stop",
        t ->
            HierarchicalSoftmax.load(
                    t.at("model"),
                    LoadOptions.copied()
                        .withProgress(
                            (done, total) -> {
                              throw new UnsupportedOperationException("stop");
                            }))
                .close());
  }

  private static void addArrays(List<Case> cases) {
    for (String name : List.of("new", "old")) {
      add(
          cases,
          "NpyFile.write null " + name,
          NULL,
          "tensor",
          t -> NpyFile.write(t.at(name), null));
      add(
          cases,
          "NpyFile.write closed " + name,
          STATE,
          "tensor: the tensor (2, 3) is closed",
          t -> NpyFile.write(t.at(name), t.closed));
      add(
          cases,
          "NpyFile.write closed integers " + name,
          STATE,
          "tensor: the tensor (5) is closed",
          t -> NpyFile.write(t.at(name), t.closedInts));
      add(
          cases,
          "NpyFile.write transposed " + name,
          ARGUMENT,
          "tensor: expected a contiguous tensor but (2, 1, 4, 3) is a transposed view",
          t -> NpyFile.write(t.at(name), t.transposed));
      add(
          cases,
          "NpzFile.write null " + name,
          NULL,
          "tensors",
          t -> NpzFile.write(t.at(name), null));
      add(
          cases,
          "NpzFile.write a null tensor " + name,
          NULL,
          "a",
          t -> NpzFile.write(t.at(name), Collections.singletonMap("a", (Tensor) null)));
      add(
          cases,
          "NpzFile.write a null name " + name,
          NULL,
          "tensors",
          t -> NpzFile.write(t.at(name), Collections.singletonMap(null, t.tensor)));
      add(
          cases,
          "NpzFile.write closed " + name,
          STATE,
          "a: the tensor (2, 3) is closed",
          t -> NpzFile.write(t.at(name), Map.of("a", t.closed)));
      add(
          cases,
          "NpzFile.write transposed " + name,
          ARGUMENT,
          "a: expected a contiguous tensor but (2, 1, 4, 3) is a transposed view",
          t -> NpzFile.write(t.at(name), Map.of("a", t.transposed)));
      for (String path :
          List.of("", ".", "..", "../a", "a/b", "a\\b", "C:a", ".a", "a\0", "a\nb", "\u007f")) {
        add(
            cases,
            "NpzFile.write as " + Arrays.toString(path.toCharArray()) + " " + name,
            ARGUMENT,
            "tensors: \""
                + path
                + "\" is not a name of an array: it is empty, or it could be a path",
            t -> NpzFile.write(t.at(name), Map.of(path, t.tensor)));
      }
    }
    Map<String, ArrayReader> readers =
        new TreeMap<>(Map.of("floats", NpzFile::floats, "ints", NpzFile::ints));
    readers.forEach(
        (name, reader) -> {
          add(cases, "NpzFile." + name + " null", NULL, "name", t -> read(t, reader, null));
          add(
              cases,
              "NpzFile." + name + " of nothing",
              FileFormatException.class,
              "FOLDER/archive: b: is missing; there are [a]",
              t -> read(t, reader, "b"));
          add(
              cases,
              "NpzFile." + name + " after close",
              STATE,
              "file: the file is closed",
              t -> {
                NpzFile npz = NpzFile.open(t.at("archive"));
                npz.close();
                reader.read(npz, "a");
              });
        });
    add(
        cases,
        "NpzFile.ints of floats",
        FileFormatException.class,
        "FOLDER/archive: a: expected int32 or int64 but was float32",
        t -> read(t, NpzFile::ints, "a"));
    add(
        cases,
        "NpyFile.readInts of floats",
        FileFormatException.class,
        "FOLDER/array: array: expected int32 or int64 but was float32",
        t -> NpyFile.readInts(t.at("array")));
  }

  private interface ArrayReader {
    Tensor read(NpzFile npz, String name) throws IOException;
  }

  private static void read(InvalidFileInputTest test, ArrayReader reader, String name)
      throws IOException {
    try (NpzFile npz = NpzFile.open(test.at("archive"))) {
      reader.read(npz, name).close();
    }
  }

  /** Returns all files with their content, and the folders. */
  private Map<Path, String> content() throws IOException {
    Map<Path, String> content = new TreeMap<>();
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.toList()) {
        content.put(
            file, Files.isRegularFile(file) ? Arrays.toString(Files.readAllBytes(file)) : "folder");
      }
    }
    return content;
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("cases")
  void refused(Case given) throws IOException {
    closed.close();
    closedInts.close();
    closedLayer.close();
    Files.createDirectories(at("sub/full"));
    Files.createFile(at("empty"));
    Files.writeString(at("old"), "old");
    for (Map.Entry<String, byte[]> file : RIGHT.entrySet()) {
      Files.write(at(file.getKey()), file.getValue());
    }
    Map<Path, String> before = content();
    long bytesBefore = FloatTensor.allocatedBytes();
    Exception thrown = assertThrows(Exception.class, () -> given.call.run(this));
    String message = String.valueOf(thrown.getMessage()).replace(folder.toString(), "FOLDER");
    assertEquals(given.type + ": " + given.message, thrown.getClass() + ": " + message);
    assertEquals(before, content(), "files were made or changed");
    // Garbage of earlier tests may make it less.
    long kept = FloatTensor.allocatedBytes() - bytesBefore;
    assertTrue(kept <= 0, kept + " bytes were kept");
    layer.close();
    tensor.close();
    count++;
  }

  @BeforeAll
  static void makeFiles(@TempDir Path folder) throws IOException {
    try (HierarchicalSoftmax layer = ModelFileTest.layer();
        FloatTensor tensor = FloatTensor.zeros(2, 3)) {
      layer.save(folder.resolve("model"));
      NpyFile.write(folder.resolve("array"), tensor);
      NpzFile.write(folder.resolve("archive"), Map.of("a", tensor));
    }
    for (String name : List.of("model", "array", "archive")) {
      RIGHT.put(name, Files.readAllBytes(folder.resolve(name)));
    }
  }

  @AfterAll
  static void tellCount() {
    System.out.println(count + " cases of invalid use of files were refused as they should");
  }
}
