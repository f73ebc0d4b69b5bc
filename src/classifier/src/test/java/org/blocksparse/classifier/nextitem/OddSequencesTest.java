// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.List;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.classifier.PredictionOptions;
import org.blocksparse.classifier.examples.Sequence;
import org.blocksparse.classifier.examples.SequenceFormat;
import org.blocksparse.classifier.examples.SequenceReader;
import org.blocksparse.classifier.training.InternalOptions;
import org.blocksparse.classifier.training.TrainingOptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Unusual input, for which next-item.md has rules, is learned like any other. */
final class OddSequencesTest {
  private static final int ITEMS = 10;

  private static final int USERS = 60;

  /** Returns the items of a circle, from one on. */
  private static String walk(int first, int length) {
    return IntStream.range(first, first + length)
        .mapToObj(item -> "i" + item % ITEMS)
        .collect(Collectors.joining(" "));
  }

  private static String users(IntFunction<String> line) {
    return IntStream.range(0, USERS).mapToObj(line).collect(Collectors.joining("\n"));
  }

  /** Returns the steps of each user as events. */
  private static String events(IntStream steps, int timeOfStep) {
    return steps
        .mapToObj(
            step ->
                users(user -> "u%d %s %d".formatted(user, walk(user + step, 1), step * timeOfStep)))
        .collect(Collectors.joining("\n"));
  }

  static Stream<Arguments> inputs() {
    SequenceFormat events = SequenceFormat.EVENTS;
    SequenceFormat sequences = SequenceFormat.SEQUENCES;
    return Stream.of(
        arguments("equal times", events, events(IntStream.range(0, 5), 0), "i3 i4", "i5"),
        arguments("negative times", events, events(IntStream.range(-5, 0), 9), "i3 i4", "i5"),
        arguments("falling times", events, events(IntStream.range(-5, 0), -9), "i4 i3", "i2"),
        arguments(
            "users with one item that repeats",
            sequences,
            users(user -> "u%d i%2$d i%2$d i%2$d".formatted(user, user % ITEMS)),
            "i4 i4",
            "i4"),
        arguments("one item for all", sequences, users(user -> "u" + user + " a a a"), "a", "a"),
        arguments("100,000 items", sequences, "u " + walk(0, 100_000), walk(0, 99_999), "i9"),
        arguments(
            "an item that is only last",
            sequences,
            users(user -> "u%d %s z".formatted(user, walk(user, 1 + (19 - user % ITEMS) % ITEMS))),
            "i8 i9",
            "z"),
        arguments(
            "users with a single item",
            sequences,
            users(user -> "single%1$d x%1$d\nu%1$d %2$s".formatted(user, walk(user, 5))),
            "x7 i3 i4",
            "i5"),
        arguments(
            "baskets that have one item again and again",
            SequenceFormat.BASKETS,
            users(user -> "i%1$d i%1$d i%2$d i%1$d".formatted(user % ITEMS, (user + 1) % ITEMS)),
            "i3 i3 i5",
            "i4"),
        arguments(
            "baskets with an empty item",
            SequenceFormat.HISTORIES,
            users(user -> "u%d %s".formatted(user, walk(user, 5).replace(" ", ", ,"))),
            "i3 i4",
            "i5"));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("inputs")
  void isLearned(String name, SequenceFormat format, String text, String history, String expected)
      throws IOException {
    List<Sequence> users =
        SequenceReader.of(format).read(name, new ByteArrayInputStream(text.getBytes(UTF_8)));
    TrainingOptions learning =
        InternalOptions.withBatch(TrainingOptions.defaults(), users.size() == 1 ? 256 : 16)
            .withDimension(16)
            .withEpochs(2);
    NextItemOptions options = NextItemOptions.defaults().withLearning(learning).withFormat(format);
    try (NextItem model = NextItem.train(users, options)) {
      assertTrue(users.stream().flatMap(user -> user.items().stream()).allMatch(model::knows));
      List<String> items = List.of(history.split(" ", -1));
      Repeats repeats = items.contains(expected) ? Repeats.INCLUDE : Repeats.EXCLUDE;
      assertEquals(
          expected,
          model.recommend(List.of(items), PredictionOptions.top(1), repeats).get(0).get(0).label());
    }
  }
}
