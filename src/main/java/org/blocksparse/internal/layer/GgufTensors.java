// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.layer;

import java.io.IOException;
import org.blocksparse.internal.Engine;
import org.blocksparse.internal.GgmlBlocks;
import org.blocksparse.internal.StoredWeights;
import org.blocksparse.internal.WeightType;
import org.blocksparse.internal.format.Dimensions;
import org.blocksparse.internal.format.GgufEntry;
import org.blocksparse.internal.format.GgufReader;
import org.blocksparse.internal.format.MalformedException;
import org.blocksparse.internal.memory.Storage;

/** Tensors and weights of a GGUF file. */
public final class GgufTensors {
  private GgufTensors() {}

  /**
   * The floats of a tensor in new memory.
   *
   * @throws MalformedException if its type cannot be widened, or an element is not finite
   */
  public static Storage readFloats(GgufReader reader, GgufEntry entry, Engine engine)
      throws IOException {
    if (!GgmlBlocks.WIDENED.contains(entry.type())) {
      throw new MalformedException(
          entry.name(), "expected one of " + GgmlBlocks.WIDENED + " but was " + entry.text());
    }
    long size = Dimensions.size(entry.dims(), Float.BYTES);
    Storage blocks = reader.map(entry, 1);
    try {
      Storage floats = Storage.allocate(size);
      try {
        long notFinite = GgmlBlocks.widen(entry.type(), blocks, size, floats, engine);
        reader.requireIntact();
        if (notFinite >= 0) {
          throw new MalformedException(
              entry.name(), "element " + notFinite + " is " + floats.getFloat(notFinite));
        }
        return floats;
      } catch (Throwable e) {
        floats.close();
        throw e;
      }
    } finally {
      blocks.close();
    }
  }

  /**
   * The matrices of a tensor where they lie, row by row.
   *
   * @throws MalformedException if they are of no type that products have, or cannot be used there
   * @throws UnsupportedOperationException if the machine has another byte order than the file
   */
  public static StoredWeights mapWeights(GgufReader reader, GgufEntry entry) throws IOException {
    WeightType type =
        switch (entry.type()) {
          case F32 -> WeightType.FLOAT32;
          case F16 -> WeightType.FLOAT16;
          case BF16 -> WeightType.BFLOAT16;
          default ->
              throw new MalformedException(
                  entry.name(), "expected F32, F16 or BF16 but was " + entry.text());
        };
    Storage elements = reader.map(entry, type.bytes());
    try {
      reader.requireIntact();
      return new StoredWeights(type, elements, null);
    } catch (Throwable e) {
      elements.close();
      throw e;
    }
  }
}
