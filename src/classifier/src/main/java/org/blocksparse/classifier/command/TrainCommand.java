// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ForkJoinPool;
import org.blocksparse.LoadOptions;
import org.blocksparse.Workers;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.Example;
import org.blocksparse.classifier.InvalidInputException;
import org.blocksparse.classifier.TrainingOptions;
import org.blocksparse.classifier.ValidationMetric;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Trains a model and saves it. */
@Command(
    name = "train",
    description = {
      "Trains a model on examples, one on each line.",
      "Ctrl-C ends the training, and the best model so far is saved; before the first step, there"
          + " is none, and it ends all."
    },
    sortOptions = false,
    usageHelpWidth = 100)
final class TrainCommand implements Callable<Integer> {
  @Parameters(paramLabel = "FILE", description = "Examples; - is standard input. May be gzipped.")
  private String file;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "MODEL",
      required = true,
      description = "Where the model is written.")
  private Path output;

  @Option(
      names = "--from",
      paramLabel = "MODEL",
      description =
          "Go on from this model, which stays as it is, and add features and labels that it does"
              + " not know. What it is made of is its own: no --dimension and the like.")
  private Path from;

  @Option(
      names = "--validation",
      paramLabel = "FILE",
      description = "Examples to measure on after each epoch; the best model is kept.")
  private String validation;

  @Option(
      names = "--validation-metric",
      paramLabel = "METRIC",
      description =
          "What finds the best one: p@1, ndcg@5 or f1 (ndcg@5 if more than a tenth of the examples"
              + " of --validation have several labels, else p@1).")
  private ValidationMetric metric;

  @Option(
      names = "--tune",
      paramLabel = "SECONDS",
      description =
          "First search those of --rate, --epochs and --dimension that are not set for that long,"
              + " by what finds the best model.")
  private Integer tune;

  @Option(
      names = "--patience",
      paramLabel = "N",
      description =
          "End after N epochs without a better one, by --validation (a quarter of them, at least"
              + " 3).")
  private Integer patience;

  @Option(
      names = "--epochs",
      paramLabel = "N",
      description = "Passes over the examples; by default 3 to 40, by their number and labels.")
  private Integer epochs;

  @Option(
      names = "--rate",
      paramLabel = "R",
      description = "How large the first steps are (0.2; 0.01 with --from).")
  private Double rate;

  @Option(
      names = "--smoothing",
      paramLabel = "S",
      description = "Share of each label that is taken to be any label (0.1; no --label-tree).")
  private Double smoothing;

  @Option(
      names = "--label-tree",
      description =
          "Each label is there or not, whatever others are: learn all labels of an example at once,"
              + " and from examples without any. Probabilities then do not sum to one.")
  private boolean labelTree;

  @Option(
      names = "--dimension",
      paramLabel = "N",
      description =
          "Size of vectors (64; 128 for 4096 labels or more if many examples have several).")
  private Integer dimension;

  @Option(
      names = "--batch",
      paramLabel = "N",
      description = "Examples in a step; by default 16 to 1024, by their number.")
  private Integer batch;

  @Option(
      names = "--word-ngrams",
      paramLabel = "N",
      description = "Features are words, and up to N words in a row (2).")
  private Integer wordNgrams;

  @Option(
      names = "--plain-words",
      description = "Words are what white space separates, and nothing else is made of a text.")
  private boolean plainWords;

  @Option(
      names = "--min-count",
      paramLabel = "N",
      description =
          "Leave out features that occur less often (1; from 20,000 examples on 2 for words in a"
              + " row).")
  private Integer minCount;

  @Option(
      names = "--max-features",
      paramLabel = "N",
      description =
          "Keep up to N features: the most frequent words in one half of them, then whatever else"
              + " is most frequent (1000000, which is the most).")
  private Integer maxFeatures;

  @Option(
      names = "--shared-rows",
      paramLabel = "N",
      description = "Hash all features into N rows, instead of keeping a row for each.")
  private Integer sharedRows;

  @Option(
      names = "--classes",
      paramLabel = "N",
      description =
          "Classes of labels; by default 1 for up to 1024 or few examples with one label each (but"
              + " with --label-tree), else what is fastest.")
  private Integer classes;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description = "Equal seeds give equal models (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(names = "--threads", paramLabel = "N", description = "By default one per processor.")
  private Integer threads;

  @Option(
      names = "--date",
      paramLabel = "DAY",
      description =
          "Day that info prints, as 2026-11-29; by default that of SOURCE_DATE_EPOCH, else today in"
              + " UTC.")
  private String date;

  @Option(
      names = "--chart",
      paramLabel = "PNG",
      description =
          "Where the learning curve is drawn; by default beside the model, unless there is such a"
              + " file.")
  private Path chart;

  @Option(names = "--no-chart", description = "Draw no learning curve.")
  private boolean noChart;

  @Mixin private InputOptions input;

  @Mixin private Streams streams;

  /** Facts on the model before it is trained, and then on its data. */
  private final Map<String, String> card = new LinkedHashMap<>();

  @Override
  public Integer call() throws Exception {
    requireNoOptionInVain();
    card.put("date", CardDate.of(date, System.getenv("SOURCE_DATE_EPOCH"), Clock.systemUTC()));
    // Hours of training must not be lost to a folder that is not there.
    List<Path> examples = new ArrayList<>(InputOptions.files(file, validation));
    if (from != null) {
      examples.add(from);
    }
    WritableFile.require("--output", output, examples);
    Path png = chart != null ? chart : output.resolveSibling(output.getFileName() + ".png");
    if (!noChart && (chart != null || Files.notExists(png))) {
      List<Path> others = new ArrayList<>(examples);
      others.add(output);
      WritableFile.require("--chart", png, others);
    }
    try (Classifier initial = initialOrNull()) {
      return train(initial, png);
    }
  }

  private Classifier initialOrNull() throws IOException {
    if (from == null) {
      return null;
    }
    Classifier initial = Classifier.load(from, LoadOptions.mapped().withWorkers(workers()));
    try (HashedInput bytes = new HashedInput(Files.newInputStream(from))) {
      bytes.size();
      card.put("initial model", from.getFileName().toString());
      card.put("initial model SHA-256", bytes.sha256());
      return initial;
    } catch (Throwable e) {
      initial.close();
      throw e;
    }
  }

  private Workers workers() {
    if (threads == null) {
      return Workers.common();
    }
    Limits.require("--threads", threads, 1, Integer.MAX_VALUE);
    return Workers.of(ForkJoinPool.commonPool(), threads);
  }

  private int train(Classifier initial, Path png) throws Exception {
    boolean isTree = initial != null && initial.info().get("layer").equals("LabelTree");
    TrainingLog log =
        new TrainingLog(streams.out(), streams.err(), labelTree || isTree, tune == null ? 0 : tune);
    try (CtrlC ctrlC = new CtrlC(log::hasLearned, log::end)) {
      try (log) {
        train(Optional.ofNullable(initial), log, ctrlC, png);
      } catch (Exception e) {
        // Here: after this, the program ends if Ctrl-C was pressed.
        return Main.refuse(streams.command(), e);
      }
      return ExitCode.OK;
    }
  }

  private void requireNoOptionInVain() {
    requireNothingOfANewModel();
    refuse(tune != null && validation == null, "--tune: expected --validation as well");
    refuse(
        tune != null && rate != null && epochs != null && dimension != null,
        "--tune: expected --rate, --epochs or --dimension to be left out");
    refuse(patience != null && validation == null, "--patience: expected --validation as well");
    refuse(
        metric != null && validation == null, "--validation-metric: expected --validation as well");
    refuse(
        InputOptions.isStandardInput(file) && InputOptions.isStandardInput(validation),
        "--validation: is standard input, from which the examples come");
    refuse(
        smoothing != null && smoothing != 0 && labelTree,
        "--smoothing: expected no --label-tree as well, which has none");
    refuse(chart != null && noChart, "--chart: expected no --no-chart as well");
    boolean isShared = sharedRows != null && sharedRows > 0;
    refuse(
        isShared && maxFeatures != null,
        "--max-features: expected no --shared-rows as well, with which nothing is left out");
    refuse(
        isShared && minCount != null,
        "--min-count: expected no --shared-rows as well, with which nothing is left out");
  }

  /** Options that shape a new model are refused with an initial one. */
  private void requireNothingOfANewModel() {
    Map<String, Boolean> given = new LinkedHashMap<>();
    given.put("--dimension", dimension != null);
    given.put("--classes", classes != null);
    given.put("--label-tree", labelTree);
    given.put("--word-ngrams", wordNgrams != null);
    given.put("--plain-words", plainWords);
    given.put("--shared-rows", sharedRows != null);
    given.forEach(
        (option, isGiven) ->
            refuse(
                from != null && isGiven,
                option + ": expected no --from as well, whose model has it"));
  }

  private static void refuse(boolean condition, String message) {
    if (condition) {
      throw new InvalidInputException(message);
    }
  }

  private void train(Optional<Classifier> initial, TrainingLog log, CtrlC ctrlC, Path png)
      throws IOException {
    TrainingOptions options = options(initial).withListener(log).withStop(ctrlC::isPressed);
    PrintWriter out = streams.out();
    log.beginReading();
    try (Input examples = input.openToTrain(file, "reading", initial, streams.err());
        Classifier classifier = train(examples, log, options)) {
      log.close();
      save(classifier, output);
      out.printf(
          "%s: %,d bytes%s%n",
          output, Files.size(output), ctrlC.isPressed() ? ", the best model so far" : "");
    }
    if (!noChart) {
      draw(log, png);
    }
    printNextSteps(out);
    out.flush();
  }

  private Classifier train(Input examples, TrainingLog log, TrainingOptions options) {
    TrainingOptions described =
        options.withCard(
            () -> {
              examples.addTo(card, "data");
              return card;
            });
    try {
      return Classifier.train(
          examples.examples().peek(log::read).peek(this::requireText), described);
    } catch (IllegalArgumentException e) {
      examples.requireLabels(); // where there is none, this says more
      throw e;
    }
  }

  /** Options for texts mean nothing to features. */
  private void requireText(Example example) {
    refuse(
        wordNgrams != null && !example.isText(),
        "--word-ngrams: expected texts, but the examples have features");
    refuse(
        plainWords && !example.isText(),
        "--plain-words: expected texts, but the examples have features");
    refuse(
        input.hasLabelPrefix() && !example.isText(),
        "--label-prefix: expected texts, but the examples have features");
  }

  /** Saves what was trained: elsewhere, if it cannot be where it should. */
  static void save(Classifier classifier, Path file) throws IOException {
    try {
      classifier.save(file);
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      Path saved;
      try {
        saved = saveElsewhere(classifier);
      } catch (IOException | RuntimeException | OutOfMemoryError again) {
        e.addSuppressed(again);
        throw e;
      }
      String reason = Main.toUsers(e instanceof IOException ? e.getMessage() : e.toString());
      throw new IOException("the model is in " + saved + ", because of " + reason, e);
    }
  }

  private static Path saveElsewhere(Classifier classifier) throws IOException {
    Path file = Files.createTempFile("model-", ""); // whatever the other's name, there is room
    try {
      classifier.save(file);
      return file;
    } catch (Throwable e) {
      Files.deleteIfExists(file);
      throw e;
    }
  }

  /** Options by the names that they have here, where one is refused. */
  private TrainingOptions options(Optional<Classifier> initial) throws IOException {
    try {
      return chosen(initial);
    } catch (IllegalArgumentException e) {
      throw OptionName.in(e);
    }
  }

  private TrainingOptions chosen(Optional<Classifier> initial) throws IOException {
    TrainingOptions options = TrainingOptions.defaults().withSeed(seed).withWorkers(workers());
    options = initial.isPresent() ? options.withInitialModel(initial.get()) : options;
    options = options.withTemporaryFolder(output.toAbsolutePath().getParent());
    options = epochs == null ? options : options.withEpochs(epochs);
    options = rate == null ? options : options.withRate(rate);
    options = smoothing == null ? options : options.withSmoothing(smoothing);
    options = labelTree ? options.withLabelTree() : options;
    options = dimension == null ? options : options.withDimension(dimension);
    options = batch == null ? options : options.withBatch(batch);
    options = wordNgrams == null ? options : options.withWordNgrams(wordNgrams);
    options = plainWords ? options.withPlainWords() : options;
    options = options.withLabelPrefix(input.labelPrefix(initial));
    options = minCount == null ? options : options.withMinCount(minCount);
    options = maxFeatures == null ? options : options.withMaxFeatures(maxFeatures);
    options = sharedRows == null ? options : options.withSharedRows(sharedRows);
    options = classes == null ? options : options.withClasses(classes);
    if (validation != null) {
      try (Input others =
          input.openToTrain(validation, "reading " + validation, initial, streams.err())) {
        List<Example> examples = others.examples().toList();
        others.requireLabels();
        others.addTo(card, "validation data");
        options =
            patience == null
                ? options.withValidation(examples)
                : options.withValidation(examples, patience);
        if (tune != null) {
          Limits.require("--tune", tune, 1, Integer.MAX_VALUE);
          options = options.withTuning(Duration.ofSeconds(tune));
        }
        options = metric == null ? options : options.withValidationMetric(metric);
      }
    }
    return options;
  }

  private void draw(TrainingLog log, Path png) {
    if (log.points().size() < 2) {
      if (chart != null) {
        streams.out().printf("%s: not drawn, since one epoch makes no curve%n", png);
      }
      return;
    }
    if (chart == null && Files.exists(png)) {
      streams.out().printf("%s is there already, and is left as it is; --chart replaces it%n", png);
      return;
    }
    try {
      LearningCurve.draw(log.points(), png);
      streams.out().printf("%s: the learning curve%n", png);
    } catch (IOException | RuntimeException | LinkageError | InternalError e) { // no font, say
      streams.err().printf("No chart: %s%n", e);
      streams.err().flush();
    }
  }

  private void printNextSteps(PrintWriter out) {
    String command = Launcher.command();
    String model = Launcher.word(output);
    out.printf("%nTo go on:%n");
    out.printf(
        "  %s test %s FILE%n      precision, recall and nDCG on other examples%n", command, model);
    out.printf("  %s predict %s%n      labels for each line of standard input%n", command, model);
    out.printf("  %s latency %s FILE%n      how long predictions take%n", command, model);
    out.printf("  %s quantize %s OUT%n      a smaller model, nearly as good%n", command, model);
    if (validation == null) {
      out.printf(
          "  %s train --validation OTHERS -o %s %s%n      measured on other examples, and the best"
              + " model kept%n",
          command, model, Launcher.word(file));
    }
  }
}
