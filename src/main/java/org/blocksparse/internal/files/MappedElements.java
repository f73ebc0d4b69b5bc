// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.io.IOException;
import java.nio.ByteOrder;
import org.blocksparse.internal.memory.MappedFile;
import org.blocksparse.internal.memory.Storage;

/** The elements of a tensor, used in place in a little-endian file. */
public final class MappedElements {
  private MappedElements() {}

  /**
   * Returns the elements, with a share of the mapping of their own.
   *
   * @param name the name of the tensor, for messages
   * @param position the position of the first element in the file
   * @param otherWay the call that reads them into memory, for messages
   * @throws MalformedException if they lie where none can be used
   * @throws UnsupportedOperationException if the machine has another byte order than the file
   */
  public static Storage of(
      MappedFile file, String name, long position, long bytes, int elementBytes, String otherWay)
      throws IOException {
    if (elementBytes > 1 && ByteOrder.nativeOrder() != ByteOrder.LITTLE_ENDIAN) {
      throw new UnsupportedOperationException(
          "this machine is big-endian: a file can be read, but not used where it lies");
    }
    if (position % elementBytes != 0) {
      throw new MalformedException(
          name,
          "begins at byte "
              + position
              + " of the file, no multiple of "
              + elementBytes
              + ": it cannot be used where it lies; "
              + otherWay
              + " can read it");
    }
    MappedFile share = file.share();
    try {
      return Storage.mapped(share, position, bytes);
    } catch (Throwable e) {
      share.close();
      throw e;
    }
  }
}
