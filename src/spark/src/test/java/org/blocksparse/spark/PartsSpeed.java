// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.PriorityQueue;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Workers;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LayerBuilder;
import org.blocksparse.softmax.Loss;

/**
 * Measures the cost of dividing a training into parts: the processor time of all parts, one after
 * the other on one thread, compared with that of one process; and the time on several task slots,
 * by these times and by the page's model. Spark takes no part.
 */
final class PartsSpeed {
  private static final int FEATURES = 256;
  private static final int LABELS = 100_000;
  private static final int ROWS = 30_000;
  private static final int EPOCHS = 4;
  private static final int BATCH = 1024;
  private static final int ROUNDS = 3;
  private static final int FEW_CLASSES = 64;
  private static final int[] SLOTS = {4, 16};

  private final OptimizerSettings optimizer;
  private final List<byte[]> rows = new ArrayList<>();

  /** The hashes by identity: the shuffle transports them with each row. */
  private final IdentityHashMap<byte[], Long> hashes = new IdentityHashMap<>();

  private final RowOrder order = new RowOrder(1, (ROWS - 1) / BATCH + 1, false);
  private final TrainingPlan plan;

  private PartsSpeed(OptimizerSettings optimizer) {
    this.optimizer = optimizer;
    Random random = new Random(1);
    int[] rowsOfBatch = new int[order.batches()];
    for (int i = 0; i < ROWS; i++) {
      float[] x = new float[FEATURES];
      for (int f = 0; f < FEATURES; f++) {
        x[f] = (float) random.nextGaussian();
      }
      byte[] row = EncodedRow.of(new int[] {label(random)}, 1, x);
      rows.add(row);
      hashes.put(row, EncodedRow.hash(row));
      rowsOfBatch[batch(row)]++;
    }
    rows.sort(Comparator.comparing(hashes::get));
    plan =
        new TrainingPlan(
            EstimatorKind.SOFTMAX, FEATURES, EPOCHS, order, new int[][] {rowsOfBatch}, optimizer);
  }

  /**
   * Returns a label by Zipf's law: the most frequent one has 6 percent of the rows. The numbers
   * have no meaning.
   */
  private static int label(Random random) {
    int rank = (int) Math.exp(random.nextDouble() * Math.log(LABELS)) - 1;
    return (int) (rank * 61_681L % LABELS);
  }

  private int batch(byte[] row) {
    return order.batch(order.position(hashes.get(row), 0));
  }

  /**
   * Measures.
   *
   * @param args the optimizer
   */
  public static void main(String[] args) throws IOException {
    System.out.println(
        "Trains 100,000 labels in one process and in parts, many times: some minutes");
    OptimizerSettings settings = new OptimizerSettings(args[0], 0.1f, 0, Float.POSITIVE_INFINITY);
    new PartsSpeed(settings).run();
  }

  private void run() throws IOException {
    ClassAssignment many = ClassAssignment.contiguous(LABELS, ClassAssignment.defaultCount(LABELS));
    ClassAssignment few = ClassAssignment.contiguous(LABELS, FEW_CLASSES);
    whole(many); // until all is compiled
    double whole = Double.POSITIVE_INFINITY;
    double[] ofMany = parts(many);
    double[] ofFew = parts(few);
    for (int round = 0; round < ROUNDS; round++) {
      whole = Math.min(whole, whole(many));
      ofMany = faster(ofMany, parts(many));
      ofFew = faster(ofFew, parts(few));
    }
    System.out.printf(
        "%s, %d classes: one process %.2f s of the processor, all parts %.2f s, ratio %.3f%n",
        optimizer.rule(), many.classCount(), whole, sum(ofMany, 0), sum(ofMany, 0) / whole);
    Costs costs = Costs.of(shape(many), ofMany, shape(few), ofFew);
    System.out.println(costs);
    for (int slots : SLOTS) {
      simulate(slots, costs, whole);
    }
  }

  private static double[] faster(double[] a, double[] b) {
    return sum(a, 0) < sum(b, 0) ? a : b;
  }

  private static double sum(double[] seconds, int begin) {
    return Arrays.stream(seconds, begin, seconds.length).sum();
  }

