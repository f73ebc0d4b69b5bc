// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.schedule;

import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class SpinTimeTest {
  @TempDir Path root;

  private boolean hasQuota(String groups) throws IOException {
    return SpinTime.hasQuota(Files.writeString(root.resolve("groups"), groups), root);
  }

  private void write(String file, String content) throws IOException {
    Path path = root.resolve(file);
    Files.createDirectories(path.getParent());
    Files.writeString(path, content);
  }

  @Test
  void aQuotaOfVersion2() throws IOException {
    write("a/b/cpu.max", "max 100000\n");
    assertFalse(hasQuota("0::/a/b\n"));
    write("a/cpu.max", "50000 100000\n");
    assertTrue(hasQuota("0::/a/b\n"), "of the group above");
    assertFalse(hasQuota("0::/c\n"));
    write("cpu.max", "150000 100000\n");
    assertTrue(hasQuota("0::/\n"), "in a namespace of its own");
    assertTrue(hasQuota("0::/../d\n"), "beside the group of the namespace");
  }

  @Test
  void aQuotaOfVersion1() throws IOException {
    write("cpu,cpuacct/a/cpu.cfs_quota_us", "-1\n");
    assertFalse(hasQuota("4:memory:/a\n2:cpu,cpuacct:/a\n"));
    write("cpu,cpuacct/cpu.cfs_quota_us", "20000\n");
    assertTrue(hasQuota("4:memory:/a\n2:cpu,cpuacct:/a\n"));
    assertFalse(hasQuota("3:cpuset:/a\n"));
    write("cpu/cpu.cfs_quota_us", "30000\n");
    assertTrue(hasQuota("2:cpuacct,cpu:/docker/1\n"), "names in another order than the folder's");
  }

  @Test
  void noFilesNoQuota() throws IOException {
    assertFalse(SpinTime.hasQuota(root.resolve("none"), root));
    assertFalse(hasQuota("no group\n0::\n"));
  }

  @Test
  void theProperty() {
    String before = System.getProperty(SpinTime.PROPERTY);
    try {
      System.setProperty(SpinTime.PROPERTY, "1500");
      assertEquals(1_500_000, SpinTime.fromEnvironment());
      System.setProperty(SpinTime.PROPERTY, "1ms");
      assertRejects(
          "blocksparse.spin.micros: expected microseconds, such as 200, but was 1ms",
          SpinTime::fromEnvironment);
    } finally {
      if (before == null) {
        System.clearProperty(SpinTime.PROPERTY);
      } else {
        System.setProperty(SpinTime.PROPERTY, before);
      }
    }
  }
}
