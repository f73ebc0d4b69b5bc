// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

/**
 * The tensors and metadata of files, by name: of a hierarchical softmax or label tree, of a bag, of
 * a layer and a bag, or of optimizer state. Of a layer:
 *
 * <pre>
 * W2                        F32 (classes, features, slots)
 * W1 b1 b2                  F32 (features, classes) (classes) (classes, slots)
 * W1 W2                     or F16, BF16, I8, both of one type
 * W1.scales W2.scales       F32 (classes) (classes, slots), where they are I8
 * classOf slotOf            I32 (outputs); -1 for those that are retired
 * optimizer.first.W1  ...   F32 as the parameter; the first moment of Adam, or the sums of Adagrad
 * optimizer.second.W1 ...   F32 as the parameter; the second moment of Adam
 * optimizer.steps           I32 (classes); steps that each class has taken
 * optimizer.begun           I32 (classes, slots); steps that the class had taken when each output
 *                           was added, for Adam; not there if all outputs took part in all steps
 * labels.offsets            I32 (names + 1); where names begin, and the end of the last
 * labels.order              I32 (names); outputs by the FNV-1a hash of their names, then by bytes
 * labels.text               U8; all names in UTF-8; the last tensor, since it aligns nothing
 *
 * blocksparse.format        1
 * blocksparse.layer         LabelTree; not there for a HierarchicalSoftmax
 * blocksparse.steps         steps of training that the layer has taken
 * blocksparse.retired       how many outputs are retired, if any are
 * blocksparse.optimizer     the rule, if its state is there
 * blocksparse.optimizer.steps   steps that the class level has taken
 * </pre>
 *
 * Of a bag:
 *
 * <pre>
 * table                     F32 (vocabulary, features); or F16, BF16, I8
 * table.scales              F32 (vocabulary), where it is I8
 * optimizer.first.table     F32 as the table; the first moment of Adam, or the sums of Adagrad
 * optimizer.second.table    F32 as the table; the second moment of Adam
 * optimizer.steps.table     I32 (vocabulary); steps that each row has taken, Adam
 *
 * blocksparse.format        1
 * blocksparse.bag.mode      SUM, MEAN or ROOT_MEAN
 * blocksparse.bag.optimizer the rule, if its state is there
 * </pre>
 *
 * Of experts:
 *
 * <pre>
 * W1                        F32 (1, experts, inputs, sums); or F16, BF16; or packed, see below
 * W2                        F32 (experts, 1, hidden, outputs); or F16, BF16; or packed
 * b1 b2                     F32 (experts, sums) (experts, outputs), if there are such
 * Wg bg                     F32 (1, 1, inputs, experts) (1, experts), with a gate; bg if there is one
 * shared.W1 ...             the same of the shared expert, if there is one: experts = 1, and a hidden
 *                           size of its own
 * optimizer.first.W1  ...   as of optimizer state, by the names of the parameters
 *
 * blocksparse.format        1
 * blocksparse.layer         MixtureOfExperts
 * blocksparse.activation    SWIGLU, for instance
 * blocksparse.gate.k        experts of a row; there is no gate without it
 * blocksparse.gate.sigmoid        true, if probabilities are sigmoids
 * blocksparse.gate.renormalized   false, if gates are the probabilities themselves
 * blocksparse.gate.choice.bias    a number for each expert, added for the choice
 * blocksparse.gate.groups         of experts, if there are such
 * blocksparse.gate.groups.used    of which a sample chooses experts
 * blocksparse.gate.scales         for each expert, what gates are multiplied by
 * blocksparse.gate.capacity       rows of an expert, if they are limited
 * blocksparse.gate.balancing      the weight of the balancing loss, if there is one
 * blocksparse.optimizer     the rule of the first parameter, and of all that have none of their own
 * blocksparse.optimizer.Wg ...    the rule of one
 * </pre>
 *
 * Of optimizer state, whose tensors are 0, 1, ...:
 *
 * <pre>
 * optimizer.first.0  ...    F32 as the tensor; the first moment of Adam, or the sums of Adagrad
 * optimizer.second.0 ...    F32 as the tensor; the second moment of Adam
 * optimizer.steps.0  ...    I32 (blocks); steps that each block has taken, Adam
 *
 * blocksparse.format        1
 * blocksparse.state.tensors how many tensors there are
 * blocksparse.optimizer     the rule of the first, and of all that have none of their own
 * blocksparse.optimizer.1 ...   the rule of one
 * </pre>
 *
 * Of packed weights called NAME, in the order that the C header calls PACKED WEIGHTS:
 *
 * <pre>
 * NAME                      U8 (iBlocks, oBlocks, bytes of a block)
 * NAME.scales               F32 (iBlocks, oBlocks, oSize), of INT8
 *
 * blocksparse.packed.NAME   the type, iSize and oSize: Q4_0 2048 768 for instance
 * </pre>
 *
 * Versions before packed INT8 alone wrote weights of products as I8 (iBlocks, oBlocks, iSize,
 * oSize) with NAME.scales, too.
 *
 * <p>Of a linear label tree, alone or beside a layer of the same outputs, which has chunks of
 * outputs in levels; an output is a chunk of the next level, or on the last level a label:
 *
 * <pre>
 * tree.weights              F32 (weights); or F16, BF16
 * tree.columns              U8 (weights); the output of each, counted within its chunk
 * tree.chunks               U8 (rows); the chunk of each row, ascending for each feature; U16 or
 *                           I32 if there are more chunks, and I32 in older files
 * tree.sizes                U8 (rows); the number of weights of each row, less 1
 * tree.starts               I32 (rows + 1); the first weight of each row, and their number; in
 *                           older files, which have no sizes
 * tree.begins               I32 (features + 1); the first row of each feature, and their number
 * tree.outputs              I32 (chunks + 1); the first output of each chunk, and their number
 * tree.levels               I32 (levels + 1); the first chunk of each level, and their number
 * tree.labels               I32 (labels); the labels of the last level, in the order of its outputs
 * tree.biases               F32 (outputs)
 * tree.tfidf                F32 (features); inverse document frequencies, if rows count features
 * tree.groups               U8 (features); the group of each feature, if these are scaled by groups
 * tree.lengths              F32 (groups); the length of a row in each group
 * tree.calibration          F32 (levels, 2); slope and intercept: margins to log odds
 * labels.offsets ...        as above
 *
 * blocksparse.format        1
 * blocksparse.layer         LinearLabelTree
 * </pre>
 *
 * <p>Of sparse weights, whose chunks are 256 consecutive outputs each:
 *
 * <pre>
 * sparse.weights ...        weights, columns, chunks, sizes and begins as those of a tree
 * sparse.biases             F32 (outputs); all 0
 * sparse.tfidf              F32 (features); inverse document frequencies, if rows count features
 * labels.offsets ...        as above
 *
 * blocksparse.format        1
 * blocksparse.layer         SparseWeights
 * </pre>
 *
 * <p>Of a mixture, whose scorers are layers with their bags, linear label trees, and sparse weights
 * called NAME, of the K nearest examples maybe:
 *
 * <pre>
 * W2 table ...              as above, if there is a layer
 * layer.NAME.W2 layer.NAME.table ... each further layer with its bag
 * layer.NAME.labels.offsets ... names of its outputs, if these are not those of the mixture
 * tree.weights ...          as above, if there is a tree
 * tree.NAME.weights ...     each further tree
 * sparse.NAME.weights ...   sparse weights, as above
 * sparse.NAME.labels.offsets ... names of their outputs, if these are not those of the mixture
 * examples.NAME.weights ... the same, of nearest examples: those of which sparse.NAME has features
 * mixture.weights           F32 (scorers)
 * mixture.knots             F32 (2, knots); scores and log odds, if the mixture is calibrated
 * mixture.knots2            F32 (2, knots); log odds and those of the last step, if there is one
 * labels.offsets ...        as above
 *
 * blocksparse.format        1
 * blocksparse.layer         Mixture; that of the first layer if there is one
 * blocksparse.layer.NAME.steps ... the strings of each further layer and its bag, as above
 * blocksparse.mixture.scorers   layer:NAME tree:NAME sparse:NAME nearest:K:NAME ..., in their order
 * blocksparse.mixture.adds      probabilities, if these are added
 * blocksparse.mixture.topTwo    slope first second intercept: how the two best outputs of a row
 *                               change log odds; not there if they do not
 * </pre>
 *
 * <p>Other tensors may be there, and are ignored.
 */
