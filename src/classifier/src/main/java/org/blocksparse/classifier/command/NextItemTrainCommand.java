// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.classifier.examples.ItemTexts;
import org.blocksparse.classifier.examples.Sequence;
import org.blocksparse.classifier.examples.SequenceFormat;
import org.blocksparse.classifier.nextitem.NextItem;
import org.blocksparse.classifier.nextitem.NextItemOptions;
import org.blocksparse.classifier.training.TrainingOptions;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Trains a recommender of next items. */
@Command(
    name = "train",
    description = {
      "Trains a recommender on sequences of items, or on baskets.",
      "Without --validation, the last item of each sequence, or one of ten baskets, is held out to"
          + " choose settings, epochs and the weights of the scorers. A last training then learns"
          + " these items, too."
    },
    sortOptions = false,
    usageHelpWidth = 100)
final class NextItemTrainCommand implements Callable<Integer> {
  private static final Pattern GAP = Pattern.compile("([1-9][0-9]{0,5})([smhd])");

  private static final Map<String, ChronoUnit> UNITS =
      Map.of(
          "s", ChronoUnit.SECONDS,
          "m", ChronoUnit.MINUTES,
          "h", ChronoUnit.HOURS,
          "d", ChronoUnit.DAYS);

  @Parameters(
      paramLabel = "FILE",
      description = "Sequences; - is standard input. May be compressed.")
  private String file;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "MODEL",
      required = true,
      description = "The file to write the model to.")
  private Path output;

  @Option(
      names = "--validation",
      paramLabel = "FILE",
      description = "Held-out sequences, whose last items are predicted.")
  private String validation;

  @Option(
      names = "--item-texts",
      paramLabel = "FILE",
      description =
          "Titles, attributes or other words of items: one item a line, with its text after it."
              + " Items with similar texts then follow each other, if that helps on held-out items.")
  private String itemTexts;

  @Option(
      names = "--until",
      paramLabel = "TIME",
      description = "Leave out events from this time on, to test on them.")
  private Double until;

  @Option(
      names = "--session-gap",
      paramLabel = "GAP",
      description =
          "A larger gap between two events of a user begins a new sequence: a whole number and s, m,"
              + " h or d, such as 30m. Default: a user has one sequence.")
  private String sessionGap;

  @Option(
      names = "--epochs",
      paramLabel = "N",
      description =
          "Maximum number of passes in each training, which ends after 2 without a better model."
              + " Default: 10; 12 over baskets.")
  private Integer epochs;

  @Option(
      names = "--rate",
      paramLabel = "R",
      description = "Learning rate of the first step; it falls to zero. Default: 0.1.")
  private Double rate;

  @Option(
      names = "--dropout",
      paramLabel = "P",
      description =
          "Share of the vector of a history that a step drops. Default: 0.5; 0.7 for sequences in"
              + " any order.")
  private Double dropout;

  @Option(
      names = "--dimension",
      paramLabel = "N",
      description = "Size of the dense vectors. Default: 256.")
  private Integer dimension;

  @Mixin private RunOptions run;

  @Mixin private SequenceInput input;

  @Mixin private Streams streams;

  private final DataCard card = new DataCard();

  @Override
  public Integer call() throws Exception {
    card.putDate();
    WritableFile.require("--output", output, InputOptions.files(file, validation, itemTexts));
    TrainingLog log = TrainingLog.ofNextItem(streams.out(), streams.err());
    try (CtrlC ctrlC = new CtrlC(log::hasLearned, log::end)) {
      try (log) {
        train(log, ctrlC);
      } catch (Exception e) {
        // The error is reported here, since the program ends after this if Ctrl-C was pressed.
        return Main.refuse(streams.command(), e);
      }
      return ExitCode.OK;
    }
  }

  private void train(TrainingLog log, CtrlC ctrlC) throws IOException {
    PrintWriter out = streams.out();
    log.beginReading();
    List<Sequence> sequences = input.readToTrain(file, until, sessionGap(), card);
    long few = sequences.stream().filter(s -> s.known() == 0).count();
    out.printf("%,d sequences", sequences.size());
    out.println(few == 0 ? "" : "; %,d have fewer than two items".formatted(few));
    Map<String, String> texts = texts(sequences);
    NextItemOptions options = options(log, ctrlC).withItemTexts(texts);
    try (NextItem model = NextItem.train(sequences, options)) {
      log.close();
      ModelWriter.save(model::save, output);
      out.printf("%s%n", model);
      out.printf("%s: %,d bytes%n", output, Files.size(output));
      printNextSteps(model);
    }
  }

  private Map<String, String> texts(List<Sequence> sequences) throws IOException {
    if (itemTexts == null) {
      return Map.of();
    }
    if (InputOptions.isStandardInput(itemTexts)) {
      throw new InvalidInputException(
          "--item-texts: expected the name of a file but was standard input");
    }
    Map<String, String> texts = new HashMap<>(ItemTexts.read(Path.of(itemTexts)));
    int all = texts.size();
    Set<String> items =
        sequences.stream().flatMap(s -> s.items().stream()).collect(Collectors.toSet());
    texts.keySet().retainAll(items);
    if (texts.isEmpty()) {
      throw new InvalidInputException(
          itemTexts
              + ": expected the text of an item that a sequence has, but none of "
              + all
              + " is of one");
    }
    streams.out().printf("%,d of %,d items have a text", texts.size(), items.size());
    streams
        .out()
        .println(
            all == texts.size()
                ? ""
                : "; %,d texts of items that no sequence has are left out"
                    .formatted(all - texts.size()));
    return texts;
  }

  /** Returns the gap; null if a user has one sequence. */
  private Duration sessionGap() {
    if (sessionGap == null) {
      return null;
    }
    Matcher gap = GAP.matcher(sessionGap);
    if (!gap.matches()) {
      throw new InvalidInputException(
          "--session-gap: expected a number from 1 to 999999 and s, m, h or d, such as 30m, but was '"
              + Printed.of(sessionGap)
              + "'");
    }
    if (input.format() != SequenceFormat.EVENTS) {
      throw new InvalidInputException("--session-gap: expected --format events, which have times");
    }
    return Duration.of(Long.parseLong(gap.group(1)), UNITS.get(gap.group(2)));
  }

  private void printNextSteps(NextItem model) {
    PrintWriter out = streams.out();
    String command = Launcher.command() + " next-item";
    String name = Launcher.word(output);
    String from = until == null ? "" : " --from " + model.info().get("until");
    out.printf("%nTo go on:%n");
    out.printf(
        "  %s test %s%s FILE%n      HR and nDCG on %s%n",
        command, name, from, until == null ? "last items" : "items from that time on");
    out.printf("  %s recommend %s FILE%n      items for each user%n", command, name);
    out.flush();
  }

  /** Returns the options; errors name them as the command does. */
  private NextItemOptions options(TrainingLog log, CtrlC ctrlC) throws IOException {
    try {
      NextItemOptions options = NextItemOptions.defaults().withLearning(learning(log, ctrlC));
      options = options.withFormat(input.format()).withColumns(input.columns());
      options = until == null ? options : options.withUntil(until);
      options = sessionGap == null ? options : options.withSessionGap(sessionGap());
      options = dropout == null ? options : options.withDropout(dropout);
      return validation == null
          ? options
          : options.withValidation(input.readToValidate(validation, sessionGap()));
    } catch (IllegalArgumentException e) {
      throw OptionName.in(e);
    }
  }

  private TrainingOptions learning(TrainingLog log, CtrlC ctrlC) {
    TrainingOptions options = TrainingOptions.defaults().withCard(card::entries);
    options = options.withSeed(run.seed()).withWorkers(run.workers());
    options = epochs == null ? options : options.withEpochs(epochs);
    options = rate == null ? options : options.withRate(rate);
    options = dimension == null ? options : options.withDimension(dimension);
    return options.withListener(log).withStop(ctrlC::isPressed);
  }
}
