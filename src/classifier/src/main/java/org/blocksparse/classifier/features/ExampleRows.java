// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.features;

import java.util.List;
import org.blocksparse.SparseRows;
import org.blocksparse.classifier.examples.Example;

/** Converts examples to rows of a model's table. For any number of threads. */
public interface ExampleRows {
  /** Returns whether examples are texts; if not, they have features. */
  boolean text();

  /**
   * Returns the rows of examples.
   *
   * @throws IllegalArgumentException if an example is a text and should not be, or is none, or if
   *     there are more features than can be computed together
   */
  SparseRows of(List<Example> examples);

  /**
   * Returns whether an example has a feature that has a row.
   *
   * @throws IllegalArgumentException if it is a text and should not be, or is none
   */
  boolean hasRow(Example example);
}
