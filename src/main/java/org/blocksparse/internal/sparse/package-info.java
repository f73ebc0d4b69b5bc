// SPDX-License-Identifier: Apache-2.0

/**
 * Sparse rows in CSR form, in the layout of the kernels: bags of features, their transposes, and
 * chunks of sparse weights.
 */
package org.blocksparse.internal.sparse;
