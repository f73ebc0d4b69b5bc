// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.fasttext;

import java.util.List;
import org.blocksparse.SparseRows;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.features.ExampleRows;

/** Converts texts to rows of a fastText model's table, as fastText does. */
record FastTextRows(FastTextVectors table) implements ExampleRows {
  @Override
  public boolean text() {
    return true;
  }

  @Override
  public SparseRows of(List<Example> examples) {
    return table.lines(examples.stream().map(FastTextRows::text).toList());
  }

  @Override
  public boolean hasRow(Example example) {
    try (SparseRows rows = table.lines(List.of(text(example)))) {
      return rows.entries() > 0;
    }
  }

  private static String text(Example example) {
    if (!example.isText()) {
      throw new IllegalArgumentException(
          "example: has features, but the model was trained on texts");
    }
    return example.text();
  }
}
