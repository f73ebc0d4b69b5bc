// SPDX-License-Identifier: Apache-2.0
/**
 * {@link org.blocksparse.experts.MixtureOfExperts}: a layer in which a gate chooses a few of many
 * small networks for each row.
 */
package org.blocksparse.experts;
