// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.lifecycle.AfterTry;
import net.jqwik.api.lifecycle.BeforeContainer;
import net.jqwik.api.lifecycle.BeforeTry;
import org.blocksparse.classifier.examples.Texts;
import org.blocksparse.testing.Folders;
import picocli.CommandLine;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * Any command except latency, which takes seconds if it is valid, with any arguments: it succeeds,
 * or ends with code 2 and one line. Options are existing ones, most of them with invalid values.
 */
final class HostileCommandLineProperties {
  private static final int LABELS = 5;

  private static final List<String> VALUES =
      List.of(
          ("-1 0 1 NaN Infinity 1e300 1e-400 0.5 2147483647 2147483648 -2147483649 1,2 , 0x10"
                  + " 9223372036854775808 x @ @@ \u0661 __label__ text sparse int8")
              .split(" "));

  /** Paths below the folder, whose name replaces {}. */
  private static final List<String> PLACES =
      List.of(
          ("{}/model {}/train.txt {}/sparse.txt {}/empty {}/folder {}/none {}/no/such"
                  + " {}/empty/below {}/model.png / @{}/folder {}/")
              .concat("n".repeat(300))
              .split(" "));

  private static byte[] trained;
  private static Path folder;

  @BeforeContainer
  static void train() throws IOException {
    Path place = Files.createTempDirectory("trained");
    Path examples = Files.writeString(place.resolve("txt"), Texts.lines(40, LABELS, 1));
    Path model = place.resolve("model");
    Commands.runWell("train", "-o", model, "--dimension", 4, examples);
    trained = Files.readAllBytes(model);
    Folders.delete(place);
  }

  @BeforeTry
  void write() throws IOException {
    folder = Files.createTempDirectory("hostile");
    Files.write(folder.resolve("model"), trained);
    Files.writeString(folder.resolve("train.txt"), Texts.lines(40, LABELS, 1));
    Files.writeString(folder.resolve("sparse.txt"), "1,2 3:1 5:2\n2 4:1\n");
    Files.createFile(folder.resolve("empty"));
    Files.createDirectory(folder.resolve("folder"));
  }

  @AfterTry
  void delete() throws IOException {
    Folders.delete(folder);
  }

  // ---------------------------------------------------------------------------------- arguments

  @Provide
  Arbitrary<List<String>> lines() {
    List<List<String>> names = new ArrayList<>();
    Main.commandLine()
        .getSubcommands()
        .forEach(
            (name, command) -> {
              names.add(List.of(name));
              command.getSubcommands().keySet().forEach(each -> names.add(List.of(name, each)));
            });
    names.remove(List.of("latency"));
    return Arbitraries.of(names).flatMap(HostileCommandLineProperties::line);
  }

  private static Arbitrary<List<String>> line(List<String> names) {
    CommandLine line = Main.commandLine(names.get(0));
    for (String name : names) {
      line = line.getSubcommands().get(name);
    }
    CommandSpec command = line.getCommandSpec();
    List<Arbitrary<List<String>>> options = new ArrayList<>();
    for (OptionSpec option : command.options()) {
      String first = option.longestName();
      options.add(
          option.arity().max() == 0
              ? Arbitraries.just(List.of(first))
              : values(option).map(value -> List.of(first, value)));
    }
    List<Arbitrary<String>> places =
        command.positionalParameters().stream().map(all -> places()).toList();
    return Combinators.combine(
            Combinators.combine(places).as(all -> all),
            Arbitraries.oneOf(options).list().ofMaxSize(3),
            places(),
            Arbitraries.integers().between(0, 9))
        .as(
            (positional, chosen, output, one) -> {
              List<String> words = new ArrayList<>(names);
              words.addAll(positional);
              chosen.forEach(words::addAll);
              if (names.contains("train") && one > 0) {
                words.addAll(List.of("-o", output));
              }
              return words;
            });
  }

  /** Returns values without other file names: all output must stay in the folder. */
  private static Arbitrary<String> values(ArgSpec option) {
    return switch (option.paramLabel()) {
      case "FILE", "PNG", "MODEL", "TSV" -> places();
      case "SECONDS" -> Arbitraries.of("-1", "0", "1", "NaN", "x"); // of a search, which they limit
      default -> Arbitraries.of(VALUES);
    };
  }

  /** Returns file names, most of which exist. */
  private static Arbitrary<String> places() {
    return Arbitraries.oneOf(
        Arbitraries.of(PLACES.subList(0, 3)), Arbitraries.of(PLACES), Arbitraries.just(""));
  }

  // ---------------------------------------------------------------------------------- properties

  @Property
  void ofLines(@ForAll("lines") List<String> line) {
    Object[] words = line.stream().map(word -> word.replace("{}", folder.toString())).toArray();
    Commands.Result result =
        assertTimeoutPreemptively(Duration.ofMinutes(10), () -> Commands.run(words));
    String told = result.err();
    if (result.code() == 0) {
      return;
    }
    assertEquals(2, result.code(), told);
    List<String> refusals =
        told.lines().filter(each -> !each.matches("(Left out|Warning|Training|Ended) .*")).toList();
    assertEquals(1, refusals.size(), told);
    assertFalse(told.contains("Exception") || told.contains("null"), told);
    assertTrue(refusals.get(0).length() > 10, told);
  }
}
