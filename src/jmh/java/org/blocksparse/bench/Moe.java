// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.Map;

/** A mixture of experts; all begin with the same parameters, and get the same tokens. */
interface Moe extends AutoCloseable {
  void forward();

  /** After a forward pass. */
  void backward();

  /** Forward, backward and Adam. */
  void step();

  /** What was computed last, by name: out, the gradients, and the weights. */
  Map<String, float[]> results();

  @Override
  void close();
}
