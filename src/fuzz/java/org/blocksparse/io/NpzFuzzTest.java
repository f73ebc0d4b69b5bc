// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.IOException;
import java.nio.file.Path;
import org.blocksparse.Fuzzing;

class NpzFuzzTest {
  @FuzzTest(maxDuration = "8s")
  void files(byte[] input) throws IOException {
    Fuzzing.readsOrRefuses(input, NpzFuzzTest::readAll);
  }

  /** One invalid array does not hide the others. */
  private static void readAll(Path file) throws IOException {
    try (NpzFile archive = NpzFile.open(file)) {
      for (String name : archive.names()) {
        Fuzzing.readOrRefuse(same -> archive.floats(name).close());
        Fuzzing.readOrRefuse(same -> archive.ints(name).close());
      }
    }
  }
}
