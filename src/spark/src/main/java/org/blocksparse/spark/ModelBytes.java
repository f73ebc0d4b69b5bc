// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.Serializable;
import java.nio.file.Path;

/**
 * The safetensors file of a model: a local file on the driver, which reaches executors in pieces
 * and is mapped once in each JVM.
 */
final class ModelBytes implements Serializable {
  private static final long serialVersionUID = 1;

  private final transient Path file;

  private ModelBytes(Path file) {
    this.file = file;
  }

  /**
   * The bytes of a file of the driver, which belongs to this from now on: it is deleted with it.
   */
  static ModelBytes of(Path file) {
    return new ModelBytes(file);
  }

  /** The file on the driver. */
  Path file() {
    return file;
  }
}
