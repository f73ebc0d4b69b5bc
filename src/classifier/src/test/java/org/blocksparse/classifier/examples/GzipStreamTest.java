// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.Random;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;

final class GzipStreamTest {
  private static final int FLAGS_AT = 3;
  private static final int HEADER = 10;
  private static final int TRAILER = 8;

  private static byte[] zipped(byte[] content) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (GZIPOutputStream out = new GZIPOutputStream(bytes)) {
      out.write(content);
    }
    return bytes.toByteArray();
  }

  private static byte[] zipped(String content) throws IOException {
    return zipped(content.getBytes(UTF_8));
  }

  private static byte[] joined(byte[]... parts) {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    for (byte[] part : parts) {
      all.writeBytes(part);
    }
    return all.toByteArray();
  }

  private static byte[] read(byte[] zipped) throws IOException {
    try (GzipStream in = new GzipStream(new ByteArrayInputStream(zipped))) {
      return in.readAllBytes();
    }
  }

  /** Returns a stream that gives one byte at a time, and never has another available. */
  private static InputStream slow(byte[] bytes) {
    return new FilterInputStream(new ByteArrayInputStream(bytes)) {
      @Override
      public int read(byte[] to, int offset, int length) throws IOException {
        return super.read(to, offset, Math.min(1, length));
      }

      @Override
      public int available() {
        return 0;
      }
    };
  }

  @Test
  void allMembers_areRead_fromASlowPipeAsWell() throws IOException {
    byte[] random = new byte[200_000];
    new Random(1).nextBytes(random);
    byte[] file = joined(zipped("one "), zipped(""), zipped(random), zipped(" two"));
    byte[] expected = joined("one ".getBytes(UTF_8), random, " two".getBytes(UTF_8));
    assertArrayEquals(expected, read(file));
    try (GzipStream in = new GzipStream(slow(file))) {
      assertArrayEquals(expected, in.readAllBytes());
    }
  }

  @Test
  void closed_isNotRead() throws IOException {
    GzipStream in = new GzipStream(new ByteArrayInputStream(zipped("one")));
    in.close();
    assertThrows(IOException.class, in::read);
  }

  @Test
  void zeros_afterTheLastMember_areNone() throws IOException {
    byte[] expected = "one".getBytes(UTF_8);
    for (int zeros : new int[] {1, 512, 200_000}) {
      byte[] file = joined(zipped("one"), new byte[zeros]);
      assertArrayEquals(expected, read(file));
      try (GzipStream in = new GzipStream(slow(file))) {
        assertArrayEquals(expected, in.readAllBytes());
      }
    }
    assertThrows(IOException.class, () -> read(joined(zipped("one"), new byte[] {0, 1})));
  }

  @Test
  void whatHasCome_isGiven_beforeThereIsMore() throws IOException {
    byte[] first = zipped("one");
    byte[] file = joined(first, zipped("two"));
    InputStream waiting =
        new FilterInputStream(new ByteArrayInputStream(file)) {
          private int given;

          @Override
          public int read(byte[] to, int offset, int length) throws IOException {
            if (given == first.length) {
              throw new IOException("would wait");
            }
            int count = super.read(to, offset, Math.min(length, first.length - given));
            given += count;
            return count;
          }
        };
    try (GzipStream in = new GzipStream(waiting)) {
      assertEquals("one", new String(in.readNBytes(3), UTF_8));
      assertEquals("would wait", assertThrows(IOException.class, in::read).getMessage());
    }
  }

  @Test
  void headers_mayHoldAllThereIs() throws IOException {
    byte[] plain = zipped("content");
    byte[] header = Arrays.copyOf(plain, HEADER);
    header[FLAGS_AT] = 2 + 4 + 8 + 16;
    byte[] more = "\u0003\0xyzname\0comment\0ss".getBytes(UTF_8);
    byte[] rest = Arrays.copyOfRange(plain, HEADER, plain.length);
    assertEquals("content", new String(read(joined(header, more, rest)), UTF_8));
    header[FLAGS_AT] = (byte) 0x80;
    assertThrows(IOException.class, () -> read(joined(header, rest)));
  }

  @Test
  void damage_isTold_behindAGoodMemberToo() throws IOException {
    byte[] good = zipped("good");
    for (String rest :
        new String[] {"x", "xyz", "something that nobody has compressed, and long"}) {
      assertThrows(IOException.class, () -> read(joined(good, rest.getBytes(UTF_8))), rest);
    }
    byte[] two = joined(good, zipped("a second one"));
    for (int length = good.length + 1; length < two.length; length++) {
      byte[] cut = Arrays.copyOf(two, length);
      assertTrue(assertThrows(IOException.class, () -> read(cut)).getMessage().contains("cut off"));
    }
    for (int at = two.length - TRAILER; at < two.length; at++) {
      byte[] changed = two.clone();
      changed[at] ^= 1;
      assertThrows(IOException.class, () -> read(changed));
    }
  }
}
