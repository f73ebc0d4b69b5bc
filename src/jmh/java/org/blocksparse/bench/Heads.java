// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import static org.blocksparse.Similarity.INNER_PRODUCT;
import static org.blocksparse.Workers.callingThread;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import org.apache.lucene.codecs.KnnVectorsFormat;
import org.apache.lucene.codecs.lucene99.Lucene99HnswScalarQuantizedVectorsFormat;
import org.apache.lucene.codecs.lucene99.Lucene99HnswVectorsFormat;
import org.apache.lucene.codecs.lucene99.Lucene99ScalarQuantizedVectorsFormat;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.linear.DenseHead;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.SparseBlockDot;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.mkl.global.mkl_rt;

/**
 * Exact searches in dense layers beside products with all rows, and beside indexes:
 *
 * <pre>{@code
 * src/jmh/peers/build ggml FOLDER
 * mvn -f src/it/langchain4j compile exec:exec@definitions
 * mvn -f src/demo -Ddemo.args="--classes 27360 --output target/bench/softmax.safetensors"
 * mvn -f src/jmh -Dbench.args="heads"
 * mvn -f src/jmh -Dbench.args="heads sentences,indexes 100000"    only these, with so many rows
 * }</pre>
 *
 * <p>Parts are {@code sentences}, {@code softmax}, {@code wide} and {@code indexes}. Indexes are as
 * fast as they can be on JDK 21 or 22 with {@code JDK_JAVA_OPTIONS="--add-modules
 * jdk.incubator.vector"}. Nothing else should run on the machine.
 */
final class Heads {
  /** Rows of x that are searched at once. */
  private static final int BATCH = 64;

  /** Features of a sentence vector. */
  private static final int FEATURES = 384;

  private static final int PROCESSORS = Runtime.getRuntime().availableProcessors();

  private final Path folder;
  private final double seconds;

  /** Creates the program; results go to the standard output, vectors and indexes to a folder. */
  Heads(Path folder, double seconds) {
    this.folder = folder;
    this.seconds = seconds;
  }

  static void measure(Path folder, String... arguments) throws IOException {
    String parts = arguments.length > 0 ? arguments[0] : "sentences,softmax,wide,indexes";
    int rows = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 1_000_000;
    Heads heads = new Heads(folder, 0.5);
    for (String part : parts.split(",", -1)) {
      switch (part) {
        case "sentences" -> heads.sentences(heads.vectors(), rows);
        case "softmax" -> heads.head("softmax", heads.softmax());
        case "wide" -> {
          heads.ggml(151_936, 2048);
          heads.head("of rank 192", HeadRows.widened(heads.softmax(), 151_936, 2048));
          heads.head("stretched", HeadRows.stretched(heads.softmax(), 151_936, 2048));
        }
        case "indexes" -> heads.indexes(heads.vectors());
        default -> throw new IllegalArgumentException("no part " + part);
      }
    }
  }

