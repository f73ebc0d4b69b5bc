// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.events;

import jdk.jfr.Description;
import jdk.jfr.Label;
import jdk.jfr.Name;

/** A model holder that loads another model. */
@Name("org.blocksparse.Reload")
@Label("Reload")
@Description("A model holder loads another model, or fails to")
public final class ReloadEvent extends LibraryEvent {
  /** Shows whether a recording wants such events. */
  private static final ReloadEvent ANY = new ReloadEvent();

  @Label("File")
  @Description("Empty if the model is from no file")
  String file;

  @Label("Error")
  @Description("Why the old model was kept; empty if it was replaced")
  String error;

  static ReloadEvent begunOrNull() {
    return begunOrNull(ANY, ReloadEvent::new);
  }

  /**
   * Ends the event.
   *
   * @param reason null if there was no error
   */
  public void record(String path, Throwable reason) {
    file = path;
    error = reason == null ? "" : reason.toString();
    commit();
  }
}
