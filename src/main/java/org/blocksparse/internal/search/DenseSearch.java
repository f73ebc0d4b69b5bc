// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Supplier;
import org.blocksparse.Similarity;
import org.blocksparse.internal.kernels.BlockProduct;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.PackedProduct;
import org.blocksparse.internal.kernels.ProductKernels;
import org.blocksparse.internal.kernels.RoundedRows;
import org.blocksparse.internal.kernels.Sums;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.internal.sparse.SparseChunks;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.Panels;
import org.blocksparse.internal.weights.RowFormat;
import org.blocksparse.internal.weights.WeightType;

/**
 * Finds the outputs of a dense layer with the highest scores, exactly, without reading all stored
 * rows.
 *
 * <p>A pass over the rows in four bits gives each output an upper and a lower bound of its score.
 * Outputs whose upper bound reaches the k-th lower bound are scored by their rows, the highest
 * bound first, until the k-th score is above the bounds that are left. A query with many such
 * outputs takes a second pass, a product in float32 with narrow bounds. If a query is not finite,
 * or even that leaves many, all outputs are scored.
 *
 * <p><b>Bounds.</b> Let the query be x = y + d, y being what the kernel multiplies: whole numbers
 * times a scale for each group of 32. Row w = scale * (q + e), with |w| at most the scale. Then
 *
 * <pre>{@code
 * |w x / scale - q y| = |e y + (w / scale) d| <= |e| |y| + |d|
 * }</pre>
 *
 * by Cauchy and Schwarz. The kernel's sum of G groups has two roundings for each group besides the
 * additions, so it is off by at most g |q| |y|, where g = (G + 3) u / (1 - (G + 3) u), u being
 * 2<sup>-24</sup>. Queries are scaled by a power of two to magnitudes in [1, 2), and rows to length
 * 1, so that nothing overflows, and what underflows is below an absolute 2<sup>-130</sup> for each
 * group. What double does to the bounds, and to the score by the row, is within further terms.
 */
public final class DenseSearch {
  /** The ways to read an output, which {@link #read} counts. */
  public enum Pass {
    /** The row is read in four bits. */
    SCREEN,
    /** A product in float32 reads the stored row. */
    PRODUCT,
    /** The stored row is read on its own. */
    EXACT;

    /** Returns counters of outputs by pass, which are 0. */
    public static Map<Pass, LongAdder> counters() {
      Map<Pass, LongAdder> counters = new EnumMap<>(Pass.class);
      for (Pass pass : values()) {
        counters.put(pass, new LongAdder());
      }
      return counters;
    }
  }

  /** The outputs of a band, whose scores stay in the cache. */
  private static final int WIDTH = 16 * SparseChunks.MOST_OUTPUTS;

  /** The maximum number of queries that share a pass. */
  static final int MOST_QUERIES = 64;

  /**
   * The bands of the first round, and the least of the others; after each, bounds are those of all
   * bands so far.
   */
  private static final int ROUND_BANDS = 8;

  /** Later rounds have this part of the bands. */
  private static final int ROUND_PART = 8;

  /** Queries whose candidates exceed the outputs divided by this go on to the next pass. */
  private static final int FLAT = 16;

  /** The same for a few queries, which a product with all rows would slow down. */
  private static final int FLAT_OF_FEW = 2;

  /** The maximum number of queries that count as few. */
  private static final int FEW_QUERIES = 4;

  /** The cost of scoring one row on its own, in rows of a product for one query. */
  private static final int COST = 16;

  /** The minimum number of candidates that are scored at a time. */
  private static final int STEP = 64;

  /** The maximum number of groups of a row for which sums of them have useful bounds. */
  private static final int MOST_GROUPS = 1 << 17;

  /**
   * The maximum number of features of a row for which sums of their products have useful bounds.
   */
  private static final int MOST_FEATURES = 1 << 17;

  /** The bound on exponents of queries whose products with rows fit floats. */
  private static final int FAST_EXPONENT = 60;

  private static final double UNIT = 0x1p-24;

  private final DenseRows rows;
  private final DenseScreen screen;
  private final Supplier<ClassTable> table;
  private final Engine engine;
  private final Map<Pass, LongAdder> read;

  /**
   * Creates a search.
   *
   * @param table the outputs by 256, which filters need
   * @param read counts outputs by {@link Pass}
   */
  public DenseSearch(
      DenseRows rows,
      DenseScreen screen,
      Supplier<ClassTable> table,
      Engine engine,
      Map<Pass, LongAdder> read) {
    this.rows = rows;
    this.screen = screen;
    this.table = table;
    this.engine = engine;
    this.read = read;
  }

