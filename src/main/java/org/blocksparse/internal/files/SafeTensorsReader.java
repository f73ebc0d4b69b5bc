// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.Map;
import java.util.function.Function;
import org.blocksparse.Progress;
import org.blocksparse.internal.memory.MappedFile;
import org.blocksparse.internal.memory.Storage;

/**
 * Reads a safetensors file that anybody may have written: its header as a whole, its tensors as
 * they are asked for, into memory or where they lie.
 *
 * <p>The memory that it makes is freed with it, unless it is kept: whatever fails on the way, one
 * {@code close} is enough.
 */
public final class SafeTensorsReader implements AutoCloseable {
  /** The elements that are copied at a time. */
  private static final int PIECE = 1 << 20;

  /** The source of the bytes. */
  private interface Input extends Closeable {
    void read(long position, ByteBuffer into) throws IOException;

    /** Returns a buffer to read into. */
    default ByteBuffer buffer(int length) {
      return ByteBuffer.allocateDirect(length);
    }
  }

  private record Channel(SeekableByteChannel channel) implements Input {
    @Override
    public void read(long position, ByteBuffer into) throws IOException {
      MappedFile.readFully(channel, position, into);
    }

    @Override
    public void close() throws IOException {
      channel.close();
    }
  }

  /** A file of the system that several threads read: an interrupt of one does not close it. */
  private record Shared(RandomAccessFile file) implements Input {
    @Override
    public void read(long position, ByteBuffer into) throws IOException {
      if (Thread.currentThread().isInterrupted()) {
        throw new InterruptedIOException("the thread that reads was interrupted");
      }
      file.seek(position);
      file.readFully(into.array(), into.arrayOffset() + into.position(), into.remaining());
      into.position(into.limit());
    }

    @Override
    public ByteBuffer buffer(int length) {
      return ByteBuffer.allocate(length);
    }

    @Override
    public void close() throws IOException {
      file.close();
    }
  }

  private record Mapping(MappedFile file) implements Input {
    @Override
    public void read(long position, ByteBuffer into) throws IOException {
      file.read(position, into);
    }

    @Override
    public void close() {
      file.close();
    }
  }

  /** The values that a tensor may have. */
  public enum Values {
    FINITE,
    FINITE_AND_NOT_NEGATIVE
  }

  private final Input input;
  private final long fileBytes;

  private final ArrayList<Storage> made = new ArrayList<>();
  private SafeTensorsHeader header;
  private long dataBegin;
  private ByteBuffer bytes;
  private Progress progress = (done, total) -> {};
  private long bytesRead;
  private long bytesToRead;

  private SafeTensorsReader(Input input, long fileBytes) {
    this.input = input;
    this.fileBytes = fileBytes;
  }

  /**
   * Opens a file of any file system, to read from it.
   *
   * @throws MalformedException if it is not a safetensors file
   */
  public static SafeTensorsReader open(Path file) throws IOException {
    SeekableByteChannel channel = Files.newByteChannel(RegularFile.require(file));
    return begin(new Channel(channel), channel::size);
  }

  /**
   * Opens a file as {@link #open} does, for several threads, which read one after the other. If the
   * file is one of the system, an interrupt of a reading thread ends only its own read.
   *
   * @throws MalformedException if it is not a safetensors file
   */
  public static SafeTensorsReader openShared(Path file) throws IOException {
    if (file.getFileSystem() != FileSystems.getDefault()) {
      return open(file);
    }
    Files.newByteChannel(RegularFile.require(file)).close(); // throws if it cannot be read
    RandomAccessFile shared = new RandomAccessFile(file.toFile(), "r");
    return begin(new Shared(shared), shared::length);
  }

  /**
   * Opens a file of the system, to use a tensor in place.
   *
   * @param damage makes the exception of a file that has shrunk
   * @throws MalformedException if it is not a safetensors file
   * @throws UnsupportedOperationException if the file cannot be used where it lies
   */
  public static SafeTensorsReader map(
      Path file, boolean copyOnWrite, Function<Path, IOException> damage) throws IOException {
    if (Files.size(RegularFile.require(file)) == 0) {
      throw new MalformedException("file", "is empty");
    }
    MappedFile mapping = MappedFile.open(file, copyOnWrite, damage);
    return begin(new Mapping(mapping), mapping::bytes);
  }

