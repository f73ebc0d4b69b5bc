// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;

/**
 * Losses of rows of logits, which become their gradients; see {@link RowKernels#crossEntropy}.
 *
 * @param n the size of a row
 * @param valid for each written block the elements that take part, or null: all n
 * @param losses receives the loss of each row, not weighted
 */
public record CrossEntropy(
    GemmSchedule schedule, int n, Storage valid, Targets targets, Storage losses, Rows logits) {}