  /**
   * Returns the ranking of every row of x.
   *
   * @param k how many outputs are wanted; 0 if all with a score are
   * @param least the least score that is wanted
   * @param noise the noise that is added to the scores of each row, or null
   */
  public SearchResult search(
      Rows x,
      OutputFilter filter,
      int k,
      float least,
      Candidates.Maker candidates,
      GumbelNoise[] noise) {
    int batch = (int) x.count();
    OutputFilter.OfRow allowed = filter.allowsAll() ? null : filter.in(table.get());
    RowResults results = new RowResults(batch);
    for (int begin = 0; begin < batch; begin += MOST_QUERIES) {
      List<Query> queries = new ArrayList<>();
      for (int row = begin; row < Math.min(batch, begin + MOST_QUERIES); row++) {
        AllowedSlots ofRow = allowed == null ? null : allowed.of(row);
        GumbelNoise ofNoise = noise == null ? null : noise[row];
        Floor floor = new Floor(k, least);
        queries.add(new Query(row, x, ofRow, floor, candidates.make(0), ofNoise));
      }
      answer(queries, candidates);
      for (Query query : queries) {
        results.put(query.row, query.found, query.scored, query.allowed);
      }
    }
    return results.result();
  }

  /**
   * Returns the fewest outputs of every row whose probabilities sum to a mass, with the logarithms
   * of these. All rows are scored, as the sum over all outputs is exact.
   *
   * @param filter the filter, which is {@linkplain OutputFilter#renormalized renormalized} if
   *     probabilities are those of allowed outputs
   * @param temperature the divisor of scores
   */
  public SearchResult nucleus(Rows x, OutputFilter filter, double mass, double temperature) {
    int batch = (int) x.count();
    Candidates.Maker all = logAllowed -> Candidates.atLeast(Float.NEGATIVE_INFINITY, 0);
    RowResults results = new RowResults(batch);
    for (int row = 0; row < batch; row++) {
      AllowedSlots allowed = filter.in(table.get()).of(row);
      AllowedSlots inSum = filter.renormalized() ? allowed : null;
      Floor floor = new Floor(0, Float.NEGATIVE_INFINITY);
      Query query = new Query(row, x, inSum, floor, all.make(0), null);
      scoreAll(List.of(query), all);
      Candidates nucleus = Candidates.nucleus(mass, 0);
      if (query.found.isUndefined()) {
        nucleus.giveUp();
      } else {
        query.found.finish();
        int[] outputs = query.found.outputs();
        float[] scores = query.found.logProbabilities();
        normalize(scores, temperature);
        BitSet listed = bits(allowed);
        for (int i = 0; i < outputs.length && !nucleus.isUndefined(); i++) {
          if (listed.get(outputs[i])) {
            nucleus.offer(outputs, scores, scores, i, i + 1);
          }
        }
      }
      results.put(row, nucleus, query.scored, allowed);
    }
    return results.result();
  }

  /** Returns rows [first, first + count) of x with upper bounds of the scores of all outputs. */
  List<Query> bounded(Rows x, int first, int count) {
    List<Query> queries = new ArrayList<>();
    for (int row = first; row < first + count; row++) {
      Query query = new Query(row, x, null, new Floor(0, Float.NEGATIVE_INFINITY), null, null);
      query.bounds = new float[rows.outputs()];
      Arrays.fill(query.bounds, Float.POSITIVE_INFINITY);
      queries.add(query);
    }
    boolean many = groups() <= MOST_GROUPS;
    pass(Pass.SCREEN, queries.stream().filter(query -> many && query.finite).toList());
    return queries;
  }

  int features() {
    return rows.features();
  }

  /** Replaces descending scores by log probabilities; NaN if scores are infinite. */
  private static void normalize(float[] scores, double temperature) {
    double sum = 0;
    for (int i = scores.length - 1; i >= 0; i--) { // ascending, to keep small summands
      sum += Math.exp(((double) scores[i] - scores[0]) / temperature);
    }
    double log = Math.log(sum);
    float first = scores.length == 0 ? 0 : scores[0];
    for (int i = 0; i < scores.length; i++) {
      scores[i] = (float) Math.min(0, ((double) scores[i] - first) / temperature - log);
    }
  }

