// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

/**
 * The guard against a stack that is nearly used up. An operation asks for room at its entry, before
 * it starts helpers or calls native code: it ends there with {@link StackOverflowError}, instead of
 * a wait that never ends or a crash of the process.
 */
public final class StackRoom {
  /**
   * Frames that cover the Java code between the entry and native code. Native code needs up to
   * 66,000 bytes, mostly for rounded rows and a panel of weights. Before each native call, the JVM
   * itself checks for the 20 pages that it reserves behind the stack. On Windows it reserves 7 or 8
   * pages, about 30,000 bytes, where native code needs up to 59,000; the guard covers the rest,
   * which takes a microsecond or two.
   */
  private static final int FRAMES = System.getProperty("os.name").startsWith("Windows") ? 400 : 40;

  private StackRoom() {}

  /**
   * Returns if there is room for the frames of an operation: about 4,000 bytes of compiled frames
   * (40,000 on Windows), or five times as much while they are interpreted.
   *
   * @throws StackOverflowError if there is no room
   */
  public static void require() {
    descend(FRAMES, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
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
