// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.Function;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.files.MappedElements;
import org.blocksparse.internal.files.NearestName;
import org.blocksparse.internal.files.RegularFile;
import org.blocksparse.internal.memory.MappedFile;
import org.blocksparse.internal.memory.Storage;

/** A mapped GGUF file, possibly hostile, whose tensors are used in place. */
final class GgufReader implements AutoCloseable {
  private final MappedFile file;
  private final Map<String, GgufEntry> entries;

  private GgufReader(MappedFile file, Map<String, GgufEntry> entries) {
    this.file = file;
    this.entries = entries;
  }

  /**
   * Opens a file of the system.
   *
   * @param damage makes the exception of a file that has shrunk
   * @throws MalformedException if it is not a GGUF file
   * @throws UnsupportedOperationException if the file cannot be used in place
   */
  public static GgufReader open(Path path, Function<Path, IOException> damage) throws IOException {
    if (Files.size(RegularFile.require(path)) == 0) {
      throw new MalformedException("file", "is empty");
    }
    MappedFile file = MappedFile.open(path, false, damage);
    try {
      GgufReader reader = new GgufReader(file, GgufHeader.readEntries(file));
      reader.requireIntact();
      return reader;
    } catch (Throwable e) {
      file.close();
      throw e;
    }
  }

  /** Returns the tensors by name, in the order of the file. */
  public Map<String, GgufEntry> entries() {
    return entries;
  }

  /** Returns the metadata by key, in the order of the file, read again. */
  public Map<String, Object> readMetadata() throws IOException {
    Map<String, Object> metadata = GgufHeader.readMetadata(file);
    requireIntact();
    return metadata;
  }

  /**
   * Returns a tensor that must be there.
   *
   * @throws MalformedException if it is not
   */
  public GgufEntry entry(String name) throws MalformedException {
    GgufEntry entry = entries.get(name);
    if (entry == null) {
      throw new MalformedException(
          name, "is missing" + NearestName.insteadOf(name, entries.keySet()));
    }
    return entry;
  }

  /**
   * Returns a tensor where it lies. The mapping ends when the last of them is freed.
   *
   * @param elementBytes the bytes of each element read there
   * @throws MalformedException if it begins at no multiple of these
   * @throws UnsupportedOperationException if the machine has another byte order than the file
   */
  public Storage map(GgufEntry entry, int elementBytes) throws IOException {
    return MappedElements.of(
        file, entry.name(), entry.position(), entry.bytes(), elementBytes, "floats()");
  }

  /**
   * Checks that the bytes read are those of the file.
   *
   * @throws MalformedException if it has shrunk while it was mapped
   */
  public void requireIntact() throws MalformedException {
    if (file.isDamaged()) {
      throw new MalformedException("file", "has shrunk or cannot be read any more");
    }
  }

  @Override
  public void close() {
    file.close();
  }
}
