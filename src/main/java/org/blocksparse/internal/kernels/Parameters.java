// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.internal.memory.Storage;

/**
 * A tensor that follows its gradients.
 *
 * @param moments the moments that the rule keeps, each of the size of w
 */
public record Parameters(Storage w, Storage... moments) {}
