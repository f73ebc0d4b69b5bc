// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;
import java.util.List;
import java.util.Locale;
import org.blocksparse.classifier.InvalidInputException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.Option;

/** The command: trains, tests and uses classifiers with very many labels. */
@Command(
    name = "blocksparse-classifier",
    description = {
      "Gives texts, or sparse features, their likeliest labels out of very many.",
      "Begin with: train -o MODEL FILE"
    },
    synopsisSubcommandLabel = "COMMAND",
    usageHelpWidth = 100)
public final class Main {
  private static final List<Class<?>> COMMANDS =
      List.of(
          TrainCommand.class,
          TestCommand.class,
          PredictCommand.class,
          LatencyCommand.class,
          ClassesCommand.class,
          InfoCommand.class,
          QuantizeCommand.class,
          ExportCommand.class);

  @Option(names = "--help", usageHelp = true, description = "Print this and exit.")
  @SuppressWarnings("UnusedVariable") // picocli acts on it
  private boolean help;

  private Main() {}

  /**
   * Exits with 0; with 2 and one line on standard error if the input is of no use; with 1 if the
   * machine has too little memory or cannot load the native library.
   */
  public static void main(String[] args) {
    Locale.setDefault(Locale.ROOT); // what is printed is English, its numbers included
    int code;
    try {
      code = commandLine(args).execute(args);
    } catch (OutOfMemoryError e) {
      System.err.printf(
          "not enough memory: %s; java -Xmx sets how much Java takes%n", e.getMessage());
      code = ExitCode.SOFTWARE;
    } catch (UnsatisfiedLinkError e) {
      System.err.println(e.getMessage());
      code = ExitCode.SOFTWARE;
    }
    if (code != ExitCode.OK) {
      System.exit(code);
    }
  }

  /**
   * What runs a command.
   *
   * @param args if the first one names a command, no other is made: to look at the options of all
   *     takes a good part of the time that a short command needs
   */
  static CommandLine commandLine(String... args) {
    CommandLine line = new CommandLine(new Main());
    List<Class<?>> named =
        COMMANDS.stream()
            .filter(c -> args.length > 0 && c.getAnnotation(Command.class).name().equals(args[0]))
            .toList();
    (named.isEmpty() ? COMMANDS : named).forEach(line::addSubcommand);
    line.addSubcommand(HelpCommand.class);
    return line.setCaseInsensitiveEnumValuesAllowed(true)
        .setParameterExceptionHandler((e, words) -> refuse(e.getCommandLine(), e.getMessage()))
        .setExecutionExceptionHandler((e, command, result) -> refuse(command, told(e)));
  }

  private static int refuse(CommandLine command, String message) {
    command.getErr().println(message.lines().findFirst().orElse("invalid input"));
    command.getErr().flush();
    return ExitCode.USAGE;
  }

  /** What is wrong, in one line; anything that is not the user's to mend is a mistake of ours. */
  private static String told(Exception e) throws Exception {
    if (e instanceof NoSuchFileException || e instanceof FileNotFoundException) {
      return "there is no file " + e.getMessage();
    }
    if (e instanceof AccessDeniedException) {
      return "no permission for " + e.getMessage();
    }
    if (e instanceof InvalidInputException
        || e instanceof IOException
        || e instanceof UncheckedIOException
        || e instanceof IllegalArgumentException
        || e instanceof ArithmeticException) {
      return String.valueOf(e.getMessage());
    }
    throw e;
  }
}
