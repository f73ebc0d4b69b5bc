// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

/** The similarity of a row of x to a row w of an output, in double; larger is better. */
public enum Similarity {
  /** The sum over the features f of {@code x[f] * w[f]}. */
  INNER_PRODUCT,

  /** The inner product divided by the lengths of both; 0 if one of them is 0. */
  COSINE,

  /** The square of the length of {@code x - w}, negated: the nearest output is the best. */
  SQUARED_DISTANCE
}
