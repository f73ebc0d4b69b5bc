// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.blocksparse.FileFormatException;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.internal.files.Dtype;
import org.blocksparse.internal.files.LabelsFile;
import org.blocksparse.internal.files.LayerFile;
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
import org.blocksparse.io.LoadOptions;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.ranking.Labels;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.TwoLevelLayer;

/** A mixture as a safetensors file; {@link ModelNames} lists what is in it. */
record MixtureFile(
    List<Scorer> scorers,
    float[] weights,
    boolean addsProbabilities,
    ScoreCalibration calibration,
    Map<String, String> ofUser) {
  private static final String WEIGHTS = "mixture.weights";
  private static final String KNOTS = "mixture.knots";
  private static final String LAST_KNOTS = "mixture.knots2";

  // ------------------------------------------------------------------------------------ writing

  void save(Path file, SaveSettings settings, Labels labels) throws IOException {
    settings.requireNoPart();
    if (settings.optimizerState()) {
      throw new IllegalArgumentException("options: a mixture has no state of an optimizer");
    }
    Labels fileLabels = // those that the first layer loads
        labelsOfFirst(scorers, LayerScorer.class::isInstance).orElse(labels);
    MixtureParts parts = new MixtureParts(fileLabels);
    scorers.forEach(scorer -> scorer.addTo(parts));
    parts.add((written, ofFile, metadata, lease) -> add(written, metadata, parts.kinds()));
    LayerScorer layer = parts.firstLayerOrNull();
    if (layer != null && labels != null && !layer.layer().hasLabels()) {
      parts.add(
          (written, ofFile, metadata, lease) ->
              LabelsFile.add(NameTable.from(labels), written.tensors()));
    }
    Map<String, String> strings = settings.metadataOr(ofUser);
    SaveSettings all =
        new SaveSettings(strings, false, List.of(), settings.progress()).withParts(parts.all());
    if (layer != null) {
      layer.layer().save(file, all);
      return;
    }
    new LayerFile(
            Mixture.KIND,
            WEIGHTS,
            (written, ofFile, metadata, lease) ->
                metadata.put(ModelNames.LAYER, ModelNames.MIXTURE),
            strings,
            NameTable.from(labels))
        .write(file, all);
  }

  private static Optional<Labels> labelsOfFirst(List<Scorer> scorers, Predicate<Scorer> kind) {
    return scorers.stream().filter(kind).findFirst().map(Scorer::labelsOrNull);
  }

  static String prefix(String name) {
    return "sparse." + name + ".";
  }

  /** Returns the prefix of a layer's tensors: the first layer can be loaded on its own. */
  static String layerPrefix(String name, int layersBefore) {
    return layersBefore == 0 ? "" : "layer." + name + ".";
  }

  /** Returns the prefix of a tree's tensors: the first tree can be loaded on its own. */
  static String treePrefix(String name, int treesBefore) {
    return treesBefore == 0 ? "" : "tree." + name + ".";
  }

  static String examplesPrefix(String name) {
    return "examples." + name + ".";
  }

  /** Adds the mixture itself. */
  private void add(WeightsFile file, Map<String, String> metadata, String kinds) {
    metadata.put(ModelNames.MIXTURE_SCORERS, kinds);
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
      if (calibration.lastOrNull() != null) {
        float[] last = calibration.lastOrNull().knots();
        file.tensors().add(floats(LAST_KNOTS, last, 2, last.length / 2));
      }
    }
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

  /** The description of a mixture in its file. */
  @SuppressWarnings("ArrayRecordComponent")
  private record Header(
      List<ScorerEntry> scorers,
      Set<String> labelTrees,
      boolean addsProbabilities,
      float[] weights,
      ScoreCalibration calibration,
      Map<String, String> ofUser,
      NameTable names) {}

  private static Mixture loadParts(Path file, LoadOptions options) throws IOException {
    LoadSettings settings = LoadSettings.from(options);
    Header header = Reading.of(file, () -> header(file));
    List<Scorer> scorers = new ArrayList<>();
    int layers = 0;
    int trees = 0;
    try {
      for (ScorerEntry entry : header.scorers) {
        String name = entry.name();
        switch (entry.kind()) {
          case LAYER -> {
            String prefix = layerPrefix(name, layers++);
            scorers.add(layer(file, settings, name, prefix, header.labelTrees.contains(name)));
          }
          case TREE -> {
            LoadSettings ofTree = settings.under(treePrefix(name, trees++));
            scorers.add(new TreeScorer(name, LinearLabelTree.load(file, ofTree)));
          }
          case SPARSE, NEAREST -> {
            SparseWeights sparse = SparseWeights.load(file, settings.under(prefix(name)));
            scorers.add(new WeightsScorer(name, sparse, null));
            if (entry.kind() == ScorerEntry.Kind.NEAREST) {
              NearestExamples nearest = nearest(file, settings, name, sparse, entry.k());
              scorers.set(scorers.size() - 1, new WeightsScorer(name, sparse, nearest));
            }
          }
        }
      }
      Reading.of(file, () -> requireFit(scorers));
      Labels names = // a layer or a tree has loaded those of the file
          labelsOfFirst(scorers, Scorer::hasAllOutputs).orElse(header.names);
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

  private static Scorer layer(
      Path file, LoadSettings settings, String name, String prefix, boolean isLabelTree)
      throws IOException {
    EmbeddingBag bag = EmbeddingBag.load(file, settings.under(prefix));
    try {
      TwoLevelLayer<?> layer =
          isLabelTree
              ? LabelTree.load(file, settings.under(prefix))
              : HierarchicalSoftmax.load(file, settings.under(prefix));
      if (bag.features() != layer.features()) {
        layer.close();
        throw new FileFormatException(
            file, prefix + ModelNames.TABLE, "has rows of another size than the layer's");
      }
      return new LayerScorer(name, bag, layer);
    } catch (Throwable e) {
      bag.close();
      throw e;
    }
  }

  private static NearestExamples nearest(
      Path file, LoadSettings settings, String name, SparseWeights outputs, int k)
      throws IOException {
    SparseWeights examples = SparseWeights.load(file, settings.under(examplesPrefix(name)));
    try {
      return new NearestExamples(examples, outputs, k);
    } catch (IllegalArgumentException e) {
      examples.close();
      String part =
          outputs.countsFeatures() ? prefix(name) + "tfidf" : examplesPrefix(name) + "biases";
      throw new FileFormatException(file, part, e.getMessage());
    }
  }

  /** Requires that all scorers fit together, in the order that finds what is missing first. */
  private static List<Scorer> requireFit(List<Scorer> scorers) throws MalformedException {
    Scorer all = null;
    for (Scorer scorer : scorers) {
      if (scorer.hasAllOutputs()) {
        if (all != null && all.outputs() != scorer.outputs()) {
          throw new MalformedException(
              ModelNames.MIXTURE_SCORERS,
              scorer.name()
                  + " has "
                  + scorer.outputs()
                  + " outputs beside the "
                  + all.outputs()
                  + " of "
                  + all.name());
        }
        all = scorer;
      }
    }
    for (Scorer scorer : scorers) {
      if (all != null && scorer.outputs() > all.outputs()) {
        throw new MalformedException(
            prefix(scorer.name()) + "biases",
            "has more outputs than the " + all.outputs() + " of others");
      }
    }
    return scorers;
  }

  /** Names the outputs of sparse weights that have all outputs and no names. */
  private static List<Scorer> named(List<Scorer> scorers, Labels labels) throws MalformedException {
    int outputs = Scorer.outputs(scorers);
    boolean isLayer = scorers.stream().anyMatch(Scorer::hasAllOutputs);
    if (isLayer && labels.size() < outputs) {
      return scorers; // the layer has grown
    }
    if (labels.size() != outputs) {
      throw new MalformedException(
          ModelNames.LABEL_OFFSETS, "has " + labels.size() + " names for " + outputs + " outputs");
    }
    for (Scorer scorer : scorers) {
      if (scorer.outputs() == outputs) {
        scorer.setLabels(labels);
      }
    }
    return scorers;
  }

  private static Header header(Path file) throws IOException {
    try (SafeTensorsReader reader = SafeTensorsReader.open(file)) {
      ModelMetadata metadata = new ModelMetadata(reader.metadata()).requireVersion();
      List<ScorerEntry> scorers = scorers(metadata.get(ModelNames.MIXTURE_SCORERS));
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
          labelTrees(scorers, metadata.entries()),
          adds != null,
          weights,
          calibration,
          metadata.ofUser(),
          scorers.stream().noneMatch(ScorerEntry::isLogarithmic) ? namesOrNull(reader) : null);
    }
  }

  /** Returns the names of the layers that are label trees. */
  private static Set<String> labelTrees(List<ScorerEntry> scorers, Map<String, String> metadata) {
    Set<String> names = new TreeSet<>();
    int layers = 0;
    for (ScorerEntry entry : scorers) {
      if (entry.kind() == ScorerEntry.Kind.LAYER) {
        String prefix = layerPrefix(entry.name(), layers++);
        if (ModelNames.LABEL_TREE.equals(
            metadata.get(ModelNames.under(prefix, ModelNames.LAYER)))) {
          names.add(entry.name());
        }
      }
    }
    return names;
  }

  /** Returns the names of a file without a layer and a tree, which have them otherwise. */
  private static NameTable namesOrNull(SafeTensorsReader reader) throws IOException {
    LabelsFile names = LabelsFile.orNull(reader, GrowingArrays.MAX_LENGTH);
    return names == null ? null : names.read(reader, true);
  }

  /** Returns the scorers that a text of metadata lists. */
  private static List<ScorerEntry> scorers(String text) throws MalformedException {
    Map<String, ScorerEntry> all = new LinkedHashMap<>();
    for (String each : text.split(" ", MixtureBuilder.MOST_SCORERS + 1)) {
      ScorerEntry entry = ScorerEntry.parse(each);
      if (all.size() == MixtureBuilder.MOST_SCORERS || all.put(entry.name(), entry) != null) {
        throw ScorerEntry.wrong(each);
      }
    }
    return List.copyOf(all.values());
  }

  /**
   * Returns the calibration, or null.
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
    ScoreCalibration knots = knots(reader, KNOTS);
    ScoreCalibration calibration =
        reader.has(LAST_KNOTS) ? knots.then(knots(reader, LAST_KNOTS)) : knots;
    try {
      return topTwo == null ? calibration : calibration.with(TopTwoCalibration.decode(topTwo));
    } catch (IllegalArgumentException e) {
      throw ModelMetadata.wrong(
          ModelNames.MIXTURE_TOP_TWO + " has wrong numbers: " + MalformedException.excerpt(topTwo));
    }
  }

  private static ScoreCalibration knots(SafeTensorsReader reader, String name) throws IOException {
    TensorEntry entry = reader.entryOfRank(2, name, Dtype.F32);
    long knots = entry.dims()[1];
    if (entry.dims()[0] != 2 || knots < 1 || knots > ScoreCalibration.MOST_KNOTS) {
      throw new MalformedException(
          name, "expected (2, 1 to " + ScoreCalibration.MOST_KNOTS + ") numbers");
    }
    float[] both = read(reader, entry);
    float[] scores = Arrays.copyOf(both, (int) knots);
    float[] logOdds = Arrays.copyOfRange(both, (int) knots, both.length);
    return valid(name, () -> ScoreCalibration.of(scores, logOdds));
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