  private BitSet bits(AllowedSlots allowed) {
    BitSet bits = new BitSet(rows.outputs());
    for (int c = 0; c < table.get().classes(); c++) {
      int first = c * SparseChunks.MOST_OUTPUTS;
      allowed.forEachRun(c, (begin, end) -> bits.set(first + begin, first + end));
    }
    return bits;
  }

  private void answer(List<Query> queries, Candidates.Maker candidates) {
    boolean many = groups() <= MOST_GROUPS && queries.get(0).floor.k <= rows.outputs() / 4;
    List<Query> some = queries.stream().filter(query -> many && query.finite).toList();
    pass(Pass.SCREEN, some);
    if (isMultiplied()) {
      pass(Pass.PRODUCT, some.stream().filter(query -> query.flat).toList());
    }
    scoreCandidates(some.stream().filter(query -> !query.flat).toList());
    scoreAll(
        queries.stream().filter(query -> query.flat || !some.contains(query)).toList(), candidates);
  }

  private void pass(Pass pass, List<Query> queries) {
    if (!queries.isEmpty()) {
      queries.forEach(Query::clear);
      new Products(pass, queries).run();
    }
  }

  /** Returns whether a product with the rows as they are stored has known bounds. */
  private boolean isMultiplied() {
    WeightType type = rows.w().type();
    return rows.features() < MOST_FEATURES
        && (!type.isPacked() || type == WeightType.Q8_0 || type == WeightType.Q4_0);
  }

  private int groups() {
    return Panels.groups(rows.features());
  }

  /** The state of one row of x. */
  final class Query {
    final int row;
    final float[] x = new float[rows.features()];
    final AllowedSlots allowed;
    final Floor floor;
    final Candidates found;

    /** The noise that is added to scores; null if there is none. */
    private final GumbelNoise noise;

    final boolean finite;

    /** Receives an upper bound of each output; null if there are candidates instead. */
    private float[] bounds;

    /** The query times 2^-exponent has magnitudes in [1, 2), or is 0. */
    final int exponent;

    /** 2^exponent. */
    final double power;

    /** The sum of the squares of x. */
    final double squares;

    /** A lower bound of the length of the scaled query. */
    final double length;

    /** Candidates and their upper bounds; see {@link Candidates#encode}. */
    long[] candidates = {};

    int size;

    /** Whether there are too many candidates. */
    boolean flat;

    /** The number of outputs that were scored by their rows. */
    int scored;

    /** The scores of candidates from {@code scored} on. */
    float[] scores = {};

    Query(
        int row,
        Rows from,
        AllowedSlots allowed,
        Floor floor,
        Candidates found,
        GumbelNoise noise) {
      this.row = row;
      this.noise = noise;
      this.allowed = allowed;
      this.floor = floor;
      this.found = found;
      from.get(row, 0, x);
      float largest = 0;
      boolean finite = true;
      for (float value : x) {
        finite &= Float.isFinite(value);
        largest = Math.max(largest, Math.abs(value));
      }
      this.finite = finite;
      this.squares = DenseRows.product(x, x);
      this.exponent = largest == 0 || !finite ? 0 : Math.getExponent((double) largest);
      this.power = Math.scalb(1.0, exponent);
      double sum = 0;
      for (float value : x) {
        sum += (value / power) * (value / power);
      }
      this.length = Math.sqrt(sum) * (1 + 0x1p-30);
    }

    /** Returns an upper bound of the score of an output; of a {@link #bounded} query. */
    float bound(int output) {
      return bounds[output];
    }

    /** Returns the score of an output, whose row is copied into memory of the caller. */
    float scoreByRow(int output, float[] row) {
      rows.get(output, row);
      read.get(Pass.EXACT).increment();
      return score(output, row);
    }

    /** Returns the score of an output, with its noise. */
    float score(int output, float[] row) {
      return withNoise(output, rows.score(output, row, x, squares));
    }

    float withNoise(int output, float score) {
      return noise == null ? score : noise.addTo(output, score);
    }

    /** Returns whether an upper bound of a score excludes the output, whatever its noise is. */
    boolean excludes(int output, float bound, float floor) {
      return (noise == null ? bound : noise.addMost(output, bound)) < floor;
    }

    /** Writes the query times 2^-exponent. */
    void putScaled(Rows to, int at) {
      float[] scaled = new float[x.length];
      for (int i = 0; i < x.length; i++) {
        scaled[i] = (float) (x[i] / power);
      }
      to.put(at, 0, scaled);
    }

    void addAll(long[] more, int count) {
      candidates = Arrays.copyOf(candidates, size + count);
      System.arraycopy(more, 0, candidates, size, count);
      size += count;
    }

