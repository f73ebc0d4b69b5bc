// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import static org.blocksparse.internal.Access.BAGS;
import static org.blocksparse.internal.Access.LINEAR;
import static org.blocksparse.internal.Access.SOFTMAX;

import java.util.ArrayList;
import java.util.List;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.ranking.Labels;

/** The parts of a mixture's file. The first layer and the first tree can be loaded alone. */
final class MixtureParts {
  private final Labels labels;
  private final List<SaveSettings.Part> parts = new ArrayList<>();
  private final List<String> kinds = new ArrayList<>();
  private LayerScorer firstLayer;
  private int layers;
  private int trees;

  /**
   * No parts yet.
   *
   * @param labels of the file; null: there are none
   */
  MixtureParts(Labels labels) {
    this.labels = labels;
  }

  void add(SaveSettings.Part part) {
    parts.add(part);
  }

  void add(LayerScorer scorer) {
    kinds.add(MixtureFile.LAYER + scorer.name());
    SaveSettings.Part bag = BAGS.partOrNull(scorer.bag());
    if (layers++ == 0) {
      firstLayer = scorer; // its file holds the others
      parts.add(bag);
      return;
    }
    String prefix = MixtureFile.layerPrefix(scorer.name(), layers);
    Labels own = scorer.labelsOrNull();
    boolean isOfFile = own != null && own.equals(labels) && own.size() == scorer.outputs();
    parts.add(bag.under(prefix));
    parts.add(SOFTMAX.part(scorer.layer(), isOfFile ? null : own).under(prefix));
  }

  void add(TreeScorer scorer) {
    kinds.add(MixtureFile.TREE + scorer.name());
    parts.add(LINEAR.part(scorer.tree(), MixtureFile.treePrefix(scorer.name(), trees++)));
  }

  void add(WeightsScorer scorer) {
    NearestExamples nearest = scorer.nearest();
    String kind = nearest == null ? MixtureFile.SPARSE : MixtureFile.NEAREST + nearest.k() + ":";
    kinds.add(kind + scorer.name());
    parts.add(part(scorer.weights(), MixtureFile.prefix(scorer.name()), labels));
    if (nearest != null) {
      parts.add(part(nearest.examples(), MixtureFile.examplesPrefix(scorer.name()), null));
    }
  }

  /** Sparse weights with their own names, if these are not those of the mixture. */
  private static SaveSettings.Part part(SparseWeights weights, String prefix, Labels ofMixture) {
    Labels own = weights.hasLabels() ? weights.labels() : null;
    return LINEAR.part(weights, prefix, own != null && own.equals(ofMixture) ? null : own);
  }

  List<SaveSettings.Part> all() {
    return List.copyOf(parts);
  }

  LayerScorer firstLayerOrNull() {
    return firstLayer;
  }

  /** Returns the kinds and names of the scorers, in their order. */
  String kinds() {
    return String.join(" ", kinds);
  }
}
