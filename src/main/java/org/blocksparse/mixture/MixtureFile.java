// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import static org.blocksparse.internal.Access.BAGS;
import static org.blocksparse.internal.Access.LINEAR;
import static org.blocksparse.internal.Access.SOFTMAX;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Supplier;
import org.blocksparse.FileFormatException;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.internal.files.Dtype;
import org.blocksparse.internal.files.LabelsFile;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.files.ModelMetadata;
import org.blocksparse.internal.files.ModelNames;
import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.files.Reading;
import org.blocksparse.internal.files.SafeTensorsReader;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.files.TensorEntry;
import org.blocksparse.internal.files.TensorSource;
import org.blocksparse.internal.files.WeightsFile;
import org.blocksparse.internal.files.WholeFile;
import org.blocksparse.internal.memory.GrowingArrays;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.memory.StorageLease;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.ranking.Labels;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;

/** A mixture as a safetensors file; {@link ModelNames} lists what is in it. */
record MixtureFile(
    List<Scorer> scorers,
    float[] weights,
    boolean addsProbabilities,
    ScoreCalibration calibration,
    Map<String, String> ofUser) {
  private static final String WEIGHTS = "mixture.weights";
  private static final String KNOTS = "mixture.knots";
  private static final String LAYER = "layer:";
  private static final String TREE = "tree:";
  private static final String SPARSE = "sparse:";
  private static final String NEAREST = "nearest:";

  // ------------------------------------------------------------------------------------ writing

  void save(Path file, SaveSettings settings, Labels labels) throws IOException {
    settings.requireNoPart();
    if (settings.optimizerState()) {
      throw new IllegalArgumentException("options: a mixture has no state of an optimizer");
    }
    List<SaveSettings.Part> parts = new ArrayList<>();
    Scorer.OfLayer layer = null;
    int trees = 0;
    for (Scorer scorer : scorers) {
      if (scorer instanceof Scorer.OfLayer embedding) {
        layer = embedding;
        parts.add(BAGS.partOrNull(embedding.bag()));
      } else if (scorer instanceof Scorer.OfTree linear) {
        parts.add(LINEAR.part(linear.tree(), treePrefix(linear.name(), trees++)));
      } else if (scorer instanceof Scorer.OfWeights sparse) {
        parts.add(part(sparse.weights(), prefix(sparse.name()), labels));
        if (sparse.nearest() != null) {
          parts.add(part(sparse.nearest().examples(), examplesPrefix(sparse.name()), null));
        }
      }
    }
    parts.add((written, ofFile, metadata, lease) -> add(written, metadata));
    if (layer != null && labels != null && !layer.layer().hasLabels()) {
      parts.add(
          (written, ofFile, metadata, lease) ->
              LabelsFile.add(NameTable.from(labels), written.tensors()));
    }
    Map<String, String> strings = settings.metadataOr(ofUser);
    SaveSettings all =
        new SaveSettings(strings, false, List.of(), settings.progress()).withParts(parts);
    if (layer != null) {
      SOFTMAX.save(layer.layer(), file, all);
      return;
    }
    try (StorageLease lease = new StorageLease();
        WeightsFile written = new WeightsFile(Mixture.KIND, all)) {
      Map<String, String> metadata = new TreeMap<>(strings);
      metadata.put(ModelNames.FORMAT, ModelNames.VERSION);
      metadata.put(ModelNames.LAYER, ModelNames.MIXTURE);
      for (SaveSettings.Part part : parts) {
        part.addTo(written, all, metadata, lease);
      }
      if (labels != null) {
        LabelsFile.add(NameTable.from(labels), written.tensors());
      }
      written.write(file, WEIGHTS, metadata, lease);
    }
  }

  /** Sparse weights with their own names, if these are not those of the mixture. */
  private static SaveSettings.Part part(SparseWeights weights, String prefix, Labels ofMixture) {
    Labels own = weights.hasLabels() ? weights.labels() : null;
    return LINEAR.part(weights, prefix, own != null && own.equals(ofMixture) ? null : own);
  }

  private static String prefix(String name) {
    return "sparse." + name + ".";
  }

  /** The first tree can be loaded by itself. */
  private static String treePrefix(String name, int treesBefore) {
    return treesBefore == 0 ? "tree." : "tree." + name + ".";
  }

  private static String examplesPrefix(String name) {
    return "examples." + name + ".";
  }

  /** Adds the mixture itself. */
  private void add(WeightsFile file, Map<String, String> metadata) {
    StringBuilder names = new StringBuilder();
    for (Scorer scorer : scorers) {
      names.append(names.isEmpty() ? "" : " ").append(kind(scorer)).append(scorer.name());
    }
    metadata.put(ModelNames.MIXTURE_SCORERS, names.toString());
    if (addsProbabilities) {
      metadata.put(ModelNames.MIXTURE_ADDS, ModelNames.PROBABILITIES);
    }
    file.tensors().add(floats(WEIGHTS, weights, weights.length));
    if (calibration != null) {
      float[] knots = calibration.knots();
      file.tensors().add(floats(KNOTS, knots, 2, knots.length / 2));
      if (calibration.topTwoOrNull() != null) {
        metadata.put(ModelNames.MIXTURE_TOP_TWO, calibration.topTwoOrNull().encoded());
      }
    }
  }

  private static String kind(Scorer scorer) {
    if (scorer instanceof Scorer.OfWeights sparse) {
      return sparse.nearest() == null ? SPARSE : NEAREST + sparse.nearest().k() + ":";
    }
    return scorer instanceof Scorer.OfLayer ? LAYER : TREE;
  }

  private static TensorSource floats(String name, float[] numbers, long... dims) {
    return new TensorSource(
        name,
        Dtype.F32,
        dims,
        (begin, count, into) -> into.asFloatBuffer().put(numbers, (int) begin, count));
  }

  // ------------------------------------------------------------------------------------ reading

  static Mixture load(Path file, LoadOptions options) throws IOException {
    return WholeFile.load(file, () -> loadParts(file, options), Mixture::close);
  }

  /** What a file says of a mixture. */
  @SuppressWarnings("ArrayRecordComponent")
  private record Header(
      List<String> scorers,
      boolean isLabelTree,
      boolean addsProbabilities,
      float[] weights,
      ScoreCalibration calibration,
      Map<String, String> ofUser,
      NameTable names) {}

  private static Mixture loadParts(Path file, LoadOptions options) throws IOException {
    LoadSettings settings = LoadSettings.from(options);
    Header header = Reading.of(file, () -> header(file));
    List<Scorer> scorers = new ArrayList<>();
    int trees = 0;
    try {
      for (String text : header.scorers) {
        String name = text.substring(text.lastIndexOf(':') + 1);
        if (text.startsWith(LAYER)) {
          scorers.add(layer(file, options, name, header.isLabelTree));
        } else if (text.startsWith(TREE)) {
          LinearLabelTree tree = LINEAR.loadTree(file, settings, treePrefix(name, trees++));
          scorers.add(new Scorer.OfTree(name, tree));
        } else {
          SparseWeights sparse = LINEAR.load(file, settings, prefix(name));
          scorers.add(new Scorer.OfWeights(name, sparse, null));
          if (text.startsWith(NEAREST)) {
            int k = Integer.parseInt(text.substring(NEAREST.length(), text.lastIndexOf(':')));
            NearestExamples nearest = nearest(file, settings, name, sparse, k);
            scorers.set(scorers.size() - 1, new Scorer.OfWeights(name, sparse, nearest));
          }
        }
      }
      Reading.of(file, () -> requireFit(scorers));
      Labels names = header.names != null ? header.names : Mixture.labelsOrNull(scorers);
      if (names != null) {
        Reading.of(file, () -> named(scorers, names));
      }
      return new Mixture(
          List.copyOf(scorers),
          header.weights,
          header.addsProbabilities,
          header.calibration,
          header.ofUser);
    } catch (Throwable e) {
      scorers.forEach(Scorer::close);
      throw e;
    }
  }

  private static Scorer layer(Path file, LoadOptions options, String name, boolean isLabelTree)
      throws IOException {
    EmbeddingBag bag = EmbeddingBag.load(file, options);
    try {
      return new Scorer.OfLayer(
          name,
          bag,
          isLabelTree ? LabelTree.load(file, options) : HierarchicalSoftmax.load(file, options));
    } catch (Throwable e) {
      bag.close();
      throw e;
    }
  }

  private static NearestExamples nearest(
      Path file, LoadSettings settings, String name, SparseWeights outputs, int k)
      throws IOException {
    SparseWeights examples = LINEAR.load(file, settings, examplesPrefix(name));
    try {
      return new NearestExamples(examples, outputs, k);
    } catch (IllegalArgumentException e) {
      examples.close();
      String part =
          outputs.countsFeatures() ? prefix(name) + "tfidf" : examplesPrefix(name) + "biases";
      throw new FileFormatException(file, part, e.getMessage());
    }
  }

  private static List<Scorer> requireFit(List<Scorer> scorers) throws MalformedException {
    int ofLayer = -1;
    int ofTree = -1;
    for (Scorer scorer : scorers) {
      if (scorer instanceof Scorer.OfLayer embedding) {
        ofLayer = scorer.outputs();
        if (embedding.bag().features() != embedding.layer().features()) {
          throw new MalformedException("table", "has rows of another size than the layer's");
        }
      } else if (scorer instanceof Scorer.OfTree) {
        if (ofTree >= 0 && ofTree != scorer.outputs()) {
          throw new MalformedException(
              treePrefix(scorer.name(), 1) + "labels",
              "are " + scorer.outputs() + " beside a tree of " + ofTree + " labels");
        }
        ofTree = scorer.outputs();
      }
    }
    if (ofLayer >= 0 && ofTree >= 0 && ofLayer != ofTree) {
      throw new MalformedException(
          "tree.labels", "are " + ofTree + " for a layer of " + ofLayer + " outputs");
    }
    int outputs = Math.max(ofLayer, ofTree);
    for (Scorer scorer : scorers) {
      if (outputs >= 0 && scorer.outputs() > outputs) {
        throw new MalformedException(
            prefix(scorer.name()) + "biases",
            "has more outputs than the " + outputs + " of others");
      }
    }
    return scorers;
  }

  /** Names the outputs of the sparse weights that have all of them, and no names of their own. */
  private static List<Scorer> named(List<Scorer> scorers, Labels labels) throws MalformedException {
    int outputs = Mixture.outputs(scorers);
    boolean isLayer = scorers.stream().anyMatch(scorer -> scorer instanceof Scorer.OfLayer);
    if (isLayer && labels.size() < outputs) {
      return scorers; // the layer has grown
    }
    if (labels.size() != outputs) {
      throw new MalformedException(
          ModelNames.LABEL_OFFSETS, "has " + labels.size() + " names for " + outputs + " outputs");
    }
    for (Scorer scorer : scorers) {
      if (scorer instanceof Scorer.OfWeights sparse
          && scorer.outputs() == outputs
          && !sparse.weights().hasLabels()) {
        sparse.weights().setLabels(labels);
      }
    }
    return scorers;
  }

  private static Header header(Path file) throws IOException {
    try (SafeTensorsReader reader = SafeTensorsReader.open(file)) {
      ModelMetadata metadata = new ModelMetadata(reader.metadata()).requireVersion();
      List<String> scorers =
          List.of(
              metadata.get(ModelNames.MIXTURE_SCORERS).split(" ", MixtureBuilder.MOST_SCORERS + 1));
      requireScorers(scorers);
      String adds = metadata.entries().get(ModelNames.MIXTURE_ADDS);
      if (adds != null && !adds.equals(ModelNames.PROBABILITIES)) {
        throw ModelMetadata.wrong(ModelNames.MIXTURE_ADDS + " is not " + ModelNames.PROBABILITIES);
      }
      float[] weights = read(reader, reader.entry(WEIGHTS, Dtype.F32, scorers.size()));
      ScoreCalibration calibration =
          calibrationOrNull(reader, metadata.entries().get(ModelNames.MIXTURE_TOP_TWO));
      valid(WEIGHTS, () -> Mixture.requireWeights(weights, calibration));
      return new Header(
          scorers,
          ModelNames.LABEL_TREE.equals(metadata.entries().get(ModelNames.LAYER)),
          adds != null,
          weights,
          calibration,
          metadata.ofUser(),
          scorers.stream().noneMatch(text -> text.startsWith(LAYER) || text.startsWith(TREE))
              ? namesOrNull(reader)
              : null);
    }
  }

  /** The names of a file without a layer and a tree, which have them otherwise. */
  private static NameTable namesOrNull(SafeTensorsReader reader) throws IOException {
    LabelsFile names = LabelsFile.orNull(reader, GrowingArrays.MAX_LENGTH);
    return names == null ? null : names.read(reader, true);
  }

  private static void requireScorers(List<String> scorers) throws MalformedException {
    Set<String> seen = new TreeSet<>();
    for (String text : scorers) {
      int colon = text.lastIndexOf(':') + 1;
      String kind = text.substring(0, colon);
      String name = text.substring(colon);
      boolean isSparse = kind.equals(SPARSE) || kind.matches(NEAREST + "([1-9]\\d{0,5}|1000000):");
      boolean isKind = kind.equals(LAYER) || kind.equals(TREE) || isSparse;
      boolean isNew = seen.add(name) && (!kind.equals(LAYER) || seen.add(kind));
      if (!isKind
          || !isNew
          || scorers.size() > MixtureBuilder.MOST_SCORERS
          || !MixtureBuilder.NAME.matcher(name).matches()) {
        throw ModelMetadata.wrong(
            ModelNames.MIXTURE_SCORERS
                + " has a wrong scorer: "
                + MalformedException.excerpt(text));
      }
    }
  }

  /**
   * The calibration, or null.
   *
   * @param topTwo its second step, or null
   */
  private static ScoreCalibration calibrationOrNull(SafeTensorsReader reader, String topTwo)
      throws IOException {
    if (!reader.has(KNOTS)) {
      if (topTwo != null) {
        throw ModelMetadata.wrong(ModelNames.MIXTURE_TOP_TWO + " is there without " + KNOTS);
      }
      return null;
    }
    TensorEntry entry = reader.entryOfRank(2, KNOTS, Dtype.F32);
    long knots = entry.dims()[1];
    if (entry.dims()[0] != 2 || knots < 1 || knots > ScoreCalibration.MOST_KNOTS) {
      throw new MalformedException(
          KNOTS, "expected (2, 1 to " + ScoreCalibration.MOST_KNOTS + ") numbers");
    }
    float[] both = read(reader, entry);
    float[] scores = Arrays.copyOf(both, (int) knots);
    float[] logOdds = Arrays.copyOfRange(both, (int) knots, both.length);
    ScoreCalibration calibration = valid(KNOTS, () -> ScoreCalibration.of(scores, logOdds));
    try {
      return topTwo == null ? calibration : calibration.with(TopTwoCalibration.decode(topTwo));
    } catch (IllegalArgumentException e) {
      throw ModelMetadata.wrong(
          ModelNames.MIXTURE_TOP_TWO + " has wrong numbers: " + MalformedException.excerpt(topTwo));
    }
  }

  private static float[] read(SafeTensorsReader reader, TensorEntry entry) throws IOException {
    float[] numbers = new float[Math.toIntExact(entry.size())];
    Storage storage = reader.readFloats(entry);
    storage.getFloats(0, numbers, 0, numbers.length);
    storage.close();
    return numbers;
  }

  private static <T> T valid(String part, Supplier<T> make) throws MalformedException {
    try {
      return make.get();
    } catch (IllegalArgumentException e) {
      throw new MalformedException(part, e.getMessage(), e);
    }
  }
}
