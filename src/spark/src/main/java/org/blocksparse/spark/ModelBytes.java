// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.Serializable;
import java.io.UncheckedIOException;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.softmax.TwoLevelLayer;

/**
 * The safetensors file of a model: a local file on the driver, which is sent to executors in pieces
 * and mapped once in each JVM. The file is deleted when this object is garbage, so code that opens
 * it must keep the object until then.
 */
final class ModelBytes {
  /** The model in the folder of a saved one, beside its metadata. */
  private static final String FILE = "model.safetensors";

  /**
   * The bytes of a piece: large enough for throughput, and small beside the memory of any executor.
   */
  private static final int PIECE_BYTES = 4 << 20;

  private static final Cleaner CLEANER = Cleaner.create();

  private final String id = UUID.randomUUID().toString();
  private final EstimatorKind kind;
  private final Path file;

  /** The facts of the model; null until they are requested. Guarded by this. */
  private ModelFacts facts;

  /** The model sent to the executors of one application. Guarded by this. */
  private Sent sent;

  private String application;

  private ModelBytes(EstimatorKind kind, Path file) {
    this.kind = kind;
    this.file = file;
    MappedModels.keepLocal(id, file);
  }

  /**
   * Returns the bytes of a {@linkplain ModelFiles file} of the driver, which this object owns from
   * now on and deletes.
   */
  static ModelBytes of(EstimatorKind kind, Path file) {
    ModelBytes bytes = new ModelBytes(kind, file);
    String id = bytes.id;
    CLEANER.register(bytes, () -> delete(id, file));
    return bytes;
  }

  /** Returns a copy of the bytes of a stream. */
  static ModelBytes copyOf(EstimatorKind kind, InputStream in) throws IOException {
    Path file = ModelFiles.create();
    try (OutputStream out = Files.newOutputStream(file)) {
      in.transferTo(out);
    } catch (Throwable e) {
      ModelFiles.delete(file);
      throw e;
    }
    return of(kind, file);
  }

  /**
   * Returns a copy of a model's file on the driver. Only the copy is read, since the file may be
   * replaced at any time; errors name the requested file.
   *
   * @throws IOException if the file cannot be read, or does not hold a model, or a bag for another
   *     one; the message names it
   * @throws IllegalArgumentException if only some of its labels have names
   */
  static ModelBytes copyOf(EstimatorKind kind, Path from) throws IOException {
    ModelBytes copy;
    try (InputStream in = Files.newInputStream(from)) {
      copy = copyOf(kind, in);
    }
    try {
      copy.facts();
    } catch (IOException e) {
      throw new IOException(from + ": " + e.getMessage(), e);
    }
    return copy;
  }

  /**
   * Returns a copy of the bytes of a model.
   *
   * @param from its file, or the folder of a saved one, in a file system of Hadoop's
   * @throws java.io.FileNotFoundException if there is no such file
   */
  static ModelBytes copyOf(EstimatorKind kind, org.apache.hadoop.fs.Path from, Configuration hadoop)
      throws IOException {
    FileSystem files = from.getFileSystem(hadoop);
    boolean folder = files.getFileStatus(from).isDirectory();
    try (InputStream in = files.open(folder ? fileIn(from) : from)) {
      return copyOf(kind, in);
    }
  }

  /** Returns the file in the folder of a saved model. */
  private static org.apache.hadoop.fs.Path fileIn(org.apache.hadoop.fs.Path folder) {
    return new org.apache.hadoop.fs.Path(folder, FILE);
  }

  /** Writes the file into the folder of a saved model. */
  void saveTo(org.apache.hadoop.fs.Path folder, Configuration hadoop) throws IOException {
    try {
      folder
          .getFileSystem(hadoop)
          .copyFromLocalFile(new org.apache.hadoop.fs.Path(file.toUri()), fileIn(folder));
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  private static void delete(String id, Path file) {
    MappedModels.forget(id);
    ModelFiles.delete(file);
  }

  /** Returns the file on the driver. */
  Path file() {
    return file;
  }

  /**
   * Returns the layer of the file, mapped, on the driver. The caller closes it.
   *
   * @throws IOException if the file does not hold one of its kind
   */
  TwoLevelLayer<?> layer() throws IOException {
    try {
      return kind.load(file, LoadOptions.mapped());
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /**
   * Returns the facts of the model; its file is read once.
   *
   * @throws IOException if the file does not hold a layer of its kind, or a bag for another one;
   *     the message does not name the file, which is a copy
   * @throws IllegalArgumentException if only some of its labels have names
   */
  synchronized ModelFacts facts() throws IOException {
    try {
      facts = facts != null ? facts : ModelFacts.of(kind, file);
      return facts;
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /**
   * Returns the bag alone. The caller closes it.
   *
   * @throws IOException if the file does not hold one
   */
  EmbeddingBag bag() throws IOException {
    try {
      return EmbeddingBag.load(file, LoadOptions.mapped());
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /** Returns the length of the file. */
  long size() {
    try {
      return Files.size(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /**
   * Returns the form for tasks; sends the bytes to the executors of an application on the first
   * call.
   */
  synchronized Sent to(JavaSparkContext context) {
    String to = context.sc().applicationId();
    if (!to.equals(application)) {
      sent = new Sent(this, context.sc().isLocal() ? List.of() : pieces(context));
      application = to;
    }
    return sent;
  }

  private List<Broadcast<byte[]>> pieces(JavaSparkContext context) {
    List<Broadcast<byte[]>> pieces = new ArrayList<>();
    try (InputStream in = Files.newInputStream(file)) {
      byte[] piece = in.readNBytes(PIECE_BYTES);
      while (piece.length > 0) {
        pieces.add(context.broadcast(piece));
        piece = in.readNBytes(PIECE_BYTES);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return pieces;
  }

  /** The form that is sent to tasks: each JVM makes a file of it, which it maps once. */
  static final class Sent implements Serializable {
    private static final long serialVersionUID = 1;

    /** Kept on the driver: a Dataset needs the file longer than the model that made it. */
    @SuppressWarnings("unused")
    private final transient ModelBytes owner;

    private final String id;
    private final EstimatorKind kind;
    private final ArrayList<Broadcast<byte[]>> pieces;

    private Sent(ModelBytes owner, List<Broadcast<byte[]>> pieces) {
      this.owner = owner;
      this.id = owner.id;
      this.kind = owner.kind;
      this.pieces = new ArrayList<>(pieces);
    }

    EstimatorKind kind() {
      return kind;
    }

    /**
     * Returns the model, mapped, without optimizer state: one for all tasks of this JVM, which must
     * not close it.
     *
     * @throws UncheckedIOException if the file cannot be written or mapped
     */
    ModelLayers model() {
      return MappedModels.get(id, kind, false, this::write);
    }

    /**
     * Returns the model with optimizer state, which is in memory, once for all tasks of this JVM.
     */
    ModelLayers modelToTrain() {
      return MappedModels.get(id, kind, true, this::write);
    }

    private void write(Path to) throws IOException {
      try (OutputStream out = Files.newOutputStream(to)) {
        for (Broadcast<byte[]> piece : pieces) {
          out.write(piece.value());
        }
      }
    }
  }
}
