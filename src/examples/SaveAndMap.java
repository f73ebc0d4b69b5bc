///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import java.io.IOException;
import java.nio.file.*;
import java.util.Map;
import org.blocksparse.*;
import org.blocksparse.io.*;
import org.blocksparse.softmax.*;

class SaveAndMap {
  public static void main(String[] args) throws IOException {
    Path file = Files.createTempFile("layer", ".safetensors");
    SaveOptions options = SaveOptions.defaults().withMetadata(Map.of("trained on", "reviews"));
    try (var layer = HierarchicalSoftmax.builder(2, 1000).build();
        var x = FloatTensor.of(new float[] {1, 0}, 1, 2);
        var label = IntTensor.of(new int[] {42}, 1)) {
      for (int step = 0; step < 20; step++) {
        layer.step(x, label, Optimizer.adagrad(0.5f));
      }
      layer.save(file, options);
      try (var mapped = HierarchicalSoftmax.load(file, LoadOptions.mapped())) {
        System.out.println(mapped.metadata()); // {trained on=reviews}
        System.out.println(mapped.topK(x, 1).output(0, 0)); // 42
      }
    }
    Files.delete(file);
  }
}
