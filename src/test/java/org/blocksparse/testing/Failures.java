// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.function.Executable;

/** Assertions on the whole messages of exceptions. */
public final class Failures {
  private Failures() {}

  /** Asserts that a call throws an exception with exactly this message. */
  public static void assertFails(Class<? extends Throwable> type, String message, Executable call) {
    assertEquals(message, assertThrows(type, call).getMessage());
  }

  /** Asserts that a call rejects an argument with exactly this message. */
  public static void assertRejects(String message, Executable call) {
    assertFails(IllegalArgumentException.class, message, call);
  }
}
