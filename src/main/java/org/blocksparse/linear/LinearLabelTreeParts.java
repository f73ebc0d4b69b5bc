// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import static java.util.Objects.requireNonNull;

import java.util.Iterator;
import java.util.Map;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.ranking.Labels;

/**
 * The training of a {@link LinearLabelTree}, divided into parts that do not depend on each other:
 * one for each cluster of each level of the tree. Part 0 has all rows; the others have the rows
 * with a label of their cluster. The tree has the bits of {@link LinearLabelTreeBuilder#train}.
 *
 * <pre>{@code
 * LinearLabelTreeParts parts = builder.parts(x, targets);
 * List<byte[]> solutions = new ArrayList<>();
 * for (int part = 0; part < parts.count(); part++) {
 *   byte[] problem = parts.problem(part); // and in another process:
 *   solutions.add(LinearLabelTreeParts.solve(problem, 0, parts.outputs(part)));
 * }
 * LinearLabelTree tree = parts.tree(solutions.iterator());
 * }</pre>
 *
 * <p>Bytes are for processes with the same version of this library. Any number of threads may use
 * an object of this class at the same time.
 */
public final class LinearLabelTreeParts {
  private final LinearTraining training;
  private final int features;
  private final Engine engine;
  private final Labels labels;

  LinearLabelTreeParts(LinearTraining training, int features, Engine engine, Labels labels) {
    this.training = training;
    this.features = features;
    this.engine = engine;
    this.labels = labels;
  }

  /** Returns the number of parts. */
  public int count() {
    return training.tree().chunks();
  }

  /**
   * Returns the number of outputs of a part, which are clusters or labels. Each has weights of its
   * own, so that a part can be solved in pieces.
   *
   * @throws IndexOutOfBoundsException if there is no such part
   */
  public int outputs(int part) {
    return training.tree().size(Check.index("part", part, "parts", count()));
  }

  /**
   * Returns a part with its rows, for {@link #solve}.
   *
   * @throws IndexOutOfBoundsException if there is no such part
   * @throws IllegalStateException if the rows are more bytes than an array can hold
   */
  public byte[] problem(int part) {
    return training.problem(Check.index("part", part, "parts", count())).toBytes();
  }

  /**
   * Trains outputs of a part, in the calling thread.
   *
   * @param problem a part, of {@link #problem}
   * @param begin the first output
   * @param end the output after the last one
   * @return the solution, for {@link #tree}
   * @throws IllegalArgumentException if the bytes are no problem
   * @throws IndexOutOfBoundsException unless 0 &lt;= begin &lt;= end &lt;= outputs
   * @throws IllegalStateException if the weights are more bytes than an array can hold; fewer
   *     outputs have less
   * @throws ArithmeticException if a trained weight is infinite; the message names a row
   */
  public static byte[] solve(byte[] problem, int begin, int end) {
    ChunkProblem chunk = ChunkProblem.of(problem);
    if (begin < 0 || begin > end || end > chunk.outputs()) {
      throw new IndexOutOfBoundsException(
          "begin, end: expected 0 <= begin <= end <= "
              + chunk.outputs()
              + " but was "
              + begin
              + ", "
              + end);
    }
    ChunkSolver solver = new ChunkSolver(chunk);
    OutputModel[] models = new OutputModel[end - begin];
    for (int i = 0; i < models.length; i++) {
      models[i] = solver.solve(begin + i);
    }
    return new ChunkSolution(chunk.training(), chunk.chunk(), begin, models).toBytes();
  }

  /**
   * Returns the trained tree.
   *
   * @param solutions the solutions of all outputs of all parts, in any order
   * @throws IllegalArgumentException if the solution of an output is missing, comes twice, is of
   *     another training, or is damaged so that this shows
   * @throws IllegalStateException if there are more than 2<sup>31</sup> - 9 weights
   * @throws OutOfMemoryError if there is not enough memory
   */
  public LinearLabelTree tree(Iterator<byte[]> solutions) {
    ChunkTree tree = training.tree();
    OutputModel[][] models = new OutputModel[count()][];
    for (int part = 0; part < models.length; part++) {
      models[part] = new OutputModel[tree.size(part)];
    }
    requireNonNull(solutions, "solutions")
        .forEachRemaining(bytes -> put(ChunkSolution.of(bytes, features), models));
    for (int part = 0; part < models.length; part++) {
      for (int output = 0; output < models[part].length; output++) {
        if (models[part][output] == null) {
          throw new IllegalArgumentException(
              "solutions: output " + output + " of part " + part + " is missing");
        }
      }
    }
    return new LinearLabelTree(training.assemble(models), engine, Map.of(), labels);
  }

  private void put(ChunkSolution solution, OutputModel[][] models) {
    int part = solution.chunk();
    if (solution.training() != training.number()
        || part < 0
        || part >= models.length
        || solution.first() < 0
        || solution.first() > models[part].length - solution.models().length) {
      throw new IllegalArgumentException("solutions: one is of another training");
    }
    for (int i = 0; i < solution.models().length; i++) {
      int output = solution.first() + i;
      if (models[part][output] != null) {
        throw new IllegalArgumentException(
            "solutions: output " + output + " of part " + part + " is there twice");
      }
      models[part][output] = solution.models()[i];
    }
  }
}
