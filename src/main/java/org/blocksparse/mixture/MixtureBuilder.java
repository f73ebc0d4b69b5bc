// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import static java.util.Objects.requireNonNull;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.linear.DenseHead;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.softmax.TwoLevelLayer;

/** Builds a {@link Mixture}; the scorers have the order in which they are added. */
public final class MixtureBuilder {
  static final int MOST_SCORERS = 64;
  static final Pattern NAME = Pattern.compile("[A-Za-z0-9_-]{1,64}");

  private final List<Scorer> scorers = new ArrayList<>();
  private boolean addsProbabilities;

  MixtureBuilder() {}

  /**
   * Adds the log probabilities of a {@link org.blocksparse.softmax.HierarchicalSoftmax} or {@link
   * org.blocksparse.softmax.LabelTree}, whose x are the vectors of a bag.
   *
   * @param name 1 to 64 letters, digits, - or _, which no other scorer has
   * @throws IllegalArgumentException if the name is none, or taken; or if the vectors of the bag
   *     have another size than the layer has features
   */
  public MixtureBuilder layer(String name, EmbeddingBag bag, TwoLevelLayer<?> layer) {
    requireNonNull(bag, "bag");
    requireNonNull(layer, "layer");
    requireFeatures(bag, layer.features(), "layer");
    return add(new LayerScorer(name, bag, layer));
  }

  /**
   * Adds the scores of a dense head, whose x are the vectors of a bag. They are added as they are,
   * also if {@linkplain #addProbabilities probabilities} of others are. No file holds the mixture,
   * as the head does not own its rows.
   *
   * @param name as of {@link #layer}
   * @throws IllegalArgumentException if the name is none, or taken; or if the vectors of the bag
   *     have another size than the head has features
   */
  public MixtureBuilder head(String name, EmbeddingBag bag, DenseHead head) {
    requireNonNull(bag, "bag");
    requireNonNull(head, "head");
    requireFeatures(bag, head.features(), "head");
    return add(new DenseScorer(name, bag, head));
  }

  private static void requireFeatures(EmbeddingBag bag, int features, String of) {
    if (bag.features() != features) {
      throw new IllegalArgumentException(
          "bag: expected vectors of "
              + features
              + " features, as the "
              + of
              + " has, but was "
              + bag.features());
    }
  }

  /**
   * Adds the log probabilities of a linear label tree.
   *
   * @param name as of {@link #layer}
   * @throws IllegalArgumentException if the name is none, or taken
   */
  public MixtureBuilder tree(String name, LinearLabelTree tree) {
    requireNonNull(tree, "tree");
    return add(new TreeScorer(name, tree));
  }

  /**
   * Adds the scores of sparse weights. They may have fewer outputs than other scorers; the further
   * ones have score 0.
   *
   * @param name as of {@link #layer}
   * @throws IllegalArgumentException if the name is none, or taken
   */
  public MixtureBuilder weights(String name, SparseWeights weights) {
    return add(new WeightsScorer(name, requireNonNull(weights, "weights"), null));
  }

  /**
   * Adds the scores of nearest examples, which may be of fewer outputs than other scorers have, as
   * those of {@link #weights}.
   *
   * @param name as of {@link #layer}
   * @throws IllegalArgumentException if the name is none, or taken
   */
  public MixtureBuilder nearest(String name, NearestExamples nearest) {
    SparseWeights outputs = requireNonNull(nearest, "nearest").outputs();
    return add(new WeightsScorer(name, outputs, nearest));
  }

  /** Adds probabilities of the layer and of the tree, rather than their logarithms. */
  public MixtureBuilder addProbabilities() {
    addsProbabilities = true;
    return this;
  }

  private MixtureBuilder add(Scorer scorer) {
    if (!NAME.matcher(requireNonNull(scorer.name(), "name")).matches()) {
      throw new IllegalArgumentException(
          "name: expected 1 to 64 letters, digits, - or _ but was \"" + scorer.name() + "\"");
    }
    if (scorers.stream().anyMatch(other -> other.name().equals(scorer.name()))) {
      throw new IllegalArgumentException("name: there is a scorer " + scorer.name() + " already");
    }
    if (scorers.size() == MOST_SCORERS) {
      throw new IllegalArgumentException("name: expected at most " + MOST_SCORERS + " scorers");
    }
    scorers.add(scorer);
    return this;
  }

  private void requireOutputs() {
    Scorer all = null;
    for (Scorer scorer : scorers) {
      if (scorer.hasAllOutputs()) {
        if (all != null && all.outputs() != scorer.outputs()) {
          throw new IllegalArgumentException(
              "scorers: "
                  + all.name()
                  + " has "
                  + all.outputs()
                  + " outputs, but "
                  + scorer.name()
                  + " has "
                  + scorer.outputs());
        }
        all = scorer;
      }
    }
    for (Scorer scorer : scorers) {
      if (all != null && scorer.outputs() > all.outputs()) {
        throw new IllegalArgumentException(
            "scorers: "
                + scorer.name()
                + " has "
                + scorer.outputs()
                + " outputs, more than the "
                + all.outputs()
                + " of "
                + all.name());
      }
    }
  }

  /**
   * Returns the mixture of the scorers, each with weight 1.
   *
   * @throws IllegalArgumentException if there are no scorers, or if a scorer has more outputs than
   *     the layer or the tree has
   */
  public Mixture build() {
    if (scorers.isEmpty()) {
      throw new IllegalArgumentException("scorers: expected at least one");
    }
    requireOutputs();
    float[] weights = new float[scorers.size()];
    Arrays.fill(weights, 1);
    return new Mixture(List.copyOf(scorers), weights, addsProbabilities, null, Map.of());
  }
}
