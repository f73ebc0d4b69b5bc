// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * The places of the tensors of a new file: one after the other, in the order in which they are
 * added.
 */
public final class SafeTensorsLayout {
  private final List<TensorEntry> entries = new ArrayList<>();
  private long dataBytes;
  private long alignedBegin;

  /** Returns the layout of new tensors, the first of which is aligned. */
  public static SafeTensorsLayout of(List<TensorSource> tensors) {
    SafeTensorsLayout layout = new SafeTensorsLayout();
    tensors.forEach(tensor -> layout.add(tensor.name(), tensor.type(), tensor.dims()));
    return layout;
  }

  /** Returns the layout of new tensors; the one with that name is aligned. */
  public static SafeTensorsLayout of(List<TensorSource> tensors, String aligned) {
    SafeTensorsLayout layout = of(tensors);
    for (TensorEntry entry : layout.entries) {
      if (entry.name().equals(aligned)) {
        layout.alignedBegin = entry.begin();
      }
    }
    return layout;
  }

  /**
   * Adds a tensor, whose elements are to be had when it is its turn.
   *
   * @throws IllegalArgumentException if it has too many dimensions to be read again
   */
  public SafeTensorsLayout add(String name, Dtype type, long... dims) {
    Dimensions.requireReadable(name, dims);
    TensorEntry entry = TensorEntry.of(name, type, dims, dataBytes);
    entries.add(entry);
    dataBytes = entry.end();
    return this;
  }

  /** Returns where the tensor that is aligned begins. */
  long alignedBegin() {
    return alignedBegin;
  }

  /** Returns the tensors in their order. */
  List<TensorEntry> entries() {
    return Collections.unmodifiableList(entries);
  }

  /** Returns the bytes of all tensors. */
  long dataBytes() {
    return dataBytes;
  }
}
