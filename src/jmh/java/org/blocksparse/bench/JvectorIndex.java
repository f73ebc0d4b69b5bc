// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import io.github.jbellis.jvector.graph.GraphIndexBuilder;
import io.github.jbellis.jvector.graph.GraphSearcher;
import io.github.jbellis.jvector.graph.ImmutableGraphIndex;
import io.github.jbellis.jvector.graph.ListRandomAccessVectorValues;
import io.github.jbellis.jvector.graph.RandomAccessVectorValues;
import io.github.jbellis.jvector.graph.SearchResult;
import io.github.jbellis.jvector.graph.similarity.DefaultSearchScoreProvider;
import io.github.jbellis.jvector.quantization.PQVectors;
import io.github.jbellis.jvector.quantization.ProductQuantization;
import io.github.jbellis.jvector.util.Bits;
import io.github.jbellis.jvector.vector.VectorSimilarityFunction;
import io.github.jbellis.jvector.vector.VectorizationProvider;
import io.github.jbellis.jvector.vector.types.VectorFloat;
import io.github.jbellis.jvector.vector.types.VectorTypeSupport;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ForkJoinPool;

/** A graph of jvector, searched by the vectors themselves or by codes of a byte for 8 features. */
final class JvectorIndex implements VectorIndex {
  private static final VectorSimilarityFunction DOT = VectorSimilarityFunction.DOT_PRODUCT;
  private static final VectorTypeSupport TYPES =
      VectorizationProvider.getInstance().getVectorTypeSupport();

  private final RandomAccessVectorValues vectors;
  private final ImmutableGraphIndex graph;
  private final GraphSearcher searcher;

  /** Null if the graph is searched by the vectors. */
  private final PQVectors codes;

  @SuppressWarnings("deprecation") // release 4.0.2 deprecates every constructor of its builder
  JvectorIndex(float[][] rows, boolean quantized) throws IOException {
    List<VectorFloat<?>> list = new ArrayList<>();
    for (float[] row : rows) {
      list.add(TYPES.createFloatVector(row));
    }
    int features = rows[0].length;
    this.vectors = new ListRandomAccessVectorValues(list, features);
    try (GraphIndexBuilder builder =
        new GraphIndexBuilder(vectors, DOT, 32, 100, 1.2f, 1.2f, true)) {
      this.graph = builder.build(vectors);
    }
    this.searcher = new GraphSearcher(graph);
    this.codes =
        quantized
            ? ProductQuantization.compute(vectors, features / 8, 256, false)
                .encodeAll(vectors, ForkJoinPool.commonPool())
            : null;
  }

  @Override
  public int[] topK(float[] query, int k, int effort) {
    VectorFloat<?> vector = TYPES.createFloatVector(query);
    DefaultSearchScoreProvider scores =
        codes == null
            ? DefaultSearchScoreProvider.exact(vector, DOT, vectors)
            : new DefaultSearchScoreProvider(
                codes.precomputedScoreFunctionFor(vector, DOT), vectors.rerankerFor(vector, DOT));
    SearchResult found = searcher.search(scores, k, effort, 0, 0, Bits.ALL);
    return Arrays.stream(found.getNodes()).mapToInt(node -> node.node).toArray();
  }

  @Override
  public long bytes() {
    return graph.ramBytesUsed() + (codes == null ? 0 : codes.ramBytesUsed());
  }

  @Override
  public void close() throws IOException {
    searcher.close();
    graph.close();
  }
}
