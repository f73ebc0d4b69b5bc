// SPDX-License-Identifier: Apache-2.0
package engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.github.tjake.jlama.model.functions.FeedForward;
import com.github.tjake.jlama.model.mixtral.MixtralConfig;
import com.github.tjake.jlama.safetensors.DType;
import com.github.tjake.jlama.safetensors.SafeTensorSupport;
import com.github.tjake.jlama.util.JsonSupport;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Logits of a small random model, against the same model with a loop in float64 for its experts.
 */
final class ExpertsMixtralTest {
  private static final Checkpoint SMALL = new Checkpoint(128, 192, 2, 8);

  /** Of attention and norms in float32, in both models: far below what another expert adds. */
  private static final double TOLERANCE = 1e-4;

  @TempDir static Path folder;

  @BeforeAll
  static void write() throws IOException {
    SMALL.write(folder);
  }

  private static float[] loop(int[] prompt, boolean isGated) throws IOException {
    MixtralConfig config =
        JsonSupport.om.readValue(folder.resolve("config.json").toFile(), MixtralConfig.class);
    var weights = SafeTensorSupport.loadWeights(folder.toFile());
    try (var model =
        new ExpertsMixtral(config, weights, null, Optional.empty()) {
          @Override
          protected FeedForward feedForward(int layer) {
            return new LoopFeedForward(
                weights,
                "model.layers." + layer + ".block_sparse_moe.",
                SMALL.experts(),
                isGated,
                rows -> makeDenseTensor(rows, SMALL.size()));
          }
        }) {
      return Prompts.logits(model, prompt);
    }
  }

  private static float[] ours(int[] prompt, Optional<DType> type) throws IOException {
    try (var model = ExpertsMixtral.load(folder, type)) {
      return Prompts.logits(model, prompt);
    }
  }

  private static float[] jlama(int[] prompt) throws IOException {
    try (var model = Prompts.own(folder)) {
      return Prompts.logits(model, prompt);
    }
  }

  /** The largest difference, divided by the largest logit. */
  private static double difference(float[] expected, float[] found) {
    double most = 0;
    double scale = 0;
    for (int i = 0; i < expected.length; i++) {
      most = Math.max(most, Math.abs(expected[i] - found[i]));
      scale = Math.max(scale, Math.abs(expected[i]));
    }
    return most / scale;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 37, 300})
  void logitsAreThoseOfALoop(int tokens) throws IOException {
    int[] prompt = Prompts.prompt(tokens);
    double difference = difference(loop(prompt, true), ours(prompt, Optional.empty()));
    assertTrue(difference <= TOLERANCE, "difference " + difference);
  }

  /** 8 bits have an error of a half in 127, over some layers. */
  @Test
  void quantizedLogitsAreNear() throws IOException {
    int[] prompt = Prompts.prompt(37);
    double difference = difference(loop(prompt, true), ours(prompt, Optional.of(DType.I8)));
    assertTrue(difference <= 0.05, "difference " + difference);
  }

  /** What the page says of Jlama's own block: fails when a release mends it. */
  @Test
  void jlamasBlockIgnoresTheGateAndMixesRows() throws IOException {
    int[] one = Prompts.prompt(1);
    assertTrue(difference(loop(one, false), jlama(one)) <= TOLERANCE);
    assertFalse(difference(loop(one, true), jlama(one)) <= 0.05);
    int[] several = Prompts.prompt(5);
    assertFalse(difference(loop(several, false), jlama(several)) <= 0.05);
  }

  @Test
  void aSearchFindsTheTokensOfAllLogits() throws IOException {
    try (var jlamas = ExpertsMixtral.load(folder, Optional.empty());
        var searched = ExpertsMixtral.load(folder, Optional.empty())) {
      searched.searchOutputs();
      List<Integer> expected = Prompts.tokens(jlamas, Prompts.prompt(5), 60);
      assertEquals(expected, Prompts.tokens(searched, Prompts.prompt(5), 60));
      assertTrue(Set.copyOf(expected).size() > 5, expected::toString);
    }
  }

  @Test
  void theProgramOfThePageAnswers() throws IOException {
    PrintStream out = System.out;
    var printed = new ByteArrayOutputStream();
    System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
    try {
      Ask.main(new String[] {folder.toString()});
    } finally {
      System.setOut(out);
    }
    assertFalse(printed.toString(StandardCharsets.UTF_8).isBlank());
  }
}
