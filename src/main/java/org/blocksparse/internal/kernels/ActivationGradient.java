// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;

/**
 * alpha times the gradients of an activation; see {@link RowKernels#activationGradient}.
 *
 * @param input the input of the activation
 * @param gradA the gradient of what came out of it
 * @param accumulate whether gradZ and gradGate are added to, or only written
 * @param gradGate an element for each row, or null; with it, all columns are selected
 */
public record ActivationGradient(
    ActivationInput input,
    float alpha,
    Rows gradA,
    boolean accumulate,
    Rows gradZ,
    Storage gradGate) {}
