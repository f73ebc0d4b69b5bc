// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

import java.util.Map;

/** A mixture of experts; all begin with the same parameters, and get the same tokens. */
public interface Moe extends AutoCloseable {
  void forward();

  /** Runs a backward pass, after a forward pass. */
  void backward();

  /** Runs forward, backward and Adam. */
  void step();

  /** Returns the results of a forward and a backward pass, by name. */
  Map<String, float[]> results();

  /** Returns the parameters, by name. */
  Map<String, float[]> parameters();

  @Override
  void close();
}
