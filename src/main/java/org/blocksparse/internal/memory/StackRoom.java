// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

/**
 * Makes a stack that is nearly used up end at the beginning of an operation, where nothing has been
 * begun that a {@link StackOverflowError} could leave half done: a lease not given back, a helper
 * not waited for.
 */
public final class StackRoom {
  /**
   * For what Java does before it calls native code. What that needs, up to 66,000 bytes of which
   * most is rounded rows and a panel of weights, the JVM sees to: before each call, it asks for the
   * 20 pages behind the stack that it keeps for this. On Windows, where it is 59,000 at most, the
   * JVM keeps 7 or 8 pages, some 30,000 bytes, and the rest is asked for here; that takes a
   * microsecond or two.
   */
  private static final int FRAMES = System.getProperty("os.name").startsWith("Windows") ? 400 : 40;

  /** For classes that are initialized: an initializer that a short stack ends stays ended. */
  private static final int MANY_FRAMES = 500;

  private StackRoom() {}

  /**
   * Returns if there is room for the frames of an operation: about 4,000 bytes of compiled ones (on
   * Windows 40,000), or five times as much while they are interpreted.
   *
   * @throws StackOverflowError if not
   */
  public static void require() {
    descend(FRAMES, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  }

  /**
   * The same for what initializes classes of the JDK, such as those that read and write files:
   * about 50,000 bytes, or 250,000.
   *
   * @throws StackOverflowError if there is no room
   */
  public static void requireMuch() {
    descend(MANY_FRAMES, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  }

  /** Many arguments make a large frame, interpreted and compiled alike. */
  private static long descend(
      int frames,
      long a,
      long b,
      long c,
      long d,
      long e,
      long f,
      long g,
      long h,
      long i,
      long j,
      long k,
      long l,
      long m,
      long n,
      long o,
      long p,
      long q,
      long r,
      long s,
      long t,
      long u,
      long v,
      long w,
      long x) {
    return frames == 0
        ? x
        : descend(
            frames - 1, x, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w);
  }
}
