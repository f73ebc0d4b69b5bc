// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.util.SplittableRandom;

/**
 * The seed of all random tests of this JVM. It is fixed, so that each run has the same result,
 * unless {@code -Dblocksparse.seed=N} sets it or {@code -Dblocksparse.seed=random} draws and prints
 * one.
 */
public final class Seed {
  private static final String PROPERTY = "blocksparse.seed";
  private static final long VALUE = choose(System.getProperty(PROPERTY, "20240607"));

  private Seed() {}

  public static long value() {
    return VALUE;
  }

  /** Returns the hint that a failing test prints. */
  public static String howToRepeat() {
    return "To repeat: -D" + PROPERTY + "=" + VALUE;
  }

  private static long choose(String property) {
    if (!property.equals("random")) {
      return Long.parseLong(property);
    }
    long drawn = new SplittableRandom().nextLong(Long.MAX_VALUE);
    System.out.println("To repeat these tests: -D" + PROPERTY + "=" + drawn);
    return drawn;
  }
}
