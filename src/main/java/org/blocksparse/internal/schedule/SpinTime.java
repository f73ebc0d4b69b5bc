// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.schedule;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** The time for which helpers spin after an operation. */
final class SpinTime {
  static final String PROPERTY = "blocksparse.spin.micros";

  /** About the cost of waking a thread of an idle processor. */
  private static final long WAKING_NANOS = TimeUnit.MICROSECONDS.toNanos(200);

  private static final long UNKNOWN = -1;

  /** The time of helpers that do not spin. */
  static final SpinTime ZERO = new SpinTime(0);

  /**
   * The time of the system property. Without it, helpers do not spin under a CPU quota, which
   * spinning would use up; otherwise for about as long as waking takes.
   */
  static final SpinTime DEFAULT = new SpinTime(UNKNOWN);

  private volatile long nanos;

  private SpinTime(long nanos) {
    this.nanos = nanos;
  }

  static SpinTime ofNanos(long nanos) {
    return new SpinTime(nanos);
  }

  /**
   * Returns the nanoseconds.
   *
   * @throws IllegalArgumentException if the system property is no time
   */
  long nanos() {
    if (nanos == UNKNOWN) {
      nanos = fromEnvironment();
    }
    return nanos;
  }

  static long fromEnvironment() {
    String micros = System.getProperty(PROPERTY);
    if (micros == null) {
      return hasQuota(Path.of("/proc/self/cgroup"), Path.of("/sys/fs/cgroup")) ? 0 : WAKING_NANOS;
    }
    if (!micros.matches("\\d{1,10}")) {
      throw new IllegalArgumentException(
          PROPERTY + ": expected microseconds, such as 200, but was " + micros);
    }
    return TimeUnit.MICROSECONDS.toNanos(Long.parseLong(micros));
  }

  /**
   * Returns whether Linux limits the processor time of this process: {@code cpu.max} of version 2
   * of control groups, or {@code cpu.cfs_quota_us} of version 1, of its group or one above. A
   * container may see the path of its group on the host, but only its own files, in {@code root}.
   *
   * @param groups the groups of the process, a line {@code ID:CONTROLLERS:PATH} for each
   * @param root the mount point of control groups
   */
  static boolean hasQuota(Path groups, Path root) {
    try {
      for (String line : Files.readAllLines(groups)) {
        String[] parts = line.split(":", 3);
        if (parts.length < 3) {
          continue;
        }
        boolean second = parts[1].isEmpty();
        if (second || parts[1].matches("(.*,)?cpu(,.*)?")) {
          Path mount = second ? root : root.resolve(parts[1]);
          if (!Files.isDirectory(mount)) {
            mount = root.resolve("cpu"); // a link, whatever the order of the names
          }
          String name = second ? "cpu.max" : "cpu.cfs_quota_us";
          Path group = mount.resolve(parts[2].substring(1)).normalize();
          for (; group.startsWith(mount) && !group.equals(mount); group = group.getParent()) {
            if (isQuota(group.resolve(name))) {
              return true;
            }
          }
          if (isQuota(mount.resolve(name))) {
            return true;
          }
        }
      }
      return false;
    } catch (IOException | RuntimeException e) {
      return false; // another system, or no permission to read
    }
  }

  private static boolean isQuota(Path file) throws IOException {
    return Files.isReadable(file) && Files.readString(file).matches("[1-9]\\d*\\s(?s:.*)");
  }
}