    /** Drops the results of a pass, but keeps the floor. */
    void clear() {
      candidates = new long[0];
      size = 0;
      floor.clear(); // the next pass has other bounds of the same outputs
      flat = false;
    }

    /** Keeps the candidates that reach the floor. */
    void prune() {
      int kept = 0;
      for (int i = 0; i < size; i++) {
        if (!(Candidates.logProbability(candidates[i]) < floor.value)) {
          candidates[kept++] = candidates[i];
        }
      }
      size = kept;
    }

    /** Puts the candidates with the highest bounds first; the others are in no order. */
    void putBestFirst(int count) {
      if (count >= size) {
        Arrays.sort(candidates, 0, size);
        return;
      }
      LongHeap worstFirst = new LongHeap();
      worstFirst.reset(new long[count], 0, 0);
      for (int i = 0; i < size; i++) {
        if (worstFirst.size() < count) {
          worstFirst.add(~candidates[i]);
        } else if (~candidates[i] > worstFirst.min()) {
          worstFirst.replaceMin(~candidates[i]);
        }
      }
      long worst = ~worstFirst.min();
      int best = 0;
      for (int i = 0; i < size; i++) {
        long candidate = candidates[i];
        if (candidate <= worst) {
          candidates[i] = candidates[best];
          candidates[best++] = candidate;
        }
      }
      Arrays.sort(candidates, 0, best);
    }

    /** Drops the candidates that can no longer be in the ranking, and sorts the others. */
    private void dropHopeless() {
      int kept = scored;
      for (int i = scored; i < size; i++) {
        if (!found.isDone(Candidates.logProbability(candidates[i]))) {
          candidates[kept++] = candidates[i];
        }
      }
      size = kept;
      Arrays.sort(candidates, scored, size);
    }

    /** Takes the scores of the next candidates. Returns whether no others are needed. */
    boolean takeScores() {
      int[] outputs = new int[scores.length];
      Arrays.setAll(outputs, i -> (int) candidates[scored + i]);
      if (!found.isUndefined()) {
        found.offer(outputs, scores, scores, 0, scores.length);
      }
      boolean first = scored == 0;
      scored += scores.length;
      read.get(Pass.EXACT).add(scores.length);
      if (first && !found.isUndefined()) {
        dropHopeless();
      }
      return scored == size
          || found.isUndefined()
          || found.isDone(Candidates.logProbability(candidates[scored]));
    }
  }

  /** The k-th of the lower bounds so far, or the least wanted score. */
  private static final class Floor {
    final int k;

    /**
     * The largest bounds, negated and {@linkplain Candidates#encode encoded}: the smallest is on
     * top.
     */
    private final LongHeap largest = new LongHeap();

    /** The value that scores must reach. */
    float value;

    Floor(int k, float value) {
      this.k = k;
      this.value = value;
      clear();
    }

    /** Forgets the bounds, but not the value. */
    void clear() {
      largest.reset(new long[Math.min(k, 64)], 0, 0);
    }

    /** Creates an empty floor with the value of another. */
    Floor(Floor other) {
      this(other.k, other.value);
    }

    /** Offers the lower bound of an output; NaN counts as none. */
    void offer(float bound) {
      if (k == 0 || !(bound > value)) {
        return;
      }
      long negated = Candidates.encode(0, -bound);
      if (largest.size() == k) {
        largest.replaceMin(negated);
      } else {
        largest.add(negated);
      }
      if (largest.size() == k) {
        value = Math.max(value, decode(largest.min()));
      }
    }

    /** Returns the likely value after all outputs, once {@code part} of them is done. */
    double expected(double part) {
      int rank = (int) Math.max(1, k * part);
      if (k == 0 || largest.size() < rank) {
        return value;
      }
      long[] all = new long[largest.size()];
      int[] size = {0};
      largest.forEach(negated -> all[size[0]++] = negated);
      Arrays.sort(all);
      return decode(all[all.length - rank]);
    }

    private static float decode(long negated) {
      return -Candidates.logProbability(negated);
    }

    void offerAll(Floor other) {
      other.largest.forEach(negated -> offer(decode(negated)));
    }
  }

  /** A pass over all outputs that bounds the score of each. */
  private final class Products {
    private final Pass pass;
    private final List<Query> queries;
    private final Blocks w;
    private final RowFormat format;
    private final GemmSchedule schedule;
    private final int bands = Scheduler.ceilDiv(rows.outputs(), WIDTH);
    private Bounds[] bounds;

