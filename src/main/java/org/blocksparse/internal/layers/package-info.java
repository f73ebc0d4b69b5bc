// SPDX-License-Identifier: Apache-2.0

/**
 * The inner layers that internal code receives: a layer that users see extends {@link
 * org.blocksparse.internal.layers.LayerFace}, which holds its inner layer.
 */
package org.blocksparse.internal.layers;
