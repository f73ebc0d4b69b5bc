// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

/** The SwiGLU experts of current models: rows of inputs -> hidden -> inputs. */
enum MoeShape {
  /** A layer of Qwen3-30B-A3B. */
  QWEN(128, 8, 2048, 768),
  /** A layer of gpt-oss-20b. */
  GPTOSS(32, 4, 2880, 2880),
  /** A quarter of the width of a layer of Mixtral 8x7B. */
  MIXTRAL4(8, 2, 4096, 3584),
  /** The layer of {@link org.blocksparse.bench.jobs.MoeProblem}, which fits into the caches. */
  OWN(16, 2, 512, 1024);

  final int experts;

  /** The number of experts of a token. */
  final int top;

  final int inputs;
  final int hidden;

  MoeShape(int experts, int top, int inputs, int hidden) {
    this.experts = experts;
    this.top = top;
    this.inputs = inputs;
    this.hidden = hidden;
  }
}
