// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.blocksparse.FloatTensor;
import org.blocksparse.internal.Access;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.search.ScoreSource;
import org.blocksparse.ranking.Labels;

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

  @Override
  public SaveSettings.Part part(TwoLevelLayer<?> layer, Labels names) {
    LayerContent content = layer.content(layer.memory());
    return ModelFile.part(
        new LayerContent(
            content.memory(),
            Map.of(),
            content.steps(),
            names == null ? null : NameTable.from(names)));
  }

  @Override
  public TwoLevelLayer<?> load(Path file, LoadSettings settings, String prefix, boolean isLabelTree)
      throws IOException {
    return isLabelTree
        ? LabelTree.load(file, settings, prefix)
        : HierarchicalSoftmax.load(file, settings, prefix);
  }
}
