///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import java.io.IOException;
import java.nio.file.*;
import org.blocksparse.*;
import org.blocksparse.io.*;
import org.blocksparse.products.*;

class FewerBits {
  public static void main(String[] args) throws IOException {
    Path file = Files.createTempFile("layer", ".safetensors");
    // 2 x 3 blocks of 2 x 2; block W[i, j] is filled with 10 i + j.
    float[] weights = {
      0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 10, 10, 10, 10, 11, 11, 11, 11, 12, 12, 12, 12
    };
    try (var W = FloatTensor.of(weights, 2, 3, 2, 2);
        var b = FloatTensor.of(new float[] {100, 100, 200, 200, 300, 300}, 3, 2)) {
      saveInFewerBits(W, b, file);
    }
    try (var h = FloatTensor.of(new float[] {1, 2, 3, 4}, 2, 1, 2);
        var inputIdx = IntTensor.of(new int[] {0, 1}, 2, 1);
        var outputIdx = IntTensor.of(new int[] {2, 0, 1, 2}, 2, 2);
        var plan = BlockPlan.of(inputIdx, outputIdx, 2, 3);
        var out = serve(file, h, plan)) {
      System.out.println(Math.round(out.get(1, 0, 0))); // 277
    }
    Files.delete(file);
  }

  /** Saves a layer with W in 8 bits, a quarter of the bytes, rounded while it is written. */
  static void saveInFewerBits(FloatTensor W, FloatTensor b, Path file) throws IOException {
    TensorFile.save(file, NamedTensors.none().with("W", W, ElementType.INT8).with("b", b));
  }

  /** The output of the layer for a batch; W is read where it lies in the file. */
  static FloatTensor serve(Path file, FloatTensor h, BlockPlan plan) throws IOException {
    try (var tensors = TensorFile.open(file, LoadOptions.mapped());
        var W = tensors.weights("W");
        var b = tensors.floats("b")) {
      Epilogue relu = Epilogue.none().withBias(b).withActivation(Activation.RELU);
      return SparseBlockDot.apply(W, h, plan, relu);
    }
  }
}
