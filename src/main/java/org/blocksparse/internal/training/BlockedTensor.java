// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.training;

import org.blocksparse.internal.memory.Storage;

/**
 * A tensor that is trained block by block: the classes of W2, the rows of an embedding, blocks (i,
 * j) of a W. Block n is elements [n * blockSize, (n + 1) * blockSize) of the storage.
 *
 * @param storage all elements, which stay the owner's
 * @param blocks how many blocks of equal size they are divided into
 * @param decays whether weight decay is for this tensor: for weights, not for biases
 */
public record BlockedTensor(Storage storage, int blocks, boolean decays) {
  /** Returns the elements of one block. */
  public long blockSize() {
    return blocks == 0 ? 0 : storage.elements() / blocks;
  }
}
