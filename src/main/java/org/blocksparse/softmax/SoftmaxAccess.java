// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.io.IOException;
import java.nio.file.Path;
import org.blocksparse.FloatTensor;
import org.blocksparse.internal.Access;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.search.ScoreSource;

/** The part of this package that other packages of the module use. */
final class SoftmaxAccess implements Access.Softmax {
  @Override
  public ScoreSource source(TwoLevelLayer<?> layer, FloatTensor x) {
    return layer.source(x);
  }

  @Override
  public void save(TwoLevelLayer<?> layer, Path file, SaveSettings settings) throws IOException {
    layer.save(file, settings);
  }
}
