// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.layers;

/**
 * The superclass of layers that users see. It holds the inner layer that internal code receives;
 * see {@link SavedLayer#of}.
 *
 * @param <L> the inner layer
 */
public abstract class LayerFace<L extends SavedLayer> {
  final L inner;

  protected LayerFace(L inner) {
    this.inner = inner;
  }
}
