// SPDX-License-Identifier: Apache-2.0
/**
 * {@link org.blocksparse.linear.LinearLabelTree}: labels from sparse features by sparse linear
 * classifiers.
 */
package org.blocksparse.linear;