  /**
   * The rows of classes, once for each epoch.
   *
   * @param rows the rows of each class
   * @param blocks the batches in which a class has rows
   */
  @SuppressWarnings("ArrayRecordComponent")
  private record Shape(int classes, int slots, long[] rows, long[] blocks) {}

  private Shape shape(ClassAssignment classes) {
    long[] rowsOfClass = new long[classes.classCount()];
    BitSet[] batches = new BitSet[classes.classCount()];
    Arrays.setAll(batches, c -> new BitSet());
    for (byte[] row : rows) {
      int classNumber = classes.classOf(EncodedRow.labels(row)[0]);
      rowsOfClass[classNumber]++;
      batches[classNumber].set(batch(row));
    }
    long[] blocks = Arrays.stream(batches).mapToLong(BitSet::cardinality).toArray();
    return new Shape(classes.classCount(), classes.slots(), rowsOfClass, blocks);
  }

  /**
   * The model of the page, in seconds for each feature and epoch.
   *
   * @param row the row of the class level, for each row
   * @param level the level of the class level, for each row and class
   * @param product the product of a class, for each row and slot
   * @param block the block of a class, for each batch in which it has rows, and slot
   */
  private record Costs(double row, double level, double product, double block) {
    private static final double TIMES = (double) EPOCHS * FEATURES;

    /** Solves for the costs, given the times of parts for two numbers of classes. */
    static Costs of(Shape many, double[] ofMany, Shape few, double[] ofFew) {
      double level = (ofMany[0] - ofFew[0]) / (TIMES * ROWS * (many.classes - few.classes));
      double row = ofMany[0] / (TIMES * ROWS) - level * many.classes;
      double sumOfMany = sum(ofMany, 1) / (TIMES * many.slots);
      double sumOfFew = sum(ofFew, 1) / (TIMES * few.slots);
      double blocksOfMany = Arrays.stream(many.blocks).sum();
      double blocksOfFew = Arrays.stream(few.blocks).sum();
      double block = (sumOfMany - sumOfFew) / (blocksOfMany - blocksOfFew);
      return new Costs(row, level, (sumOfMany - block * blocksOfMany) / ROWS, block);
    }

    double classLevel(Shape shape) {
      return TIMES * ROWS * (row + level * shape.classes);
    }

    double makespan(Shape shape, int slots) {
      double longest = 0;
      for (int c = 0; c < shape.classes; c++) {
        longest = Math.max(longest, someClass(shape, c));
      }
      return Math.max(classLevel(shape), Math.max(longest, classes(shape) / (slots - 1)));
    }

    double classes(Shape shape) {
      double sum = 0;
      for (int c = 0; c < shape.classes; c++) {
        sum += someClass(shape, c);
      }
      return sum;
    }

    double someClass(Shape shape, int number) {
      return TIMES * shape.slots * (product * shape.rows[number] + block * shape.blocks[number]);
    }

    @Override
    public String toString() {
      return "a0 = %.0f ps, a1 = %.0f ps, a2 = %.0f ps, a3 = %.0f ps"
          .formatted(1e12 * row, 1e12 * level, 1e12 * product, 1e12 * block);
    }
  }

  /** Returns the number of classes that the model finds fastest, in steps of an eighth. */
  private int fastest(int slots, Costs costs) {
    int best = 1;
    double least = Double.POSITIVE_INFINITY;
    for (int count = 16; count <= ClassAssignment.defaultCount(LABELS); count += count / 8) {
      double makespan = costs.makespan(shape(ClassAssignment.contiguous(LABELS, count)), slots);
      if (makespan < least) {
        least = makespan;
        best = count;
      }
    }
    return best;
  }

