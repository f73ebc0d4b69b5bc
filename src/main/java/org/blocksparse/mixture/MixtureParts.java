// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import static java.util.stream.Collectors.joining;

import java.util.ArrayList;
import java.util.List;
import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.layers.SavedLayer;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.mixture.ScorerEntry.Kind;
import org.blocksparse.ranking.Labels;

/** The parts of a mixture's file. The first layer and the first tree can be loaded alone. */
final class MixtureParts {
  private final Labels labels;
  private final List<SaveSettings.Part> parts = new ArrayList<>();
  private final List<ScorerEntry> scorers = new ArrayList<>();
  private LayerScorer firstLayer;
  private int layers;
  private int trees;

  /**
   * Starts without parts.
   *
   * @param labels the labels of the file, or null
   */
  MixtureParts(Labels labels) {
    this.labels = labels;
  }

  void add(SaveSettings.Part part) {
    parts.add(part);
  }

  void add(LayerScorer scorer) {
    scorers.add(new ScorerEntry(Kind.LAYER, scorer.name()));
    String prefix = MixtureFile.layerPrefix(scorer.name(), layers++);
    parts.add(SavedLayer.of(scorer.bag()).part(prefix, null));
    if (firstLayer == null) {
      firstLayer = scorer; // its file holds the others
      return;
    }
    Labels own = scorer.labelsOrNull();
    boolean isOfFile = own != null && own.equals(labels) && own.size() == scorer.outputs();
    parts.add(SavedLayer.of(scorer.layer()).part(prefix, isOfFile ? null : NameTable.from(own)));
  }

  void add(TreeScorer scorer) {
    scorers.add(new ScorerEntry(Kind.TREE, scorer.name()));
    parts.add(
        SavedLayer.of(scorer.tree()).part(MixtureFile.treePrefix(scorer.name(), trees++), null));
  }

  void add(WeightsScorer scorer) {
    NearestExamples nearest = scorer.nearest();
    scorers.add(
        nearest == null
            ? new ScorerEntry(Kind.SPARSE, scorer.name())
            : new ScorerEntry(Kind.NEAREST, nearest.k(), scorer.name()));
    parts.add(part(scorer.weights(), MixtureFile.prefix(scorer.name()), labels));
    if (nearest != null) {
      parts.add(part(nearest.examples(), MixtureFile.examplesPrefix(scorer.name()), null));
    }
  }

  /** Returns sparse weights with their own names, unless these are the mixture's. */
  private static SaveSettings.Part part(SparseWeights weights, String prefix, Labels ofMixture) {
    Labels own = weights.hasLabels() ? weights.labels() : null;
    boolean isOfMixture = own != null && own.equals(ofMixture);
    return SavedLayer.of(weights).part(prefix, isOfMixture ? null : NameTable.from(own));
  }

  List<SaveSettings.Part> all() {
    return List.copyOf(parts);
  }

  LayerScorer firstLayerOrNull() {
    return firstLayer;
  }

  /** Returns the kinds and names of the scorers, in their order. */
  String kinds() {
    return scorers.stream().map(ScorerEntry::toString).collect(joining(" "));
  }
}
