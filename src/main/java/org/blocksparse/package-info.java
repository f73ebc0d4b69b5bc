// SPDX-License-Identifier: Apache-2.0
/**
 * Products of chosen blocks, and the hierarchical softmax that they make affordable.
 *
 * <p>{@link org.blocksparse.HierarchicalSoftmax} is the output layer for very many labels or words,
 * {@link org.blocksparse.LabelTree} that for several of them at once; what they share is {@link
 * org.blocksparse.TwoLevelLayer}. {@link org.blocksparse.LinearLabelTree} predicts several labels
 * from sparse features. {@link org.blocksparse.SparseBlockDot} is the layer below it, with its
 * gradients; it consists of {@link org.blocksparse.SparseBlockGemv} and {@link
 * org.blocksparse.SparseBlockOuter}, and an {@link org.blocksparse.Epilogue} with an {@link
 * org.blocksparse.Activation} may be fused to it. {@link org.blocksparse.EmbeddingBag} is a layer
 * for sparse input, {@link org.blocksparse.SparseRows}, and {@link
 * org.blocksparse.MixtureOfExperts} one of many small networks that a gate chooses among. Weights
 * that are only read may be of any {@link org.blocksparse.ElementType}: those of products are
 * {@link org.blocksparse.Weights}. All of them work on {@link org.blocksparse.FloatTensor} and
 * {@link org.blocksparse.IntTensor}, and run by a {@link org.blocksparse.BlockPlan}.
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
 *   <tr><td>plan</td><td>a selection that has been checked, once for many calls</td></tr>
 * </table>
 *
 * <pre>{@code
 * out[b, j] = bias[outputIdx[b, j]] + sum over i of  h[b, i] . W[inputIdx[b, i], outputIdx[b, j]]
 * }</pre>
 *
 * <table>
 *   <caption>Words of what follows a product</caption>
 *   <tr><th>word</th><th>meaning</th></tr>
 *   <tr><td>z</td><td>sums, which an activation is applied to</td></tr>
 *   <tr><td>gate</td><td>a factor for each row, for instance how much an expert counts</td></tr>
 *   <tr><td>gated activation</td><td>one that multiplies by the second half of its row</td></tr>
 *   <tr><td>expert</td><td>one of the blocks that a gate chooses among</td></tr>
 *   <tr><td>routing</td><td>which experts a gate has chosen for each sample</td></tr>
 *   <tr><td>epilogue</td><td>what surrounds a product: biases, activation, gate</td></tr>
 * </table>
 *
 * <table>
 *   <caption>Words of the softmax and of the label tree</caption>
 *   <tr><th>word</th><th>meaning</th></tr>
 *   <tr><td>output</td><td>what is predicted: a label, a word; by the caller's own number</td></tr>
 *   <tr><td>label</td><td>the string that an output is called by; {@link
 *   org.blocksparse.Labels} are those of all outputs. Where several outputs are right for a sample,
 *   they are its labels</td></tr>
 *   <tr><td>class</td><td>a group of outputs that share a block of W2</td></tr>
 *   <tr><td>retired</td><td>of an output: it has no class any more, and no probability</td></tr>
 *   <tr><td>slot</td><td>the place of an output in its class</td></tr>
 *   <tr><td>class level</td><td>what decides between classes: W1 and b1</td></tr>
 *   <tr><td>part</td><td>what can be trained alone: the class level, or one class</td></tr>
 *   <tr><td>to open a class</td><td>to compute the probabilities of its outputs</td></tr>
 *   <tr><td>target</td><td>an output whose probability is asked for, or a right one</td></tr>
 *   <tr><td>ranking</td><td>for each row, outputs from the likeliest down</td></tr>
 *   <tr><td>filter</td><td>outputs that a call leaves out, or the only ones that it may find</td></tr>
 *   <tr><td>bag</td><td>a row of indices into a table whose rows are added up</td></tr>
 *   <tr><td>step</td><td>one update of the parameters that a batch touches</td></tr>
 *   <tr><td>narrow</td><td>of weights: stored in fewer bits than floats, and only read</td></tr>
 *   <tr><td>optimizer state</td><td>what an optimizer keeps of each parameter between steps</td></tr>
 * </table>
 *
 * <p>Sizes, offsets and strides are in elements. Names of sizes in bytes end in Bytes. Logarithms
 * are natural.
 */
package org.blocksparse;
