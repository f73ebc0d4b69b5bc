// SPDX-License-Identifier: Apache-2.0

/**
 * What inner code receives of layers: a layer that users see extends {@link
 * org.blocksparse.internal.layers.LayerFace}, which holds it.
 */
package org.blocksparse.internal.layers;
