// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.events;

import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Label;
import jdk.jfr.Name;

/** A mixture of experts that takes its experts from a cache. */
@Name("org.blocksparse.Experts")
@Label("Experts")
@Description("A mixture of experts that takes its experts from a cache")
public final class ExpertsEvent extends LibraryEvent {
  /** Shows whether a recording wants such events. */
  private static final ExpertsEvent ANY = new ExpertsEvent();

  @Label("File")
  String file;

  @Label("Hits")
  @Description("Experts that were in memory")
  int hits;

  @Label("Misses")
  @Description("Experts that were read for this call")
  int misses;

  @Label("Bytes Read")
  @DataAmount
  long bytesRead;

  static ExpertsEvent begunOrNull() {
    return begunOrNull(ANY, ExpertsEvent::new);
  }

  /** Ends the event. */
  public void record(String path, int inMemory, int read, long bytes) {
    file = path;
    hits = inMemory;
    misses = read;
    bytesRead = bytes;
    commit();
  }
}
