// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bag;

import java.io.IOException;
import java.nio.file.Path;
import org.blocksparse.internal.Access;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.io.ModelPart;

/** The part of this package that other packages of the module use. */
final class BagAccess implements Access.Bags {
  @Override
  public Access.Grown grown(EmbeddingBag bag, int n) {
    BagMemory grown = bag.memory().grown(n, null);
    return new Access.Grown() {
      @Override
      public void install() {
        bag.replace(grown);
      }

      @Override
      public void close() {
        grown.close();
      }
    };
  }

  @Override
  public SaveSettings.Part partOrNull(ModelPart part) {
    return part instanceof EmbeddingBag bag ? BagFile.part(bag.memory()) : null;
  }

  @Override
  public EmbeddingBag load(Path file, LoadSettings settings, String prefix) throws IOException {
    return EmbeddingBag.load(file, settings, prefix);
  }
}
