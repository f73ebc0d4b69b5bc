// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import org.blocksparse.testing.Seed;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The solver finds the minimum of its objective: checked by its gradient, and against LIBLINEAR.
 */
final class DualCoordinateDescentTest {
  private static final int ROWS = 240;
  private static final int COLUMNS = 60;
  private static final double COST = 0.75;

  @TempDir Path folder;

  private record Problem(SparseMatrix x, BitSet positives, double[] costs) {
    static Problem random(boolean weighted) {
      return random(Seed.value(), weighted, COST, 1, 1);
    }

    /**
     * Returns rows with some informative columns, and noise.
     *
     * @param size the largest magnitude of values
     */
    static Problem random(long seed, boolean weighted, double cost, double size, double noise) {
      SplittableRandom random = new SplittableRandom(seed);
      int[] sizes = new int[ROWS];
      for (int row = 0; row < ROWS; row++) {
        sizes[row] = random.nextInt(9);
      }
      int[] offsets = SparseMatrix.offsets(sizes);
      int[] columns = new int[offsets[ROWS]];
      float[] values = new float[columns.length];
      BitSet positives = new BitSet();
      double[] costs = new double[ROWS];
      for (int row = 0; row < ROWS; row++) {
        int[] distinct = random.ints(0, COLUMNS).distinct().limit(sizes[row]).sorted().toArray();
        System.arraycopy(distinct, 0, columns, offsets[row], sizes[row]);
        double sum = 0;
        for (int entry = offsets[row]; entry < offsets[row + 1]; entry++) {
          values[entry] = (float) (size * random.nextDouble());
          sum += columns[entry] % 3 == 0 ? values[entry] : -values[entry] / 2;
        }
        positives.set(row, sum / size + noise * (random.nextDouble() - 0.5) > 0);
        costs[row] = weighted ? cost * (1 + row % 3) : cost;
      }
      return new Problem(new SparseMatrix(offsets, columns, values), positives, costs);
    }

    double margin(int row, double[] weights, double bias) {
      double margin = bias;
      for (int entry = x.offsets()[row]; entry < x.offsets()[row + 1]; entry++) {
        margin += weights[x.columns()[entry]] * x.values()[entry];
      }
      return margin;
    }

    int sign(int row) {
      return positives.get(row) ? 1 : -1;
    }

    double objective(double[] weights, double bias) {
      double sum = bias * bias / 2 + Arrays.stream(weights).map(w -> w * w).sum() / 2;
      for (int row = 0; row < ROWS; row++) {
        double loss = Math.max(0, 1 - sign(row) * margin(row, weights, bias));
        sum += costs[row] * loss * loss;
      }
      return sum;
    }

    /** Returns the gradient of the objective; that of the bias is last. */
    double[] gradient(double[] weights, double bias) {
      double[] gradient = Arrays.copyOf(weights, COLUMNS + 1);
      gradient[COLUMNS] = bias;
      for (int row = 0; row < ROWS; row++) {
        double loss = Math.max(0, 1 - sign(row) * margin(row, weights, bias));
        double factor = -2 * costs[row] * sign(row) * loss;
        gradient[COLUMNS] += factor;
        for (int entry = x.offsets()[row]; entry < x.offsets()[row + 1]; entry++) {
          gradient[x.columns()[entry]] += factor * x.values()[entry];
        }
      }
      return gradient;
    }

    /** Returns the minimum of the objective, by Newton's method from 0 on. */
    double minimum() {
      double[] all = new double[COLUMNS + 1];
      for (int step = 0; step < 1000; step++) {
        double[] weights = Arrays.copyOf(all, COLUMNS);
        double[] change = newtonStep(weights, all[COLUMNS]);
        double before = objective(weights, all[COLUMNS]);
        double part = 1;
        double after;
        double[] next;
        do {
          next = all.clone();
          for (int i = 0; i < next.length; i++) {
            next[i] -= part * change[i];
          }
          after = objective(Arrays.copyOf(next, COLUMNS), next[COLUMNS]);
          part /= 2;
        } while (after > before && part > 1e-12);
        all = next;
        if (before - after <= 1e-13 * before) {
          return after;
        }
      }
      throw new AssertionError("no minimum");
    }

