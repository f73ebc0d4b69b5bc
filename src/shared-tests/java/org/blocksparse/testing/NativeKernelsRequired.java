// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import org.junit.platform.launcher.LauncherSession;
import org.junit.platform.launcher.LauncherSessionListener;

/**
 * Fails tests that would fall back to Java because the native library is missing, in Maven as in an
 * IDE. {@code -Dnative.skip} or a choice of {@code blocksparse.backend} permits it. JUnit's
 * launcher finds this class as a service.
 */
public final class NativeKernelsRequired implements LauncherSessionListener {
  private static final String BACKEND = "blocksparse.backend";

  @Override
  public void launcherSessionOpened(LauncherSession session) {
    if (!Boolean.getBoolean("native.skip") && System.getProperty(BACKEND) == null) {
      System.setProperty(BACKEND, "native");
    }
  }
}