    Products(Pass pass, List<Query> queries) {
      this.pass = pass;
      this.queries = queries;
      this.w = pass == Pass.SCREEN ? screen.bands(WIDTH) : bands(rows.w());
      this.format = RowFormat.ofBits(w.type(), w.transposed(), RowFormat.ANY_BITS);
      int count = queries.size();
      int[] write = new int[Math.multiplyExact(bands, count)];
      int[] query = new int[write.length];
      int[] band = new int[write.length];
      for (int i = 0; i < write.length; i++) {
        write[i] = i;
        query[i] = i % count;
        band[i] = i / count;
      }
      this.schedule = GemmSchedule.ofRows(write, query, band, bands);
    }

    /** Returns the rows as they are stored, as bands of outputs; the last one may have fewer. */
    private Blocks bands(Blocks rows) {
      int size = rows.inSize();
      return rows.type().isPacked()
          ? Blocks.dense(rows.storage(), 1, bands, size, WIDTH).as(rows.type(), null)
          : Blocks.dense(rows.storage(), bands, 1, WIDTH, size).as(rows.type(), null).transpose();
    }

    /** Finds the candidates of all queries, or finds that queries are flat. */
    void run() {
      int count = queries.size();
      int size = rows.features();
      boolean rounds = format != RowFormat.FLOATS;
      try (schedule;
          Scratch ofRows = Scratch.borrow((long) count * size);
          Scratch ofCodes =
              Scratch.borrow(rounds ? RoundedRows.elements(format, count, size) : 0)) {
        Rows scaled = new Rows(ofRows.storage(), count, size);
        for (int q = 0; q < count; q++) {
          queries.get(q).putScaled(scaled, q);
        }
        RoundedRows rounded =
            rounds ? new RoundedRows(ofCodes.storage(), format, count, size) : null;
        if (rounds) {
          engine.kernels().products().roundRows(0, count, scaled, rounded);
        }
        bounds = new Bounds[count];
        Arrays.setAll(bounds, q -> new Bounds(queries.get(q), rounded, q));
        multiply(scaled, rounded);
      }
    }

    /**
     * Processes some bands at a time: their candidates are compared with the bounds of all bands so
     * far. Rounds are small at first, when bounds exclude little, and show whether a query is flat.
     */
    private void multiply(Rows scaled, RoundedRows rounded) {
      int most = Scheduler.ceilDiv(bands, ROUND_PART);
      int end;
      for (int begin = 0; begin < bands; begin = end) {
        int first = begin;
        end = Math.min(bands, begin + Math.max(ROUND_BANDS, Math.min(begin, most)));
        int seen = (int) Math.min(rows.outputs(), (long) end * WIDTH);
        List<Worker> workers = new ArrayList<>();
        engine.run(
            end - begin,
            Scheduler.work(queries.size(), rows.features(), seen - begin * WIDTH),
            () -> {
              Worker worker = new Worker(scaled, rounded);
              synchronized (workers) {
                workers.add(worker);
              }
              return worker;
            },
            (worker, from, to) -> worker.run(first + from, first + to));
        boolean all = true;
        for (int q = 0; q < queries.size(); q++) {
          Query query = queries.get(q);
          if (!query.flat) {
            read.get(pass).add(seen - begin * WIDTH);
            for (Worker worker : workers) {
              query.floor.offerAll(worker.floors[q]);
            }
            for (Worker worker : workers) {
              query.addAll(worker.candidates[q], worker.sizes[q]);
            }
            query.prune();
            if (isFlat(query, bounds[q], seen)) {
              query.clear();
              query.flat = true;
            }
            all &= query.flat;
          }
        }
        if (all) {
          return;
        }
      }
    }

    /**
     * Returns whether another pass takes less time than to score the candidates of a query.
     *
     * @param seen how many outputs there were so far
     */
    private boolean isFlat(Query query, Bounds of, int seen) {
      int count = queries.size();
      double part = (double) seen / rows.outputs();
      long most = rows.outputs() / (count <= FEW_QUERIES ? FLAT_OF_FEW : FLAT);
      long least = 4L * query.floor.k + STEP;
      if (query.size > Math.max(most, least)) {
        return true;
      }
      if (pass != Pass.SCREEN || query.size <= least) {
        return false;
      }
      // The floor expected for all outputs, and the candidates whose scores are likely to reach it.
      double floor = query.floor.expected(part);
      long likely = 0;
      for (int i = 0; i < query.size; i++) {
        int output = (int) query.candidates[i];
        double upper = Candidates.logProbability(query.candidates[i]);
        double off = screen.errors()[output] * of.ofError + screen.scales()[output] * of.ofScale;
        likely += upper - off * query.power >= floor ? 1 : 0;
      }
      return likely / part > (double) rows.outputs() / Math.min(COST * count, 2 * FLAT);
    }

