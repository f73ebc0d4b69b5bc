// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.blocksparse.Optimizer;
import org.blocksparse.internal.events.FileEvent;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.files.AtomicFile;
import org.blocksparse.internal.files.Dtype;
import org.blocksparse.internal.files.LabelsFile;
import org.blocksparse.internal.files.ModelNames;
import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.files.SafeTensorsLayout;
import org.blocksparse.internal.files.SafeTensorsWriter;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.files.TensorSource;
import org.blocksparse.internal.kernels.Link;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.training.Parameter;

/**
 * Writes the file of a layer, byte by byte as {@link ModelFile} does, from parts that come one
 * after the other: each is put into its place and forgotten.
 */
final class ModelFileFromParts {
  /** The number of the weights and biases themselves, before those of the moments. */
  private static final int PARAMETERS = -1;

  private final Link link;
  private final SoftmaxSizes sizes;
  private final Optimizer.Kind rule;
  private final int moments;
  private final PartBytes classLevel;
  private final int[] steps;

  /**
   * The steps that each class had taken when its outputs were added; null if none were added later.
   */
  private final int[][] begun;

  private final BitSet written;
  private final List<TensorSource> tensors = new ArrayList<>();
  private final SafeTensorsWriter writer;

  private ModelFileFromParts(
      Link link,
      int features,
      ClassTable classes,
      NameTable labels,
      long layerSteps,
      PartBytes classLevel,
      SaveSettings settings)
      throws IOException {
    this.link = link;
    this.sizes = new SoftmaxSizes(features, classes.classes(), classes.slots());
    this.classLevel = classLevel;
    this.rule = classLevel.rule();
    this.moments = settings.optimizerState() ? rule.moments() : 0;
    this.steps = new int[sizes.classes()];
    this.begun = new int[sizes.classes()][];
    this.written = new BitSet(sizes.classes());
    Map<String, String> metadata =
        ModelFile.metadata(settings.metadataOr(Map.of()), link, classes, layerSteps);
    addOfParts("W2", Parameter.W2);
    addOfParts("W1", Parameter.W1);
    addOfParts("b1", Parameter.B1);
    addOfParts("b2", Parameter.B2);
    tensors.add(TensorSource.ints(ModelNames.CLASS_OF, classes.classOf()));
    tensors.add(TensorSource.ints(ModelNames.SLOT_OF, classes.slotOf()));
    if (settings.optimizerState()) {
      metadata.put(ModelNames.RULE, rule.name());
      metadata.put(ModelNames.RULE_STEPS, Integer.toString(classLevel.steps()));
      tensors.add(TensorSource.ints(ModelNames.STATE_STEPS, steps));
      if (classLevel.begun().length > 0) {
        int[] none = new int[sizes.slots()];
        tensors.add(
            ModelFile.begun(sizes, (c, into) -> into.put(begun[c] == null ? none : begun[c])));
      }
      for (int moment = 0; moment < moments; moment++) {
        for (Parameter parameter : Parameter.values()) {
          addOfParts(ModelNames.moment(moment, parameter.label()), parameter);
        }
      }
    }
    if (labels != null) {
      LabelsFile.add(labels, tensors);
    }
    tensors.sort(Comparator.comparingInt(tensor -> -tensor.elementBytes()));
    this.writer =
        new SafeTensorsWriter(SafeTensorsLayout.of(tensors, "W2"), metadata, settings.progress());
  }

  private void addOfParts(String name, Parameter parameter) {
    tensors.add(new TensorSource(name, Dtype.F32, sizes.dims(parameter), null));
  }

