// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.layers;

/** A layer that gets rows together with another layer. */
public interface GrowingLayer extends SavedLayer {
  /** Allocates n more rows, which the layer has once they are installed. */
  Grown grown(int n);

  /** The memory of a layer with more rows. */
  interface Grown {
    /** Replaces the memory of the layer. */
    void install();

    /** Frees the memory, which was not installed. */
    void close();
  }
}
