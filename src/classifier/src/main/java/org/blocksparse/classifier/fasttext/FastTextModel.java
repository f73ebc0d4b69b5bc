// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.fasttext;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.blocksparse.FloatTensor;
import org.blocksparse.MemoryUse;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.LayerBuilder;
import org.blocksparse.softmax.TwoLevelLayer;

/**
 * A supervised model of fastText: the mean of the rows of a text, and a layer over labels. For any
 * number of threads.
 *
 * <p>A softmax has one class. For one-vs-all and negative sampling, which predict alike, so has a
 * label tree. fastText's hierarchical softmax is a {@link FastTextTree}.
 */
public final class FastTextModel implements AutoCloseable {
  /** The logit of the only class of a label tree: its probability is 1. */
  private static final float CERTAIN = 200;

  private final FastTextVectors table;
  private final Labels labels;

  /** The layer; null if the labels have a binary tree. */
  private final TwoLevelLayer<?> layer;

  private final FastTextTree tree;

  private FastTextModel(
      FastTextVectors table, Labels labels, TwoLevelLayer<?> layer, FastTextTree tree) {
    this.table = table;
    this.labels = labels;
    this.layer = layer;
    this.tree = tree;
  }

  /** Returns whether a file begins as those of fastText do. */
  public static boolean isIn(Path file) throws IOException {
    try (FastTextInput in = new FastTextInput(file)) {
      return FastTextArguments.begin(in);
    }
  }

  public static FastTextModel load(Path file, Workers workers) throws IOException {
    try (FastTextInput in = new FastTextInput(file)) {
      FastTextArguments arguments = FastTextArguments.read(in);
      if (arguments.model() != FastTextArguments.Model.SUPERVISED) {
        throw in.wrong(
            "model", "expected supervised, which has labels; FastTextVectors reads others");
      }
      FastTextVectors table = FastTextVectors.read(in, arguments, workers);
      TwoLevelLayer<?> layer = null;
      try {
        Labels labels = labels(table.dictionary(), in);
        boolean isQuantized = in.bool("quantized output") && table.isQuantized();
        FastTextMatrix output =
            FastTextMatrix.begin("output", isQuantized, labels.size(), arguments.dim(), in);
        FastTextTree tree = null;
        if (arguments.loss() == FastTextArguments.Loss.HS) {
          tree = new FastTextTree(table.dictionary().labelCounts(), output.array());
        } else {
          layer = layer(output, arguments.loss(), labels, workers);
        }
        if (in.remaining() > 0) {
          throw in.wrong("output", "has " + in.remaining() + " bytes behind it");
        }
        return new FastTextModel(table, labels, layer, tree);
      } catch (Throwable e) {
        close(table, layer);
        throw e;
      }
    }
  }

  private static Labels labels(FastTextDictionary dictionary, FastTextInput in) throws IOException {
    int count = dictionary.labelCounts().length;
    if (count == 0) {
      throw in.wrong("dictionary labels", "expected at least 1 but was 0");
    }
    List<String> names = new ArrayList<>();
    for (int label = 0; label < count; label++) {
      try {
        names.add(dictionary.label(label));
      } catch (CharacterCodingException e) {
        throw in.wrong("dictionary labels", "label " + label + " is not UTF-8");
      }
    }
    String prefix = FastTextDictionary.LABEL_PREFIX;
    if (names.stream().allMatch(name -> name.startsWith(prefix))) {
      names.replaceAll(name -> name.substring(prefix.length()));
    }
    try {
      return Labels.of(names);
    } catch (IllegalArgumentException e) {
      throw in.wrong("dictionary labels", e.getMessage());
    }
  }