public final class ModelNames {
  /** The prefix of metadata keys that belong to the format. */
  public static final String RESERVED = "blocksparse.";

  public static final String FORMAT = RESERVED + "format";
  public static final String VERSION = "1";
  public static final String LAYER = RESERVED + "layer";
  public static final String LABEL_TREE = "LabelTree";
  public static final String LINEAR_LABEL_TREE = "LinearLabelTree";
  public static final String SPARSE_WEIGHTS = "SparseWeights";
  public static final String MIXTURE = "Mixture";
  public static final String EXPERTS = "MixtureOfExperts";
  public static final String MIXTURE_SCORERS = RESERVED + "mixture.scorers";
  public static final String MIXTURE_ADDS = RESERVED + "mixture.adds";
  public static final String MIXTURE_TOP_TWO = RESERVED + "mixture.topTwo";
  public static final String PROBABILITIES = "probabilities";
  public static final String ACTIVATION = RESERVED + "activation";
  public static final String GATE_K = RESERVED + "gate.k";
  public static final String GATE_SIGMOID = RESERVED + "gate.sigmoid";
  public static final String GATE_RENORMALIZED = RESERVED + "gate.renormalized";
  public static final String GATE_CHOICE_BIAS = RESERVED + "gate.choice.bias";
  public static final String GATE_GROUPS = RESERVED + "gate.groups";
  public static final String GATE_GROUPS_USED = RESERVED + "gate.groups.used";
  public static final String GATE_SCALES = RESERVED + "gate.scales";
  public static final String GATE_CAPACITY = RESERVED + "gate.capacity";
  public static final String GATE_BALANCING = RESERVED + "gate.balancing";
  public static final String RETIRED_OUTPUTS = RESERVED + "retired";
  public static final String STEPS = RESERVED + "steps";
  public static final String RULE = RESERVED + "optimizer";
  public static final String RULE_STEPS = RULE + ".steps";

