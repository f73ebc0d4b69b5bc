// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.util.Arrays;
import org.blocksparse.FloatTensor;

/** Features that are x itself. */
final class DenseBatch implements FeatureBatch {
  private final int features;
  private final float[] x;
  private int rows;

  DenseBatch(int features, int mostRows) {
    this.features = features;
    this.x = new float[Math.max(1, Math.min(mostRows, MOST_VALUES / features)) * features];
  }

  @Override
  public void add(Object value) {
    FeatureRow.read(value, x, rows * features, features);
    rows++;
  }

  @Override
  public boolean isFull() {
    return rows * features == x.length;
  }

  @Override
  public FloatTensor take() {
    int count = rows;
    rows = 0;
    float[] values = count * features == x.length ? x : Arrays.copyOf(x, count * features);
    return FloatTensor.of(values, count, features);
  }
}
