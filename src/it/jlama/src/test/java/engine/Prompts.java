// SPDX-License-Identifier: Apache-2.0
package engine;

import com.github.tjake.jlama.model.AbstractModel;
import com.github.tjake.jlama.model.mixtral.MixtralConfig;
import com.github.tjake.jlama.model.mixtral.MixtralModel;
import com.github.tjake.jlama.safetensors.DType;
import com.github.tjake.jlama.safetensors.SafeTensorSupport;
import com.github.tjake.jlama.tensor.AbstractTensor;
import com.github.tjake.jlama.tensor.KvBufferCache;
import com.github.tjake.jlama.util.JsonSupport;
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;

/**
 * The processor time of prompts, with Jlama's own block of experts and with this library's:
 *
 * <pre>mvn -f src/it/jlama test-compile exec:exec@prompts</pre>
 */
final class Prompts {
  private static final int ROUNDS = 3;

  private Prompts() {}

  public static void main(String[] args) throws IOException {
    int[] sizes = Arrays.stream(args).mapToInt(Integer::parseInt).toArray();
    Path folder = Files.createTempDirectory("mixtral");
    try {
      new Checkpoint(sizes[0], sizes[1], sizes[2], sizes[3]).write(folder);
      measure(folder);
    } finally {
      for (Path file : (Iterable<Path>) Files.list(folder)::iterator) {
        Files.delete(file);
      }
      Files.delete(folder);
    }
  }

  private static void measure(Path folder) throws IOException {
    print("Jlama's block", own(folder));
    print("FLOAT32", ExpertsMixtral.load(folder, Optional.empty()));
    print("INT8", ExpertsMixtral.load(folder, Optional.of(DType.I8)));
    print("Q4_0", ExpertsMixtral.load(folder, Optional.of(DType.Q4)));
  }

  private static void print(String name, AbstractModel model) {
    StringBuilder line = new StringBuilder("| " + name);
    for (int tokens : new int[] {1, 16, 256}) {
      int[] prompt = prompt(tokens);
      int times = Math.max(1, 64 / tokens); // the clock of the processor ticks slowly
      double best = Double.POSITIVE_INFINITY;
      for (int round = 0; round < ROUNDS; round++) {
        long begin = processorTime();
        for (int i = 0; i < times; i++) {
          logits(model, prompt);
        }
        best = Math.min(best, 1e-6 * (processorTime() - begin) / times / tokens);
      }
      line.append(String.format(" | %.2f ms", best));
    }
    System.out.println(line.append(" |"));
    model.close();
  }

  /** Of all threads, in nanoseconds: other programs change it less than the time on the clock. */
  private static long processorTime() {
    return ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getProcessCpuTime();
  }

  /** Jlama's Mixtral as it is. */
  static MixtralModel own(Path folder) throws IOException {
    return new MixtralModel(
        JsonSupport.om.readValue(folder.resolve("config.json").toFile(), MixtralConfig.class),
        SafeTensorSupport.loadWeights(folder.toFile()),
        null,
        DType.F32,
        DType.F32,
        Optional.empty());
  }

  static int[] prompt(int tokens) {
    return new SplittableRandom(2).ints(tokens, 3, 200).toArray();
  }

  /** Of the token after a prompt. */
  static float[] logits(AbstractModel model, int[] prompt) {
    float[] result = new float[model.getConfig().vocabularySize];
    try (var cache = new KvBufferCache(model).getEphemeralKvBuffer();
        AbstractTensor<?, ?> last = model.batchForward(prompt, 0, cache);
        AbstractTensor<?, ?> logits = model.makeDenseTensor(result.length)) {
      model.sample(last.slice(last.shape().first() - 1), 0, 0, logits);
      for (int i = 0; i < result.length; i++) {
        result[i] = logits.get(0, i);
      }
    }
    return result;
  }

  /** The likeliest tokens after a prompt, each of which is read before the next one. */
  static List<Integer> tokens(AbstractModel model, int[] prompt, int count) {
    List<Integer> tokens = new ArrayList<>();
    try (var cache = new KvBufferCache(model).getEphemeralKvBuffer();
        AbstractTensor<?, ?> logits = model.makeDenseTensor(model.getConfig().vocabularySize)) {
      AbstractTensor<?, ?> last = model.batchForward(prompt, 0, cache);
      for (int i = 0; i < count; i++) {
        int token = model.sample(last.slice(last.shape().first() - 1), 0, 0, logits);
        tokens.add(token);
        last.close();
        last = model.forward(token, prompt.length + i, cache, Optional.empty());
      }
      last.close();
    }
    return tokens;
  }
}
