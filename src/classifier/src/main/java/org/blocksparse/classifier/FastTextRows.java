// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.List;
import java.util.Map;
import org.blocksparse.SparseRows;

/** Makes texts to rows of a fastText model's table, as fastText does. */
record FastTextRows(FastTextDictionary dictionary) implements ExampleRows {
  @Override
  public boolean text() {
    return true;
  }

  @Override
  public SparseRows of(List<Example> examples) {
    int[] offsets = new int[examples.size() + 1];
    ChunkedIntList rows = new ChunkedIntList();
    for (int e = 0; e < examples.size(); e++) {
      requireText(examples.get(e));
      try {
        dictionary.addLine(examples.get(e).text().getBytes(UTF_8), rows);
      } catch (ChunkedIntList.FullException full) {
        throw InputRows.tooMany(ChunkedIntList.MOST, full);
      }
      offsets[e + 1] = rows.size();
    }
    return SparseRows.of(offsets, rows.toArray());
  }

  @Override
  public boolean hasRow(Example example) {
    requireText(example);
    ChunkedIntList rows = new ChunkedIntList();
    dictionary.addLine(example.text().getBytes(UTF_8), rows);
    return rows.size() > 0;
  }

  private static void requireText(Example example) {
    if (!example.isText()) {
      throw new IllegalArgumentException(
          "example: has features, but the model was trained on texts");
    }
  }

  /** None: only linear heads are explained by names. */
  @Override
  public Map<Integer, String> names(Example example) {
    return Map.of();
  }
}