    /** The largest errors of the scores of a query. */
    private final class Bounds {
      /** The factor of the row's error in the error of a score. */
      final double ofError;

      /** The factor of the row's scale in the error of a score. */
      final double ofScale;

      /** The constant part of the error of a score. */
      final double rest;

      /** The error of sums in double, relative to the sum of the magnitudes. */
      final double ofDouble;

      Bounds(Query query, RoundedRows rounded, int q) {
        int size = rows.features();
        double length = query.length;
        double off = size * 0x1p-140; // the error of scaling the query
        double multiplied = length;
        double roundings = size + 2;
        if (format == RowFormat.GROUPS) {
          double sum = 0;
          double sumOff = 0;
          for (int i = 0; i < size; i++) {
            double value = rounded.code(0, q, i) * (double) rounded.scale(q, i / Panels.GROUP_ROWS);
            double difference = query.x[i] / query.power - value;
            sum += value * value;
            sumOff += difference * difference;
          }
          off = Math.sqrt(sumOff) * (1 + 0x1p-30);
          multiplied = Math.sqrt(sum) * (1 + 0x1p-30);
          roundings = groups() + 3;
        }
        double gamma = roundings * UNIT / (1 - roundings * UNIT);
        this.ofDouble = 0x1p-44 + size * 0x1p-51;
        this.ofError = pass == Pass.SCREEN ? multiplied * (1 + gamma) * (1 + 0x1p-40) : 0;
        this.ofScale =
            (off + gamma * multiplied + ofDouble * (length + multiplied)) * (1 + 0x1p-40);
        this.rest = pass == Pass.SCREEN ? 0 : size * 0x1p-120;
      }
    }

    /** The share of one worker in a round. */
    private final class Worker implements Scheduler.Share {
      final Floor[] floors = new Floor[queries.size()];
      final long[][] candidates = new long[queries.size()][16];
      final int[] sizes = new int[queries.size()];
      private final Rows scaled;
      private final RoundedRows rounded;
      private final ProductKernels kernels = engine.kernels().products();
      private final Scratch scratch = Scratch.borrow((long) queries.size() * WIDTH);
      private final float[] scores = new float[WIDTH];
      private final float[] uppers = new float[WIDTH];

      /** The biases of a band, as part of upper bounds that are rounded to float. */
      private final float[] biases = new float[WIDTH];

      Worker(Rows scaled, RoundedRows rounded) {
        this.scaled = scaled;
        this.rounded = rounded;
        Arrays.setAll(floors, q -> new Floor(queries.get(q).floor));
      }

      void run(int begin, int end) {
        long size = (long) queries.size() * WIDTH;
        for (int band = begin; band < end; band++) {
          int outputs = Math.min(WIDTH, rows.outputs() - band * WIDTH);
          // There is memory for the rows of this band only.
          Rows to = new Rows(scratch.storage(), -band * size, bands * (long) queries.size(), WIDTH);
          multiply(band, outputs, to);
          if (rows.bias() != null) {
            rows.bias().getFloats((long) band * WIDTH, biases, 0, outputs);
            for (int i = 0; i < outputs; i++) {
              biases[i] += Math.abs(biases[i]) * 0x1p-20f;
            }
          }
          for (int q = 0; q < queries.size(); q++) {
            if (!queries.get(q).flat) {
              scratch.storage().getFloats((long) q * WIDTH, scores, 0, outputs);
              take(q, band, outputs);
            }
          }
        }
      }

      private void multiply(int band, int outputs, Rows to) {
        if (w.type().isPacked()) {
          int columns = Math.min(WIDTH, Scheduler.ceilDiv(outputs, 16) * 16);
          PackedProduct product = new PackedProduct(schedule, rounded, w, Sums.of(to));
          kernels.packedGemm(product, band, band + 1, 0, columns);
        } else {
          BlockProduct product = new BlockProduct(schedule, scaled, w, Sums.of(to));
          kernels.blockGemm(product, band, band + 1, 0, outputs);
        }
      }

      /** Processes the allowed outputs of a band. */
      private void take(int q, int band, int outputs) {
        AllowedSlots allowed = queries.get(q).allowed;
        if (allowed == null) {
          take(q, band * WIDTH, 0, outputs);
          return;
        }
        forEachRun(allowed, band, outputs, (begin, end) -> take(q, band * WIDTH, begin, end));
      }

