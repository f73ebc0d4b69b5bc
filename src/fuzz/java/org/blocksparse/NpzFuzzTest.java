// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.IOException;
import java.nio.file.Path;

class NpzFuzzTest {
  private interface Array {
    AutoCloseable read(NpzFile archive, String name) throws IOException;
  }

  @FuzzTest(maxDuration = "8s")
  void files(byte[] input) throws IOException {
    Fuzzing.readsOrRefuses(
        input, file -> readAll(file, NpzFile::floats), file -> readAll(file, NpzFile::ints));
  }

  /** One bad array does not hide the others. */
  private static void readAll(Path file, Array array) throws IOException {
    try (NpzFile archive = NpzFile.open(file)) {
      for (String name : archive.names()) {
        try (AutoCloseable read = array.read(archive, name)) {
          Fuzzing.require(read != null, name);
        } catch (FileFormatException refused) {
          Fuzzing.require(refused.file().equals(file), refused.toString());
        } catch (IOException | RuntimeException e) {
          throw e;
        } catch (Exception e) {
          throw new AssertionError(e);
        }
      }
    }
  }
}
