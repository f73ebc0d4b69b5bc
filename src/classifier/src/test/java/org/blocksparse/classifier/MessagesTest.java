// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.io.ByteArrayInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.ExampleFormat;
import org.blocksparse.classifier.examples.ExampleReader;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.classifier.examples.Texts;
import org.blocksparse.classifier.fasttext.FastTextVectors;
import org.blocksparse.classifier.training.Training;
import org.blocksparse.classifier.training.TrainingOptions;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Mistakes of new users, and the message for each: argument, expected, found, remedy. */
final class MessagesTest {
  private static final TrainingOptions LINEAR =
      TrainingOptions.defaults().withHead(ModelHead.LINEAR);

  @TempDir private static Path folder;

  static Stream<Arguments> mistakes() {
    return Stream.of(
        mistake(
            "a null label",
            () -> Example.ofText("a", (String) null),
            NullPointerException.class,
            "labels[0] is null"),
        mistake(
            "a null in labels",
            () -> Example.ofText("a", Arrays.asList("b", null)),
            NullPointerException.class,
            "labels[1] is null"),
        mistake(
            "a null in labels of features",
            () -> Example.ofFeatures(new int[0], new float[0], Arrays.asList((String) null)),
            NullPointerException.class,
            "labels[0] is null"),
        mistake(
            "a null example",
            () -> trained(LINEAR).predict(Arrays.asList(Example.ofText("a"), null), 1),
            NullPointerException.class,
            "examples[1] is null"),
        inVain("epochs", options -> options.withEpochs(3)),
        inVain("rate", options -> options.withRate(.1)),
        inVain("dimension", options -> options.withDimension(8)),
        inVain("labelTree", TrainingOptions::withLabelTree),
        mistake(
            "epochs from a linear model",
            () -> {
              try (Classifier initial = trained(LINEAR)) {
                trained(TrainingOptions.defaults().withInitialModel(initial).withEpochs(3));
              }
            },
            IllegalArgumentException.class,
            "epochs: expected no initialModel with a linear head as well, which has no embedding"),
        mistake(
            "eight bits of a linear head",
            () -> trained(LINEAR).save(folder.resolve("m"), ElementType.INT8),
            InvalidInputException.class,
            "weights: expected FLOAT16 or BFLOAT16 for a linear head, which has no INT8, but was"
                + " INT8"),
        mistake(
            "eight bits of a linear head of 16 bits",
            () -> {
              Path file = folder.resolve("float16");
              trained(LINEAR).save(file, ElementType.FLOAT16);
              try (Classifier classifier = Classifier.load(file)) {
                classifier.save(folder.resolve("m"), ElementType.INT8);
              }
            },
            InvalidInputException.class,
            "weights: expected FLOAT16 or BFLOAT16 for a linear head, which has no INT8, but was"
                + " INT8; this model is FLOAT16 already"),
        mistake(
            "vectors in a text",
            () -> FastTextVectors.load(Files.writeString(folder.resolve("v.vec"), "1 2\na 1 2\n")),
            FileFormatException.class,
            folder
                + "/v.vec: beginning: expected a model of fastText, .bin or .ftz; a .vec is a text"
                + " of its vectors, which is published beside the .bin"),
        mistake(
            "two labels in a word",
            () -> read("__label__a x\n__label__a,__label__b x\n"),
            InvalidInputException.class,
            "in: line 2: expected a space between labels but was '__label__a,__label__b';"
                + " skipBadLines leaves it out"));
  }

  private static Arguments inVain(String name, UnaryOperator<TrainingOptions> option) {
    return mistake(
        name + " of a linear head",
        () -> trained(option.apply(LINEAR)),
        IllegalArgumentException.class,
        name + ": expected no head LINEAR as well, which has no embedding");
  }

  private static Arguments mistake(
      String name, Executable call, Class<? extends Throwable> type, String message) {
    return arguments(name, call, type, message);
  }

  private static Classifier trained(TrainingOptions options) {
    return Training.train(Texts.examples(100, 4, 1), options);
  }

  private static List<Example> read(String text) throws Exception {
    try (ExampleReader reader =
        ExampleReader.read(
            "in",
            new ByteArrayInputStream(text.getBytes(UTF_8)),
            ExampleFormat.AUTO,
            ExampleReader.DEFAULT_LABEL_PREFIX,
            false)) {
      return reader.examples().toList();
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("mistakes")
  void haveAMessage(String name, Executable call, Class<Throwable> type, String message) {
    assertEquals(message, assertThrows(type, call, name).getMessage());
  }
}
