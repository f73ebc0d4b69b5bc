// SPDX-License-Identifier: Apache-2.0
/** {@link org.blocksparse.bag.EmbeddingBag}: a layer for sparse input. */
package org.blocksparse.bag;
