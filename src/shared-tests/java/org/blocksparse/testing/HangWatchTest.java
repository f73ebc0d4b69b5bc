// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ServiceLoader;
import org.junit.jupiter.api.Test;
import org.junit.platform.launcher.TestExecutionListener;

/** The tests of each project are watched; HangTest, of the core, sees what comes of it. */
final class HangWatchTest {
  @Test
  void isFound() {
    assertTrue(
        ServiceLoader.load(TestExecutionListener.class).stream()
            .anyMatch(listener -> listener.type() == HangWatch.class));
  }
}
