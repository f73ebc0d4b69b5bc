// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

/**
 * The amount of work of tests. {@code -Dblocksparse.long=true} selects the large numbers of all
 * tests; each has a property of its own, too.
 */
public final class Budget {
  private static final boolean LONG = Boolean.getBoolean("blocksparse.long");

  private Budget() {}

  /** Returns the value of the property, otherwise the usual number, or that of the long run. */
  public static int of(String property, int usual, int ofLongRun) {
    return Integer.getInteger(property, LONG ? ofLongRun : usual);
  }
}
