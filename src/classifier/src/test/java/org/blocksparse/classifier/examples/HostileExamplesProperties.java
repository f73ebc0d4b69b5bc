// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.ModelHead;
import org.blocksparse.classifier.training.Training;
import org.blocksparse.classifier.training.TrainingOptions;
import org.blocksparse.testing.FileChanges;
import org.blocksparse.testing.ThreadHeap;

/**
 * Valid files of examples with random changes: the content can be learned and answered; or a line,
 * or the file, is rejected by its name at low cost.
 */
final class HostileExamplesProperties {
  /** Heap for buffers, and for some kilobytes decompressed. */
  private static final long MOST_HEAP = 16 << 20;

  private static final Duration MOST_TIME = Duration.ofMinutes(10);

  private static final String SPARSE = "1,22 0:0.5 7:-1e-3\n 3:1\n5\n\n2 2147483647:1 4:.5\n";

  private static final String CSV = "id,text,label\n1,\"a, \"\"b\"\"\nc\",x\n2,d e,\n3,f,y\n";

  private static final String JSON =
      """
      {"text": "a\\nb", "label": ["x", 7], "other": {"b": [null]}}
      {"label": "y", "text": null}
      """;

  private static final Map<String, byte[]> FILES =
      Map.of(
          "csv", CSV.getBytes(UTF_8),
          "json", JSON.repeat(9).getBytes(UTF_8),
          "texts",
              (Texts.lines(40, 9, 1) + "no label\n\n__label__\u00e9 \u65e5\u672c\n")
                  .getBytes(UTF_8),
          "features", SPARSE.repeat(9).getBytes(UTF_8),
          "header", ("5 8 23\n" + SPARSE).getBytes(UTF_8),
          "texts of gzip", zipped(Compression.GZIP, Texts.lines(40, 9, 1), Texts.lines(5, 9, 2)),
          "features of gzip", zipped(Compression.GZIP, SPARSE),
          "texts of zstd", zipped(Compression.ZSTD, Texts.lines(40, 9, 1), Texts.lines(5, 9, 2)),
          "texts of xz", zipped(Compression.XZ, Texts.lines(40, 9, 1), Texts.lines(5, 9, 2)),
          "texts of bzip2", zipped(Compression.BZIP2, Texts.lines(40, 9, 1), SPARSE));

  private static byte[] zipped(Compression kind, String... members) {
    return CompressionTest.compressed(kind, members);
  }

  @Provide
  Arbitrary<String> files() {
    return Arbitraries.of(FILES.keySet());
  }

  @Provide
  Arbitrary<List<UnaryOperator<byte[]>>> changes() {
    return FileChanges.all(List.copyOf(FILES.values()));
  }

  /** Returns all examples of a file, up to the rejected line. */
  private static List<Example> read(byte[] file, ExampleFormat format, boolean skip) {
    List<Example> examples = new ArrayList<>();
    long heap = ThreadHeap.taken();
    try (ExampleReader reader =
        ExampleReader.read("input", new ByteArrayInputStream(file), format, "__label__", skip)) {
      long lines = 0;
      while (reader.nextLine()) {
        lines++;
        reader.example().ifPresent(examples::add);
      }
      assertTrue(examples.size() + reader.badLines() <= lines);
      assertEquals(skip && reader.badLines() > 0, reader.firstProblem().isPresent());
    } catch (InvalidInputException e) {
      // An invalid header, and a quote that may enclose the rest of the file, are never skipped.
      boolean mayRefuse = !skip || format == ExampleFormat.CSV || format == ExampleFormat.TSV;
      assertTrue(mayRefuse && e.getMessage().matches("input: line [0-9]+: .*"), e::toString);
    } catch (IOException e) {
      assertTrue(e.getMessage().matches("input: (after line [0-9]+: )?[^:].*"), e::toString);
    }
    long taken = ThreadHeap.taken() - heap;
    assertTrue(taken < MOST_HEAP, () -> taken + " bytes of the heap");
    return examples;
  }

  @Property
  void ofExamples(
      @ForAll("files") String name,
      @ForAll("changes") List<UnaryOperator<byte[]>> changes,
      @ForAll ExampleFormat format,
      @ForAll boolean skip) {
    byte[] file = FileChanges.apply(changes, FILES.get(name));
    assertTimeoutPreemptively(MOST_TIME, () -> learn(read(file, format, skip)));
  }

  private static void learn(List<Example> examples) {
    TrainingOptions options =
        TrainingOptions.defaults().withHead(ModelHead.EMBEDDING).withDimension(4).withEpochs(1);
    try (Classifier model = Training.train(examples.stream(), options)) {
      assertEquals(examples.size(), model.predict(examples, 3).size());
      Stream<String> labels = examples.stream().flatMap(example -> example.labels().stream());
      assertTrue(labels.allMatch(model::knows));
    } catch (IllegalArgumentException e) {
      assertTrue(e.getMessage().matches("examples: none has a (label|feature)"), e::toString);
    }
  }
}
