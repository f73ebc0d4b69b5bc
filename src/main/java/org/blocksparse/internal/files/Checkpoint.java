// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.blocksparse.internal.memory.Storage;

/** The mapped safetensors files of a model, and its configuration. */
public final class Checkpoint implements AutoCloseable {
  private static final String CONFIG = "config.json";
  private static final String INDEX = "model.safetensors.index.json";
  private static final String ENDING = ".safetensors";

  /** The maximum number of files of a model, each of which is an open mapping. */
  private static final int MOST_FILES = 4096;

  private final Path folder;
  private final List<SafeTensorsReader> readers = new ArrayList<>();
  private final Map<String, Part> parts = new LinkedHashMap<>();

  /** A tensor, and the file that has it. */
  record Part(SafeTensorsReader reader, TensorEntry entry) {
    /** Returns the bytes where they lie; the caller closes them. */
    Storage map(int elementBytes) throws IOException {
      Storage storage = reader.map(entry, elementBytes, "floats()");
      reader.keep();
      return storage;
    }
  }

  private Checkpoint(Path folder) {
    this.folder = folder;
  }

  /**
   * Opens a model.
   *
   * @param path a file, or a folder with files; an index there says which
   * @throws MalformedException if there is none, or one is not a safetensors file
   */
  public static Checkpoint open(Path path) throws IOException {
    boolean isFolder = Files.isDirectory(path);
    Path folder = isFolder ? path : path.toAbsolutePath().getParent();
    Checkpoint opened = new Checkpoint(folder);
    try {
      for (Path file : isFolder ? files(folder) : List.of(path)) {
        opened.add(file);
      }
      return opened;
    } catch (Throwable e) {
      opened.close();
      throw e;
    }
  }

  private static List<Path> files(Path folder) throws IOException {
    Set<String> names = new TreeSet<>();
    Path index = folder.resolve(INDEX);
    if (Files.exists(index)) {
      JsonFile.readIndex(index, (tensor, file) -> names.add(file));
    } else {
      try (Stream<Path> all = Files.list(folder)) {
        all.map(file -> String.valueOf(file.getFileName()))
            .filter(name -> name.endsWith(ENDING))
            .forEach(names::add);
      }
    }
    List<Path> files = new ArrayList<>();
    for (String name : names) {
      if (!SafeTensorsHeader.isName(name)) {
        throw new MalformedException(
            INDEX, "expected names of files but was \"" + MalformedException.excerpt(name) + '"');
      }
      // A caller that needs some layers needs some files only.
      if (Files.exists(folder.resolve(name))) {
        files.add(folder.resolve(name));
      }
    }
    if (files.isEmpty() || files.size() > MOST_FILES) {
      throw new MalformedException(
          "folder",
          "expected 1 to " + MOST_FILES + " files *" + ENDING + " but has " + files.size());
    }
    return files;
  }

  private void add(Path file) throws IOException {
    SafeTensorsReader reader = SafeTensorsReader.map(file, false, Reading::shrunk);
    readers.add(reader);
    for (TensorEntry entry : reader.entries()) {
      if (parts.put(entry.name(), new Part(reader, entry)) != null) {
        throw new MalformedException(
            entry.name(), "is in two files; the second is " + file.getFileName());
      }
    }
  }

  /** Returns the names of the tensors that the files have. */
  public Set<String> names() {
    return parts.keySet();
  }

  /** Returns a tensor, or null. */
  Part partOrNull(String name) {
    return parts.get(name);
  }

  /**
   * Returns the exception for a tensor that is missing; it names the file that has it, if one is
   * known.
   */
  MalformedException missing(String name) throws IOException {
    Path index = folder.resolve(INDEX);
    Set<String> of = new LinkedHashSet<>();
    if (Files.exists(index)) {
      JsonFile.readIndex(
          index,
          (tensor, file) -> {
            if (tensor.equals(name)) {
              of.add(file);
            }
          });
    }
    return new MalformedException(
        name,
        of.isEmpty()
            ? "is missing" + NearestName.insteadOf(name, names())
            : "is missing: it is in " + String.join(", ", of) + ", which the folder lacks");
  }

  /**
   * Returns the configuration: strings, booleans, longs, doubles, lists and maps.
   *
   * @throws MalformedException if there is none, or it is not an object of JSON
   */
  public Map<String, Object> config() throws IOException {
    Path file = folder.resolve(CONFIG);
    if (!Files.exists(file)) {
      throw new MalformedException(CONFIG, "is missing beside the tensors");
    }
    return JsonFile.readObject(file);
  }

  /**
   * Checks that the bytes read are those of the files.
   *
   * @throws MalformedException if one has shrunk while it was mapped
   */
  public void requireIntact() throws MalformedException {
    for (SafeTensorsReader reader : readers) {
      reader.requireIntact();
    }
  }

  @Override
  public void close() throws IOException {
    IOException failed = null;
    for (SafeTensorsReader reader : readers) {
      try {
        reader.close();
      } catch (IOException e) {
        failed = e;
      }
    }
    if (failed != null) {
      throw failed;
    }
  }
}
