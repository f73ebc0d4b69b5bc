// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.classifier.features.FeatureVocabulary;
import org.blocksparse.mixture.Mixture;

/**
 * The rows of examples for each head. An embedding beside a linear head has no rows of characters:
 * it learns as fast as without, and the linear head has their weights.
 *
 * @param rows for each head, or one for all
 * @param made the rows made for an embedding; null if there are none
 */
public record HeadRows(List<SparseRows> rows, SparseRows made) implements AutoCloseable {
  /**
   * Returns the rows for heads.
   *
   * @param features the rows with all features; not closed here
   */
  public static HeadRows of(Mixture heads, SparseRows features, FeatureVocabulary vocabulary) {
    boolean haveSameRows =
        Heads.part(heads, Heads.EMBEDDING, EmbeddingBag.class)
            .map(bag -> bag.vocabulary() == vocabulary.rows())
            .orElse(true);
    if (haveSameRows) {
      return new HeadRows(List.of(features), null);
    }
    SparseRows others = withoutCharacters(features, vocabulary);
    return new HeadRows(
        heads.scorers().stream()
            .map(name -> name.equals(Heads.EMBEDDING) ? others : features)
            .toList(),
        others);
  }

  private static SparseRows withoutCharacters(SparseRows features, FeatureVocabulary vocabulary) {
    List<int[]> others = new ArrayList<>(features.rows());
    for (int row = 0; row < features.rows(); row++) {
      others.add(
          IntStream.of(features.indices(row))
              .map(vocabulary::otherRow)
              .filter(other -> other >= 0)
              .toArray());
    }
    return SparseRows.of(others);
  }

  @Override
  public void close() {
    if (made != null) {
      made.close();
    }
  }
}