      /** Processes outputs [first + begin, first + end), whose scores are those from begin on. */
      private void take(int q, int first, int begin, int end) {
        Query query = queries.get(q);
        Bounds of = bounds[q];
        if (query.bounds != null) {
          for (int i = begin; i < end; i++) {
            float upper = bound(query, of, first + i, scores[i], 1);
            query.bounds[first + i] = Float.isNaN(upper) ? Float.POSITIVE_INFINITY : upper;
          }
          return;
        }
        Floor floor = floors[q];
        boolean fast =
            query.noise == null
                && rows.similarity() == Similarity.INNER_PRODUCT
                && Math.abs(query.exponent) <= FAST_EXPONENT;
        if (fast) {
          putUppers(query, of, first, begin, end);
        }
        float cut = cut(query, floor);
        for (int i = begin; i < end; i++) {
          if (fast && uppers[i] < cut) {
            continue;
          }
          int output = first + i;
          float upper = bound(query, of, output, scores[i], 1);
          if (query.excludes(output, upper, floor.value)) {
            continue;
          }
          upper = query.withNoise(output, upper);
          if (!(upper < floor.value)) {
            floor.offer(query.withNoise(output, bound(query, of, output, scores[i], -1)));
            add(q, Candidates.encode(output, Float.isNaN(upper) ? Float.POSITIVE_INFINITY : upper));
            cut = cut(query, floor);
          }
        }
      }

      /**
       * Computes upper bounds in units of the query's power, in float, wide enough for their own
       * rounding. The loops have no branches, so that the JVM vectorizes them.
       */
      private void putUppers(Query query, Bounds of, int first, int begin, int end) {
        float[] scales = screen.scales();
        float ofScale = (float) (of.ofScale + 0x1p-20 * (of.ofScale + of.ofError + query.length));
        if (pass == Pass.SCREEN) {
          float[] errors = screen.errors();
          float ofError = (float) (of.ofError * (1 + 0x1p-20));
          for (int i = begin; i < end; i++) {
            uppers[i] = (scores[i] + ofScale) * scales[first + i] + ofError * errors[first + i];
          }
        } else {
          float[] errors = screen.errors();
          float rest = (float) (2 * of.rest);
          for (int i = begin; i < end; i++) {
            // If nothing is known of a score, the last product is NaN.
            float unknown = (errors[first + i] + Math.abs(scores[i])) * 0f;
            uppers[i] = scores[i] + ofScale * scales[first + i] + rest + unknown;
          }
        }
        if (rows.bias() != null) {
          float unit = (float) (1 / query.power);
          for (int i = begin; i < end; i++) {
            float bias = biases[i] * unit;
            uppers[i] += bias + bias * 0f; // NaN if the bias is infinite
          }
        }
      }

      private float cut(Query query, Floor floor) {
        double scaled = floor.value / query.power;
        return (float) (scaled - Math.abs(scaled) * 0x1p-20 - 0x1p-140);
      }

      /** Returns the upper or lower bound of a score; NaN if nothing is known of it. */
      private float bound(Query query, Bounds of, int output, float score, int sign) {
        float error = screen.errors()[output];
        if (!(error < Float.POSITIVE_INFINITY) || !Float.isFinite(score)) {
          return Float.NaN;
        }
        double scale = screen.scales()[output];
        double value = pass == Pass.SCREEN ? score * scale : score;
        double off = error * of.ofError + scale * of.ofScale + of.rest;
        double product = (value + sign * off) * query.power;
        double sum =
            rows.bound(
                output, product, sign, (float) scale, query.length * query.power, of.ofDouble);
        return (float) (Double.isInfinite(sum) ? sum : sum + sign * Math.abs(sum) * 0x1p-50);
      }

      private void add(int q, long candidate) {
        if (sizes[q] == candidates[q].length) {
          candidates[q] = Arrays.copyOf(candidates[q], 2 * sizes[q]);
        }
        candidates[q][sizes[q]++] = candidate;
      }

      @Override
      public void close() {
        scratch.close();
      }
    }
  }

