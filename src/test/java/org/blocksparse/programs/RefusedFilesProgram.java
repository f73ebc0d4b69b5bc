// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import org.blocksparse.FileFormatException;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.TensorFile;
import org.blocksparse.products.OptimizerState;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;

/**
 * Reads large invalid files in a JVM with 64 MB of heap in total; the main class of JVMs of {@code
 * HostileModelTest}.
 */
public final class RefusedFilesProgram {
  /** The kind of a model with a large text. */
  public static final String MODEL = "MODEL";

  private RefusedFilesProgram() {}

  /** The elements of the file's header. */
  public enum Kind {
    /** 99 MB of empty tensors. */
    TENSORS("", "\"t#\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},", 99_000_000),
    /** The maximum number of tensors that a header of an allowed length can have. */
    FEWER_TENSORS("", "\"t#\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},", 8_000_000),
    METADATA("\"__metadata__\":{", "\"#\":\"\",", 8_000_000),
    ONE_STRING("\"__metadata__\":{\"a\":\"", "#\u00e9", 8_000_000),
    ONE_WIDE_STRING("\"__metadata__\":{\"a\":\"\u65e5", "#", "\"}}", 8_000_000),
    /**
     * A string with one byte for each letter, in a header that is valid except for its last number.
     */
    WHOLE_STRING(
        "\"__metadata__\":{\"a\":\"",
        "#",
        "\"},\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
        8_000_000),
    WIDE_DTYPE("\"t\":{\"dtype\":\"\u65e5", "#", "\"}}", 8_000_000),
    /** Strings of the maximum length. */
    WIDE_STRINGS(
        "\"__metadata__\":{",
        "\"#\":\"\u65e5" + "a".repeat((2 << 20) - 1) + "\",",
        "\"z\":\"\"},\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
        8_000_000),
    ONE_KEY("\"__metadata__\":{\"", "#", 8_000_000),
    ONE_WIDE_KEY("\"__metadata__\":{\"\u65e5", "#", "\":\"\"}}", 8_000_000),
    LONG_STRING("\"__metadata__\":{\"a\":\"", "#", 99_000_000),
    DIMENSIONS("\"t\":{\"dtype\":\"F32\",\"shape\":[", "#,", 8_000_000),
    DIGITS("\"t\":{\"dtype\":\"F32\",\"shape\":[", "#", 8_000_000);

    private final String first;

    /** The repeated part, with a number in place of #. */
    private final String repeated;

    private final String last;
    private final int bytes;

    /** Makes a header without an end. */
    Kind(String first, String repeated, int bytes) {
      this(first, repeated, "", bytes);
    }

    Kind(String first, String repeated, String last, int bytes) {
      this.first = first;
      this.repeated = repeated;
      this.last = last;
      this.bytes = bytes;
    }

    /**
     * Writes the header, padded with spaces, and nothing else: a reader that reads all of it
     * rejects it.
     */
    public void write(Path file) throws IOException {
      try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(file))) {
        byte[] length = new byte[8];
        ByteBuffer.wrap(length).order(ByteOrder.LITTLE_ENDIAN).putLong(bytes);
        out.write(length);
        byte[] piece = ("{" + first).getBytes(UTF_8);
        byte[] end = last.getBytes(UTF_8);
        int left = bytes;
        for (int i = 0; left >= piece.length + end.length; i++) {
          out.write(piece);
          left -= piece.length;
          piece = repeated.replace("#", Integer.toString(i)).getBytes(UTF_8);
        }
        out.write(end);
        out.write(" ".repeat(left - end.length).getBytes(UTF_8));
      }
    }
  }

  /**
   * Reads a file.
   *
   * @param args its kind and its name
   */
  public static void main(String[] args) throws IOException {
    Path file = Path.of(args[1]);
    refuse(args[0], () -> HierarchicalSoftmax.load(file, LoadOptions.mapped()));
    if (args[0].equals(MODEL)) {
      return;
    }
    refuse(args[0], () -> LabelTree.load(file, LoadOptions.copied()));
    refuse(args[0], () -> EmbeddingBag.load(file, LoadOptions.copyOnWrite()));
    refuse(args[0], () -> TensorFile.open(file, LoadOptions.mapped()));
    refuse(args[0], () -> OptimizerState.load(file));
  }

  private interface Reading {
    AutoCloseable read() throws IOException;
  }

  private static void refuse(String kind, Reading reading) throws IOException {
    try {
      throw new AssertionError(reading.read() + " was made of " + kind);
    } catch (FileFormatException refused) {
      if (refused.getMessage().length() > 1000) {
        throw new AssertionError("a message of " + refused.getMessage().length() + " characters");
      }
    }
  }
}
