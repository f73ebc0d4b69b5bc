// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

/**
 * The model of an output of a chunk.
 *
 * @param features the features that have weights, ascending
 * @param samples the margins of held-out rows, by a model that was not trained on them; null for
 *     most
 * @param excess see {@link DualCoordinateDescent#train}
 */
@SuppressWarnings("ArrayRecordComponent")
record OutputModel(
    int[] features, float[] weights, float bias, Calibration.Samples samples, double excess) {}