  /** Passes on the runs of allowed outputs of a band, as places in it. */
  private static void forEachRun(
      AllowedSlots allowed, int band, int outputs, AllowedSlots.Run run) {
    for (int begin = 0; begin < outputs; begin += SparseChunks.MOST_OUTPUTS) {
      int first = begin;
      int chunk = (band * WIDTH + begin) / SparseChunks.MOST_OUTPUTS;
      if (allowed.all(chunk)) {
        run.accept(first, Math.min(outputs, first + SparseChunks.MOST_OUTPUTS));
      } else if (allowed.any(chunk)) {
        allowed.forEachRun(chunk, (from, to) -> run.accept(first + from, first + to));
      }
    }
  }

  /** Scores candidates by their rows, the highest bounds first. */
  private void scoreCandidates(List<Query> queries) {
    List<Query> open = new ArrayList<>(queries);
    open.forEach(query -> query.putBestFirst(STEP + query.floor.k));
    for (int step = STEP; !open.isEmpty(); step *= 2) {
      int[] ends = new int[open.size() + 1];
      for (int q = 0; q < open.size(); q++) {
        Query query = open.get(q);
        int most = (int) Math.min(query.size - query.scored, (long) step + query.floor.k);
        query.scores = new float[most];
        ends[q + 1] = ends[q] + most;
      }
      int count = ends[open.size()];
      engine.run(
          count,
          Scheduler.work(count, rows.features(), 1),
          (begin, end) -> {
            float[] row = new float[rows.features()];
            int q = 0;
            for (int i = begin; i < end; i++) {
              while (i >= ends[q + 1]) {
                q++;
              }
              Query query = open.get(q);
              int output = (int) query.candidates[query.scored + i - ends[q]];
              rows.get(output, row);
              query.scores[i - ends[q]] = query.score(output, row);
            }
          });
      open.removeIf(Query::takeScores);
      if (count == 0) {
        return;
      }
    }
  }

  /** Scores all outputs by their rows. */
  private void scoreAll(List<Query> queries, Candidates.Maker candidates) {
    if (queries.isEmpty()) {
      return;
    }
    List<Scorer> scorers = new ArrayList<>();
    engine.run(
        Scheduler.ceilDiv(rows.outputs(), WIDTH),
        Scheduler.work(queries.size(), rows.features(), rows.outputs()),
        () -> {
          Scorer scorer = new Scorer(queries, candidates);
          synchronized (scorers) {
            scorers.add(scorer);
          }
          return scorer;
        },
        (scorer, begin, end) -> {
          for (int band = begin; band < end; band++) {
            scorer.score(band);
          }
        });
    for (Scorer scorer : scorers) {
      scorer.giveTo(queries);
    }
    read.get(Pass.EXACT).add(queries.stream().mapToLong(query -> query.scored).sum());
  }

  /** The share of one worker that scores outputs by their rows. */
  private final class Scorer implements Scheduler.Share {
    private final List<Query> queries;
    private final List<Candidates> found;
    private final int[] scored;
    private final float[] row = new float[rows.features()];
    private final int[] outputs = new int[WIDTH];

    Scorer(List<Query> queries, Candidates.Maker candidates) {
      this.queries = queries;
      this.found = queries.stream().map(query -> candidates.make(0)).toList();
      this.scored = new int[queries.size()];
    }

    void score(int band) {
      int count = Math.min(WIDTH, rows.outputs() - band * WIDTH);
      float[][] scores = new float[queries.size()][count];
      for (int i = 0; i < count; i++) {
        outputs[i] = band * WIDTH + i;
        rows.get(outputs[i], row);
        for (int q = 0; q < scores.length; q++) {
          scores[q][i] = queries.get(q).score(outputs[i], row);
        }
      }
      for (int q = 0; q < scores.length; q++) {
        Query query = queries.get(q);
        if (query.allowed == null) {
          offer(q, scores[q], 0, count);
        } else {
          int number = q;
          forEachRun(
              query.allowed,
              band,
              count,
              (begin, end) -> offer(number, scores[number], begin, end));
        }
      }
    }

    private void offer(int q, float[] scores, int begin, int end) {
      scored[q] += end - begin;
      Candidates of = found.get(q);
      if (!of.isUndefined()) {
        of.offer(outputs, scores, scores, begin, end);
      }
    }

    void giveTo(List<Query> to) {
      for (int q = 0; q < scored.length; q++) {
        Query query = to.get(q);
        Candidates of = found.get(q);
        query.scored += scored[q];
        if (of.isUndefined()) {
          query.found.giveUp();
        } else if (!query.found.isUndefined()) {
          of.finish();
          float[] scores = of.logProbabilities();
          query.found.offer(of.outputs(), scores, scores, 0, scores.length);
        }
      }
    }

    @Override
    public void close() {
      // it has only arrays
    }
  }
}
