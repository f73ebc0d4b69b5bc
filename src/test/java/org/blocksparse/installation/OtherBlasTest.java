// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.installation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.blocksparse.programs.OtherBlasProgram;
import org.blocksparse.testing.ChildJvm;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Another user of the same OpenBLAS in the process, which sets it to two threads. */
final class OtherBlasTest extends Installation {
  /**
   * Both get right results, whatever the number of threads; this library sets it to 1 where its
   * kernels may call OpenBLAS, unless told to keep it. The self-test does not call it for that
   * alone.
   */
  @ParameterizedTest
  @CsvSource({
    "other first,blas,,1,1",
    "other first,blas,keep,2,2",
    "other first,tile,,2,1",
    "we first,blas,,1,1",
    "we first,blas,keep,,"
  })
  void bothAreRight(
      String order,
      String path,
      String setting,
      String threadsAfterLoad,
      String threadsAfterChoice) {
    ChildJvm jvm = jvm().option("-Xmx128m").property("blocksparse.path", path);
    if (setting != null) {
      jvm.property("blocksparse.openblas.threads", setting);
    }
    ChildJvm.Result result = jvm.run(OtherBlasProgram.class, order);
    assertEquals(0, result.exit(), result::toString);
    assertTrue(result.output().contains("all exact"), result::toString);
    if (Runtime.getRuntime().availableProcessors() > 1 && threadsAfterLoad != null) {
      assertThreads(threadsAfterLoad, "load", result);
      assertThreads(threadsAfterLoad, "self-test", result);
      assertThreads(threadsAfterChoice, "choice of OpenBLAS", result);
    }
    if (order.equals("other first")) {
      assertTrue(
          result.output().contains("after theirs: 2" + System.lineSeparator()),
          () -> "it is not the same OpenBLAS: " + result);
    }
  }

  private static void assertThreads(String expected, String when, ChildJvm.Result result) {
    assertTrue(
        result.output().contains("after " + when + ": " + expected + System.lineSeparator()),
        result::toString);
  }
}
