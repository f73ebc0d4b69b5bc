// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.blocksparse.ClassAssignment;
import org.blocksparse.FloatTensor;
import org.blocksparse.HierarchicalSoftmax;
import org.blocksparse.HierarchicalSoftmaxBuilder;
import org.blocksparse.IntTensor;
import org.blocksparse.Loss;
import org.blocksparse.SoftmaxPart;
import org.blocksparse.Workers;

/**
 * Measures what training costs that is divided into parts: the processor time of all parts, one
 * after the other on one thread, beside that of one process; and how long they would take on
 * several task slots, by these times and by the model of the page. No part of Spark is in it.
 */
final class PartsSpeed {
  private static final int FEATURES = 256;
  private static final int LABELS = 100_000;
  private static final int ROWS = 30_000;
  private static final int EPOCHS = 4;
  private static final int BATCH = 1024;
  private static final int[] SLOTS = {4, 16};

  private final OptimizerSettings optimizer;
  private final List<byte[]> rows = new ArrayList<>();
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
      rows.add(EncodedRow.of(label(random), 1, x));
      rowsOfBatch[batch(rows.get(i))]++;
    }
    rows.sort(Comparator.comparingLong(EncodedRow::hash));
    plan = new TrainingPlan(FEATURES, EPOCHS, order, new int[][] {rowsOfBatch}, optimizer);
  }

  /** By Zipf's law: the most frequent label has 6 percent of the rows. Numbers say nothing. */
  private static int label(Random random) {
    int rank = (int) Math.exp(random.nextDouble() * Math.log(LABELS)) - 1;
    return (int) (rank * 61_681L % LABELS);
  }

  private int batch(byte[] row) {
    return order.batch(order.position(EncodedRow.hash(row), 0));
  }

  /**
   * Measures.
   *
   * @param args the optimizer
   */
  public static void main(String[] args) throws IOException {
    System.out.println("Trains 100,000 labels in one process and in parts, many times: some minutes");
    OptimizerSettings settings = new OptimizerSettings(args[0], 0.1f, 0, Float.POSITIVE_INFINITY);
    new PartsSpeed(settings).run();
  }

  private void run() throws IOException {
    ClassAssignment ofOne =
        ClassAssignment.contiguous(LABELS, ClassAssignment.defaultCount(LABELS));
    whole(ofOne); // until all is compiled
    parts(ofOne);
    double[] parts = parts(ofOne);
    double whole = (whole(ofOne) + whole(ofOne)) / 2;
    double sum = Arrays.stream(parts).sum();
    System.out.printf(
        "%s, %d classes: one process %.2f s of the processor, all parts %.2f s, ratio %.3f%n",
        optimizer.rule(), ofOne.classCount(), whole, sum, sum / whole);
    double multiplyAdds = (double) EPOCHS * ROWS * FEATURES;
    double a1 = parts[0] / (multiplyAdds * ofOne.classCount());
    double a2 = (sum - parts[0]) / (multiplyAdds * ofOne.slots());
    System.out.printf("a1 = %.0f ps, a2 = %.0f ps%n", 1e12 * a1, 1e12 * a2);
    for (int slots : SLOTS) {
      simulate(slots, a1, a2, whole);
    }
  }

  private void simulate(int slots, double a1, double a2, double whole) throws IOException {
    int count = (int) Math.round(Math.sqrt(LABELS * a2 / (a1 * (slots - 1))));
    ClassAssignment classes = ClassAssignment.contiguous(LABELS, count);
    long[] rowsOfClass = new long[classes.classCount()];
    for (byte[] row : rows) {
      rowsOfClass[classes.classOf(EncodedRow.label(row))]++;
    }
    double[] parts = parts(classes);
    double simulated =
        makespan(Packing.of(rowsOfClass, TrainingJob.TASKS_PER_SLOT * slots), parts, slots);
    double longest = Arrays.stream(rowsOfClass).max().getAsLong();
    double modelled =
        EPOCHS
            * FEATURES
            * Math.max(
                a1 * ROWS * classes.classCount(),
                a2 * Math.max((double) ROWS / (slots - 1), longest) * classes.slots());
    System.out.printf(
        "%d slots, %d classes: by measured parts %.2f s, by the model %.2f s, ratio %.2f;"
            + " the class level %.2f s, the longest class %.2f s, a slot's share of classes %.2f s;"
            + " %.1f times as fast as one process%n",
        slots,
        classes.classCount(),
        simulated,
        modelled,
        simulated / modelled,
        parts[0],
        Arrays.stream(parts).skip(1).max().getAsDouble(),
        Arrays.stream(parts).skip(1).sum() / (slots - 1),
        whole / simulated);
  }

  /** When the last task ends, if each begins as soon as a slot is free, in their order. */
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

  /** Trains the parts: the seconds of each, the class level first. */
  private double[] parts(ClassAssignment classes) throws IOException {
    HierarchicalSoftmaxBuilder builder =
        HierarchicalSoftmax.builder(FEATURES, LABELS)
            .classes(classes)
            .workers(Workers.callingThread());
    List<List<byte[]>> rowsOf = new ArrayList<>();
    rowsOf.add(rows);
    for (int c = 0; c < classes.classCount(); c++) {
      rowsOf.add(new ArrayList<>());
    }
    for (byte[] row : rows) {
      rowsOf.get(classes.classOf(EncodedRow.label(row)) + 1).add(row);
    }
    double[] seconds = new double[rowsOf.size()];
    for (int part = 0; part < seconds.length; part++) {
      long begin = processorNanos();
      try (PartRows own = new PartRows(FEATURES);
          SoftmaxPart trained = builder.buildPart(part - 1)) {
        for (byte[] row : rowsOf.get(part)) {
          own.add(EncodedRow.hash(row), row);
        }
        own.end();
        new PartTrainer(plan, classes, trained, own).train();
      }
      seconds[part] = (processorNanos() - begin) * 1e-9;
    }
    return seconds;
  }

  /** Trains the whole layer on one thread: seconds. */
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
      targets[i] = EncodedRow.label(batch.get(i));
    }
    try (FloatTensor xs = FloatTensor.of(x, targets.length, FEATURES);
        IntTensor ts = IntTensor.of(targets, targets.length)) {
      layer.step(xs, ts, Loss.mean(), optimizer.optimizer());
    }
  }

  private static long processorNanos() {
    return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
  }
}
