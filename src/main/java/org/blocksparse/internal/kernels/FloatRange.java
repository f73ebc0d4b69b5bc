// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

/** The range of finite floats. */
public final class FloatRange {
  private FloatRange() {}

  /** As a float that is finite if the value is, the largest or lowest where it is beyond those. */
  public static float nearestFinite(double value) {
    return Double.isInfinite(value)
        ? (float) value
        : (float) Math.max(-Float.MAX_VALUE, Math.min(value, Float.MAX_VALUE));
  }
}
