// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.lucene.codecs.KnnVectorsFormat;
import org.apache.lucene.codecs.hnsw.FlatVectorsReader;
import org.apache.lucene.codecs.lucene912.Lucene912Codec;
import org.apache.lucene.codecs.perfield.PerFieldKnnVectorsFormat;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.KnnFloatVectorField;
import org.apache.lucene.index.CodecReader;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.VectorSimilarityFunction;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.KnnFloatVectorQuery;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TopDocs;
import org.apache.lucene.store.Directory;
import org.apache.lucene.store.MMapDirectory;
import org.apache.lucene.util.VectorUtil;
import org.apache.lucene.util.hnsw.RandomVectorScorer;

/** One segment of Lucene: a graph, or all quantized vectors one after the other. */
final class LuceneIndex implements VectorIndex {
  private static final String FIELD = "vector";

  private final float[][] vectors;
  private final Directory directory;
  private final DirectoryReader reader;
  private final IndexSearcher searcher;

  /** The quantized vectors; null if there is a graph. */
  private final FlatVectorsReader flat;

  private final long bytes;

  LuceneIndex(Path folder, KnnVectorsFormat format, float[][] vectors) throws IOException {
    this.vectors = vectors;
    this.directory = new MMapDirectory(folder);
    IndexWriterConfig config = new IndexWriterConfig().setUseCompoundFile(false);
    config.setRAMBufferSizeMB(1900);
    config.setCodec(
        new Lucene912Codec() {
          @Override
          public KnnVectorsFormat getKnnVectorsFormatForField(String field) {
            return format;
          }
        });
    try (IndexWriter writer = new IndexWriter(directory, config)) {
      for (float[] vector : vectors) {
        Document document = new Document();
        document.add(new KnnFloatVectorField(FIELD, vector, VectorSimilarityFunction.DOT_PRODUCT));
        writer.addDocument(document);
      }
      writer.forceMerge(1);
    }
    this.reader = DirectoryReader.open(directory);
    this.searcher = new IndexSearcher(reader);
    CodecReader segment = (CodecReader) reader.leaves().get(0).reader();
    this.flat =
        ((PerFieldKnnVectorsFormat.FieldsReader) segment.getVectorReader()).getFieldReader(FIELD)
                instanceof FlatVectorsReader all
            ? all
            : null;
    try (Stream<Path> files = Files.list(folder)) {
      this.bytes =
          files
              .filter(file -> file.toString().matches(".*\\.(vex|vemq|veq|vem)"))
              .mapToLong(file -> file.toFile().length())
              .sum();
    }
  }

  @Override
  public int[] topK(float[] query, int k, int effort) throws IOException {
    if (flat != null) {
      return topOfAll(query, k, effort);
    }
    TopDocs found = searcher.search(new KnnFloatVectorQuery(FIELD, query, effort), effort);
    return best(query, k, Arrays.stream(found.scoreDocs).mapToInt(doc -> doc.doc).toArray());
  }

  private int[] topOfAll(float[] query, int k, int effort) throws IOException {
    RandomVectorScorer scorer = flat.getRandomVectorScorer(FIELD, query);
    ScoreDoc[] best = new ScoreDoc[effort];
    float least = Float.NEGATIVE_INFINITY;
    int size = 0;
    for (int i = 0; i < vectors.length; i++) {
      float score = scorer.score(i);
      if (score > least) { // few do, so that a list in order is enough
        int at = size < effort ? size++ : effort - 1;
        for (; at > 0 && best[at - 1].score < score; at--) {
          best[at] = best[at - 1];
        }
        best[at] = new ScoreDoc(i, score);
        least = size < effort ? least : best[effort - 1].score;
      }
    }
    return best(query, k, Arrays.stream(best, 0, size).mapToInt(doc -> doc.doc).toArray());
  }

  /** Returns the best of some candidates by their floats. */
  private int[] best(float[] query, int k, int... candidates) {
    float[] scores = new float[candidates.length];
    for (int i = 0; i < scores.length; i++) {
      scores[i] = VectorUtil.dotProduct(query, vectors[candidates[i]]);
    }
    return IntStream.range(0, scores.length)
        .boxed()
        .sorted(Comparator.comparingDouble(i -> -scores[i]))
        .limit(k)
        .mapToInt(i -> candidates[i])
        .toArray();
  }

  @Override
  public long bytes() {
    return bytes;
  }

  @Override
  public void close() throws IOException {
    reader.close();
    directory.close();
  }
}
