// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import com.sun.nio.file.ExtendedOpenOption;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.MemoryUse;
import org.blocksparse.experts.ExpertCache;
import org.blocksparse.experts.MixtureOfExperts;
import org.blocksparse.experts.Routing;
import org.blocksparse.io.HuggingFaceModel;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.TensorFile;

/**
 * Layers of experts that are larger than memory: those of Qwen3-30B-A3B in Q4_0, 340 MB each, with
 * routings by Zipf's law. Mapped layers are compared with an {@link ExpertCache}:
 *
 * <pre>{@code cache FOLDER LAYERS MEGABYTES}</pre>
 *
 * <p>The folder, on the disk to measure, gets the files. Run it in a cgroup whose memory is smaller
 * than they are.
 */
final class LargeExperts {
  private static final MoeShape SHAPE = MoeShape.QWEN;
  private static final int PROMPT_TOKENS = 128;
  private static final int MAPPED_TOKENS = 15;
  private static final int TOKENS = 200;
  private static final int PROMPTS = 3;

  /** The number of cache sizes, each a step larger than the one before. */
  private static final int STEPS = 8;

  /** The tokens from which the probabilities of experts are estimated. */
  private static final int SAMPLE = 20_000;

  private final List<Path> files = new ArrayList<>();
  private final List<List<Integer>> ranks = new ArrayList<>();
  private final long megabytes;
  private final Random random = new Random(1);

  private LargeExperts(Path folder, int layers, long megabytes) throws IOException {
    this.megabytes = megabytes;
    for (int layer = 0; layer < layers; layer++) {
      Path file = folder.resolve("layer-" + layer + ".safetensors");
      if (!Files.exists(file)) {
        if (layer == 0) {
          save(file);
        } else {
          Files.copy(files.get(0), file);
        }
      }
      files.add(file);
      List<Integer> order = new ArrayList<>(IntStream.range(0, SHAPE.experts).boxed().toList());
      Collections.shuffle(order, random);
      ranks.add(order);
    }
  }

  /**
   * Saves a layer in which all experts are copies of one, whose file is read for each: only one at
   * a time is in memory as floats.
   */
  private static void save(Path file) throws IOException {
    float[] up = MoeNumbers.weights(SHAPE, MoeNumbers.Matrix.UP, 0);
    float[] down = MoeNumbers.weights(SHAPE, MoeNumbers.Matrix.DOWN, 0);
    Path expert = file.resolveSibling("expert.safetensors");
    try (FloatTensor first = FloatTensor.of(up, SHAPE.hidden, SHAPE.inputs);
        FloatTensor second = FloatTensor.of(down, SHAPE.inputs, SHAPE.hidden)) {
      TensorFile.save(expert, Map.of("up", first, "down", second));
    }
    try (HuggingFaceModel model = HuggingFaceModel.open(expert);
        MixtureOfExperts layer =
            MixtureOfExperts.builder(SHAPE.inputs, SHAPE.hidden, SHAPE.experts)
                .build(model, name -> name.contains("down") ? "down" : "up", ElementType.Q4_0)) {
      layer.save(file);
    } finally {
      Files.delete(expert);
    }
  }

  private List<MixtureOfExperts> open(ExpertCache cache) throws IOException {
    List<MixtureOfExperts> layers = new ArrayList<>();
    for (Path file : files) {
      layers.add(
          cache == null
              ? MixtureOfExperts.load(file, LoadOptions.mapped())
              : MixtureOfExperts.load(file, LoadOptions.mapped(), cache));
    }
    return layers;
  }

  /** Returns different experts for each token, by Zipf's law with the exponent 1. */
  private int[] routing(int layer, int tokens) {
    int[] chosen = new int[tokens * SHAPE.top];
    for (int token = 0; token < tokens; token++) {
      double[] keys = new double[SHAPE.experts];
      for (int rank = 0; rank < keys.length; rank++) {
        keys[rank] = Math.log(random.nextDouble()) * (rank + 1); // draws without replacement
      }
      int[] order =
          IntStream.range(0, keys.length)
              .boxed()
              .sorted((a, b) -> Double.compare(keys[b], keys[a]))
              .mapToInt(rank -> ranks.get(layer).get(rank))
              .limit(SHAPE.top)
              .toArray();
      System.arraycopy(order, 0, chosen, token * SHAPE.top, SHAPE.top);
    }
    return chosen;
  }

  /** Returns the seconds of calls of all layers, one after the other. */
  private double[] seconds(List<MixtureOfExperts> layers, int tokens, int calls) {
    double[] times = new double[calls];
    try (FloatTensor x = FloatTensor.of(MoeNumbers.x(SHAPE, tokens), tokens, SHAPE.inputs);
        FloatTensor out = FloatTensor.zeros(tokens, SHAPE.inputs);
        FloatTensor gates = FloatTensor.zeros(tokens, SHAPE.top)) {
      gates.fill(1f / SHAPE.top);
      for (int call = 0; call < calls; call++) {
        for (int layer = 0; layer < layers.size(); layer++) {
          try (IntTensor chosen = IntTensor.of(routing(layer, tokens), tokens, SHAPE.top);
              Routing routing = Routing.of(chosen, gates, SHAPE.experts)) {
            long begin = System.nanoTime();
            layers.get(layer).apply(x, routing, out);
            times[call] += 1e-9 * (System.nanoTime() - begin);
          }
        }
      }
    }
    return times;
  }

