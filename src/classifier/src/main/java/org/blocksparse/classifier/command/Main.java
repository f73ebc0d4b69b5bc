// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.regex.Pattern;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.internal.files.NearestName;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;

/** The command: trains, tests and uses classifiers with very many labels. */
@Command(
    name = "blocksparse-classifier",
    description = {
      "Predicts the labels of texts or sparse features, out of very many labels.",
      "Begin with: train -o MODEL FILE"
    },
    versionProvider = Main.Version.class,
    synopsisSubcommandLabel = "COMMAND",
    usageHelpWidth = 100)
public final class Main implements Callable<Integer> {
  private static final List<Class<?>> COMMANDS =
      List.of(
          TrainCommand.class,
          TestCommand.class,
          PredictCommand.class,
          LatencyCommand.class,
          InfoCommand.class,
          QuantizeCommand.class,
          NextItemCommand.class);

  /** Matches advice to programmers, which users of the command cannot follow. */
  private static final Pattern CLOSING_OTHERS = Pattern.compile(": close those .*");

  /** Matches letters of numbers that only Java has. */
  private static final Pattern OF_JAVA = Pattern.compile("[dDfF]$|[xX]");

  /** The beginning of messages about native memory; those about the heap vary. */
  private static final String OF_NATIVE_MEMORY = "cannot allocate ";

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      scope = ScopeType.INHERIT,
      description = "Print this help and exit.")
  @SuppressWarnings("UnusedVariable") // picocli reads it
  private boolean help;

  @Option(names = "--version", versionHelp = true, description = "Print the version and exit.")
  @SuppressWarnings("UnusedVariable") // picocli reads it
  private boolean version;

  @Mixin private Streams streams;

  private Main() {}

  /**
   * Exits with 0; with 2 and one line on standard error if the input is invalid; with 1 if the
   * machine has too little memory or cannot load the native library.
   */
  public static void main(String[] args) {
    Locale.setDefault(Locale.ROOT); // output is English, including its numbers
    int code;
    try {
      Charset charset = Terminal.charset();
      CommandLine command =
          commandLine(args)
              .setOut(new PrintWriter(System.out, false, charset))
              .setErr(new PrintWriter(System.err, true, charset));
      code = run(command, args);
    } catch (OutOfMemoryError e) {
      System.err.println(tooLittleMemory(e, args));
      code = ExitCode.SOFTWARE;
    } catch (UnsatisfiedLinkError e) {
      System.err.println(e.getMessage());
      code = ExitCode.SOFTWARE;
    }
    if (code != ExitCode.OK) {
      System.exit(code);
    }
  }

  /** Returns the message for too little memory: its use, and options that need less. */
  static String tooLittleMemory(OutOfMemoryError e, String... args) {
    String reason = String.valueOf(e.getMessage());
    boolean isHeap = !reason.startsWith(OF_NATIVE_MEMORY);
    StringBuilder message = new StringBuilder("not enough memory: ");
    message.append(toUsers(reason));
    message.append(isHeap ? "; java -Xmx sets how much Java takes" : "");
    if (args.length > 0 && args[0].equals("train")) {
      message.append(
          isHeap
              ? ", and for texts --word-ngrams 1 needs less"
              : "; a smaller --dimension needs less");
    }
    return message.toString();
  }

  /** Returns a message of the library without the advice to programmers. */
  static String toUsers(String message) {
    return CLOSING_OTHERS.matcher(message).replaceFirst("");
  }

  /**
   * Returns the runner of a command.
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
    return line.setCaseInsensitiveEnumValuesAllowed(true)
        .setExpandAtFiles(false) // a word with @ is a name or a prefix, not a file of options
        .registerConverter(Path.class, Main::path)
        .registerConverter(Double.class, Main::number)
        .setParameterExceptionHandler((e, words) -> refuse(e.getCommandLine(), messageOf(e)))
        .setExecutionExceptionHandler((e, command, result) -> refuse(command, e));
  }

  /** Returns the problem of arguments; of unknown ones the first, since others follow from it. */
  private static String messageOf(CommandLine.ParameterException e) {
    if (!(e instanceof CommandLine.UnmatchedArgumentException unmatched)) {
      return e.getMessage();
    }
    CommandLine command = e.getCommandLine();
    String word = unmatched.getUnmatched().get(0);
    if (!unmatched.isUnknownOption()) {
      return command.getSubcommands().isEmpty()
          ? tooMany(command, word)
          : e.getMessage() + meant(word, command.getSubcommands().keySet()).orElse("");
    }
    String option = word.split("=", 2)[0];
    return "Unknown option: '%s'%s"
        .formatted(
            option,
            meant(option, command.getCommandSpec().optionsMap().keySet())
                .orElse("; --help lists all"));
  }

  /** Returns the message for one argument more than a command takes. */
  private static String tooMany(CommandLine command, String word) {
    List<String> taken =
        command.getCommandSpec().positionalParameters().stream()
            .map(CommandLine.Model.PositionalParamSpec::paramLabel)
            .toList();
    return "Unexpected argument '%s': %s takes %s%s"
        .formatted(
            word,
            command.getCommandName(),
            taken.isEmpty() ? "none" : String.join(" and ", taken) + " alone",
            taken.contains("FILE")
                ? "; several files are read through a pipe: cat A B, and -"
                : "");
  }

  private static Optional<String> meant(String word, Collection<String> known) {
    return NearestName.of(word, known).map(near -> "; did you mean " + near + "?");
  }

  private static Path path(String name) {
    if (name.isEmpty()) { // an empty name would be the folder of this process
      throw new CommandLine.TypeConversionException("expected the name of a file but was empty");
    }
    return Path.of(name);
  }

  /** Parses a number, without forms that only Java has, such as 7d or 0x1p3. */
  private static double number(String text) {
    if (!OF_JAVA.matcher(text).find()) {
      try {
        return Double.parseDouble(text);
      } catch (NumberFormatException e) {
        // Rejected below.
      }
    }
    throw new CommandLine.TypeConversionException("expected a number but was '" + text + "'");
  }

  /** Prints the subcommands, since none was given. */
  @Override
  public Integer call() {
    streams.command().usage(streams.err());
    return ExitCode.USAGE;
  }

  /** Runs a subcommand. If its output cannot be written, the exit code reports that. */
  static int run(CommandLine command, String... args) {
    int code = command.execute(args);
    return code == ExitCode.OK && command.getOut().checkError()
        ? refuse(command, Streams.CLOSED)
        : code;
  }

  private static int refuse(CommandLine command, String message) {
    command.getErr().println(message.lines().findFirst().orElse("invalid input"));
    command.getErr().flush();
    return ExitCode.USAGE;
  }

  /**
   * Prints an error in one line. Returns the exit code.
   *
   * @throws Exception the same, if it is not the user's to mend, but a mistake of ours
   */
  static int refuse(CommandLine command, Exception e) throws Exception {
    return refuse(command, messageOf(e));
  }

  private static String messageOf(Exception e) throws Exception {
    if (e instanceof NoSuchFileException || e instanceof FileNotFoundException) {
      return "there is no file " + e.getMessage();
    }
    if (e instanceof AccessDeniedException) {
      return "no permission for " + e.getMessage();
    }
    boolean isOfAFile = // a mapped one, which is read when it is used
        e instanceof IllegalStateException && e.getCause() instanceof CharacterCodingException;
    if (isOfAFile
        || e instanceof InvalidInputException
        || e instanceof IOException
        || e instanceof UncheckedIOException
        || e instanceof IllegalArgumentException
        || e instanceof CancellationException
        || e instanceof ArithmeticException) {
      return OptionName.inAdvice(String.valueOf(e.getMessage()));
    }
    throw e;
  }

  /** Provides the version of the jar. */
  static final class Version implements CommandLine.IVersionProvider {
    @Override
    public String[] getVersion() {
      String version = Main.class.getPackage().getImplementationVersion();
      return new String[] {
        "blocksparse-classifier " + (version == null ? "of no version: not from its jar" : version)
      };
    }
  }
}
