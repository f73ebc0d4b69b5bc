// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.softmax.Workspace.Ints;

/** Scores outputs by the caller's numbers: all of them, or chosen ones. */
final class Scoring {
  private final TwoLevelSoftmax softmax;
  private final ClassTable table;

  public Scoring(TwoLevelSoftmax softmax, ClassTable table) {
    this.softmax = softmax;
    this.table = table;
  }

  /**
   * Writes the probabilities or log probabilities of all outputs to {@code out} (batch, outputs).
   */
  public void all(Rows x, boolean logarithm, Rows out, Workspace workspace) {
    if (table.isDenseAndInOrder()) {
      softmax.grid(x, logarithm, out, null, workspace);
    } else {
      softmax.grid(x, logarithm, null, inOutputOrder(out, logarithm), workspace);
    }
  }

  /**
   * Returns a consumer that puts results, which come by class and slot, into the order of the
   * outputs.
   */
  private TwoLevelSoftmax.GridConsumer inOutputOrder(Rows out, boolean logarithm) {
    long[] places = table.places();
    float nothing = nothing(logarithm);
    return (begin, grid) ->
        softmax
            .engine()
            .run(
                Math.toIntExact(grid.count()),
                grid.count() * places.length,
                (first, last) -> {
                  float[] row = new float[places.length];
                  for (int r = first; r < last; r++) {
                    for (int output = 0; output < row.length; output++) {
                      row[output] = places[output] < 0 ? nothing : grid.get(r, places[output]);
                    }
                    out.put(begin + r, 0, row);
                  }
                });
  }

  /** Returns the value of a retired output. */
  private static float nothing(boolean logarithm) {
    return logarithm ? Float.NEGATIVE_INFINITY : 0;
  }

  /**
   * Computes the probabilities or log probabilities of some outputs for each row. A class is opened
   * once for a row, however many of the outputs it holds. Retired outputs have none.
   *
   * @param offsets (batch + 1): those of row r are outputs [offsets[r], offsets[r + 1])
   * @param result receives them in the order of the outputs
   */
  public void of(
      Rows x,
      boolean logarithm,
      int[] offsets,
      int[] outputs,
      Storage result,
      Workspace workspace) {
    int batch = Math.toIntExact(x.count());
    long maxRound = softmax.maxRound();
    int step = (int) Math.max(1, Math.min(batch, maxRound / table.classes()));
    int wanted = offsets[batch];
    int room = (int) Math.max(1, Math.min(wanted, maxRound / table.slots()));
    Requests requests = new Requests(offsets, outputs, wanted, room, workspace);
    float nothing = nothing(logarithm);
    for (int begin = 0; begin < batch; begin += step) {
      int end = Math.min(batch, begin + step);
      Rows slice = x.slice(begin, end - begin);
      Rows byClass = softmax.classes(slice, logarithm, workspace);
      int done = offsets[begin];
      while (done < offsets[end]) {
        int first = done;
        done = requests.make(first, begin, end);
        Rows bySlot = requests.open(slice, logarithm, byClass);
        for (int i = first; i < done; i++) {
          int request = requests.requestOf[i];
          result.putFloat(
              i, request < 0 ? nothing : bySlot.get(request, table.slotOf()[outputs[i]]));
        }
      }
    }
  }

  /** The classes that are opened for outputs, as many at a time as there is memory for. */
  private final class Requests {
    final int[] offsets;
    final int[] outputs;
    final int room;
    final Workspace workspace;

    /** The request of each output; -1 if it is retired. */
    final int[] requestOf;

    final int[] readRow;
    final int[] classOf;
    final int[] requestOfClass;
    int count;

    Requests(int[] offsets, int[] outputs, int wanted, int room, Workspace workspace) {
      this.offsets = offsets;
      this.outputs = outputs;
      this.room = room;
      this.workspace = workspace;
      this.requestOf = workspace.ints(Ints.REQUESTS, wanted);
      this.readRow = workspace.ints(Ints.REQUEST_ROWS, room);
      this.classOf = workspace.ints(Ints.REQUEST_CLASSES, room);
      this.requestOfClass = workspace.ints(Ints.REQUEST_OF_CLASS, table.classes());
    }

    /**
     * Makes requests for outputs from {@code first} on.
     *
     * @param begin the first row of x
     * @param end the row after the last
     * @return the output after the last one that had room
     */
    int make(int first, int begin, int end) {
      count = 0;
      int i = first;
      for (int row = begin; row < end; row++) {
        int firstOfRow = count;
        for (; i < offsets[row + 1]; i++) {
          int classNumber = table.classOf()[outputs[i]];
          if (classNumber < 0) {
            requestOf[i] = -1;
            continue;
          }
          // An earlier value is no request of this row, or a request for another class.
          int request = requestOfClass[classNumber];
          if (request < firstOfRow || request >= count || classOf[request] != classNumber) {
            if (count == room) {
              return i;
            }
            request = count++;
            requestOfClass[classNumber] = request;
            readRow[request] = row - begin;
            classOf[request] = classNumber;
          }
          requestOf[i] = request;
        }
      }
      return i;
    }

    Rows open(Rows slice, boolean logarithm, Rows byClass) {
      return softmax.open(slice, byClass, count, readRow, classOf, logarithm, workspace);
    }
  }

  /**
   * The part of one level in the probability of an output, and the number of more probable ones on
   * that level.
   */
  public record Part(double probability, int rank) {}

  /** Returns the parts of both levels in the probability of an output that is not retired. */
  public Part[] explain(Rows row, int output, Workspace workspace) {
    int classNumber = table.classOf()[output];
    int slot = table.slotOf()[output];
    return new Part[] {
      part(logarithm -> softmax.classes(row, logarithm, workspace), table.classes(), classNumber),
      part(
          logarithm ->
              softmax.open(row, null, 1, null, new int[] {classNumber}, logarithm, workspace),
          table.size(classNumber),
          slot)
    };
  }

  /** The probabilities of one level for one row, or their logarithms. */
  private interface Level {
    Rows compute(boolean logarithm);
  }

  /**
   * Returns the part of a level by logarithms, which also rank and keep the digits of probabilities
   * that are too small for a float.
   */
  private static Part part(Level level, int count, int index) {
    Rows logarithms = level.compute(true);
    int rank = rank(logarithms, count, index);
    double fromLogarithm = Math.exp(logarithms.get(0, index));
    float probability = level.compute(false).get(0, index);
    return new Part(probability < Float.MIN_NORMAL ? fromLogarithm : probability, rank);
  }

  private static int rank(Rows row, int count, int index) {
    int rank = 0;
    for (int i = 0; i < count; i++) {
      rank += row.get(0, i) > row.get(0, index) ? 1 : 0;
    }
    return rank;
  }
}
