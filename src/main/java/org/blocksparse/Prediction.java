// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.util.random.RandomGenerator;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.events.SearchEvent;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.softmax.Candidates;
import org.blocksparse.internal.softmax.ExactSearch;
import org.blocksparse.internal.softmax.Link;
import org.blocksparse.internal.softmax.OutputFilter;
import org.blocksparse.internal.softmax.Sampling;
import org.blocksparse.internal.softmax.Scoring;
import org.blocksparse.internal.softmax.Workspace.Ints;

/**
 * What a {@link HierarchicalSoftmax} or a {@link LabelTree} predicts, whose arguments are checked
 * here.
 */
final class Prediction {
  static final String X = "(batch, features)";

  private final LayerMemory memory;
  private final ClassAssignment assignment;

  Prediction(LayerMemory memory) {
    this.memory = memory;
    this.assignment = memory.assignment();
  }

  /** The number of rows of an x that fits. */
  int checkX(FloatTensor x) {
    Check.rank("x", x, X, 2);
    int batch = Check.batch("x", x.shape().dim(0), "rows");
    Check.shape("x", x, X, batch, memory.features());
    return batch;
  }

  /** All outputs, in new memory. */
  FloatTensor all(FloatTensor x, boolean logarithm) {
    return FloatTensor.zeros(checkX(x), assignment.outputs())
        .filledBy(out -> computeAll(x, logarithm, out));
  }

  void all(FloatTensor x, boolean logarithm, FloatTensor out) {
    Check.shape("out", out, "(batch, outputs)", checkX(x), assignment.outputs());
    memory.parameters().checkNoOverlap("out", out, x);
    computeAll(x, logarithm, out);
  }

  private void computeAll(FloatTensor x, boolean logarithm, FloatTensor out) {
    try (Lease lease = new Lease().writing("out", out)) {
      memory.compute(
          x,
          (rows, workspace) -> {
            scoring().all(rows, logarithm, KernelOperands.rows(out), workspace);
            return out;
          });
    }
  }

  private Scoring scoring() {
    return new Scoring(memory.softmax(), assignment.table());
  }

  /** The probabilities or log probabilities of the targets of each row. */
  FloatTensor of(FloatTensor x, IntTensor targets, boolean logarithm) {
    int batch = checkX(x);
    int rank = requireNonNull(targets, "targets").shape().rank();
    if (rank != 1 && rank != 2) {
      throw new IllegalArgumentException(
          "targets: expected (batch) or (batch, n) but was " + targets.shape());
    }
    int n = rank == 1 ? 1 : (int) targets.shape().dim(1);
    if (rank == 1) {
      Check.shape("targets", targets, "(batch)", batch);
    } else {
      Check.shape("targets", targets, "(batch, n)", batch, n);
    }
    targets.requireForArray("targets");
    return FloatTensor.zeros(targets.shape().toArray())
        .filledBy(
            result ->
                memory.compute(
                    x,
                    (rows, workspace) -> {
                      int[] outputs = workspace.ints(Ints.TARGETS, batch * n);
                      targets.get("targets", outputs);
                      int bound = assignment.outputs();
                      for (int i = 0; i < batch * n; i++) {
                        Check.index("targets", outputs[i], i, rank == 1 ? 0 : n, "outputs", bound);
                      }
                      int[] offsets = workspace.ints(Ints.TARGET_OFFSETS, batch + 1);
                      for (int row = 0; row <= batch; row++) {
                        offsets[row] = row * n;
                      }
                      scoring().of(rows, offsets, outputs, result.storage(), workspace);
                      return asAsked(result, logarithm);
                    }));
  }

  /** The same of as many as each row names, in the order of the entries. */
  FloatTensor of(FloatTensor x, SparseRows targets, boolean logarithm) {
    int batch = checkX(x);
    requireNonNull(targets, "targets").requireRows("targets", batch);
    try (Lease lease = targets.lease(new Lease(), "targets")) {
      targets.requireIndices("targets", "outputs", assignment.outputs());
      int[] offsets = targets.offsets();
      int[] outputs = targets.indices();
      return FloatTensor.zeros(outputs.length)
          .filledBy(
              result ->
                  memory.compute(
                      x,
                      (rows, workspace) -> {
                        scoring().of(rows, offsets, outputs, result.storage(), workspace);
                        return asAsked(result, logarithm);
                      }));
    }
  }

  /** Log probabilities as they are, or their exponentials, in place. */
  private static FloatTensor asAsked(FloatTensor logProbabilities, boolean logarithm) {
    Storage values = logProbabilities.storage();
    for (long i = 0; i < values.elements() && !logarithm; i++) {
      values.putFloat(i, (float) Math.exp(values.getFloat(i)));
    }
    return logProbabilities;
  }

  Ranking topK(FloatTensor x, int k, Filter filter) {
    int limit = Math.min(Check.atLeast(1, "k", k), assignment.outputs());
    return search("topK", x, filter, logAllowed -> Candidates.best(limit, logAllowed));
  }

  Ranking atLeast(FloatTensor x, double probability, Filter filter) {
    float threshold = (float) Math.log(inUnitInterval("probability", probability));
    return search("atLeast", x, filter, logAllowed -> Candidates.atLeast(threshold, logAllowed));
  }

  Ranking topP(FloatTensor x, double mass, Filter filter) {
    inUnitInterval("mass", mass);
    return search("topP", x, filter, logAllowed -> Candidates.nucleus(mass, logAllowed));
  }

  private static double inUnitInterval(String name, double value) {
    if (!(value > 0 && value <= 1)) {
      throw new IllegalArgumentException(name + ": expected a number in (0, 1] but was " + value);
    }
    return value;
  }

  private Ranking search(String query, FloatTensor x, Filter filter, Candidates.Maker candidates) {
    OutputFilter checked = check(x, filter);
    SearchEvent event = Recorder.search();
    ExactSearch.Found found =
        memory.compute(
            x,
            filter,
            (rows, workspace) ->
                new ExactSearch(memory.softmax(), assignment.table())
                    .search(rows, checked, candidates, workspace));
    if (event != null) {
      event.record(query, memory.kind(), found.openedClasses(), assignment.classCount());
    }
    return new Ranking(found);
  }

  private OutputFilter check(FloatTensor x, Filter filter) {
    requireNonNull(filter, "filter");
    if (memory.link() == Link.LOGISTIC) {
      filter.requireNotRenormalized();
    }
    return filter.check(checkX(x), assignment.outputs());
  }

  int[] sample(FloatTensor x, double temperature, RandomGenerator random, Filter filter) {
    requireNonNull(random, "random");
    if (!(temperature > 0 && temperature < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(
          "temperature: expected a finite number > 0 but was " + temperature);
    }
    Sampling sampling =
        new Sampling(memory.softmax(), assignment.table(), check(x, filter), temperature, random);
    return memory.compute(x, filter, sampling::draw);
  }

  Explanation explain(FloatTensor x, int output, Labels labels) {
    Check.shape("x", x, "(1, features)", 1, memory.features());
    Check.index("output", output, "outputs", assignment.outputs());
    if (assignment.isRetired(output)) {
      throw new IllegalArgumentException("output: " + output + " is retired");
    }
    Scoring.Part[] parts =
        memory.compute(x, (row, workspace) -> scoring().explain(row, output, workspace));
    return new Explanation(
        output,
        labels != null && output < labels.size() ? labels.name(output) : null,
        assignment.classOf(output),
        parts[0].probability(),
        parts[0].rank(),
        parts[1].probability(),
        parts[1].rank());
  }
}
