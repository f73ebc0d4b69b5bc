// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ServiceLoader;
import org.junit.jupiter.api.Test;
import org.junit.platform.launcher.TestExecutionListener;

/** The watch covers the tests of each project; HangTest, of the core, checks its output. */
final class HangWatchTest {
  @Test
  void isFound() {
    assertTrue(
        ServiceLoader.load(TestExecutionListener.class).stream()
            .anyMatch(listener -> listener.type() == HangWatch.class));
  }
}