    /** Returns the inverse of the Hessian matrix times the gradient, by Gaussian elimination. */
    private double[] newtonStep(double[] weights, double bias) {
      int n = COLUMNS + 1;
      double[][] system = new double[n][n + 1];
      double[] gradient = gradient(weights, bias);
      for (int i = 0; i < n; i++) {
        system[i][i] = 1;
        system[i][n] = gradient[i];
      }
      for (int row = 0; row < ROWS; row++) {
        if (sign(row) * margin(row, weights, bias) < 1) {
          double[] dense = new double[n];
          dense[COLUMNS] = 1;
          for (int entry = x.offsets()[row]; entry < x.offsets()[row + 1]; entry++) {
            dense[x.columns()[entry]] = x.values()[entry];
          }
          for (int i = 0; i < n; i++) {
            for (int j = 0; dense[i] != 0 && j < n; j++) {
              system[i][j] += 2 * costs[row] * dense[i] * dense[j];
            }
          }
        }
      }
      for (int i = 0; i < n; i++) { // no pivots are needed: the matrix is positive definite
        for (int k = 0; k < n; k++) {
          double factor = k == i ? 0 : system[k][i] / system[i][i];
          for (int j = i; factor != 0 && j <= n; j++) {
            system[k][j] -= factor * system[i][j];
          }
        }
      }
      double[] step = new double[n];
      Arrays.setAll(step, i -> system[i][n] / system[i][i]);
      return step;
    }
  }

  private static DualCoordinateDescent trained(Problem problem, double tolerance) {
    DualCoordinateDescent solver =
        new DualCoordinateDescent(problem.x(), COLUMNS, problem.costs(), tolerance);
    solver.train(problem.positives(), new BitSet(), 3);
    return solver;
  }

  @Test
  void gradientIsZeroAtTheEndWithWeightsOfRowsToo() {
    for (boolean weighted : new boolean[] {false, true}) {
      Problem problem = Problem.random(weighted);
      DualCoordinateDescent solver = trained(problem, 1e-10);
      for (double derivative : problem.gradient(solver.weights(), solver.bias())) {
        assertEquals(0, derivative, 1e-6, Seed.howToRepeat());
      }
    }
  }

  /** Costs and values of any size, and answers that can be learned or not. */
  @ParameterizedTest
  @CsvSource({
    "0.001, 1, 0.1", "0.001, 1, 5", "0.001, 9, 0.1", "0.001, 9, 5",
    "1, 1, 0.1", "1, 1, 5", "1, 9, 0.1", "1, 9, 5",
    "40, 1, 0.1", "40, 1, 5", "40, 9, 0.1", "40, 9, 5",
    "2000, 1, 0.1", "2000, 1, 5", "2000, 9, 0.1", "2000, 9, 5"
  })
  void objectiveIsNearTheMinimumOrTheExcessIsReturned(double cost, double size, double noise) {
    Problem problem = Problem.random(Seed.value(), true, cost, size, noise);
    DualCoordinateDescent solver =
        new DualCoordinateDescent(problem.x(), COLUMNS, problem.costs(), ChunkSolver.TOLERANCE);
    double excess = solver.train(problem.positives(), new BitSet(), 3);
    double least = problem.minimum();
    double found = problem.objective(solver.weights(), solver.bias());
    assertTrue(found >= least * (1 - 1e-9) && found <= least * (1 + excess + 1e-9));
    if (cost * size * size <= 100) {
      assertTrue(excess <= DualCoordinateDescent.FAIR_EXCESS, excess + " " + Seed.howToRepeat());
    }
  }

  /** Rows that are skipped in some passes because they seem to be right count at the end. */
  @Test
  void theMinimumIsThatOfAllRows() {
    for (int i = 0; i < 60; i++) {
      Problem problem =
          Problem.random(Seed.value() + i, i % 2 == 0, i % 3 == 0 ? 0.1 : 2, 1, i % 5);
      DualCoordinateDescent solver = trained(problem, 1e-4);
      double least = problem.minimum();
      assertEquals(
          least,
          problem.objective(solver.weights(), solver.bias()),
          1e-6 * least,
          Seed.howToRepeat());
    }
  }

