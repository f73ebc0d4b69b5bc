// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import static java.util.Objects.requireNonNull;

import java.util.BitSet;
import java.util.Locale;
import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;

/** The results of a search, with the names of outputs. */
public final class RankedRows implements Ranking {
  /** The number of rows, and of ranks of a row, that {@link #toString} shows. */
  private static final int SHOWN = 3;

  private final int[][] outputs;
  private final float[][] logProbabilities;
  private final int[] openedClasses;
  private final BitSet undefined;
  private final BitSet filteredOut;

  /** The names of outputs; null if there are none. */
  private final Labels labels;

  /** Creates a ranking with names, or without them if they are null. */
  public RankedRows(SearchResult found, Labels labels) {
    this.labels = labels;
    this.outputs = found.outputs();
    this.logProbabilities = found.logProbabilities();
    this.openedClasses = found.openedClasses();
    this.undefined = found.undefined();
    this.filteredOut = found.filteredOut();
  }

  public static Ranking of(int[][] outputs, float[][] logProbabilities, Labels labels) {
    Check.length(
        "logProbabilities",
        requireNonNull(outputs, "outputs").length,
        requireNonNull(logProbabilities, "logProbabilities").length);
    int[][] ofRows = new int[outputs.length][];
    float[][] logProbabilitiesOfRows = new float[outputs.length][];
    for (int row = 0; row < outputs.length; row++) {
      ofRows[row] = requireNonNull(outputs[row], "outputs").clone();
      logProbabilitiesOfRows[row] =
          requireNonNull(logProbabilities[row], "logProbabilities").clone();
      Check.length(
          "logProbabilities[" + row + "]", ofRows[row].length, logProbabilitiesOfRows[row].length);
    }
    return new RankedRows(
        new SearchResult(
            ofRows,
            logProbabilitiesOfRows,
            new int[ofRows.length],
            new BitSet(),
            new BitSet(),
            new int[ofRows.length]),
        labels);
  }

  @Override
  public int batch() {
    return outputs.length;
  }

  @Override
  public boolean isDefined(int row) {
    return !undefined.get(checkRow(row));
  }

  @Override
  public boolean isFilteredOut(int row) {
    return filteredOut.get(checkRow(row));
  }

  @Override
  public int size(int row) {
    return row(row).length;
  }

  @Override
  public int output(int row, int rank) {
    return row(row)[checkRank(row, rank)];
  }

  @Override
  public String label(int row, int rank) {
    int output = output(row, rank);
    return NameTable.orThrow(labels).name(output);
  }

  private int checkRank(int row, int rank) {
    if (size(row) == 0) {
      throw new IndexOutOfBoundsException(
          "rank "
              + rank
              + ": row "
              + row
              + (isFilteredOut(row)
                  ? " has no outputs, since the filter leaves none"
                  : isDefined(row)
                      ? " has no outputs"
                      : " has no ranking, since a probability is NaN: x or the parameters hold"
                          + " values that are not finite"));
    }
    return Check.index("rank", rank, "size", size(row));
  }

  @Override
  public float logProbability(int row, int rank) {
    return logProbabilities[checkRow(row)][checkRank(row, rank)];
  }

  @Override
  public float score(int row, int rank) {
    return logProbability(row, rank);
  }

  @Override
  public double probability(int row, int rank) {
    return Math.exp(logProbability(row, rank));
  }

  @Override
  public int[] outputs(int row) {
    return row(row).clone();
  }

  @Override
  public float[] logProbabilities(int row) {
    return logProbabilities[checkRow(row)].clone();
  }

  @Override
  public int openedClasses(int row) {
    return openedClasses[checkRow(row)];
  }

  private int checkRow(int row) {
    return Check.index("row", row, "batch", outputs.length);
  }

  private int[] row(int row) {
    return outputs[checkRow(row)];
  }

  @Override
  public String toString() {
    StringBuilder text = new StringBuilder("Ranking(").append(batch()).append(" rows");
    for (int row = 0; row < Math.min(batch(), SHOWN); row++) {
      text.append("; ").append(row).append(':');
      for (int rank = 0; rank < Math.min(size(row), SHOWN); rank++) {
        text.append(
            String.format(Locale.ROOT, " %d (%.4g)", output(row, rank), probability(row, rank)));
      }
      text.append(
          size(row) > SHOWN
              ? " ..."
              : isFilteredOut(row) ? " filtered out" : isDefined(row) ? "" : " undefined");
    }
    return text.append(batch() > SHOWN ? "; ...)" : ")").toString();
  }
}
