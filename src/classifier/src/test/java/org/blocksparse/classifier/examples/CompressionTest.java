// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.github.luben.zstd.ZstdOutputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.GZIPOutputStream;
import org.apache.commons.compress.compressors.bzip2.BZip2CompressorOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tukaani.xz.LZMA2Options;
import org.tukaani.xz.XZOutputStream;

final class CompressionTest {
  private static final String TEXT = "__label__a one\n__label__b two\n";

  /** Returns texts compressed separately by one of the formats. */
  static byte[] compressed(Compression kind, String... texts) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (String text : texts) {
      try (OutputStream out = into(kind, bytes)) {
        out.write(text.getBytes(UTF_8));
      } catch (IOException e) {
        throw new AssertionError(e);
      }
    }
    return bytes.toByteArray();
  }

  private static OutputStream into(Compression kind, OutputStream bytes) throws IOException {
    return switch (kind) {
      case GZIP -> new GZIPOutputStream(bytes);
      case ZSTD -> new ZstdOutputStream(bytes).setChecksum(true);
      case XZ -> new XZOutputStream(bytes, new LZMA2Options(0));
      case BZIP2 -> new BZip2CompressorOutputStream(bytes, 1);
    };
  }

  private static List<String> read(byte[] file) throws IOException {
    try (ExampleReader reader = reader(file)) {
      return reader.examples().map(Example::toString).toList();
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  private static ExampleReader reader(byte[] file) throws IOException {
    InputStream in = new ByteArrayInputStream(file);
    return ExampleReader.read("input", in, ExampleFormat.AUTO, "__label__", false);
  }

  @ParameterizedTest
  @EnumSource
  void whatIsCompressed_isRead(Compression kind) throws IOException {
    List<String> expected = read(TEXT.getBytes(UTF_8));
    assertEquals(2, expected.size());
    assertEquals(expected, read(compressed(kind, TEXT)));
    assertEquals(expected, read(compressed(kind, TEXT.substring(0, 20), TEXT.substring(20))));
    assertEquals(expected, read(compressed(kind, "", TEXT, "")));
    assertEquals(List.of(), read(compressed(kind, "")));
    String lines = Texts.lines(5000, 9, 1);
    assertEquals(read(lines.getBytes(UTF_8)), read(compressed(kind, lines)));
  }

  /** RFC 8878: the low four bits of the magic number are free. */
  @Test
  void zstd_mayBeginWithAnyOfThe16FramesThatAreSkipped() throws IOException {
    for (int first = 0x50; first <= 0x5f; first++) {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      bytes.write(first);
      bytes.write(HexFormat.of().parseHex("2a4d1804000000aabbccdd"));
      bytes.write(compressed(Compression.ZSTD, TEXT));
      assertEquals(2, read(bytes.toByteArray()).size(), Integer.toHexString(first));
    }
  }

  @ParameterizedTest
  @EnumSource
  void whatIsCutShort_isRefused_wherever(Compression kind) {
    byte[] whole = compressed(kind, TEXT);
    for (int length = Compression.MOST_BYTES; length < whole.length; length++) {
      byte[] part = Arrays.copyOf(whole, length);
      IOException e = assertThrows(IOException.class, () -> read(part), () -> kind.toString());
      assertTrue(e.getMessage().startsWith("input: "), e::getMessage);
    }
  }

  @Test
  void xzWithGarbageAfterItsEnd_isNotSaidToBeCutOffAlone() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.writeBytes(compressed(Compression.XZ, TEXT));
    bytes.writeBytes(new byte[] {'g', 'a', 'r'}); // fewer bytes than a header
    IOException e = assertThrows(IOException.class, () -> read(bytes.toByteArray()));
    assertTrue(e.getMessage().endsWith(": is cut off, or garbage follows its end"), e::getMessage);
  }

  @ParameterizedTest
  @EnumSource
  void whatIsDamaged_isRefused(Compression kind) {
    byte[] whole = compressed(kind, TEXT.repeat(50));
    for (int at = Compression.MOST_BYTES; at < whole.length; at++) {
      byte[] damaged = whole.clone();
      damaged[at] ^= 0x10;
      try {
        assertEquals(100, read(damaged).size());
      } catch (IOException | InvalidInputException e) { // some check the end after reading
        assertTrue(e.getMessage().startsWith("input: "), e::getMessage);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void whatIsCompressedTwice_isRefused(Compression kind) throws IOException {
    byte[] inner = compressed(kind, TEXT);
    for (Compression outer : Compression.values()) {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      try (OutputStream out = into(outer, bytes)) {
        out.write(inner);
      }
      IOException e = assertThrows(IOException.class, () -> read(bytes.toByteArray()));
      String problem = "input: is compressed by " + kind + ", and once more;";
      assertTrue(e.getMessage().startsWith(problem), e::getMessage);
    }
  }

  /** A sender of a line gets its answer, whatever the line begins with. */
  @Test
  void noMoreIsReadThanTellsTheKind() throws IOException {
    for (String text : List.of("\n", "a", "BZ\n", "BZh9\n", "(a", "P*a", "\u001fa", "\u00fd7zX_")) {
      byte[] bytes = text.getBytes(ISO_8859_1);
      InputStream all =
          new ByteArrayInputStream(bytes) {
            @Override
            public synchronized int read() {
              assertTrue(pos < count, () -> "reads on after " + text);
              return super.read();
            }

            @Override
            public synchronized int read(byte[] to, int offset, int length) {
              throw new AssertionError("reads more than a byte of " + text);
            }
          };
      assertTrue(Compression.ofNext(all).isEmpty());
      assertEquals(bytes.length, all.available());
    }
  }

  /** The header alone leads to the rejection: nothing has been decompressed. */
  @Test
  void xz_thatNeedsMuchMemory_isRefused() throws IOException {
    byte[] file = compressed(Compression.XZ, TEXT);
    int block = 12; // after the header of the stream
    int bytes = 4 * (file[block] + 1);
    assertEquals(0x21, file[block + 2]); // LZMA2
    for (Map.Entry<Integer, Boolean> size : Map.of(28, true, 29, false, 37, false).entrySet()) {
      byte[] changed = file.clone();
      changed[block + 4] = (byte) (int) size.getKey(); // 64, 96 and 1536 MB
      CRC32 sum = new CRC32();
      sum.update(changed, block, bytes - 4);
      ByteBuffer.wrap(changed)
          .order(ByteOrder.LITTLE_ENDIAN)
          .putInt(block + bytes - 4, (int) sum.getValue());
      if (size.getValue()) {
        assertEquals(2, read(changed).size());
      } else {
        IOException e = assertThrows(IOException.class, () -> read(changed));
        assertTrue(e.getMessage().startsWith("input: xz: needs too much memory"), e::getMessage);
      }
    }
  }

  @Test
  void zstd_thatNeedsMuchMemory_isRefused() throws IOException {
    // A frame with one raw block of 13 bytes, and a window of 128 MB or 2 GB.
    String text = HexFormat.of().formatHex("__label__a b\n".getBytes(UTF_8));
    String frame = "28b52ffd00%s690000" + text;
    assertEquals(1, read(HexFormat.of().parseHex(frame.formatted("88"))).size());
    byte[] large = HexFormat.of().parseHex(frame.formatted("a8"));
    IOException e = assertThrows(IOException.class, () -> read(large));
    assertTrue(e.getMessage().startsWith("input: zstd: cannot be decompressed"), e::getMessage);
  }

  /** A loader of this project's classes that hides some others. */
  private static final class Without extends URLClassLoader {
    private final List<String> refused;

    Without(List<String> refused) {
      super(
          new URL[] {ExampleReader.class.getProtectionDomain().getCodeSource().getLocation()},
          ExampleReader.class.getClassLoader());
      this.refused = refused;
    }

    @Override
    protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
      if (refused.stream().anyMatch(name::startsWith)) {
        throw new ClassNotFoundException(name);
      }
      boolean own = name.startsWith("org.blocksparse.classifier.");
      boolean library = name.startsWith("org.apache.commons.compress.");
      if (!own && !library) {
        return super.loadClass(name, resolve);
      }
      synchronized (getClassLoadingLock(name)) {
        Class<?> loaded = findLoadedClass(name);
        return loaded != null ? loaded : own ? findClass(name) : define(name);
      }
    }

    /** Defines the class here, so that it looks for its dependencies here. */
    private Class<?> define(String name) throws ClassNotFoundException {
      try (InputStream in = getParent().getResourceAsStream(name.replace('.', '/') + ".class")) {
        if (in == null) {
          throw new ClassNotFoundException(name);
        }
        byte[] bytes = in.readAllBytes();
        return defineClass(name, bytes, 0, bytes.length);
      } catch (IOException e) {
        throw new ClassNotFoundException(name, e);
      }
    }
  }

  @Test
  void missingLibrariesAreNamed_andGzipNeedsNone() throws Exception {
    List<String> all = List.of("org.apache.commons.compress", "com.github.luben", "org.tukaani");
    for (Compression kind : Compression.values()) {
      for (String missing : all) {
        try (Without loader = new Without(List.of(missing))) {
          boolean needed =
              kind != Compression.GZIP
                  && (missing.equals(all.get(0))
                      || (missing.equals(all.get(1)) && kind == Compression.ZSTD)
                      || (missing.equals(all.get(2)) && kind == Compression.XZ));
          String problem = problemOf(loader, compressed(kind, TEXT));
          assertTrue(
              needed
                  ? problem.startsWith(
                          "input: is compressed by "
                              + kind
                              + ", which needs org.apache.commons:commons-compress")
                      && problem.contains(" on the class path")
                  : problem.isEmpty(),
              kind + " without " + missing + ": " + problem);
        }
      }
    }
  }

  private static String problemOf(ClassLoader loader, byte[] file) throws Exception {
    Class<?> format = loader.loadClass(ExampleFormat.class.getName());
    Method read =
        loader
            .loadClass(ExampleReader.class.getName())
            .getMethod(
                "read", String.class, InputStream.class, format, String.class, boolean.class);
    try {
      Object reader =
          read.invoke(
              null,
              "input",
              new ByteArrayInputStream(file),
              format.getEnumConstants()[0],
              "__label__",
              false);
      ((AutoCloseable) reader).close();
      return "";
    } catch (InvocationTargetException e) {
      return e.getCause().getMessage();
    }
  }
}
