// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import com.code_intelligence.jazzer.junit.DictionaryEntries;
import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;

class ModelFuzzTest {
  /**
   * The header up to the first zero, then the data. What is made of it begins with the header's
   * length: it would take long to find one that fits.
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
        path -> load(path, LoadOptions.copyOnWrite()));
  }

  private static void load(Path file, LoadOptions options) throws IOException {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(file, options)) {
      for (int output = 0; output < layer.outputs(); output++) {
        int c = layer.assignment().classOf(output);
        if (c < 0) {
          continue; // it is retired
        }
        int slot = layer.assignment().slotOf(output);
        Fuzzing.require(layer.assignment().output(c, slot) == output, "no permutation");
        float weight = layer.W2().get(c, layer.features() - 1, slot);
        Fuzzing.require(
            Float.isFinite(weight) || options.memory() != LoadOptions.Memory.COPIED,
            "is not finite");
      }
      for (int output = 0; layer.hasLabels() && output < layer.labels().size(); output++) {
        try {
          int found = layer.labels().output(layer.labels().name(output));
          Fuzzing.require(
              found == output || options.memory() != LoadOptions.Memory.COPIED, "is not found");
        } catch (IllegalStateException e) {
          Fuzzing.require(options.memory() != LoadOptions.Memory.COPIED, "is not UTF-8");
        }
      }
    }
  }
}
