// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.events;

import jdk.jfr.FlightRecorder;

/**
 * Begins events. Each method returns null unless a recording wants the event: then nothing is
 * allocated, and nothing of {@code jdk.jfr} is loaded, which an image of the JVM may lack. So
 * elsewhere an event may only be a local variable; a field or a parameter would load its class.
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

  /** Begins the event of a training step; null if nothing records it, as for all events here. */
  public static StepEvent step() {
    return mayRecord() ? StepEvent.begunOrNull() : null;
  }

  /** Begins the event of a product of chosen blocks. */
  public static ProductEvent product() {
    return mayRecord() ? ProductEvent.begunOrNull() : null;
  }

  /** Begins the event of a mixture whose experts come from a cache. */
  public static ExpertsEvent experts() {
    return mayRecord() ? ExpertsEvent.begunOrNull() : null;
  }

  /** Begins the event of a search for the likeliest outputs. */
  public static SearchEvent search() {
    return mayRecord() ? SearchEvent.begunOrNull() : null;
  }

  /** Begins the event of a model that is saved or loaded. */
  public static FileEvent file() {
    return mayRecord() ? FileEvent.begunOrNull() : null;
  }

  /** Begins the event of a model holder that loads another model. */
  public static ReloadEvent reload() {
    return mayRecord() ? ReloadEvent.begunOrNull() : null;
  }
}
