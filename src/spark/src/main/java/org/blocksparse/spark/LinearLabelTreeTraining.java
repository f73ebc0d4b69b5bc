// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static java.util.Objects.requireNonNull;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.SparkSession;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.linear.LinearLabelTreeParts;

/**
 * Trains a {@link LinearLabelTree} on the executors of a cluster. The tree equals, to the bit, that
 * of {@link org.blocksparse.linear.LinearLabelTreeBuilder#train} with the same rows in one process,
 * also if tasks are repeated or executors are lost.
 *
 * <p>The driver has all rows, makes the clusters of labels and puts the tree together. Each of its
 * clusters is one task, on one thread. An executor gets only the rows of the clusters that it
 * solves, which are those with a label of the cluster. The root of the tree has all rows, and a
 * task for each of its outputs.
 */
public final class LinearLabelTreeTraining {
  private static final String DESCRIPTION = "spark.job.description";

  private LinearLabelTreeTraining() {}

  /** The outputs [begin, end) of a part. */
  private record Piece(Broadcast<byte[]> problem, int begin, int end) implements Serializable {
    private static final long serialVersionUID = 1;

    byte[] solve() {
      return LinearLabelTreeParts.solve(problem.value(), begin, end);
    }
  }

  /**
   * Trains a tree.
   *
   * @param parts the divided training, of {@link
   *     org.blocksparse.linear.LinearLabelTreeBuilder#parts}
   * @throws IllegalStateException if the rows of a cluster are more bytes than an array can hold,
   *     or if there are more than 2<sup>31</sup> - 9 weights
   * @throws ArithmeticException if a trained weight is infinite; the message names a row
   * @throws RuntimeException of Spark if a task fails too often, or if the weights are more bytes
   *     than {@code spark.driver.maxResultSize}
   */
  public static LinearLabelTree train(SparkSession session, LinearLabelTreeParts parts) {
    JavaSparkContext context =
        JavaSparkContext.fromSparkContext(requireNonNull(session, "session").sparkContext());
    String description = context.getLocalProperty(DESCRIPTION);
    List<Broadcast<byte[]>> problems = new ArrayList<>();
    List<byte[]> solutions;
    try {
      for (int part = 0; part < requireNonNull(parts, "parts").count(); part++) {
        problems.add(context.broadcast(parts.problem(part)));
      }
      context.setLocalProperty(
          DESCRIPTION, "LinearLabelTree trains " + parts.count() + " clusters");
      List<Piece> pieces = pieces(problems, parts);
      solutions = context.parallelize(pieces, pieces.size()).map(Piece::solve).collect();
    } catch (Exception e) {
      throw TwoLevelClassifier.refused(e, null);
    } finally {
      problems.forEach(Broadcast::destroy);
      context.setLocalProperty(DESCRIPTION, description);
    }
    return parts.tree(solutions.iterator());
  }

  /** Returns the pieces: the root is solved output by output, and each other part as a whole. */
  private static List<Piece> pieces(List<Broadcast<byte[]>> problems, LinearLabelTreeParts parts) {
    List<Piece> pieces = new ArrayList<>();
    for (int output = 0; output < parts.outputs(0); output++) {
      pieces.add(new Piece(problems.get(0), output, output + 1));
    }
    for (int part = 1; part < problems.size(); part++) {
      pieces.add(new Piece(problems.get(part), 0, parts.outputs(part)));
    }
    return pieces;
  }
}
