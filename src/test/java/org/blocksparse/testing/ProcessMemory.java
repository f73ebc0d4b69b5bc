// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** The memory of this process as the system reports it. */
public final class ProcessMemory {
  private static final Path STATUS = Path.of("/proc/self/status");

  private ProcessMemory() {}

  /** Returns whether the system reports it. */
  public static boolean isKnown() {
    return Files.exists(STATUS);
  }

  /** Returns the resident bytes. */
  public static long residentBytes() {
    return value("VmRSS:");
  }

  /** Returns the largest number of resident bytes so far. */
  public static long peakBytes() {
    return value("VmHWM:");
  }

  private static long value(String name) {
    try {
      for (String line : Files.readAllLines(STATUS)) {
        if (line.startsWith(name)) {
          return 1024 * Long.parseLong(line.replaceAll("[^0-9]", ""));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    throw new AssertionError("no " + name + " in " + STATUS);
  }
}
