// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.IOException;
import org.blocksparse.Fuzzing;

class ClassTextFuzzTest {
  @FuzzTest(maxDuration = "8s")
  void files(byte[] input) throws IOException {
    Fuzzing.readsOrRefuses(
        input,
        file -> {
          ClassAssignment classes = ClassAssignment.read(file);
          classes.output(classes.classCount() - 1, 0);
        });
  }
}
