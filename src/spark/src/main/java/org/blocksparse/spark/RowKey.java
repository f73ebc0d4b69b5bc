// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.Serializable;

/**
 * The key by which rows are shuffled and sorted.
 *
 * @param part the number of the part that the row is for
 * @param hash the hash of the row
 */
record RowKey(int part, long hash) implements Serializable, Comparable<RowKey> {
  @Override
  public int compareTo(RowKey that) {
    int byPart = Integer.compare(part, that.part);
    return byPart != 0 ? byPart : Long.compare(hash, that.hash);
  }
}
