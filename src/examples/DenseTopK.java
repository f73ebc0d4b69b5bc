///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import java.io.IOException;
import java.nio.*;
import java.nio.file.*;
import java.util.*;
import org.blocksparse.*;
import org.blocksparse.io.*;
import org.blocksparse.linear.*;

class DenseTopK {
  public static void main(String[] args) throws IOException {
    Path folder = Files.createTempDirectory("heads");
    Path gguf = Files.write(folder.resolve("model.gguf"), small());
    Path safetensors = folder.resolve("model.safetensors");
    try (var head = FloatTensor.of(rows(), 100, 32)) {
      TensorFile.save(safetensors, Map.of("lm_head.weight", head));
    }
    try (var x = FloatTensor.zeros(1, 32)) {
      x.set(1, 0, 5);
      try (var model = GgufFile.open(gguf);
          var W = model.weights("output.weight");
          var head = DenseHead.of(W, null)) {
        System.out.println(head.topK(x, 40).output(0, 0)); // 99
      }
      try (var model = TensorFile.open(safetensors, LoadOptions.mapped());
          var W = model.weights("lm_head.weight");
          var head = DenseHead.of(W.transposeBlocks(), null)) {
        System.out.println(head.topK(x, 40).output(0, 0)); // 99
      }
    }
    nearest();
    for (Path path : List.of(gguf, safetensors, folder)) {
      Files.delete(path);
    }
  }

  /** The nearest of three points. */
  static void nearest() {
    var similarity = Similarity.SQUARED_DISTANCE;
    try (var x = FloatTensor.of(new float[] {3, 1}, 1, 2);
        var W = FloatTensor.of(new float[] {9, 1, 1, 0.5f, 3, 2}, 3, 2);
        var head = DenseHead.of(W, null, similarity, Workers.common())) {
      var nearest = head.topK(x, 1);
      System.out.println(nearest.output(0, 0)); // 2
      System.out.println(nearest.score(0, 0)); // -1.0
    }
  }

  /** The head: 100 outputs, whose scores are their number times feature 5. */
  static float[] rows() {
    float[] rows = new float[100 * 32];
    for (int output = 0; output < 100; output++) {
      rows[32 * output + 5] = output;
    }
    return rows;
  }

  /** A model of this head alone. */
  static byte[] small() {
    ByteBuffer bytes = ByteBuffer.allocate(96 + 4 * 100 * 32).order(ByteOrder.LITTLE_ENDIAN);
    bytes.put("GGUF".getBytes()).putInt(3).putLong(1).putLong(0); // a tensor
    bytes.putLong(13).put("output.weight".getBytes()).putInt(2).putLong(32).putLong(100);
    bytes.putInt(0).putLong(0); // float32, at the beginning of the data
    bytes.position(96);
    bytes.asFloatBuffer().put(rows());
    return bytes.array();
  }
}
