// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

/**
 * A layer that the file of another one can hold, see {@link SaveOptions#with}: an {@link
 * org.blocksparse.bag.EmbeddingBag} or a {@link org.blocksparse.linear.LinearLabelTree}. No other
 * class implements this interface.
 */
public interface ModelPart {}
