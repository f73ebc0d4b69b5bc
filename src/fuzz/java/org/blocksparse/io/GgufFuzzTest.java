// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import com.code_intelligence.jazzer.junit.DictionaryEntries;
import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.IOException;
import java.nio.file.Path;
import org.blocksparse.Activation;
import org.blocksparse.Fuzzing;
import org.blocksparse.Weights;
import org.blocksparse.experts.MixtureOfExperts;

class GgufFuzzTest {
  @FuzzTest(maxDuration = "8s")
  @DictionaryEntries({
    "GGUF\\x03",
    "general.alignment\\x04",
    "general.architecture\\x08",
    "deepseek2",
    "gemma4",
    ".expert_used_count\\x04",
    ".expert_gating_func\\x04",
    ".expert_weights_scale\\x06",
    ".expert_group_count\\x04",
    "blk.0.ffn_up_exps.weight\\x03",
    "blk.0.ffn_up_shexp.weight\\x02",
    "blk.0.ffn_down_exps.scale\\x01",
    "blk.0.exp_probs_b.bias\\x01"
  })
  void files(byte[] input) throws IOException {
    Fuzzing.readsOrRefuses(input, GgufFuzzTest::readAll);
  }

  /** One invalid tensor does not hide the others. */
  private static void readAll(Path file) throws IOException {
    try (GgufFile gguf = GgufFile.open(file)) {
      Fuzzing.require(!gguf.metadata().toString().isEmpty(), "no text");
      for (String name : gguf.tensors().keySet()) {
        Fuzzing.readOrRefuse(same -> gguf.floats(name).close());
        Fuzzing.readOrRefuse(same -> widen(gguf, name));
      }
      Fuzzing.readOrRefuse(same -> MixtureOfExperts.of(gguf, 0).close());
      Fuzzing.readOrRefuse(same -> MixtureOfExperts.of(gguf, 0, null, Activation.SWIGLU).close());
    }
  }

  private static void widen(GgufFile gguf, String name) throws IOException {
    try (Weights weights = gguf.weights(name)) {
      weights.widened().close();
    }
  }
}