  private float[][] vectors() throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(folder.resolve("sentences.f32")));
    bytes.order(ByteOrder.LITTLE_ENDIAN);
    float[][] vectors = new float[bytes.remaining() / (FEATURES * Float.BYTES)][FEATURES];
    for (int i = 0; i < vectors.length; i++) {
      bytes.asFloatBuffer().get(i * FEATURES, vectors[i]);
    }
    return vectors;
  }

  private HeadRows softmax() throws IOException {
    return HeadRows.ofSoftmax(folder.resolve("softmax.safetensors"));
  }

  /**
   * Measures one row and a batch, with usual queries and with queries in random directions, which
   * are flat.
   */
  void sentences(float[][] vectors, int outputs) {
    HeadRows rows = HeadRows.ofSentences(vectors, outputs);
    HeadRows flat = new HeadRows(rows.floats(), null, null, random(rows.queries()));
    try (DenseHead head = DenseHead.of(rows.floats(), null)) {
      System.out.printf(
          "sentences: %,d x %d, beside the rows %.3f of their size%n",
          outputs, rows.features(), (double) head.bytes() / rows.bytes());
      requireExact(rows, head, 10);
      print(
          "sentences, 1 row, top 10",
          rounds()
              .with("own product", ownProduct(rows, 1))
              .with("search", search(head, rows, 1, 10))
              .with("search, flat", search(head, flat, 1, 10)));
      print(
          "sentences, 64 rows, top 10",
          rounds()
              .with("MKL", mkl(rows, BATCH))
              .with("own product", ownProduct(rows, BATCH))
              .with("search", search(head, rows, BATCH, 10))
              .with("search, flat", search(head, flat, BATCH, 10)));
    } finally {
      rows.floats().close();
    }
  }

  /** Measures the head of a language model, beside a product that reads as much memory. */
  void head(String name, HeadRows rows) {
    HeadRows flat = new HeadRows(rows.floats(), rows.halves(), rows.bias(), random(rows.queries()));
    try (DenseHead head =
        rows.floats() == null
            ? DenseHead.of(rows.halves(), rows.bias())
            : DenseHead.of(rows.floats(), rows.bias())) {
      System.out.printf(
          "%s: %,d x %d, beside the rows %.3f of their size in float32%n",
          name,
          rows.outputs(),
          rows.features(),
          head.bytes() / (4.0 * rows.outputs() * rows.features()));
      if (rows.floats() != null) {
        requireExact(rows, head, 40);
      }
      print(
          name + ", 1 row, top 40",
          rounds()
              .with("own product in float32", ownProduct(ofSameBytes(rows), 1))
              .with("search", search(head, rows, 1, 40))
              .with("search, flat", search(head, flat, 1, 40)));
    }
  }

  /** Measures a product of one row and a head in ggml. */
  private void ggml(int outputs, int features) throws IOException {
    Path program = Path.of("target/peers/ggml/head");
    if (!Files.isExecutable(program)) {
      System.out.println("src/jmh/peers/build makes " + program);
      return;
    }
    List<Object> command = List.of(program, "q8_0", features, outputs, PROCESSORS, 4 * seconds);
    try (Child ggml =
        new Child(
            new ProcessBuilder(command.stream().map(Object::toString).toList()),
            folder.resolve("heads.log"))) {
      double nanos = Double.parseDouble(ggml.answer());
      System.out.printf("ggml, q8_0, %,d x %d: %.2f ms%n", outputs, features, nanos / 1e6);
    }
  }

  private Turns rounds() {
    return new Turns(seconds, 4);
  }

  private static float[][] random(float[]... queries) {
    Random random = new Random(3);
    float[][] all = new float[queries.length][queries[0].length];
    for (float[] query : all) {
      for (int f = 0; f < query.length; f++) {
        query[f] = (float) random.nextGaussian();
      }
    }
    return all;
  }

  private static void print(String what, Turns turns) {
    Map<String, Long> times = turns.measure();
    double first = times.values().iterator().next();
    System.out.printf("%n| %s | ms | of the first |%n|---|---|---|%n", what);
    times.forEach(
        (name, time) ->
            System.out.printf("| %s | %.2f | %.2f |%n", name, time / 1e6, time / first));
    System.out.println();
  }

  private static IntConsumer search(DenseHead head, HeadRows rows, int batch, int k) {
    float[][] queries = rows.queries();
    return job -> {
      try (FloatTensor x = FloatTensor.zeros(batch, rows.features())) {
        for (int b = 0; b < batch; b++) {
          float[] query = queries[(job * batch + b) % queries.length];
          x.put((long) b * query.length, query, 0, query.length);
        }
        DenseHead.Reads before = head.reads();
        head.topK(x, k);
        DenseHead.Reads after = head.reads();
        if (job == 5) {
          System.out.printf(
              "read %,d in four bits, %,d by a product, %,d one by one%n",
              after.screened() - before.screened(),
              after.multiplied() - before.multiplied(),
              after.scored() - before.scored());
        }
      }
    };
  }

  /** Returns a job that computes the scores of all outputs, band by band. */
  private static IntConsumer ownProduct(HeadRows rows, int batch) {
    int outputs = rows.outputs();
    int features = rows.features();
    int width =
        IntStream.iterate(4096, w -> w - 1).filter(w -> outputs % w == 0).findFirst().orElse(1);
    int bands = outputs / width;
    FloatTensor w = rows.floats().reshape(bands, 1, width, features).transposeBlocks();
    FloatTensor out = FloatTensor.zeros(batch, bands, width);
    FloatTensor x = queries(rows, batch);
    int[] all = IntStream.range(0, batch * bands).map(i -> i % bands).toArray();
    BlockPlan plan =
        BlockPlan.of(IntTensor.zeros(batch, 1), IntTensor.of(all, batch, bands), 1, bands);
    return job ->
        SparseBlockDot.apply(w, x.reshape(batch, 1, features), plan, Epilogue.none(), out);
  }

  private static FloatTensor queries(HeadRows rows, int batch) {
    FloatTensor x = FloatTensor.zeros(batch, rows.features());
    for (int b = 0; b < batch; b++) {
      x.put((long) b * rows.features(), rows.queries()[b], 0, rows.features());
    }
    return x;
  }

  /** Returns a job that computes the scores of all outputs by MKL. */
  private static IntConsumer mkl(HeadRows rows, int batch) {
    int outputs = rows.outputs();
    int features = rows.features();
    FloatPointer w = new FloatPointer((long) outputs * features);
    float[] row = new float[features];
    for (int i = 0; i < outputs; i++) {
      rows.floats().get((long) i * features, row, 0, features);
      w.position((long) i * features).put(row);
    }
    w.position(0);
    FloatPointer x = new FloatPointer(queries(rows, batch).asFloatBuffer());
    FloatPointer out = new FloatPointer((long) batch * outputs);
    mkl_rt.MKL_Set_Num_Threads(PROCESSORS);
    return job ->
        mkl_rt.cblas_sgemm(
            mkl_rt.CblasRowMajor,
            mkl_rt.CblasNoTrans,
            mkl_rt.CblasTrans,
            batch,
            outputs,
            features,
            1,
            x,
            features,
            w,
            features,
            0,
            out,
            outputs);
  }

  /** Returns a layer of float32 with as many bytes. */
  private static HeadRows ofSameBytes(HeadRows rows) {
    if (rows.floats() != null) {
      return rows;
    }
    FloatTensor floats = FloatTensor.zeros(rows.outputs() / 2, rows.features());
    floats.fill(1);
    return new HeadRows(floats, null, null, rows.queries());
  }

  /** Compares the best outputs of one query with those by all scores in double. */
  private static void requireExact(HeadRows rows, DenseHead head, int k) {
    float[] query = rows.queries()[0];
    int features = rows.features();
    float[] scores = new float[rows.outputs()];
    IntStream.range(0, scores.length)
        .parallel()
        .forEach(
            i -> {
              float[] row = new float[features];
              rows.floats().get((long) i * features, row, 0, features);
              double sum = rows.bias() == null ? 0 : rows.bias().get(i);
              for (int f = 0; f < features; f++) {
                sum += (double) row[f] * query[f];
              }
              scores[i] = (float) sum;
            });
    int[] expected =
        IntStream.range(0, scores.length)
            .boxed()
            .sorted((a, b) -> Float.compare(scores[b], scores[a]))
            .limit(k)
            .mapToInt(i -> i)
            .toArray();
    try (FloatTensor x = FloatTensor.of(query, 1, features)) {
      int[] found = head.topK(x, k).outputs(0);
      if (!Arrays.equals(expected, found)) {
        throw new IllegalStateException(
            "expected %s but was %s".formatted(Arrays.toString(expected), Arrays.toString(found)));
      }
    }
  }

  /**
   * Indexes of sentence vectors: how many of the ten best they find, and the time, on one thread.
   *
   * @return the recall of each
   */
  Map<String, Double> indexes(float[][] vectors) throws IOException {
    HeadRows all = HeadRows.ofSentences(vectors, vectors.length - HeadRows.QUERIES);
    float[][] queries = all.queries();
    Map<String, VectorIndex> indexes = build(Arrays.copyOf(vectors, all.outputs()));
    Map<String, Double> recalls = new LinkedHashMap<>();
    try (DenseHead head = DenseHead.of(all.floats(), null, INNER_PRODUCT, callingThread())) {
      int[][] best = new int[queries.length][];
      for (int q = 0; q < queries.length; q++) {
        try (FloatTensor x = FloatTensor.of(queries[q], 1, all.features())) {
          best[q] = head.topK(x, 10).outputs(0);
        }
      }
      Turns turns = rounds().with("this library, exact", search(head, all, 1, 10));
      recalls.put("this library, exact", 1.0);
      for (Map.Entry<String, VectorIndex> each : indexes.entrySet()) {
        for (int effort : List.of(10, 40, 160)) {
          String name = each.getKey() + ", " + effort + " candidates";
          recalls.put(name, recall(each.getValue(), queries, best, effort));
          turns.with(name, job -> topK(each.getValue(), queries[job % queries.length], effort));
        }
      }
      Map<String, Long> times = turns.measure();
      System.out.printf(
          "%n| %,d x %d, top 10 | recall | ms |%n|---|---|---|%n", all.outputs(), all.features());
      times.forEach(
          (name, time) ->
              System.out.printf("| %s | %.3f | %.3f |%n", name, recalls.get(name), time / 1e6));
      for (Map.Entry<String, VectorIndex> each : indexes.entrySet()) {
        System.out.printf("%s: %,d bytes%n", each.getKey(), each.getValue().bytes());
        each.getValue().close();
      }
      System.out.printf("this library: %,d bytes%n", head.bytes());
    }
    return recalls;
  }

  private Map<String, VectorIndex> build(float[][] rows) throws IOException {
    Path work = Files.createTempDirectory(folder, "lucene");
    Map<String, KnnVectorsFormat> formats = new LinkedHashMap<>();
    formats.put("graph of float32", new Lucene99HnswVectorsFormat());
    formats.put("graph of 7 bits", new Lucene99HnswScalarQuantizedVectorsFormat());
    formats.put("all of 7 bits", new Lucene99ScalarQuantizedVectorsFormat());
    formats.put("all of 4 bits", new Lucene99ScalarQuantizedVectorsFormat(null, 4, true));
    Map<String, VectorIndex> indexes = new LinkedHashMap<>();
    for (Map.Entry<String, KnnVectorsFormat> each : formats.entrySet()) {
      Path place = work.resolve(each.getKey());
      indexes.put("Lucene, " + each.getKey(), new LuceneIndex(place, each.getValue(), rows));
    }
    indexes.put("jvector, graph of float32", new JvectorIndex(rows, false));
    indexes.put("jvector, graph, a byte for 8 features", new JvectorIndex(rows, true));
    return indexes;
  }

  private static int[] topK(VectorIndex index, float[] query, int effort) {
    try {
      return index.topK(query, 10, effort);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static double recall(VectorIndex index, float[][] queries, int[][] best, int effort) {
    long found = 0;
    for (int q = 0; q < queries.length; q++) {
      int[] expected = best[q];
      found +=
          Arrays.stream(topK(index, queries[q], effort))
              .filter(i -> Arrays.stream(expected).anyMatch(e -> e == i))
              .count();
    }
    return found / (10.0 * queries.length);
  }
}