  /**
   * Writes the file.
   *
   * @param steps the training steps of the layer so far
   * @param parts the bytes of {@link PartMemory#toBytes}: the class level first, then each class
   *     once, in any order
   * @throws IllegalArgumentException if a part is missing, is there twice, or does not fit
   */
  public static void save(
      Path file,
      Link link,
      int features,
      ClassTable classes,
      NameTable labels,
      long steps,
      Iterator<byte[]> parts,
      SaveSettings settings)
      throws IOException {
    settings.requireNoPart();
    if (!parts.hasNext()) {
      throw new IllegalArgumentException("parts: there are none");
    }
    PartBytes first = PartBytes.of(link, parts.next());
    if (first.number() != PartMemory.CLASS_LEVEL) {
      throw new IllegalArgumentException(
          "parts: expected the class level first, but was class " + first.number());
    }
    FileEvent event = Recorder.file();
    ModelFileFromParts all =
        new ModelFileFromParts(link, features, classes, labels, steps, first, settings);
    AtomicFile.write(file, channel -> all.write(channel, parts));
    if (event != null) {
      event.record("save", LayerMemory.kind(link), file);
    }
  }

  private void write(SeekableByteChannel channel, Iterator<byte[]> parts) throws IOException {
    writer.begin(channel);
    put(channel, classLevel, Parameter.W1, Parameter.B1, 0);
    while (parts.hasNext()) {
      PartBytes part = PartBytes.of(link, parts.next());
      int number = part.number();
      if (number < 0 || number >= sizes.classes() || written.get(number)) {
        throw new IllegalArgumentException(
            "parts: expected each of " + sizes.classes() + " classes once, but was " + number);
      }
      written.set(number);
      steps[number] = hasState(part) ? part.steps() : 0;
      begun[number] = hasState(part) && part.begun().length > 0 ? requireBegun(part) : null;
      put(channel, part, Parameter.W2, Parameter.B2, number);
    }
    if (written.cardinality() < sizes.classes()) {
      throw new IllegalArgumentException("parts: class " + written.nextClearBit(0) + " is missing");
    }
    ByteBuffer buffer = TensorSource.buffer();
    for (TensorSource tensor : tensors) {
      if (tensor.elements() != null) {
        writer.seek(channel, tensor.name(), 0);
        tensor.forEachPiece(buffer, bytes -> writer.write(channel, bytes));
      }
    }
    writer.end();
  }

  private int[] requireBegun(PartBytes part) {
    if (part.begun().length != sizes.slots() || classLevel.begun().length == 0) {
      throw new IllegalArgumentException(
          "parts: part " + part.number() + " has outputs that were added to another layer");
    }
    return part.begun();
  }

  private void put(
      SeekableByteChannel channel, PartBytes part, Parameter weights, Parameter biases, int block)
      throws IOException {
    long columns = weights == Parameter.W1 ? sizes.classes() : sizes.slots();
    if (part.weights() != sizes.features() * columns || part.biases() != columns) {
      throw new IllegalArgumentException(
          "parts: part "
              + part.number()
              + " has "
              + part.weights()
              + " weights and "
              + part.biases()
              + " biases, expected "
              + sizes.features() * columns
              + " and "
              + columns);
    }
    put(channel, weights.label(), block, part.weights(PARAMETERS));
    put(channel, biases.label(), block, part.biases(PARAMETERS));
    for (int moment = 0; moment < moments; moment++) {
      put(
          channel,
          ModelNames.moment(moment, weights.label()),
          block,
          hasState(part) ? part.weights(moment) : zeros(part.weights()));
      put(
          channel,
          ModelNames.moment(moment, biases.label()),
          block,
          hasState(part) ? part.biases(moment) : zeros(part.biases()));
    }
  }

  /**
   * Returns whether what a part keeps is that of the layer. A class that has made no step by the
   * rule of the class level, which makes all steps, keeps nothing or what the layer has forgotten.
   */
  private boolean hasState(PartBytes part) {
    return part.rule() == rule;
  }

  private static ByteBuffer zeros(long elements) {
    return ByteBuffer.allocate(Math.toIntExact(4 * elements));
  }

  private void put(SeekableByteChannel channel, String name, int block, ByteBuffer bytes)
      throws IOException {
    writer.seek(channel, name, (long) block * bytes.remaining());
    writer.write(channel, bytes);
  }
}