  /**
   * The solver diverges if rows have a column several times, which {@link SparseMatrix} forbids.
   */
  @Test
  void aRowIsFoundWhereWeightsAreBeyondFloats() {
    Problem problem = Problem.random(false);
    assertEquals(-1, trained(problem, 0.1).rowBeyondFloats());
    int repeats = 50;
    int[] offsets = new int[ROWS + 1];
    Arrays.setAll(offsets, row -> repeats * row);
    int[] columns = new int[repeats * ROWS];
    float[] values = new float[columns.length];
    Arrays.fill(values, 1);
    SparseMatrix x = new SparseMatrix(offsets, columns, values);
    int found =
        trained(new Problem(x, problem.positives(), problem.costs()), 0.1).rowBeyondFloats();
    assertTrue(found >= 0 && found < ROWS, "row " + found);
  }

  /** The remaining rows take over their costs, so that the sum of all costs is unchanged. */
  @Test
  void rowsThatAreLeftOutDoNotMatter() {
    Problem problem = Problem.random(false);
    BitSet without = new BitSet();
    without.set(ROWS / 2, ROWS);
    DualCoordinateDescent some =
        new DualCoordinateDescent(problem.x(), COLUMNS, problem.costs(), 0.01);
    some.train(problem.positives(), without, 5);
    int[] offsets = Arrays.copyOf(problem.x().offsets(), ROWS / 2 + 1);
    SparseMatrix half = new SparseMatrix(offsets, problem.x().columns(), problem.x().values());
    double[] costs = Arrays.stream(problem.costs()).map(cost -> 2 * cost).toArray();
    DualCoordinateDescent alone =
        new DualCoordinateDescent(half, COLUMNS, Arrays.copyOf(costs, ROWS / 2), 0.01);
    BitSet positives = problem.positives().get(0, ROWS / 2);
    alone.train(positives, new BitSet(), 5);
    assertArrayEquals(alone.weights(), some.weights());
    assertEquals(alone.bias(), some.bias());
  }

  @Test
  void thresholdKeepsWeightsThatReachIt() {
    Problem problem = Problem.random(false);
    DualCoordinateDescent solver = trained(problem, 0.01);
    double[] before = solver.weights().clone();
    double threshold = Math.abs(before[0]);
    solver.prune(threshold);
    for (int column = 0; column < COLUMNS; column++) {
      double wanted = Math.abs(before[column]) < threshold ? 0 : before[column];
      assertEquals(wanted, solver.weights()[column]);
    }
    assertTrue(threshold > 0 && Arrays.stream(solver.weights()).anyMatch(w -> w == 0));
  }

  /** {@code apt-get install liblinear-tools} installs the program. */
  @Test
  void objectiveIsThatOfLiblinear() throws IOException, InterruptedException {
    assumeTrue(
        Arrays.stream(System.getenv("PATH").split(File.pathSeparator))
            .anyMatch(path -> Files.isExecutable(Path.of(path, "liblinear-train"))),
        "not compared: there is no liblinear-train here; Debian has it in liblinear-tools");
    Problem problem = Problem.random(false);
    StringBuilder lines = new StringBuilder();
    for (int row = 0; row < ROWS; row++) {
      lines.append(problem.sign(row));
      for (int entry = problem.x().offsets()[row];
          entry < problem.x().offsets()[row + 1];
          entry++) {
        lines.append(
            String.format(
                Locale.ROOT,
                " %d:%.9g",
                problem.x().columns()[entry] + 1,
                problem.x().values()[entry]));
      }
      lines.append('\n');
    }
    Path data = Files.writeString(folder.resolve("rows"), lines);
    Path model = folder.resolve("model");
    Process process =
        new ProcessBuilder(
                "liblinear-train",
                "-s",
                "1",
                "-c",
                "" + COST,
                "-B",
                "1",
                "-e",
                "1e-6",
                "-q",
                data.toString(),
                model.toString())
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("output").toFile())
            .start();
    assertEquals(0, process.waitFor(), () -> read(folder.resolve("output")));
    List<String> text = Files.readAllLines(model);
    int first = text.indexOf("w") + 1;
    double[] all = new double[COLUMNS + 1];
    // Weights are those of the label that came first.
    double sign = text.contains("label 1 -1") ? 1 : -1;
    for (int i = 0; i < all.length && first + i < text.size(); i++) {
      all[i] = sign * Double.parseDouble(text.get(first + i).strip());
    }
    double theirs = problem.objective(Arrays.copyOf(all, COLUMNS), all[COLUMNS]);
    DualCoordinateDescent solver = trained(problem, 1e-6);
    double ours = problem.objective(solver.weights(), solver.bias());
    assertEquals(theirs, ours, 1e-3 * theirs, () -> read(model));
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }
}
