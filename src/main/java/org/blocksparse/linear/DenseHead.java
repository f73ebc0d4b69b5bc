// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import static java.util.Objects.requireNonNull;

import java.util.Arrays;
import java.util.random.RandomGenerator;
import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.Similarity;
import org.blocksparse.Weights;
import org.blocksparse.Workers;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.events.SearchEvent;
import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.layers.LayerFace;
import org.blocksparse.internal.layers.ScoringLayer;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.search.Candidates;
import org.blocksparse.internal.search.DenseSearch;
import org.blocksparse.internal.search.FilterLists;
import org.blocksparse.internal.search.GumbelNoise;
import org.blocksparse.internal.search.OutputFilter;
import org.blocksparse.internal.search.RankedRows;
import org.blocksparse.internal.search.ScoreSource;
import org.blocksparse.internal.search.SearchResult;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.internal.tensors.KernelOperands;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.internal.tensors.StoredBlocks;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;

/**
 * Finds the outputs of a trained dense layer with the highest scores, exactly, and reads little
 * more than an eighth of its weights: the head of a language model, the items of two towers, the
 * embeddings of texts. Nothing is trained.
 *
 * <pre>{@code
 * score(output | x) = bias[output] + similarity(x, W[output, :])
 * }</pre>
 *
 * which is the inner product, unless another {@link Similarity} is asked for.
 *
 * <p><b>Search.</b> A copy of the rows in four bits, which is made once, gives each output an upper
 * and a lower bound of its score: the length of what each row lost is known, and by Cauchy and
 * Schwarz it can change a score by that times the length of x. Only outputs whose upper bound
 * reaches the k-th lower bound are scored by their own rows. {@link #topK} and {@link #atLeast} are
 * exact for any rows and any x: where bounds exclude little, as for rows that are all alike, the
 * search reads all rows, and takes longer. {@link Ranking#openedClasses} is the number of outputs
 * that were scored by their rows, and {@link #reads} counts what all searches have read.
 *
 * <p><b>Numbers.</b> Scores are computed in double, where products are exact, and rounded once to
 * float. Ties are broken by ascending number. If the score of an allowed output is NaN, the row of
 * x is not {@linkplain Ranking#isDefined defined}. Results are bitwise equal for all workers and
 * kernels.
 *
 * <p><b>Memory.</b> The copy takes 0.14 times the size of the rows in float32, and 8 bytes for each
 * output. W and the bias are not copied: they must stay open, and must not change.
 *
 * <p><b>Threads.</b> Immutable but for its {@linkplain #setLabels names}; any number of threads may
 * search at the same time.
 *
 * <p><b>Errors.</b> Every method throws {@link NullPointerException} if a required argument is
 * null, and {@link IllegalStateException} if the head, W, the bias or an argument is closed.
 */