  private interface Size {
    long bytes() throws IOException;
  }

  private static SafeTensorsReader begin(Input input, Size size) throws IOException {
    try {
      SafeTensorsReader reader = new SafeTensorsReader(input, size.bytes());
      reader.readHeader();
      return reader;
    } catch (Throwable e) {
      try {
        input.close();
      } catch (IOException closing) {
        e.addSuppressed(closing);
      }
      throw e;
    }
  }

  private void readHeader() throws IOException {
    String part = SafeTensorsHeader.HEADER;
    if (fileBytes < Long.BYTES) {
      throw new MalformedException(part, "the file has only " + fileBytes + " bytes");
    }
    try {
      ByteBuffer first = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
      input.read(0, first);
      long length = first.getLong(0);
      if (isText(first.array())) {
        throw new MalformedException(
            part,
            "expected a safetensors file, but it begins with the text \""
                + new String(first.array(), UTF_8).replaceAll("\\s+", " ")
                + '"');
      }
      String kind = otherKind(first.getInt(0));
      if (kind != null) {
        throw new MalformedException(part, "expected a safetensors file, but it is " + kind);
      }
      if (length < 2 || length > fileBytes - Long.BYTES) {
        throw new MalformedException(
            part,
            "its length "
                + Long.toUnsignedString(length)
                + " does not fit into a file of "
                + fileBytes
                + " bytes");
      }
      if (length > SafeTensorsHeader.LONGEST) {
        throw new MalformedException(
            part, "its length " + length + " is above the limit, " + SafeTensorsHeader.LONGEST);
      }
      ByteBuffer brace = ByteBuffer.allocate(1);
      input.read(Long.BYTES, brace);
      if (brace.get(0) != '{') {
        throw new MalformedException(part, "does not begin with {");
      }
      dataBegin = Long.BYTES + length;
      header =
          SafeTensorsHeaderParser.parse(
              SafeTensorsHeader.json(), new Text(), fileBytes - dataBegin);
    } catch (EOFException e) {
      throw new MalformedException(part, "has shrunk while it was read", e);
    }
  }

  /**
   * Returns the kind of file that begins with these four bytes, which as a length would be above
   * the limit; or null.
   */
  private static String otherKind(int beginning) {
    return switch (beginning) {
      case 0x46554747 -> "a GGUF file of llama.cpp, which GgufFile reads";
      case 0x4d554e93 -> "a file of NumPy, which NpyFile reads";
      case 0x2f4f16ba -> "a model of fastText, which the classifier reads";
      case 0x04034b50 -> "a ZIP archive: NumPy's .npz, or a file of PyTorch";
      default -> null;
    };
  }

  /** Returns whether these are letters, which as a length would be more than any file has. */
  private static boolean isText(byte[] bytes) {
    for (byte b : bytes) {
      if (!(b >= ' ' && b < 0x7f) && b != '\t' && b != '\n' && b != '\r') {
        return false;
      }
    }
    return true;
  }

