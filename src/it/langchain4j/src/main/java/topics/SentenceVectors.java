// SPDX-License-Identifier: Apache-2.0
package topics;

import dev.langchain4j.data.embedding.Embedding;
import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.model.embedding.EmbeddingModel;
import dev.langchain4j.model.embedding.onnx.allminilml6v2q.AllMiniLmL6V2QuantizedEmbeddingModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.ranking.Metrics;

/**
 * How much better are labels ranked by words and the vectors of a sentence encoder than by words
 * alone? Takes lines of fastText's format.
 *
 * <p>Arguments: file to train on, file to test on, scale of the vectors, the most lines to train
 * on, the most lines to test on.
 */
public final class SentenceVectors {
  private static final int WIDTH = 384;
  private static final int MAX_WORDS = 80; // which take most of the time

  private final EmbeddingModel encoder = new AllMiniLmL6V2QuantizedEmbeddingModel();
  private final Map<String, Integer> features = new HashMap<>();
  private final Map<String, Integer> labels = new HashMap<>();
  private final List<Float> inverse = new ArrayList<>();

  private record Text(List<String> labels, List<String> words) {
    static Text of(String line) {
      Map<Boolean, List<String>> parts =
          Stream.of(line.trim().split(" +"))
              .collect(Collectors.partitioningBy(word -> word.startsWith("__label__")));
      return new Text(parts.get(true), parts.get(false));
    }

    /** Words, and pairs of neighboring words. */
    List<String> terms() {
      List<String> terms = new ArrayList<>(words);
      for (int i = 0; i + 1 < words.size(); i++) {
        terms.add(words.get(i) + " " + words.get(i + 1));
      }
      return terms;
    }
  }

  public static void main(String[] args) throws IOException {
    float scale = Float.parseFloat(args[2]);
    List<Text> train = read(Path.of(args[0]), Integer.parseInt(args[3]));
    List<Text> test = read(Path.of(args[1]), Integer.parseInt(args[4]));
    SentenceVectors vectors = new SentenceVectors(train);
    double words = vectors.quality(train, test, 0);
    System.out.printf(Locale.ROOT, "words nDCG@5 %.3f%n", words);
    double both = vectors.quality(train, test, scale);
    System.out.printf(Locale.ROOT, "words and vectors nDCG@5 %.3f%n", both);
  }

  private static List<Text> read(Path file, int lines) throws IOException {
    try (Stream<String> all = Files.lines(file)) {
      return all.limit(lines).map(Text::of).toList();
    }
  }

  SentenceVectors(List<Text> train) {
    Map<String, Integer> rows = new HashMap<>();
    for (Text text : train) {
      new HashSet<>(text.terms()).forEach(term -> rows.merge(term, 1, Integer::sum));
      text.labels().forEach(label -> labels.putIfAbsent(label, labels.size()));
    }
    rows.forEach(
        (term, count) -> {
          if (count > 1 || !term.contains(" ")) {
            features.put(term, features.size());
            inverse.add((float) (1 + Math.log((1.0 + train.size()) / (1.0 + count))));
          }
        });
  }

  private double quality(List<Text> train, List<Text> test, float scale) {
    try (SparseRows x = rows(train, scale);
        SparseRows targets = targets(train);
        var tree =
            LinearLabelTree.builder(features.size() + WIDTH, labels.size()).train(x, targets);
        SparseRows questions = rows(test, scale);
        SparseRows answers = targets(test)) {
      Metrics metrics = Metrics.upTo(5);
      metrics.add(tree.topK(questions, 5), answers);
      return metrics.ndcg(5);
    }
  }

  /**
   * Both blocks together have length 1; the vectors are {@code scale} times as long as the words.
   */
  private SparseRows rows(List<Text> texts, float scale) {
    double length = Math.sqrt(1 + scale * scale);
    SparseRows words = words(texts, (float) (1 / length));
    if (scale == 0) {
      return words;
    }
    try (words;
        FloatTensor vectors = vectors(texts, (float) (scale / length))) {
      return words.withDense(features.size(), vectors);
    }
  }

  /** TF-IDF. */
  private SparseRows words(List<Text> texts, float length) {
    List<int[]> indices = new ArrayList<>();
    List<float[]> values = new ArrayList<>();
    for (Text text : texts) {
      Map<Integer, Integer> counts = new TreeMap<>();
      for (String term : text.terms()) {
        if (features.containsKey(term)) {
          counts.merge(features.get(term), 1, Integer::sum);
        }
      }
      int[] row = counts.keySet().stream().mapToInt(Integer::intValue).toArray();
      float[] weights = new float[row.length];
      double squares = 0;
      for (int i = 0; i < row.length; i++) {
        weights[i] = (float) ((1 + Math.log(counts.get(row[i]))) * inverse.get(row[i]));
        squares += weights[i] * weights[i];
      }
      for (int i = 0; i < row.length; i++) {
        weights[i] *= (float) (length / Math.sqrt(squares));
      }
      indices.add(row);
      values.add(weights);
    }
    return SparseRows.of(indices, values);
  }

  /** The encoder's vectors, which have length 1, scaled. */
  private FloatTensor vectors(List<Text> texts, float length) {
    List<TextSegment> segments =
        texts.stream()
            .map(text -> String.join(" ", text.words().stream().limit(MAX_WORDS).toList()))
            .map(text -> TextSegment.from(text.isEmpty() ? "none" : text))
            .toList();
    FloatTensor vectors = FloatTensor.zeros(texts.size(), WIDTH);
    int row = 0;
    for (Embedding embedding : encoder.embedAll(segments).content()) {
      for (int c = 0; c < WIDTH; c++) {
        vectors.set(length * embedding.vector()[c], row, c);
      }
      row++;
    }
    return vectors;
  }

  private SparseRows targets(List<Text> texts) {
    return SparseRows.of(
        texts.stream()
            .map(
                text ->
                    text.labels().stream()
                        .filter(labels::containsKey)
                        .mapToInt(labels::get)
                        .toArray())
            .toList());
  }
}
