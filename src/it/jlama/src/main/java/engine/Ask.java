// SPDX-License-Identifier: Apache-2.0
package engine;

import com.github.tjake.jlama.safetensors.DType;
import com.github.tjake.jlama.safetensors.prompt.PromptContext;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.UUID;

class Ask {
  public static void main(String[] args) throws IOException {
    try (var model = ExpertsMixtral.load(Path.of(args[0]), Optional.of(DType.I8))) {
      PromptContext prompt = PromptContext.of("What is a sparse matrix?");
      var answer = model.generate(UUID.randomUUID(), prompt, 0, 200, (token, millis) -> {});
      System.out.println(answer.responseText);
    }
  }
}
