// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Storage;

/**
 * A tensor that follows its gradients.
 *
 * @param moments as many as the rule keeps, of the size of w
 */
public record Parameters(Storage w, Storage... moments) {}
