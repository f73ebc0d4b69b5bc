// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;

/**
 * Rows of logits that become probabilities; see {@link RowKernels#probabilities}.
 *
 * @param n the size of a row
 * @param valid for each written block the elements that take part, or null: all n
 * @param scale for each row a factor (with {@code logarithm} a summand), or null
 * @param c the rows
 */
public record Probabilities(
    Link link,
    boolean logarithm,
    GemmSchedule schedule,
    int n,
    Storage valid,
    Storage scale,
    Rows c) {}
