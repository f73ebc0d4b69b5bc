// SPDX-License-Identifier: Apache-2.0
/**
 * Products of chosen blocks, and the hierarchical softmax that they make affordable.
 *
 * <p>{@link org.blocksparse.softmax.HierarchicalSoftmax} is the output layer for very many labels
 * or words, and {@link org.blocksparse.softmax.LabelTree} the one for several labels per row.
 * {@link org.blocksparse.softmax.TwoLevelLayer} is their common part. {@link
 * org.blocksparse.linear.LinearLabelTree} predicts several labels from sparse features. {@link
 * org.blocksparse.products.SparseBlockDot} is the block-sparse layer, with its gradients. It
 * consists of {@link org.blocksparse.products.SparseBlockGemv} and {@link
 * org.blocksparse.products.SparseBlockOuter}; an {@link org.blocksparse.products.Epilogue} with an
 * {@link org.blocksparse.Activation} can be fused into it. {@link org.blocksparse.bag.EmbeddingBag}
 * is a layer for sparse input, {@link org.blocksparse.SparseRows}. In a {@link
 * org.blocksparse.experts.MixtureOfExperts}, a gate chooses a few of many small networks. Read-only
 * weights may be of any {@link org.blocksparse.ElementType}; products take them as {@link
 * org.blocksparse.Weights}. Layers and products work on {@link org.blocksparse.FloatTensor} and
 * {@link org.blocksparse.IntTensor}; a {@link org.blocksparse.products.BlockPlan} has the blocks
 * that a product selects.
 *
 * <h2>Words</h2>
 *
 * <p>Input and output of a layer are divided into blocks, of which each sample selects a few.
 *
 * <table>
 *   <caption>Sizes, as in Theano</caption>
 *   <tr><th>word</th><th>meaning</th></tr>
 *   <tr><td>batch</td><td>samples computed together</td></tr>
 *   <tr><td>iBlocks, oBlocks</td><td>input and output blocks there are to select from</td></tr>
 *   <tr><td>iSize, oSize</td><td>elements of an input and of an output block</td></tr>
 *   <tr><td>iWin, oWin</td><td>input and output blocks that each sample selects</td></tr>
 *   <tr><td>plan</td><td>a checked and sorted selection, for any number of calls</td></tr>
 * </table>
 *
 * <pre>{@code
 * out[b, j] = bias[outputIdx[b, j]] + sum over i of  h[b, i] . W[inputIdx[b, i], outputIdx[b, j]]
 * }</pre>
 *
 * <table>
 *   <caption>Words of epilogues and experts</caption>
 *   <tr><th>word</th><th>meaning</th></tr>
 *   <tr><td>z</td><td>sums, the input of an activation</td></tr>
 *   <tr><td>gate</td><td>a factor for each row, such as the weight of an expert</td></tr>
 *   <tr><td>gated activation</td><td>one that multiplies by the second half of its row</td></tr>
 *   <tr><td>expert</td><td>one of the blocks that a gate chooses among</td></tr>
 *   <tr><td>routing</td><td>the experts that a gate chose for each sample</td></tr>
 *   <tr><td>epilogue</td><td>operations that are fused into a product: biases, activation, gate</td></tr>
 * </table>
 *
 * <table>
 *   <caption>Words of the softmax and of the label tree</caption>
 *   <tr><th>word</th><th>meaning</th></tr>
 *   <tr><td>output</td><td>an id that a layer predicts, such as that of a label or a word</td></tr>
 *   <tr><td>label</td><td>the name of an output; {@link org.blocksparse.ranking.Labels} has the names of all outputs. The true outputs of a sample are also called its labels</td></tr>
 *   <tr><td>class</td><td>a group of outputs that share a block of W2</td></tr>
 *   <tr><td>retired</td><td>of an output: removed from its class, with probability 0</td></tr>
 *   <tr><td>slot</td><td>the place of an output in its class</td></tr>
 *   <tr><td>class level</td><td>the parameters that score classes: W1 and b1</td></tr>
 *   <tr><td>part</td><td>a unit that can be trained alone: the class level, or one class</td></tr>
 *   <tr><td>to open a class</td><td>to compute the probabilities of its outputs</td></tr>
 *   <tr><td>target</td><td>the true output of a row, or an output whose probability a call computes</td></tr>
 *   <tr><td>ranking</td><td>the most probable outputs of each row, in order</td></tr>
 *   <tr><td>filter</td><td>outputs that a call excludes, or the only outputs that it allows</td></tr>
 *   <tr><td>bag</td><td>a row of indices into a table whose rows are added up</td></tr>
 *   <tr><td>step</td><td>one update of the parameters that a batch touches</td></tr>
 *   <tr><td>narrow</td><td>of weights: read-only, in fewer than 32 bits</td></tr>
 *   <tr><td>optimizer state</td><td>values per parameter that an optimizer keeps between steps</td></tr>
 * </table>
 *
 * <p>Sizes, offsets and strides are in elements. Names of sizes in bytes end in Bytes. Logarithms
 * are natural.
 */
package org.blocksparse;
