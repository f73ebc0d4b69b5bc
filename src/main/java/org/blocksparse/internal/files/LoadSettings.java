// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.function.Function;
import org.blocksparse.Progress;
import org.blocksparse.Workers;
import org.blocksparse.internal.events.FileEvent;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.io.LoadOptions;

/**
 * The settings of reading a model from its file.
 *
 * @param optimizerState whether it is read
 * @param prefix the prefix of the names of the model's tensors, and of its keys; empty: it is the
 *     only model of its kind, or the first
 */
public record LoadSettings(
    Memory memory, boolean optimizerState, Engine engine, Progress progress, String prefix)
    implements LoadOptions {
  /** The memory for W2 or the table of a bag, which is nearly all of a file. */
  public enum Memory {
    COPIED,
    MAPPED,
    COPY_ON_WRITE
  }

  /** Returns the only implementation of the options. */
  public static LoadSettings from(LoadOptions options) {
    return (LoadSettings) options;
  }

  /** Returns the defaults: with optimizer state, on the common workers. */
  public static LoadSettings of(Memory memory) {
    return new LoadSettings(memory, true, Engine.from(Workers.common()), (done, total) -> {}, "");
  }

  @Override
  public LoadSettings withoutOptimizerState() {
    return new LoadSettings(memory, false, engine, progress, prefix);
  }

  @Override
  public LoadSettings withWorkers(Workers all) {
    return new LoadSettings(
        memory, optimizerState, Engine.from(requireNonNull(all, "workers")), progress, prefix);
  }

  @Override
  public LoadSettings withProgress(Progress listener) {
    return new LoadSettings(
        memory, optimizerState, engine, requireNonNull(listener, "progress"), prefix);
  }

  /** Returns settings that take a model whose tensors and keys begin with a prefix. */
  public LoadSettings under(String newPrefix) {
    return new LoadSettings(memory, optimizerState, engine, progress, newPrefix);
  }

  @Override
  public Workers workers() {
    return engine;
  }

  /** Returns whether W2 and the table are used where they lie. */
  public boolean isMapped() {
    return memory != Memory.COPIED;
  }

  /** Reads a model from an open file. */
  public interface Content<T> {
    T read(SafeTensorsReader reader) throws IOException;
  }

  /**
   * Reads a model, whose mapped memory outlives the reader, and records that it was read.
   *
   * @param kind the kind of the file, for events
   */
  public <T> T read(Path file, Function<T, String> kind, Content<T> content) throws IOException {
    FileEvent event = Recorder.file();
    T read;
    try (SafeTensorsReader reader = open(file)) {
      read = content.read(reader);
      reader.keep();
    }
    if (event != null) {
      event.record(verb(), kind.apply(read), file);
    }
    return read;
  }

  /** Reads a model by names without the prefix; see {@link #read}. */
  public <T> T readPart(Path file, Function<T, String> kind, Content<T> content)
      throws IOException {
    return prefix.isEmpty()
        ? read(file, kind, content)
        : read(
            file,
            kind,
            reader -> {
              try {
                reader.narrow(prefix);
                return content.read(reader);
              } catch (MalformedException e) {
                throw e.under(prefix);
              }
            });
  }

  /** Returns the name of the operation in events. */
  public String verb() {
    return isMapped() ? "map" : "load";
  }

  /** Opens a file. */
  public SafeTensorsReader open(Path file) throws IOException {
    return isMapped()
        ? SafeTensorsReader.map(file, memory == Memory.COPY_ON_WRITE, Reading::shrunk)
        : SafeTensorsReader.open(file);
  }

  /** Returns the elements of a tensor where they lie; null if they are to be read. */
  public Storage mappedOrNull(SafeTensorsReader reader, TensorEntry entry) throws IOException {
    return isMapped() ? reader.mapElements(entry) : null;
  }
}
