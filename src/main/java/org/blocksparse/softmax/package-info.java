// SPDX-License-Identifier: Apache-2.0
/**
 * The two-level softmax, {@link org.blocksparse.softmax.HierarchicalSoftmax}, and its counterpart
 * for several labels, {@link org.blocksparse.softmax.LabelTree}.
 */
package org.blocksparse.softmax;
