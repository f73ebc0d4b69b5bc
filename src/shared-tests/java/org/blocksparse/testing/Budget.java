// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

/**
 * How much a test does. {@code -Dblocksparse.long=true} takes the large numbers of all tests; each
 * has a property of its own, too.
 */
public final class Budget {
  private static final boolean LONG = Boolean.getBoolean("blocksparse.long");

  private Budget() {}

  /** The value of the property, or else the usual number, or that of the long run. */
  public static int of(String property, int usual, int ofLongRun) {
    return Integer.getInteger(property, LONG ? ofLongRun : usual);
  }
}