  /** The text of the header. */
  private final class Text extends InputStream {
    private long position = Long.BYTES;

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] into, int offset, int length) throws IOException {
      int count = (int) Math.min(length, dataBegin - position);
      if (count == 0) {
        return length == 0 ? 0 : -1;
      }
      input.read(position, ByteBuffer.wrap(into, offset, count));
      position += count;
      return count;
    }
  }

  /** Returns the strings that belong to all of the file. */
  public Map<String, String> metadata() {
    return Collections.unmodifiableMap(header.metadata());
  }

  /** Narrows the reader to the part with a prefix: its tensors and keys, without the prefix. */
  void narrow(String prefix) {
    header = header.under(prefix);
  }

  /** Returns all tensors, in the order of the header. */
  public Collection<TensorEntry> entries() {
    return Collections.unmodifiableCollection(header.entries().values());
  }

  /**
   * Returns a tensor of any number of dimensions that must be there.
   *
   * @throws MalformedException if it is not, or has another type
   */
  public TensorEntry entryOfType(String name, Dtype type) throws MalformedException {
    TensorEntry entry = entry(name);
    if (entry.type() != type) {
      throw new MalformedException(name, "expected " + type + " but was " + entry.text());
    }
    return entry;
  }

  /**
   * Returns a tensor that must be there.
   *
   * @throws MalformedException if it is not, or has another type or number of dimensions
   */
  public TensorEntry entryOfRank(int rank, String name, Dtype type) throws MalformedException {
    TensorEntry entry = entry(name);
    if (entry.type() != type || entry.dims().length != rank) {
      throw new MalformedException(
          name, "expected " + type + " with " + rank + " dimensions but was " + entry.text());
    }
    return entry;
  }

  private TensorEntry entry(String name) throws MalformedException {
    TensorEntry entry = header.entries().get(name);
    if (entry == null) {
      throw new MalformedException(
          name, "is missing" + NearestName.insteadOf(name, header.entries().keySet()));
    }
    return entry;
  }

  /** Returns the type of a tensor; null if there is none of that name. */
  public Dtype typeOrNull(String name) {
    TensorEntry entry = header.entries().get(name);
    return entry == null ? null : entry.type();
  }

  /** Returns whether there is a tensor of that name. */
  public boolean has(String name) {
    return header.entries().containsKey(name);
  }

  /** Returns an entry as {@link #entryOfRank} does, with exactly these dimensions. */
  public TensorEntry entry(String name, Dtype type, long... dims) throws MalformedException {
    TensorEntry entry = entryOfRank(dims.length, name, type);
    if (!Arrays.equals(entry.dims(), dims)) {
      throw new MalformedException(
          name, "expected " + Dimensions.text(dims) + " but was " + Dimensions.text(entry.dims()));
    }
    return entry;
  }

  /** Reports from now on how much of that many bytes is read. */
  public void reportTo(Progress listener, long total) {
    progress = listener;
    bytesToRead = total;
  }

  /**
   * Returns the floats of a tensor in new memory.
   *
   * @throws MalformedException if one is not finite
   */
  public Storage readFloats(TensorEntry entry) throws IOException {
    Storage storage = Storage.allocate(entry.size());
    made.add(storage);
    readFloats(entry, storage, Values.FINITE);
    return storage;
  }

  /**
   * Reads the floats of a tensor into memory of the caller.
   *
   * @throws MalformedException if one of them may not be
   */
  public void readFloats(TensorEntry entry, Storage into, Values values) throws IOException {
    float[] floats = new float[(int) Math.min(PIECE, entry.size())];
    for (long begin = 0; begin < entry.size(); begin += PIECE) {
      int count = (int) Math.min(PIECE, entry.size() - begin);
      readPiece(entry, begin, count).asFloatBuffer().get(floats, 0, count);
      for (int i = 0; i < count; i++) {
        if (!Float.isFinite(floats[i])) {
          throw new MalformedException(entry.name(), "element " + (begin + i) + " is " + floats[i]);
        }
        if (values == Values.FINITE_AND_NOT_NEGATIVE && floats[i] < 0) {
          throw new MalformedException(
              entry.name(),
              "element " + (begin + i) + " = " + floats[i] + " is negative, as no sum of squares");
        }
      }
      into.putFloats(begin, floats, 0, count);
    }
  }

  /**
   * Returns the elements of a tensor of F16, BF16 or I8 in new memory.
   *
   * @throws MalformedException if one is not finite
   */
  public Storage readNarrow(TensorEntry entry) throws IOException {
    int size = entry.type().bytes();
    Storage storage = Storage.allocate((entry.bytes() + 3) / 4);
    made.add(storage);
    int infinity = entry.type() == Dtype.F16 ? 0x7c00 : 0x7f80;
    byte[] inMemory = new byte[size * (int) Math.min(PIECE, entry.size())];
    for (long begin = 0; begin < entry.size(); begin += PIECE) {
      int count = (int) Math.min(PIECE, entry.size() - begin);
      ByteBuffer piece = readPiece(entry, begin, count);
      ByteBuffer into = ByteBuffer.wrap(inMemory).order(ByteOrder.nativeOrder());
      for (int i = 0; i < count; i++) {
        if (size == 1) {
          into.put(piece.get());
          continue;
        }
        short bits = piece.getShort();
        if ((bits & infinity) == infinity) {
          throw new MalformedException(
              entry.name(), "element " + (begin + i) + " is not a finite number");
        }
        into.putShort(bits);
      }
      storage.putBytes(begin * size, inMemory, count * size);
    }
    return storage;
  }

  /** Returns the integers of a tensor of I32, U16 or U8 that fits into an array. */
  public int[] readInts(TensorEntry entry) throws IOException {
    int[] ints = new int[Math.toIntExact(entry.size())];
    for (int begin = 0; begin < ints.length; begin = pieceEnd(begin, ints.length)) {
      int count = pieceEnd(begin, ints.length) - begin;
      ByteBuffer piece = readPiece(entry, begin, count);
      if (entry.type() == Dtype.I32) {
        piece.asIntBuffer().get(ints, begin, count);
        continue;
      }
      for (int i = begin; i < begin + count; i++) {
        ints[i] = entry.type() == Dtype.U8 ? piece.get() & 0xff : piece.getShort() & 0xffff;
      }
    }
    return ints;
  }

  /**
   * Returns where the piece ends that begins there in an array. A whole piece more may be no int.
   */
  static int pieceEnd(int begin, int length) {
    return begin + Math.min(PIECE, length - begin);
  }

  /** Returns the bytes of a tensor that fits into an array. */
  public byte[] readBytes(TensorEntry entry) throws IOException {
    byte[] all = new byte[Math.toIntExact(entry.size())];
    for (int begin = 0; begin < all.length; begin = pieceEnd(begin, all.length)) {
      int count = pieceEnd(begin, all.length) - begin;
      readPiece(entry, begin, count).get(all, begin, count);
    }
    return all;
  }

  private ByteBuffer readPiece(TensorEntry entry, long begin, int count) throws IOException {
    int size = entry.type().bytes();
    int length = size * count;
    if (bytes == null || bytes.capacity() < length) {
      bytes = input.buffer(length).order(ByteOrder.LITTLE_ENDIAN);
    }
    bytes.clear().limit(length);
    try {
      input.read(dataBegin + entry.begin() + size * begin, bytes);
    } catch (EOFException e) {
      throw new MalformedException(entry.name(), "is cut off: the file has shrunk", e);
    }
    bytesRead += length;
    progress.update(bytesRead, bytesToRead);
    return bytes.flip();
  }

  /**
   * Returns the elements of a tensor where they lie. The mapping ends when the last of them is
   * freed.
   *
   * @throws MalformedException if they lie where none can be used
   * @throws UnsupportedOperationException if the machine has another byte order than the file
   */
  public Storage mapElements(TensorEntry entry) throws IOException {
    return map(entry, entry.type().bytes(), "copied()");
  }

  /**
   * Returns the bytes of a tensor where they lie; see {@link #mapElements}.
   *
   * @param elementBytes the bytes of each element read there
   * @param otherWay the call that reads them into memory, for messages
   */
  Storage map(TensorEntry entry, int elementBytes, String otherWay) throws IOException {
    if (!(input instanceof Mapping mapping)) {
      throw new IllegalStateException("the file is not mapped");
    }
    // The list grows first: once a storage exists, only its owner can end its lease.
    made.ensureCapacity(made.size() + 1);
    Storage storage =
        MappedElements.of(
            mapping.file(),
            entry.name(),
            dataBegin + entry.begin(),
            entry.bytes(),
            elementBytes,
            otherWay);
    made.add(storage);
    return storage;
  }

  /**
   * Checks that the bytes read are those of the file.
   *
   * @throws MalformedException if it has shrunk while it was mapped
   */
  public void requireIntact() throws MalformedException {
    if (input instanceof Mapping mapping && mapping.file().isDamaged()) {
      throw new MalformedException("file", "has shrunk or cannot be read any more");
    }
  }

  /** Frees memory that was made from a tensor together with the read memory. */
  public void own(Storage storage) {
    made.add(storage);
  }

  /** Hands the memory made so far over to the caller. */
  public void keep() {
    made.clear();
  }

  /** Frees the memory made so far that is not the caller's. */
  public void free() {
    made.forEach(Storage::close);
    made.clear();
  }

  @Override
  public void close() throws IOException {
    free();
    input.close();
  }
}
