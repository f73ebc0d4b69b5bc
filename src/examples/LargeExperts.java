///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import java.io.IOException;
import java.nio.file.*;
import org.blocksparse.*;
import org.blocksparse.experts.*;
import org.blocksparse.io.*;

class LargeExperts {
  public static void main(String[] args) throws IOException {
    Path file = Files.createTempFile("layer", ".safetensors");
    try (var floats = MixtureOfExperts.builder(32, 64, TopKGate.of(8, 2)).build();
        var packed = floats.withWeights(ElementType.Q4_0)) {
      packed.save(file);
    }
    try (var cache = ExpertCache.ofBytes(1 << 16); // for all layers of a model
        var layer = MixtureOfExperts.load(file, LoadOptions.mapped(), cache);
        var token = FloatTensor.of(new float[32], 1, 32);
        var out = FloatTensor.zeros(1, 32)) {
      layer.apply(token, out); // reads two experts
      layer.apply(token, out);
      System.out.println(layer.memoryUse().misses() + " " + layer.memoryUse().hits()); // 2 2
    }
    Files.delete(file);
  }
}
