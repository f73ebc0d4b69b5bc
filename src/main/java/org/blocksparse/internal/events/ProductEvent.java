// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.events;

import jdk.jfr.Description;
import jdk.jfr.Label;
import jdk.jfr.Name;

/** A product of chosen blocks, forward or for a gradient. */
@Name("org.blocksparse.Product")
@Label("Product")
@Description("A product of chosen blocks, forward or for a gradient")
public final class ProductEvent extends LibraryEvent {
  /** Shows whether a recording wants such events. */
  private static final ProductEvent ANY = new ProductEvent();

  @Label("Operation")
  @Description("forward, gradH, gradW or stepW; experts: both products of packed ones")
  String operation;

  @Label("Samples")
  int samples;

  @Label("Pairs")
  @Description("Of a row and a block that it is multiplied by")
  long pairs;

  @Label("Input Size")
  @Description("Of a block")
  int inputSize;

  @Label("Output Size")
  @Description("Of a block")
  int outputSize;

  static ProductEvent begunOrNull() {
    return begunOrNull(ANY, ProductEvent::new);
  }

  /** Ends the event. */
  public void record(String name, int ofSamples, long ofPairs, int inSize, int outSize) {
    operation = name;
    samples = ofSamples;
    pairs = ofPairs;
    inputSize = inSize;
    outputSize = outSize;
    commit();
  }
}
