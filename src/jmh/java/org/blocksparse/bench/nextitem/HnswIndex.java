// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.nextitem;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.function.IntConsumer;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.KnnFloatVectorField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.index.VectorSimilarityFunction;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.store.FSDirectory;
import org.apache.lucene.util.Bits;

/**
 * Lucene's HNSW graph of the vectors of items, with its defaults (16 neighbors, 100 candidates
 * while it is built), in one segment that is mapped. The search leaves out seen items at no cost.
 */
final class HnswIndex implements AutoCloseable {
  private static final String FIELD = "vector";
  private static final double BUFFER_MB = 1024;

  private final DirectoryReader reader;
  private final LeafReader leaf;

  HnswIndex(float[][] items, Path folder, IntConsumer progress) throws IOException {
    try (FSDirectory directory = FSDirectory.open(folder);
        IndexWriter writer =
            new IndexWriter(
                directory,
                new IndexWriterConfig().setRAMBufferSizeMB(BUFFER_MB).setUseCompoundFile(false))) {
      for (int item = 0; item < items.length; item++) {
        Document document = new Document();
        document.add(
            new KnnFloatVectorField(
                FIELD, items[item], VectorSimilarityFunction.MAXIMUM_INNER_PRODUCT));
        writer.addDocument(document);
        progress.accept(item + 1);
      }
      writer.forceMerge(1);
    }
    this.reader = DirectoryReader.open(FSDirectory.open(folder));
    this.leaf = reader.leaves().get(0).reader();
  }

  /**
   * A search that keeps so many candidates and returns the best: more of them miss less and take
   * longer.
   */
  Recommender search(int candidates) {
    Seen seen = new Seen(leaf.maxDoc());
    return (user, left) -> {
      seen.set(left, true);
      try {
        ScoreDoc[] found =
            leaf.searchNearestVectors(FIELD, user, candidates, seen, Integer.MAX_VALUE).scoreDocs;
        // Documents have the numbers of their items: there is one segment, written in order.
        return Arrays.stream(found, 0, Math.min(Recommender.K, found.length))
            .mapToInt(hit -> hit.doc)
            .toArray();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      } finally {
        seen.set(left, false);
      }
    };
  }

  /** All documents but those that are set. */
  private record Seen(BitSet bits, int length) implements Bits {
    Seen(int length) {
      this(new BitSet(length), length);
    }

    void set(int[] documents, boolean seen) {
      for (int document : documents) {
        bits.set(document, seen);
      }
    }

    @Override
    public boolean get(int document) {
      return !bits.get(document);
    }
  }

  @Override
  public void close() throws IOException {
    reader.close();
    reader.directory().close();
  }
}
