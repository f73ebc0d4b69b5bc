// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.IOException;
import org.blocksparse.Fuzzing;

class NpyFuzzTest {
  @FuzzTest(maxDuration = "8s")
  void files(byte[] input) throws IOException {
    Fuzzing.readsOrRefuses(
        input, file -> NpyFile.readFloats(file).close(), file -> NpyFile.readInts(file).close());
  }
}
