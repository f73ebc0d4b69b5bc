// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.Activation;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;

/**
 * The operands of {@code gate * f(z)}, for each row.
 *
 * @param n the size of a row that comes out
 * @param z rows of n, or of 2 n if the function is gated
 * @param gate a factor for each row, or null: 1
 */
public record ActivationInput(Activation function, int n, Rows z, Storage gate) {}