  public static final String CLASS_OF = "classOf";
  public static final String SLOT_OF = "slotOf";
  public static final String STATE_STEPS = "optimizer.steps";
  public static final String STATE_BEGUN = "optimizer.begun";

  public static final String LABEL_OFFSETS = "labels.offsets";
  public static final String LABEL_ORDER = "labels.order";
  public static final String LABEL_TEXT = "labels.text";

  public static final String TABLE = "table";
  public static final String BAG_MODE = RESERVED + "bag.mode";
  public static final String BAG_RULE = RESERVED + "bag.optimizer";
  public static final String STATE_TENSORS = RESERVED + "state.tensors";

  /** The scales of the columns or rows of weights of I8. */
  private static final String SCALES = ".scales";

  private static final String PACKED = RESERVED + "packed.";

  private static final String[] STATES = {"optimizer.first.", "optimizer.second."};

  private ModelNames() {}

  /** Returns the key of a part whose tensors have a prefix. */
  public static String under(String prefix, String key) {
    return RESERVED + prefix + key.substring(RESERVED.length());
  }

  /** Returns the scales of weights of I8. */
  public static String scales(String weights) {
    return weights + SCALES;
  }

  /** Returns the key of the type and the sizes of packed weights. */
  public static String packed(String weights) {
    return PACKED + weights;
  }

  /** Returns a moment of a tensor. */
  public static String moment(int moment, String tensor) {
    return STATES[moment] + tensor;
  }

  /** Returns the steps that the blocks of a tensor have taken, if it has a count of its own. */
  public static String steps(String tensor) {
    return STATE_STEPS + "." + tensor;
  }

  /** Returns the key of the rule of a tensor that has one of its own. */
  public static String rule(String tensor) {
    return RULE + "." + tensor;
  }
}