@SuppressWarnings("exports") // the superclass has nothing that users see
public final class DenseHead extends LayerFace<ScoringLayer<FloatTensor, ScoreSource>>
    implements AutoCloseable {
  /**
   * The rows that searches have read: a row that is read for two rows of x counts twice.
   *
   * @param screened the rows read in four bits
   * @param multiplied the rows read as they are stored, in a product in float32, as four bits
   *     excluded too little
   * @param scored the rows read as they are stored, one by one
   */
  public record Reads(long screened, long multiplied, long scored) {}

  private final HeldHead held;
  private volatile Labels labels;

  private DenseHead(HeldHead held) {
    super(held);
    this.held = held;
  }

  /**
   * Returns a head of inner products with the default workers; see {@link #of(FloatTensor,
   * FloatTensor, Similarity, Workers)}.
   */
  public static DenseHead of(FloatTensor W, FloatTensor bias) {
    return of(W, bias, Similarity.INNER_PRODUCT, Workers.common());
  }

  /**
   * Returns a head of float32.
   *
   * @param W (outputs, features), as PyTorch's {@code Linear.weight}; may be mapped from a file
   * @param bias (outputs), or null
   * @throws IllegalArgumentException if W is not of rank 2, is empty, or is a transposed view; if
   *     the bias has another shape; or if there are more than 2<sup>31</sup> - 9 outputs or
   *     2<sup>27</sup> features
   */
  public static DenseHead of(
      FloatTensor W, FloatTensor bias, Similarity similarity, Workers workers) {
    Engine engine = Engine.from(requireNonNull(workers, "workers"));
    requireNonNull(similarity, "similarity");
    Shape shape = Check.rank("W", requireNonNull(W, "W"), "(outputs, features)", 2).shape();
    Dense.from(W).requireContiguous("W");
    requireSizes(shape.dim(0), shape.dim(1), bias);
    return new DenseHead(new HeldHead(W, null, bias, similarity, engine));
  }

  /**
   * Returns a head of inner products with the default workers; see {@link #of(Weights, FloatTensor,
   * Similarity, Workers)}.
   */
  public static DenseHead of(Weights W, FloatTensor bias) {
    return of(W, bias, Similarity.INNER_PRODUCT, Workers.common());
  }

  /**
   * Returns a head of weights of any type. {@link org.blocksparse.io.GgufFile#weights(String)}
   * returns them so; for those of {@link org.blocksparse.io.TensorFile#weights} and {@link
   * Weights#wrapAddress}, call {@link Weights#transposeBlocks}.
   *
   * @param W (1, 1, features, outputs), whose memory is (outputs, features): packed, or a
   *     transposed view
   * @param bias (outputs), or null
   * @throws IllegalArgumentException if W has another shape, or other memory; otherwise as {@link
   *     #of(FloatTensor, FloatTensor, Similarity, Workers)}
   */
  public static DenseHead of(Weights W, FloatTensor bias, Similarity similarity, Workers workers) {
    Engine engine = Engine.from(requireNonNull(workers, "workers"));
    requireNonNull(similarity, "similarity");
    StoredBlocks blocks = StoredBlocks.from(requireNonNull(W, "W"));
    Shape shape = W.shape();
    if (shape.dim(0) != 1 || shape.dim(1) != 1) {
      throw new IllegalArgumentException(
          "W: expected (1, 1, features, outputs) but was " + shape + "; see reshapeBlocks");
    }
    if (!W.type().isPacked() && !blocks.isTransposed()) {
      throw new IllegalArgumentException(
          "W: expected packed weights or a transposed view, whose rows are outputs, but "
              + shape
              + " is neither; transposeBlocks makes a view of (1, 1, outputs, features)");
    }
    requireSizes(shape.dim(3), shape.dim(2), bias);
    return new DenseHead(new HeldHead(null, W, bias, similarity, engine));
  }

  private static void requireSizes(long outputs, long features, FloatTensor bias) {
    if (outputs < 1 || outputs > Check.LARGEST_ARRAY || features < 1 || features > 1 << 27) {
      throw new IllegalArgumentException(
          "W: expected 1 to 2^31 - 9 outputs and 1 to 2^27 features but was "
              + outputs
              + " and "
              + features);
    }
    if (bias != null) {
      Check.shape("bias", bias, "(outputs)", outputs);
      Dense.from(bias).requireContiguous("bias");
    }
  }

  // -------------------------------------------------------------------------------- what it is

  /** Returns how many features a row of x has. */
  public int features() {
    return held.rows.w().inSize();
  }

  /** Returns how many outputs there are. */
  public int outputs() {
    return held.rows.w().outSize();
  }

  /** Returns whether the outputs have names. */
  public boolean hasLabels() {
    return labels != null;
  }

  /**
   * Returns the names of the outputs.
   *
   * @throws IllegalStateException if the outputs have no names
   */
  public Labels labels() {
    return NameTable.orThrow(labels);
  }

  /**
   * Sets the names of the outputs. Existing rankings keep the old names.
   *
   * @throws IllegalArgumentException unless there is one name per output
   */
  public void setLabels(Labels names) {
    labels = NameTable.from(requireNonNull(names, "labels")).forAll(outputs());
  }

  /**
   * Returns the bytes of the copy in four bits, the only memory that this takes beside W and the
   * bias.
   */
  public long bytes() {
    return held.screen.bytes();
  }

  /** Returns the rows that all searches so far have read. */
  public Reads reads() {
    return new Reads(
        held.reads.get(DenseSearch.Pass.SCREEN).sum(),
        held.reads.get(DenseSearch.Pass.PRODUCT).sum(),
        held.reads.get(DenseSearch.Pass.EXACT).sum());
  }

  // ------------------------------------------------------------------------------------ search

  /** Returns the k outputs with the highest scores; see {@link #topK(FloatTensor, int, Filter)}. */
  public Ranking topK(FloatTensor x, int k) {
    return topK(x, k, FilterLists.NONE);
  }

  /**
   * Returns the k outputs of each row with the highest scores among those that a filter allows, or
   * all of them if it allows fewer.
   *
   * @param x (batch, features)
   * @param k at least 1
   * @throws IllegalArgumentException if x has another shape; if k is less than 1; or if the filter
   *     is renormalized, or has lists for another number of rows
   * @throws IndexOutOfBoundsException if the filter lists an output that does not exist
   */
  public Ranking topK(FloatTensor x, int k, Filter filter) {
    int limit = Math.min(Check.atLeast(1, "k", k), outputs());
    return best(
        "topK",
        x,
        filter,
        limit,
        Float.NEGATIVE_INFINITY,
        logAllowed -> Candidates.best(limit, logAllowed));
  }

  /**
   * Returns all outputs with at least a score; see {@link #atLeast(FloatTensor, float, Filter)}.
   */
  public Ranking atLeast(FloatTensor x, float score) {
    return atLeast(x, score, FilterLists.NONE);
  }

  /**
   * Returns all outputs of each row whose score is at least {@code score}, among those that a
   * filter allows. Errors as {@link #topK(FloatTensor, int, Filter)}.
   *
   * @throws IllegalArgumentException also if score is NaN
   */
  public Ranking atLeast(FloatTensor x, float score, Filter filter) {
    if (Float.isNaN(score)) {
      throw new IllegalArgumentException("score: expected a number but was NaN");
    }
    return best(
        "atLeast", x, filter, 0, score, logAllowed -> Candidates.atLeast(score, logAllowed));
  }

  /**
   * Returns the top-p outputs: for each row, the smallest set of outputs with the highest scores
   * whose probabilities sum to at least {@code mass}, or all that the filter allows if those are
   * less probable. A ranking has log probabilities.
   *
   * <pre>{@code
   * probability(output | x) = exp(score(output | x) / temperature) / (the same, summed over all)
   * }</pre>
   *
   * <p>The sum is over all outputs, or over those that a {@linkplain Filter#withRenormalization
   * renormalized} filter allows. It is exact, so all rows are scored one by one, which takes longer
   * than a product. {@link #sample} needs no sum. Errors as {@link #topK(FloatTensor, int,
   * Filter)}, but for renormalized filters.
   *
   * @param mass in (0, 1]
   * @param temperature positive; divides the scores
   * @param filter {@link Filter#without(int...) Filter.without()} allows all outputs
   * @throws IllegalArgumentException also if the mass is not in (0, 1], or the temperature not in
   *     (0, 2<sup>100</sup>]
   */
  public Ranking topP(FloatTensor x, double mass, double temperature, Filter filter) {
    Check.inUnitInterval("mass", mass);
    requireTemperature(temperature);
    return search(
        "topP",
        x,
        filter,
        (search, rows, allowed) -> search.nucleus(rows, allowed, mass, temperature));
  }

  /**
   * Samples one output per row with the probabilities of {@link #topP}, among the outputs that a
   * filter allows. It is the output with the highest sum of its score and a noise of its own
   * (Gumbel, 1954), so that it costs a search for the top 1 with little to exclude others by.
   *
   * <p>Sums are rounded to float: below a temperature of about 2<sup>-20</sup> times the highest
   * score, like scores rank by number.
   *
   * @param temperature positive; divides the scores
   * @param random called once per row, for the seed of its noise
   * @param filter {@link Filter#without(int...) Filter.without()} allows all outputs
   * @throws IllegalArgumentException also if the temperature is not in (0, 2<sup>100</sup>], or the
   *     filter allows no output in one of the rows
   * @throws ArithmeticException if a score of a row is NaN, or the highest one is infinite
   */
  public int[] sample(FloatTensor x, double temperature, RandomGenerator random, Filter filter) {
    requireNonNull(random, "random");
    requireTemperature(temperature);
    Ranking found =
        search(
            "sample",
            x,
            filter,
            (search, rows, allowed) -> {
              GumbelNoise[] noise = new GumbelNoise[(int) rows.count()];
              Arrays.setAll(noise, row -> new GumbelNoise(random.nextLong(), temperature));
              return search.search(
                  rows,
                  allowed,
                  1,
                  Float.NEGATIVE_INFINITY,
                  logAllowed -> Candidates.best(1, 0),
                  noise);
            });
    int[] drawn = new int[found.batch()];
    for (int row = 0; row < drawn.length; row++) {
      if (found.isFilteredOut(row)) {
        throw new IllegalArgumentException("filter: allows no output in row " + row);
      }
      if (!found.isDefined(row) || Float.isInfinite(found.score(row, 0))) {
        throw new ArithmeticException("row " + row + ": its scores are NaN or infinite");
      }
      drawn[row] = found.output(row, 0);
    }
    return drawn;
  }

  private static void requireTemperature(double temperature) {
    if (!(temperature > 0 && temperature <= 0x1p100)) {
      throw new IllegalArgumentException(
          "temperature: expected a number in (0, 2^100] but was " + temperature);
    }
  }

  /** A search for rows of x. */
  private interface Query {
    SearchResult run(DenseSearch search, Rows x, OutputFilter allowed);
  }

  private Ranking best(
      String name, FloatTensor x, Filter filter, int k, float least, Candidates.Maker candidates) {
    FilterLists.from(requireNonNull(filter, "filter")).requireNotRenormalized();
    return search(
        name,
        x,
        filter,
        (search, rows, allowed) -> search.search(rows, allowed, k, least, candidates, null));
  }

  private Ranking search(String name, FloatTensor x, Filter filter, Query query) {
    FilterLists lists = FilterLists.from(requireNonNull(filter, "filter"));
    Shape shape = Check.rank("x", requireNonNull(x, "x"), "(batch, features)", 2).shape();
    Check.shape("x", x, "(batch, features)", shape.dim(0), features());
    int batch = Check.batch("x", shape.dim(0), "rows");
    SearchEvent event = Recorder.search();
    SearchResult found;
    try (OperandLease lease = held.lease(new OperandLease())) {
      lease.of("x", x);
      OutputFilter allowed = lists.check(batch, outputs());
      lists.lease(lease);
      found = query.run(held.search(), KernelOperands.rows(x), allowed);
      lease.requireIntact();
    }
    if (event != null) {
      event.record(name, "dense head", found.openedClasses(), outputs());
    }
    return new RankedRows(found, labels);
  }

  /** Frees the copy in four bits as soon as no call uses it. W and the bias stay open. */
  @Override
  public void close() {
    held.screen.close();
  }

  @Override
  public String toString() {
    return "DenseHead("
        + features()
        + " features, "
        + outputs()
        + " outputs of "
        + held.rows.w().type().elementType()
        + ", "
        + bytes()
        + " bytes in four bits, "
        + held.engine
        + ")";
  }
}