  private static MemoryUse use(List<MixtureOfExperts> layers) {
    return layers.stream()
        .map(MixtureOfExperts::memoryUse)
        .reduce(new MemoryUse(0, 0), MemoryUse::plus);
  }

  /** Returns the bytes per second of one thread that reads files from begin to end. */
  private double diskRate() throws IOException {
    long bytes = 0;
    long begin = System.nanoTime();
    int block = (int) Files.getFileStore(files.get(0)).getBlockSize();
    ByteBuffer buffer = ByteBuffer.allocateDirect((8 << 20) + block).alignedSlice(block);
    for (Path file : files) {
      try (FileChannel channel =
          FileChannel.open(file, StandardOpenOption.READ, ExtendedOpenOption.DIRECT)) {
        for (int read = 0; read >= 0 && bytes % block == 0; bytes += Math.max(0, read)) {
          read = channel.read(buffer.clear().limit(8 << 20));
        }
      }
      bytes -= bytes % block;
    }
    return bytes / (1e-9 * (System.nanoTime() - begin));
  }

  private void measure(Path chart) throws IOException {
    long size = 0;
    for (Path file : files) {
      size += Files.size(file);
    }
    System.out.printf("%d layers, %d MB; a cache of %d MB%n", files.size(), size >> 20, megabytes);
    System.out.printf("the disk reads %.0f MB/s%n", diskRate() / 1e6);
    report("mapped, 1 token", open(null), 1, MAPPED_TOKENS);
    report("mapped, " + PROMPT_TOKENS + " tokens", open(null), PROMPT_TOKENS, 1);
    report("cache", 1, TOKENS, megabytes << 20);
    report("cache", PROMPT_TOKENS, PROMPTS, megabytes << 20);
    System.out.printf("the disk reads %.0f MB/s%n", diskRate() / 1e6);
    List<String> rows = new ArrayList<>();
    rows.add("title\tHits by memory");
    rows.add("subtitle\tOne token at a time; experts by Zipf's law with the exponent 1.");
    rows.add("x\tpart of the experts in memory");
    rows.add("y\thits");
    double[] best = bestHits();
    for (int step = 0; step <= STEPS; step++) {
      int count = SHAPE.experts * step / STEPS;
      rows.add("line\tthe most likely experts\t" + (double) step / STEPS + "\t" + best[count]);
    }
    rows.add("point\tcache\t0\t0");
    for (int step = 1; step <= STEPS && step * size / STEPS <= megabytes << 20; step++) {
      double part = (double) step / STEPS;
      double hits = report("cache of " + part, 1, TOKENS, step * size / STEPS);
      rows.add("point\tcache\t" + part + "\t" + hits);
    }
    Files.write(chart, rows);
  }

  /** Returns the share of uses of the most likely experts, by their number. */
  private double[] bestHits() {
    int[] uses = new int[SHAPE.experts];
    for (int expert : routing(0, SAMPLE)) {
      uses[ranks.get(0).indexOf(expert)]++;
    }
    double[] sums = new double[uses.length + 1];
    for (int rank = 0; rank < uses.length; rank++) {
      sums[rank + 1] = sums[rank] + (double) uses[rank] / (SAMPLE * SHAPE.top);
    }
    return sums;
  }

  private double report(String name, int tokens, int calls, long bytes) throws IOException {
    try (ExpertCache cache = ExpertCache.ofBytes(bytes)) {
      return report(name + ", " + tokens + " tokens", open(cache), tokens, calls);
    }
  }

  /** Measures after as many calls to warm up. */
  private double report(String name, List<MixtureOfExperts> layers, int tokens, int calls) {
    try {
      seconds(layers, tokens, calls);
      MemoryUse before = use(layers);
      double[] times = seconds(layers, tokens, calls);
      MemoryUse after = use(layers);
      double total = Arrays.stream(times).sum();
      Arrays.sort(times);
      long hits = after.hits() - before.hits();
      long misses = after.misses() - before.misses();
      double part = (double) hits / Math.max(1, hits + misses);
      System.out.printf(
          "%s: mean %.1f ms, median %.1f ms; hits %.3f, %.0f MB/s read%n",
          name,
          1e3 * total / calls,
          1e3 * times[calls / 2],
          part,
          (after.bytesRead() - before.bytesRead()) / total / 1e6);
      return part;
    } finally {
      layers.forEach(MixtureOfExperts::close);
    }
  }

  /**
   * Measures.
   *
   * @param chart the file of the curve of hits by memory, for {@link Chart}
   */
  static void measure(Path chart, String... args) throws IOException {
    new LargeExperts(Path.of(args[0]), Integer.parseInt(args[1]), Long.parseLong(args[2]))
        .measure(chart);
  }
}
