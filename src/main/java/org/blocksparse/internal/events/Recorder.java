// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.events;

import jdk.jfr.FlightRecorder;

/**
 * Begins events. Each method returns null unless a recording wants the event: then nothing has been
 * allocated, and nothing of {@code jdk.jfr} is touched where an image of the JVM lacks it. So an
 * event may only be a local variable elsewhere; a field or a parameter would have it loaded.
 *
 * <p>Until something in this process has asked for recordings, no class of an event is initialized:
 * to register the first one takes the JVM longer than to map a model.
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

  private static boolean mayRecord() {
    return PRESENT && FlightRecorder.isInitialized();
  }

  /** A step of training. */
  public static StepEvent step() {
    return mayRecord() ? StepEvent.begunOrNull() : null;
  }

  /** A product of chosen blocks. */
  public static ProductEvent product() {
    return mayRecord() ? ProductEvent.begunOrNull() : null;
  }

  /** A mixture of experts that takes its experts from a cache. */
  public static ExpertsEvent experts() {
    return mayRecord() ? ExpertsEvent.begunOrNull() : null;
  }

  /** A search for the likeliest outputs. */
  public static SearchEvent search() {
    return mayRecord() ? SearchEvent.begunOrNull() : null;
  }

  /** A model that is saved or loaded. */
  public static FileEvent file() {
    return mayRecord() ? FileEvent.begunOrNull() : null;
  }

  /** A model holder that loads another model. */
  public static ReloadEvent reload() {
    return mayRecord() ? ReloadEvent.begunOrNull() : null;
  }
}
