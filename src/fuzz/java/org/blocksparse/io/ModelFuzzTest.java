// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import com.code_intelligence.jazzer.junit.DictionaryEntries;
import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.List;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.Fuzzing;
import org.blocksparse.SparseRows;
import org.blocksparse.Weights;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.experts.MixtureOfExperts;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.products.OptimizerState;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.TwoLevelLayer;

/** Model files of all kinds: each file is given to all readers that could load it. */
class ModelFuzzTest {
  /** The parameters of an optimizer state. */
  private static final FloatTensor WEIGHTS = FloatTensor.zeros(1, 2, 2, 3);

  private static final FloatTensor BIASES = FloatTensor.zeros(2, 3);

  /**
   * Takes the header up to the first zero, then the data. The test adds the length of the header: a
   * fuzzer would search long for a valid one.
   */
  @FuzzTest(maxDuration = "8s")
  @DictionaryEntries({
    "9223372036854775807",
    "18446744073709551616",
    "4294967296,4294967296",
    "[0",
    "-1",
    "F64",
    "BOOL",
    "\"shape\":[",
    "\"data_offsets\":[",
    "\"dtype\":\"",
    "\"W1\":{",
    "\"blocksparse.packed.W1\":\"",
    "\\\\u0000"
  })
  void files(byte[] input) throws IOException {
    int header = 0;
    while (header < input.length && input[header] != 0) {
      header++;
    }
    int data = Math.max(0, input.length - header - 1);
    byte[] file =
        ByteBuffer.allocate(8 + header + data)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putLong(header)
            .put(input, 0, header)
            .put(input, input.length - data, data)
            .array();
    Fuzzing.readsOrRefuses(
        file,
        path -> load(path, LoadOptions.copied()),
        path -> load(path, LoadOptions.mapped()),
        path -> load(path, LoadOptions.copyOnWrite()),
        path -> loadTree(path, LoadOptions.copied()),
        path -> loadTree(path, LoadOptions.mapped()),
        path -> loadBag(path, LoadOptions.copied()),
        path -> loadBag(path, LoadOptions.mapped()),
        path -> MixtureOfExperts.load(path, LoadOptions.copied()).close(),
        path -> MixtureOfExperts.load(path, LoadOptions.mapped()).close(),
        path -> loadTensors(path, LoadOptions.copied()),
        path -> loadTensors(path, LoadOptions.mapped()),
        path -> OptimizerState.load(path, WEIGHTS, BIASES).close());
  }

  private static void load(Path file, LoadOptions options) throws IOException {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(file, options)) {
      askFor(layer, options);
    }
  }

  private static void loadTree(Path file, LoadOptions options) throws IOException {
    try (LabelTree layer = LabelTree.load(file, options)) {
      askFor(layer, options);
    }
  }

  private static void askFor(TwoLevelLayer<?> layer, LoadOptions options) {
    if (layer.weightType() == ElementType.FLOAT32) {
      for (int output = 0; output < layer.outputs(); output++) {
        int c = layer.assignment().classOf(output);
        if (c < 0) {
          continue; // it is retired
        }
        int slot = layer.assignment().slotOf(output);
        Fuzzing.require(layer.assignment().output(c, slot) == output, "no permutation");
        float weight = layer.W2().get(c, layer.features() - 1, slot);
        Fuzzing.require(
            Float.isFinite(weight) || LoadSettings.from(options).isMapped(), "is not finite");
      }
    }
    for (int output = 0; layer.hasLabels() && output < layer.labels().size(); output++) {
      try {
        int found = layer.labels().output(layer.labels().name(output));
        Fuzzing.require(found == output || LoadSettings.from(options).isMapped(), "is not found");
      } catch (IllegalStateException e) {
        Fuzzing.require(LoadSettings.from(options).isMapped(), "is not UTF-8");
      }
    }
  }

  private static void loadBag(Path file, LoadOptions options) throws IOException {
    try (EmbeddingBag bag = EmbeddingBag.load(file, options);
        SparseRows last = SparseRows.of(List.of(new int[] {bag.vocabulary() - 1}));
        FloatTensor sums = bag.apply(last)) {
      Fuzzing.require(
          Float.isFinite(sums.get(0, bag.features() - 1))
              || bag.weightType() != ElementType.FLOAT32
              || LoadSettings.from(options).isMapped(),
          "is not finite");
    }
  }

  private static void widen(Weights weights) {
    try (weights) {
      weights.widened().close();
    }
  }

  private static void loadTensors(Path file, LoadOptions options) throws IOException {
    try (TensorFile tensors = TensorFile.open(file, options)) {
      for (String name : tensors.names()) {
        Fuzzing.readOrRefuse(same -> tensors.floats(name).close());
        Fuzzing.readOrRefuse(same -> tensors.ints(name).close());
        Fuzzing.readOrRefuse(same -> widen(tensors.weights(name)));
      }
    }
  }
}
