// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.blocksparse.classifier.training.TrainingOptions;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;

/** The options that pages name are options of the command, and one page lists them all. */
final class PagesTest {
  /** Pages about the command alone: everything that looks like an option is one of its options. */
  private static final Set<String> OF_THE_COMMAND = Set.of("classifier.md", "fasttext.md");

  /** Matches a span of code, or a line that starts the jar. */
  private static final Pattern CODE =
      Pattern.compile("`([^`\n]+)`|^.*classifier\\.jar +(.*)$", Pattern.MULTILINE);

  private static final Pattern OPTION = Pattern.compile("(?<![\\w-])--[a-z][a-z-]*");

  @Test
  void everyOptionOnAPageIsOneOfItsCommand() throws IOException {
    Map<String, Set<String>> ofCommands = new HashMap<>();
    Set<String> ofAny = new TreeSet<>();
    Main.commandLine()
        .getSubcommands()
        .forEach((name, command) -> ofCommands.put(name, options(command)));
    ofCommands.values().forEach(ofAny::addAll);
    ofAny.addAll(options(Main.commandLine()));
    List<String> wrong = new ArrayList<>();
    int found = 0;
    for (Path page : pages()) {
      boolean ofTheCommand = OF_THE_COMMAND.contains(page.getFileName().toString());
      for (Matcher code = CODE.matcher(Files.readString(page)); code.find(); ) {
        String words = code.group(1) == null ? code.group(2) : code.group(1);
        Set<String> known = ofCommands.get(words.split(" ", 2)[0]);
        boolean isCall = known != null;
        if (!isCall && !(ofTheCommand && words.startsWith("--"))) {
          continue;
        }
        for (Matcher option = OPTION.matcher(words); option.find(); found++) {
          if (!(isCall ? known : ofAny).contains(option.group())) {
            wrong.add(page + ": " + option.group() + " of " + words);
          }
        }
      }
    }
    assertEquals(List.of(), wrong);
    assertTrue(found > 50, found + " options on all pages");
  }

  /** Messages of the library begin with the names of these options. */
  @Test
  void optionsInJavaAreThoseOfTheCommand() {
    Set<String> known = options(Main.commandLine("train").getSubcommands().get("train"));
    Set<String> onlyInJava = Set.of("card", "listener", "stop", "temporaryFolder");
    for (Method method : TrainingOptions.class.getMethods()) {
      if (method.getName().startsWith("with")) {
        String name = method.getName().substring("with".length());
        String java = name.substring(0, 1).toLowerCase(Locale.ROOT) + name.substring(1);
        if (!onlyInJava.contains(java)) {
          assertTrue(known.contains(OptionName.of(java)), java);
        }
      }
    }
  }

  /** Returns the row of an option in the table of the page. */
  private static String row(OptionSpec option) {
    return "| `%s` | %s |"
        .formatted(
            String.join("`, `", option.names())
                + (option.arity().max() == 0 ? "" : " " + option.paramLabel()),
            String.join(" ", option.description())
                .replaceAll("'([^']*)'", "`$1`")
                .replaceAll("(?<!`)(--[a-z][a-z-]*)", "`$1`"));
  }

  /**
   * Returns the tables of options of each command, after the table of those that several commands
   * share.
   */
  private static String tables(CommandLine parent) {
    Map<String, List<String>> commands = new LinkedHashMap<>();
    parent
        .getSubcommands()
        .forEach(
            (name, command) ->
                command
                    .getCommandSpec()
                    .options()
                    .forEach(
                        option ->
                            commands
                                .computeIfAbsent(row(option), row -> new ArrayList<>())
                                .add(name)));
    int all = parent.getSubcommands().size();
    Map<String, List<String>> tables = new LinkedHashMap<>();
    commands.forEach(
        (row, names) ->
            tables
                .computeIfAbsent(
                    names.size() == all ? "All commands" : String.join(", ", names),
                    title -> new ArrayList<>())
                .add(row));
    StringBuilder text = new StringBuilder();
    tables.forEach(
        (title, rows) ->
            text.append("### ")
                .append(title)
                .append("\n\n| option | |\n|---|---|\n")
                .append(String.join("\n", rows))
                .append("\n\n"));
    return text.toString();
  }

  /**
   * After an option has changed, the new tables are in {@code target/options-of-PAGE}, to be
   * copied.
   */
  @Test
  void pagesHaveTheOptionsThatCommandsDeclare() throws IOException {
    requireTables("classifier.md", Main.commandLine());
    requireTables("next-item.md", Main.commandLine().getSubcommands().get("next-item"));
  }

  private static void requireTables(String name, CommandLine parent) throws IOException {
    String expected = tables(parent);
    Files.writeString(Path.of("target/options-of-" + name), expected);
    String page = Files.readString(Path.of("../doc", name));
    String options = page.split("(?m)^## Options\n\n", 2)[1].split("(?m)^(?=## )", 2)[0];
    assertEquals(expected, options);
  }

  private static Set<String> options(CommandLine command) {
    Set<String> names = new TreeSet<>();
    command.getCommandSpec().options().forEach(option -> names.addAll(List.of(option.names())));
    command.getSubcommands().values().forEach(nested -> names.addAll(options(nested)));
    return names;
  }

  private static List<Path> pages() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("../doc"))) {
      return files.filter(file -> file.toString().endsWith(".md")).sorted().toList();
    }
  }
}
