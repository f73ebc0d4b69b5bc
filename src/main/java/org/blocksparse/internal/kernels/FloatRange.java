// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

/** The range of finite floats. */
public final class FloatRange {
  private FloatRange() {}

  /** Returns the nearest float; of a finite value beyond the floats, the largest or lowest one. */
  public static float nearestFinite(double value) {
    return Double.isInfinite(value)
        ? (float) value
        : (float) Math.max(-Float.MAX_VALUE, Math.min(value, Float.MAX_VALUE));
  }
}
