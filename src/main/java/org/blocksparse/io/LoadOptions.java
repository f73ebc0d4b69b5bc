// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import org.blocksparse.FileFormatException;
import org.blocksparse.Progress;
import org.blocksparse.Workers;
import org.blocksparse.internal.files.LoadSettings;

/**
 * Options to load layers, such as {@link org.blocksparse.softmax.HierarchicalSoftmax#load} and
 * {@link org.blocksparse.bag.EmbeddingBag#load}. W2 below also stands for the table of a bag, and
 * for W1 and W2 of experts. Immutable.
 */
public sealed interface LoadOptions permits LoadSettings {
  /**
   * Reads the whole file into memory and checks it; the file may change afterwards. It may be in
   * any file system.
   */
  static LoadOptions copied() {
    return LoadSettings.of(LoadSettings.Memory.COPIED);
  }

  /**
   * Maps W2 read-only, without a copy. Loading takes milliseconds, predictions read only the
   * classes that they open, and all processes that map the file share its memory. Training throws
   * an exception.
   *
   * <p>Loading does not check W2: values that are not finite show only in results that are not
   * finite. The file must not be changed in place. {@link
   * org.blocksparse.softmax.TwoLevelLayer#save} replaces the file by a new one, and the old one
   * stays valid as long as it is mapped. (On Windows, replacing a mapped file fails.) If the file
   * is truncated nevertheless, operations that use it throw {@link java.io.UncheckedIOException};
   * without the native library, the JVM throws {@link InternalError}.
   *
   * <p>The file must be in the default file system, otherwise loading throws {@link
   * UnsupportedOperationException}. It must be aligned, as all files of this library are: if the
   * length of its header is not a multiple of four, loading throws {@link FileFormatException}.
   */
  static LoadOptions mapped() {
    return LoadSettings.of(LoadSettings.Memory.MAPPED);
  }

  /**
   * Maps the file as {@link #mapped} does, but the layer can be trained, or a tensor of a {@link
   * TensorFile} written: changed pages become private to this process. The file never changes.
   * Without the native library, the file must be writable.
   */
  static LoadOptions copyOnWrite() {
    return LoadSettings.of(LoadSettings.Memory.COPY_ON_WRITE);
  }

  /**
   * Does not load the optimizer state, which predictions do not need. By default it is read into
   * memory, even if W2 is mapped: for Adagrad as much memory as the weights, for Adam twice as
   * much. {@link org.blocksparse.softmax.TwoLevelLayer#steps} is loaded, but training starts with a
   * new optimizer state, and saving the layer does not save the old state.
   */
  LoadOptions withoutOptimizerState();

  /** Sets the threads that run every call of the layer; by default {@link Workers#common}. */
  LoadOptions withWorkers(Workers all);

  /**
   * Sets a listener, which receives the number of bytes read; for a mapped file, without the mapped
   * bytes.
   */
  LoadOptions withProgress(Progress listener);

  /** Returns the threads that run every call of the layer. */
  Workers workers();
}
