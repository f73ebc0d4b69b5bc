// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.events;

import jdk.jfr.Description;
import jdk.jfr.Label;
import jdk.jfr.Name;

/** A step of training of a layer. */
@Name("org.blocksparse.Step")
@Label("Step")
@Description("A step of training of a layer")
public final class StepEvent extends LibraryEvent {
  /** Shows whether a recording wants such events. */
  private static final StepEvent ANY = new StepEvent();

  @Label("Layer")
  @Description("softmax, label tree, embedding bag or mixture of experts")
  String layer;

  @Label("Rows")
  int rows;

  @Label("Touched")
  @Description("Classes opened by all rows, rows of the table named, or pairs of rows and experts")
  long touched;

  @Label("Optimizer")
  String optimizer;

  @Label("Loss")
  @Description("Before the step; NaN for an embedding bag and for experts, which do not know it")
  double loss;

  static StepEvent begunOrNull() {
    return begunOrNull(ANY, StepEvent::new);
  }

  /** Ends the event. */
  public void record(String ofLayer, int ofRows, long blocks, String rule, double lossBefore) {
    layer = ofLayer;
    rows = ofRows;
    touched = blocks;
    optimizer = rule;
    loss = lossBefore;
    commit();
  }
}
