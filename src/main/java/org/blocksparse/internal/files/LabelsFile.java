// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.io.IOException;
import java.util.List;

/**
 * The names of outputs in a safetensors file; {@link ModelNames} describes the format.
 *
 * @param text U8
 * @param offsets I32 (names + 1)
 * @param order I32 (names)
 */
public record LabelsFile(TensorEntry text, TensorEntry offsets, TensorEntry order) {
  /** Adds the names of the outputs of a file, after everything else. */
  public static void add(NameTable table, List<TensorSource> tensors) {
    add("", table, tensors);
  }

  /** Adds names in tensors whose names begin with a prefix. */
  public static void add(String prefix, NameTable table, List<TensorSource> tensors) {
    tensors.add(TensorSource.ints(prefix + ModelNames.LABEL_OFFSETS, table.offsets()));
    tensors.add(TensorSource.ints(prefix + ModelNames.LABEL_ORDER, table.order()));
    tensors.add(TensorSource.bytes(prefix + ModelNames.LABEL_TEXT, table.text()));
  }

  /** Returns the names of at most that many outputs; null if a file has none. */
  public static LabelsFile orNull(SafeTensorsReader reader, int outputs) throws MalformedException {
    return orNull(reader, "", outputs);
  }

  /** Returns the names in tensors with a prefix; null if a file has none. */
  public static LabelsFile orNull(SafeTensorsReader reader, String prefix, int outputs)
      throws MalformedException {
    if (!reader.has(prefix + ModelNames.LABEL_OFFSETS)) {
      return null;
    }
    TensorEntry offsets = reader.entryOfRank(1, prefix + ModelNames.LABEL_OFFSETS, Dtype.I32);
    long names = offsets.dims()[0] - 1;
    if (names < 0 || names > outputs) {
      throw new MalformedException(
          offsets.name(), "has " + names + " names for " + outputs + " outputs");
    }
    TensorEntry text = reader.entryOfRank(1, prefix + ModelNames.LABEL_TEXT, Dtype.U8);
    if (text.size() > Integer.MAX_VALUE - 8) {
      throw new MalformedException(text.name(), "has more than 2^31 - 9 bytes");
    }
    return new LabelsFile(
        text, offsets, reader.entry(prefix + ModelNames.LABEL_ORDER, Dtype.I32, names));
  }

  public long bytes() {
    return text.bytes() + offsets.bytes() + order.bytes();
  }

  /**
   * Reads them.
   *
   * @param all whether everything is checked, or only that no access leaves the memory
   */
  public NameTable read(SafeTensorsReader reader, boolean all) throws IOException {
    int[] ends = reader.readInts(offsets);
    NameTable.requireOffsets(ends, text.size()); // before reading a text of any size
    NameTable table = NameTable.read(reader.readBytes(text), ends, reader.readInts(order));
    if (all) {
      table.check();
    }
    return table;
  }
}
