// SPDX-License-Identifier: Apache-2.0
/**
 * For use by blocksparse only; anything here may change. Schedules say what is computed, the
 * scheduler on which threads, kernels how. Nothing here knows tensors or checks arguments: that is
 * done above.
 */
package org.blocksparse.internal;
