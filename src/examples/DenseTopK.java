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

  /** Cosines and distances of three points to the point (3, 1). */
  static void nearest() {
    float[] points = {9, 1, 1, 0.5f, 3, 2};
    float[] directions = new float[6];
    float[] bias = new float[3];
    for (int i = 0; i < 3; i++) {
      float a = points[2 * i];
      float b = points[2 * i + 1];
      double length = Math.hypot(a, b);
      directions[2 * i] = (float) (a / length);
      directions[2 * i + 1] = (float) (b / length);
      bias[i] = (float) (-length * length / 2);
    }
    try (var x = FloatTensor.of(new float[] {3, 1}, 1, 2);
        var W = FloatTensor.of(points, 3, 2);
        var halfSquares = FloatTensor.of(bias, 3);
        var scaled = FloatTensor.of(directions, 3, 2);
        var products = DenseHead.of(W, null);
        var distances = DenseHead.of(W, halfSquares);
        var cosines = DenseHead.of(scaled, null)) {
      System.out.println(products.topK(x, 1).output(0, 0)); // 0
      var nearest = distances.topK(x, 1);
      System.out.println(nearest.output(0, 0)); // 2
      System.out.println(10 - 2 * nearest.score(0, 0)); // 1.0
      System.out.println(cosines.topK(x, 1).output(0, 0)); // 1
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