  private void simulate(int slots, Costs costs, double whole) throws IOException {
    ClassAssignment classes = ClassAssignment.contiguous(LABELS, fastest(slots, costs));
    Shape shape = shape(classes);
    double[] parts = faster(parts(classes), faster(parts(classes), parts(classes)));
    Packing packing = Packing.of(shape.rows, TrainingJob.TASKS_PER_SLOT * slots);
    double byModel = costs.makespan(shape, slots);
    double simulated = makespan(packing, parts, slots);
    System.out.printf(
        "%d slots, %d classes: by measured parts %.2f s, by the model %.2f s, ratio %.2f;"
            + " the class level %.2f s, by the model %.2f s; the longest class %.2f s;"
            + " a slot's share of classes %.2f s, by the model %.2f s;"
            + " %.1f times as fast as one process%n",
        slots,
        classes.classCount(),
        simulated,
        byModel,
        simulated / byModel,
        parts[0],
        costs.classLevel(shape),
        Arrays.stream(parts).skip(1).max().getAsDouble(),
        sum(parts, 1) / (slots - 1),
        costs.classes(shape) / (slots - 1),
        whole / simulated);
  }

  /** Returns the end of the last task, if each begins in order as soon as a slot is free. */
  private static double makespan(Packing packing, double[] parts, int slots) {
    PriorityQueue<Double> free =
        new PriorityQueue<>(IntStream.range(0, slots).mapToObj(s -> 0.0).toList());
    double end = 0;
    for (int partition = 0; partition < packing.numPartitions(); partition++) {
      double task = packing.parts(partition).stream().mapToDouble(part -> parts[part + 1]).sum();
      double done = free.remove() + task;
      free.add(done);
      end = Math.max(end, done);
    }
    return end;
  }

  /** Trains the parts. Returns the seconds of each, the class level first. */
  private double[] parts(ClassAssignment classes) throws IOException {
    LayerBuilder<IntTensor, HierarchicalSoftmax> builder =
        HierarchicalSoftmax.builder(FEATURES, LABELS)
            .classes(classes)
            .workers(Workers.callingThread());
    List<List<byte[]>> rowsOf = new ArrayList<>();
    rowsOf.add(rows);
    for (int c = 0; c < classes.classCount(); c++) {
      rowsOf.add(new ArrayList<>());
    }
    for (byte[] row : rows) {
      rowsOf.get(classes.classOf(EncodedRow.labels(row)[0]) + 1).add(row);
    }
    double[] seconds = new double[rowsOf.size()];
    for (int part = 0; part < seconds.length; part++) {
      long begin = processorNanos();
      try (PartRows own = new PartRows(FEATURES);
          TrainedPart<?> trained = TrainedPart.ofSoftmax(builder, part - 1)) {
        for (byte[] row : rowsOf.get(part)) {
          own.add(hashes.get(row), row);
        }
        own.end();
        new PartTrainer(plan, classes, trained, own).train();
      }
      seconds[part] = (processorNanos() - begin) * 1e-9;
    }
    return seconds;
  }

  /** Trains the whole layer on one thread. Returns the seconds. */
  private double whole(ClassAssignment classes) {
    TreeMap<Integer, List<byte[]>> batches = new TreeMap<>();
    for (byte[] row : rows) {
      batches.computeIfAbsent(batch(row), b -> new ArrayList<>()).add(row);
    }
    long begin = processorNanos();
    try (HierarchicalSoftmax layer =
        HierarchicalSoftmax.builder(FEATURES, LABELS)
            .classes(classes)
            .workers(Workers.callingThread())
            .build()) {
      for (int epoch = 0; epoch < EPOCHS; epoch++) {
        batches.values().forEach(batch -> step(layer, batch));
      }
    }
    return (processorNanos() - begin) * 1e-9;
  }

  private void step(HierarchicalSoftmax layer, List<byte[]> batch) {
    float[] x = new float[batch.size() * FEATURES];
    int[] targets = new int[batch.size()];
    for (int i = 0; i < targets.length; i++) {
      EncodedRow.features(ByteBuffer.wrap(batch.get(i)), x, i * FEATURES, FEATURES);
      targets[i] = EncodedRow.labels(batch.get(i))[0];
    }
    try (FloatTensor xs = FloatTensor.of(x, targets.length, FEATURES);
        IntTensor ts = IntTensor.of(targets, targets.length)) {
      layer.step(xs, ts, Loss.mean(), optimizer.optimizer(), null);
    }
  }

  private static long processorNanos() {
    return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
  }
}
