// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

/**
 * The guard against a stack that is nearly used up. An operation asks for room at its entry, before
 * it starts helpers or calls native code: it ends there with {@link StackOverflowError}, instead of
 * a wait that never ends or a crash of the process.
 */
public final class StackRoom {
  /**
   * Whether the JVM reserves enough stack for native code. Before each native call, the JVM itself
   * checks for the 20 pages that it reserves behind the stack. Native code needs up to 66,000
   * bytes, mostly for rounded rows and a panel of weights. On Windows there are 7 or 8 pages, about
   * 30,000 bytes, where native code needs up to 59,000.
   */
  private static final boolean RESERVES_ENOUGH =
      !System.getProperty("os.name").startsWith("Windows");

  /** Frames that cover the Java code between the entry and native code, about 4,000 bytes. */
  private static final int FRAMES_OF_JAVA = 40;

  /** Frames that cover the Java code and what native code needs beyond the JVM's reserve. */
  private static final int FRAMES_OF_ALL = 400;

  private StackRoom() {}

  /**
   * Returns if there is room for an operation. A frame costs about five nanoseconds, so that an
   * operation without helpers asks only where the JVM's own check is not enough.
   *
   * @param waits whether the operation waits for helpers, which a stack that ends must not prevent
   * @throws StackOverflowError if there is no room
   */
  public static void require(boolean waits) {
    int frames = !RESERVES_ENOUGH ? FRAMES_OF_ALL : waits ? FRAMES_OF_JAVA : 0;
    descend(frames, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  }

  /**
   * Recurses with many arguments, which make a large frame: 100 bytes compiled, five times as much
   * interpreted.
   */
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
