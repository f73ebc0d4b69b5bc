// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The rows of one part while a task trains it, sorted by hash and, where that is equal, by content.
 * The first 32 MiB are on the heap; the rest is in a mapped file in the temporary folder, so that
 * the system keeps as much of it in memory as there is room. Besides, each row takes 16 to 32 bytes
 * of the heap, and 12 more while an epoch is put into order.
 */
final class PartRows implements AutoCloseable {
  /**
   * The size of the first buffer, small since most classes have few rows; each further one is as
   * large as all before.
   */
  private static final int FIRST_BUFFER_BYTES = 64 << 10;

  private static final int BUFFER_BYTES = 4 << 20;
  private static final int HEAP_BYTES = 32 << 20;

  private final int features;
  private final List<ByteBuffer> buffers = new ArrayList<>();
  private long[] hashes = new long[64];

  /** The number of the buffer and the begin of each row in it. */
  private long[] places = new long[64];

  private int count;
  private int runBegin;

  /** The bytes of all buffers. */
  private long bytes;

  private Path file;
  private FileChannel channel;

  /** Starts without rows, for that many features each. */
  PartRows(int features) {
    this.features = features;
  }

  /** Adds a row whose hash is not less than that of the last. */
  void add(long hash, byte[] row) throws IOException {
    ByteBuffer last = buffers.isEmpty() ? null : buffers.get(buffers.size() - 1);
    if (last == null || last.remaining() < row.length) {
      long usual = Math.min(BUFFER_BYTES, Math.max(FIRST_BUFFER_BYTES, bytes));
      last = newBuffer((int) Math.max(usual, row.length));
      buffers.add(last);
      bytes += last.capacity();
    }
    if (count == hashes.length) {
      int length = Math.toIntExact(Math.min(Integer.MAX_VALUE - 8, 2L * count));
      hashes = Arrays.copyOf(hashes, length);
      places = Arrays.copyOf(places, length);
    }
    if (count > 0 && hashes[count - 1] != hash) {
      sortRun();
    }
    hashes[count] = hash;
    places[count] = (buffers.size() - 1L) << 32 | last.position();
    count++;
    last.put(row);
  }

  private ByteBuffer newBuffer(int size) throws IOException {
    if (bytes + size <= HEAP_BYTES) {
      return ByteBuffer.allocate(size);
    }
    if (channel == null) {
      file = Files.createTempFile("blocksparse-rows", null);
      channel =
          FileChannel.open(
              file,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE,
              StandardOpenOption.DELETE_ON_CLOSE);
    }
    long begin = channel.size();
    write(begin, size);
    return channel.map(MapMode.READ_WRITE, begin, size);
  }

  /**
   * Writes zeros, so that a full disk is an exception now: in a mapped hole it would be an
   * InternalError.
   */
  private void write(long begin, int size) throws IOException {
    ByteBuffer zeros = ByteBuffer.allocateDirect(FIRST_BUFFER_BYTES);
    try {
      for (long at = begin; at < begin + size; at += zeros.position()) {
        zeros.position(0).limit((int) Math.min(zeros.capacity(), begin + size - at));
        channel.write(zeros, at);
      }
    } catch (ClosedByInterruptException e) { // the task is ended
      throw e;
    } catch (IOException e) {
      throw new IOException(file + ": no room for rows: " + e.getMessage(), e);
    }
  }

  /** Ends the addition of rows. */
  void end() {
    sortRun();
  }

  /** Sorts rows with equal hashes, which rarely differ. */
  private void sortRun() {
    if (count - runBegin > 1) {
      Long[] run = Arrays.stream(places, runBegin, count).boxed().toArray(Long[]::new);
      Arrays.sort(run, (a, b) -> whole(a).compareTo(whole(b)));
      for (int i = 0; i < run.length; i++) {
        places[runBegin + i] = run[i];
      }
    }
    runBegin = count;
  }

  /** Returns a row; its bytes begin with its length. */
  private ByteBuffer whole(long place) {
    ByteBuffer row = at(place);
    return row.limit(row.position() + EncodedRow.length(row, features));
  }

  private ByteBuffer at(long place) {
    ByteBuffer buffer = buffers.get((int) (place >> 32)).duplicate().clear();
    return buffer.position((int) place);
  }

  int count() {
    return count;
  }

  /** Returns the rows in the order of an epoch: their numbers, for {@link #row}. */
  int[] order(RowOrder order, int epoch) {
    long[] positions = new long[count];
    for (int i = 0; i < count; i++) {
      // Signed order equals the unsigned one then.
      positions[i] = order.position(hashes[i], epoch) ^ Long.MIN_VALUE;
    }
    Arrays.sort(positions);
    int[] rows = new int[count];
    for (int i = 0; i < count; i++) {
      if (i > 0 && positions[i] == positions[i - 1]) {
        rows[i] = rows[i - 1] + 1;
      } else {
        rows[i] = first(order.hash(positions[i] ^ Long.MIN_VALUE, epoch));
      }
    }
    return rows;
  }

  /** Returns the first row with a hash. */
  private int first(long hash) {
    int row = Arrays.binarySearch(hashes, 0, count, hash);
    while (row > 0 && hashes[row - 1] == hash) {
      row--;
    }
    return row;
  }

  long hash(int row) {
    return hashes[row];
  }

  /** Returns a row, from the position of the buffer on. */
  ByteBuffer row(int row) {
    return at(places[row]);
  }

  @Override
  public void close() throws IOException {
    buffers.clear();
    if (channel != null) {
      channel.close();
      Files.deleteIfExists(file);
    }
  }
}