  private static TwoLevelLayer<?> layer(
      FastTextMatrix output, FastTextArguments.Loss loss, Labels labels, Workers workers)
      throws IOException {
    boolean isSoftmax = loss == FastTextArguments.Loss.SOFTMAX;
    LayerBuilder<?, ?> builder =
        (isSoftmax
                ? HierarchicalSoftmax.builder(output.columns(), output.rows())
                : LabelTree.builder(output.columns(), output.rows()))
            .classes(1)
            .labels(labels)
            .workers(workers);
    List<FloatTensor> parameters = new ArrayList<>();
    try {
      parameters.add(FloatTensor.zeros(output.columns(), 1));
      parameters.add(FloatTensor.of(new float[] {isSoftmax ? 0 : CERTAIN}, 1));
      parameters.add(output.transposed());
      parameters.add(FloatTensor.zeros(1, output.rows()));
      return builder.build(
          parameters.get(0), parameters.get(1), parameters.get(2), parameters.get(3));
    } catch (Throwable e) {
      parameters.forEach(FloatTensor::close);
      throw e;
    }
  }

  public FastTextRows rows() {
    return new FastTextRows(table);
  }

  public Labels labels() {
    return labels;
  }

  public boolean isOneVsAll() {
    return layer instanceof LabelTree;
  }

  static InvalidInputException notFinite() {
    return new InvalidInputException("model: its weights are not finite");
  }

  /**
   * Returns the most probable labels of rows.
   *
   * @param filter the outputs that are allowed
   * @param allowed the same as bits, or null for all outputs; asked only by hierarchical softmax
   */
  public Ranking topK(SparseRows of, int k, Filter filter, Supplier<BitSet> allowed) {
    try (FloatTensor x = table.bag().apply(of)) {
      if (tree != null) {
        return search(x, Math.min(k, labels.size()), allowed.get(), 0);
      }
      Ranking ranking = layer.topK(x, k, filter);
      return isOneVsAll() ? FastTextSigmoid.of(ranking, labels, 0) : ranking;
    }
  }

  /** Returns all labels of rows with at least some probability. */
  public Ranking atLeast(SparseRows of, double probability) {
    try (FloatTensor x = table.bag().apply(of)) {
      if (tree != null) {
        return search(x, labels.size(), null, probability);
      }
      return isOneVsAll()
          ? FastTextSigmoid.of(
              layer.atLeast(x, Math.min(probability, FastTextSigmoid.LARGEST)), labels, probability)
          : layer.atLeast(x, probability);
    }
  }

  private Ranking search(FloatTensor of, int k, BitSet allowed, double least) {
    float[] x = of.toArray();
    int batch = (int) of.shape().dim(0);
    int[][] outputs = new int[batch][];
    float[][] logProbabilities = new float[batch][];
    for (int row = 0; row < batch; row++) {
      requireFinite(x, row);
      FastTextTree.Found[] found = tree.search(x, row, k, allowed, least);
      outputs[row] = new int[found.length];
      logProbabilities[row] = new float[found.length];
      for (int rank = 0; rank < found.length; rank++) {
        outputs[row][rank] = found[rank].label();
        logProbabilities[row][rank] = (float) Math.log(found[rank].probability());
      }
    }
    return Ranking.of(outputs, logProbabilities, labels);
  }

  private void requireFinite(float[] x, int row) {
    for (int i = row * table.dimension(); i < (row + 1) * table.dimension(); i++) {
      if (!Float.isFinite(x[i])) {
        throw notFinite();
      }
    }
  }

  public MemoryUse memoryUse() {
    return layer == null
        ? table.bag().memoryUse()
        : table.bag().memoryUse().plus(layer.memoryUse());
  }

  public Map<String, String> info() {
    FastTextArguments arguments = table.arguments();
    Map<String, String> info = new TreeMap<>();
    info.put("program", "fastText");
    info.put("loss", arguments.loss().name().toLowerCase(Locale.ROOT));
    info.put("words", Integer.toString(table.words()));
    info.put("word n-grams", Integer.toString(arguments.wordNgrams()));
    info.put("character n-grams", arguments.minn() + " to " + arguments.maxn());
    info.put("buckets", Integer.toString(arguments.bucket()));
    info.put("dimension", Integer.toString(arguments.dim()));
    info.put("rows of the table", Integer.toString(table.bag().vocabulary()));
    return info;
  }

  @Override
  public void close() {
    close(table, layer);
  }

  private static void close(FastTextVectors table, TwoLevelLayer<?> layer) {
    table.close();
    if (layer != null) {
      layer.close();
    }
  }

  @Override
  public String toString() {
    return "fastText " + info();
  }
}
