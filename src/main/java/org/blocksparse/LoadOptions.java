// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import org.blocksparse.internal.layer.LoadSettings;
import org.blocksparse.internal.layer.LoadSettings.Memory;

/**
 * Options of {@link HierarchicalSoftmax#load} and {@link EmbeddingBag#load}. The table of a bag is
 * loaded as W2 is. Immutable.
 */
public final class LoadOptions {
  private final Memory memory;
  private final boolean optimizerState;
  private final Workers workers;
  private final Progress progress;

  private LoadOptions(Memory memory, boolean optimizerState, Workers workers, Progress progress) {
    this.memory = memory;
    this.optimizerState = optimizerState;
    this.workers = requireNonNull(workers, "workers");
    this.progress = requireNonNull(progress, "progress");
  }

  private static LoadOptions of(Memory memory) {
    return new LoadOptions(memory, true, Workers.common(), (done, total) -> {});
  }

  /**
   * All of it is read into memory and checked: the file does not matter any more afterwards. It may
   * be in any file system.
   */
  public static LoadOptions copied() {
    return of(Memory.COPIED);
  }

  /**
   * W2 is used where it lies in the file, read-only. Loading takes milliseconds, predictions read
   * only the classes that they open, and all processes that map the file share the memory. Training
   * is refused.
   *
   * <p>What is not touched is not checked: values of W2 that are not finite are found when they
   * make a result that is not finite. The file must not be changed in place; {@link
   * TwoLevelLayer#save} never does, it puts a new file in the place of the old one, which lives on
   * as long as it is mapped. (On Windows, it is refused while the file is mapped.) If the file is
   * cut short nevertheless, the operations that use it end with {@link
   * java.io.UncheckedIOException}. Without the native library the JVM reports it by {@link
   * InternalError}.
   *
   * <p>The file must be in the file system of the system, or loading it ends with {@link
   * UnsupportedOperationException}; and it must be aligned, as all are that this library writes: a
   * header whose length is no multiple of four ends with {@link FileFormatException}.
   */
  public static LoadOptions mapped() {
    return of(Memory.MAPPED);
  }

  /**
   * As {@link #mapped}, but the layer can be trained, or the tensor of a {@link TensorFile}
   * written: pages that change become this process's own. The file never changes. Without the
   * native library, Java maps it so only if it may be written.
   */
  public static LoadOptions copyOnWrite() {
    return of(Memory.COPY_ON_WRITE);
  }

  /**
   * The state of the optimizer stays in the file. Otherwise it is read into memory, also where W2
   * is mapped: as much as the weights take for Adagrad, twice as much for Adam. Predictions do not
   * need it. {@link TwoLevelLayer#steps} is what it was; training begins as with a new optimizer,
   * and what was left in the file is not saved again with the layer.
   */
  public LoadOptions withoutOptimizerState() {
    return new LoadOptions(memory, false, workers, progress);
  }

  /** The threads that work on every call of the layer; by default {@link Workers#common}. */
  public LoadOptions withWorkers(Workers all) {
    return new LoadOptions(memory, optimizerState, all, progress);
  }

  /** The listener receives the bytes read; of a mapped file, those that are not mapped. */
  public LoadOptions withProgress(Progress listener) {
    return new LoadOptions(memory, optimizerState, workers, listener);
  }

  LoadSettings settings() {
    return new LoadSettings(
        memory, optimizerState, workers.engine(), progress::update, FileFormatException::shrunk);
  }

  Workers workers() {
    return workers;
  }
}
