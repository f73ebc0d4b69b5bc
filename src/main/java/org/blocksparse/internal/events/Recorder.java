// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.events;

/**
 * Begins events. Each method returns null unless a recording wants the event: then nothing has been
 * allocated, and nothing of {@code jdk.jfr} is touched where an image of the JVM lacks it. So an
 * event may only be a local variable elsewhere; a field or a parameter would have it loaded.
 */
public final class Recorder {
  private static final boolean PRESENT = isPresent();

  private Recorder() {}

  private static boolean isPresent() {
    try {
      Class.forName("jdk.jfr.Event", false, Recorder.class.getClassLoader());
      return true;
    } catch (ClassNotFoundException e) {
      return false;
    }
  }

  /** A step of training. */
  public static StepEvent step() {
    return PRESENT ? StepEvent.begunOrNull() : null;
  }

  /** A product of chosen blocks. */
  public static ProductEvent product() {
    return PRESENT ? ProductEvent.begunOrNull() : null;
  }

  /** A search for the likeliest outputs. */
  public static SearchEvent search() {
    return PRESENT ? SearchEvent.begunOrNull() : null;
  }

  /** A model that is saved or loaded. */
  public static FileEvent file() {
    return PRESENT ? FileEvent.begunOrNull() : null;
  }
}
