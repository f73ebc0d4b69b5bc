// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.blocksparse.testing.Failures.assertFails;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Mistakes of new users, and the message for each: argument, expected, found, remedy. */
final class MessagesTest {
  /** The beginning of a fastText file, read as the length of a header, is a meaningless number. */
  @Test
  void aModelOfFastTextIsNamed(@TempDir Path folder) throws Exception {
    Path file = folder.resolve("model.bin");
    ByteBuffer bytes = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
    Files.write(file, bytes.putInt(793712314).putInt(12).array());
    assertFails(
        FileFormatException.class,
        file
            + ": header: expected a safetensors file, but it is a model of fastText, which the"
            + " classifier reads",
        () -> HierarchicalSoftmax.load(file));
  }

  @Test
  void outputsThatTheHeapCannotHoldAreRefusedByTheirNumber() {
    long heap = Runtime.getRuntime().maxMemory();
    assumeTrue(heap < 8_000_000_000L);
    assertFails(
        OutOfMemoryError.class,
        "outputs: the classes of 2000000000 outputs take 8000000000 bytes of the Java heap, which"
            + " has "
            + heap
            + "; java -Xmx sets its size",
        () -> HierarchicalSoftmax.builder(300_000, 2_000_000_000).build());
  }
}
