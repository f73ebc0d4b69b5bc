// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.blocksparse.ElementType;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.ModelHead;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.classifier.fasttext.FastTextVectors;
import org.blocksparse.classifier.training.Training;
import org.blocksparse.classifier.training.TrainingOptions;
import org.blocksparse.io.LoadOptions;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Trains a model and saves it. */
@Command(
    name = "train",
    description = {
      "Trains a model on examples, one per line.",
      "Ctrl-C ends the training and saves the best model so far. Before the first training"
          + " step there is no model, so no file is written."
    },
    sortOptions = false,
    usageHelpWidth = 100)
final class TrainCommand implements Callable<Integer> {
  @Parameters(
      paramLabel = "FILE",
      description = "Examples; - is standard input. May be compressed.")
  private String file;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "MODEL",
      required = true,
      description = "The file to write the model to.")
  private Path output;

  @Option(
      names = "--from",
      paramLabel = "MODEL",
      description =
          "Continue training this model; its file does not change. New features and labels"
              + " are added; a linear head learns only new labels. The new model keeps --head,"
              + " --dimension, --label-tree and the tokenization.")
  private Path from;

  @Option(
      names = "--validation",
      paramLabel = "FILE",
      description =
          "Held-out examples: measure the model on them after each epoch, and save the best"
              + " one, by nDCG@5 if more than a tenth of them have several labels, else by P@1.")
  private String validation;

  @Option(
      names = "--epochs",
      paramLabel = "N",
      description =
          "Passes over the examples. Default: 3 to 40, depending on the numbers of examples and"
              + " labels. With --validation, a quarter of them, but at least 3, without a better"
              + " model end the training.")
  private Integer epochs;

  @Option(
      names = "--rate",
      paramLabel = "R",
      description =
          "Learning rate of the first step; it falls to zero. Default: 0.2; 0.01 with --from.")
  private Double rate;

  @Option(
      names = "--label-tree",
      description =
          "Learn each label independently, as present or absent (one-vs-all). An example may"
              + " have no label.")
  private boolean labelTree;

  @Option(
      names = "--head",
      paramLabel = "HEAD",
      description =
          "How labels are scored: embedding (dense vectors), linear (sparse weights of each"
              + " label), or both (weighted sum). Default: embedding with --label-tree or"
              + " --pretrained; else both if there are 500 examples and the embedding gains more"
              + " than a standard error on held-out ones; else linear.")
  private ModelHead head;

  @Option(
      names = "--trees",
      paramLabel = "N",
      description =
          "Trees of the linear head, 1 or 2. A second one has other clusters of labels; both scores"
              + " are added. Size, training and answers cost about twice as much. Default: 1.")
  private Integer trees;

  @Option(
      names = "--label-texts",
      paramLabel = "FILE",
      description =
          "Texts of labels, such as names or definitions, in the format of examples: one"
              + " line and one label for each. Labels without examples are found by them, too, if"
              + " the texts gain more than a standard error on held-out examples.")
  private String labelTexts;

  @Option(
      names = "--none",
      description =
          "Learn when none of the labels applies, for predict --none: from models that lack"
              + " a part of the labels, or from 10 or more examples without a label. Takes up to"
              + " four times as long.")
  private boolean none;

  @Option(
      names = "--dimension",
      paramLabel = "N",
      description =
          "Size of the dense vectors. Default: 128 if there are 4096 or more labels, over a"
              + " tenth of the examples have several labels, and there is no linear head; else 64.")
  private Integer dimension;

  @Option(
      names = "--pretrained",
      paramLabel = "FILE",
      description =
          "Words begin with the vectors of a model of fastText, '.bin' or '.ftz', which determines"
              + " --dimension.")
  private Path pretrained;

  @Option(
      names = "--word-ngrams",
      paramLabel = "N",
      description =
          "Features are words and word n-grams of up to N words. Default: 2, or 1 where held-out"
              + " examples are ranked better without pairs.")
  private Integer wordNgrams;

  @Option(
      names = "--char-ngrams",
      paramLabel = "N-M",
      description =
          "Features are character n-grams inside words, too, from N to M characters, or of N;"
              + " 'none' are not. Default: 2-5 where held-out examples are ranked better with them"
              + " by a linear head, else none.")
  private String charNgrams;

  @Option(
      names = "--plain-words",
      description = "Split texts at white space, and change nothing else in them.")
  private boolean plainWords;

  @Option(
      names = "--min-count",
      paramLabel = "N",
      description =
          "Drop features with fewer than N occurrences. Default: 1 for words, 2 for n-grams of"
              + " words and characters.")
  private Integer minCount;

  @Option(
      names = "--max-features",
      paramLabel = "N",
      description =
          "Keep the N most frequent features; half of N is reserved for single words."
              + " Maximum: 1000000. Default: the maximum, with at most 2 word n-grams per example,"
              + " or 50000 if that is more, and as many character n-grams.")
  private Integer maxFeatures;

  @Mixin private RunOptions run;

  @Option(
      names = "--chart",
      paramLabel = "PNG",
      description = "Write the learning curve to this file.")
  private Path chart;

  @Mixin private InputOptions input;

  @Mixin private Streams streams;

  private final DataCard card = new DataCard();

  /** The pretrained vectors; null if there are none. */
  private FastTextVectors vectors;

  @Override
  public Integer call() throws Exception {
    requireNoOptionInVain();
    card.putDate();
    // A missing folder is reported before hours of training are lost.
    List<Path> examples = new ArrayList<>(InputOptions.files(file, validation, labelTexts));
    Stream.of(from, pretrained).filter(Objects::nonNull).forEach(examples::add);
    WritableFile.require("--output", output, examples);
    if (chart != null) {
      List<Path> others = new ArrayList<>(examples);
      others.add(output);
      WritableFile.require("--chart", chart, others);
    }
    try (Classifier initial = initialOrNull();
        FastTextVectors words = pretrainedOrNull()) {
      vectors = words;
      return train(initial);
    }
  }

  private Classifier initialOrNull() throws IOException {
    if (from == null) {
      return null;
    }
    Classifier initial = Classifier.load(from, LoadOptions.mapped().withWorkers(run.workers()));
    try {
      putOnCard("initial model", from);
      return initial;
    } catch (Throwable e) {
      initial.close();
      throw e;
    }
  }

  private FastTextVectors pretrainedOrNull() throws IOException {
    if (pretrained == null) {
      return null;
    }
    putOnCard("pretrained vectors", pretrained);
    return FastTextVectors.load(pretrained, run.workers());
  }

  private void putOnCard(String what, Path model) throws IOException {
    try (HashedInput bytes = new HashedInput(Files.newInputStream(model))) {
      card.putFile(what, model.getFileName().toString(), bytes);
    }
  }

  private int train(Classifier initial) throws Exception {
    boolean isTree = initial == null ? labelTree : initial.hasLabelTree();
    if (initial != null && initial.head() == ModelHead.LINEAR) {
      requireNothingOfAnEmbedding("--from with a linear model");
    }
    TrainingLog log = new TrainingLog(streams.out(), streams.err(), isTree, 5);
    try (CtrlC ctrlC = new CtrlC(log::hasLearned, log::end)) {
      try (log) {
        train(Optional.ofNullable(initial), log, ctrlC);
      } catch (Exception e) {
        // The error is reported here, since the program ends after this if Ctrl-C was pressed.
        return Main.refuse(streams.command(), e);
      }
      return ExitCode.OK;
    }
  }

  private void requireNoOptionInVain() {
    requireNothingOfANewModel();
    input.requireColumns(file);
    refuse(
        none && from != null, "--none: expected no --from as well, which learned other examples");
    refuse(
        InputOptions.isStandardInput(file) && InputOptions.isStandardInput(validation),
        "--validation: is standard input, from which the examples come");
    if (head == ModelHead.LINEAR) {
      requireNothingOfAnEmbedding("--head linear");
    }
    requireNothingAgainstLabelTexts();
    if (trees != null && trees > 1) {
      requireALinearHead("--trees 2");
    }
    refuse(
        pretrained != null && dimension != null,
        "--dimension: expected no --pretrained as well, which has it");
  }

  /** Returns whether an example is an empty line, from which nothing can be learned. */
  private static boolean isBlank(Example example) {
    return example.isText() && example.labels().isEmpty() && example.text().isBlank();
  }

  private void requireNothingAgainstLabelTexts() {
    if (labelTexts == null) {
      return;
    }
    refuse(
        InputOptions.isStandardInput(labelTexts),
        "--label-texts: expected the name of a file but was standard input");
    refuse(from != null, "--label-texts: expected no --from as well, whose weights stay");
    requireALinearHead("--label-texts");
  }

  /**
   * Rejects options with which a model has an embedding alone, some of them by default.
   *
   * @param other an option of a linear head, which is given
   */
  private void requireALinearHead(String other) {
    refuse(
        head == ModelHead.EMBEDDING,
        "--head: expected linear, both, or none, with " + other + " as well");
    Map<String, Boolean> given = new LinkedHashMap<>();
    given.put("--label-tree", labelTree);
    given.put("--pretrained", pretrained != null);
    given.forEach(
        (option, isGiven) ->
            refuse(
                isGiven && head == null,
                option + ": expected --head both with " + other + " as well"));
  }

  /** Rejects options that shape a new model if there is an initial one. */
  private void requireNothingOfANewModel() {
    Map<String, Boolean> given = new LinkedHashMap<>();
    given.put("--pretrained", pretrained != null);
    given.put("--dimension", dimension != null);
    given.put("--label-tree", labelTree);
    given.put("--head", head != null && head != ModelHead.EMBEDDING);
    given.put("--trees", trees != null);
    given.put("--word-ngrams", wordNgrams != null);
    given.put("--char-ngrams", charNgrams != null);
    given.put("--plain-words", plainWords);
    given.forEach(
        (option, isGiven) ->
            refuse(
                from != null && isGiven,
                option + ": expected no --from as well, whose model has it"));
  }

  /** Rejects options of an embedding if there is none. */
  private void requireNothingOfAnEmbedding(String withoutOne) {
    Map<String, Boolean> given = new LinkedHashMap<>();
    given.put("--label-tree", labelTree);
    given.put("--epochs", epochs != null);
    given.put("--rate", rate != null);
    given.put("--pretrained", pretrained != null);
    given.put("--dimension", dimension != null);
    given.put("--chart", chart != null);
    given.forEach(
        (option, isGiven) ->
            refuse(
                isGiven,
                option + ": expected no " + withoutOne + " as well, which has no embedding"));
  }

  private static void refuse(boolean condition, String message) {
    if (condition) {
      throw new InvalidInputException(message);
    }
  }

  private void train(Optional<Classifier> initial, TrainingLog log, CtrlC ctrlC)
      throws IOException {
    TrainingOptions options = options(initial).withListener(log).withStop(ctrlC::isPressed);
    PrintWriter out = streams.out();
    boolean isSmall;
    log.beginReading();
    try (Input examples = input.openToTrain(file, "reading", initial, streams.err());
        Classifier classifier = train(examples, log, options)) {
      log.close();
      save(classifier, output);
      isSmall = classifier.head() != ModelHead.EMBEDDING;
      out.printf(
          "%s: %,d bytes%s%n",
          output, Files.size(output), ctrlC.isPressed() ? ", the best model so far" : "");
    }
    if (chart != null) {
      draw(log);
    }
    printNextSteps(isSmall, out);
    out.flush();
  }

  private Classifier train(Input examples, TrainingLog log, TrainingOptions options) {
    TrainingOptions described =
        options.withCard(
            () -> {
              examples.addTo(card, "data");
              return card.entries();
            });
    try {
      return Training.train(examples.examples().peek(log::read).peek(this::requireText), described);
    } catch (IllegalArgumentException e) {
      examples.requireLabels(); // without labels, this message is clearer
      throw OptionName.in(e);
    }
  }

  /** Rejects options for texts if the examples have features. */
  private void requireText(Example example) {
    refuse(
        wordNgrams != null && !example.isText(),
        "--word-ngrams: expected texts, but the examples have features");
    refuse(
        charNgrams != null && !example.isText(),
        "--char-ngrams: expected texts, but the examples have features");
    refuse(
        plainWords && !example.isText(),
        "--plain-words: expected texts, but the examples have features");
    refuse(
        labelTexts != null && !example.isText(),
        "--label-texts: expected texts, but the examples have features");
    refuse(
        input.hasLabelPrefix() && !example.isText(),
        "--label-prefix: expected texts, but the examples have features");
  }

  /** Saves a trained model. */
  static void save(Classifier classifier, Path file) throws IOException {
    ModelWriter.save(to -> classifier.save(to, typeToSave(classifier)), file);
  }

  /**
   * Returns the type to save: models with a linear head, which no training continues, are made
   * small at once.
   */
  private static ElementType typeToSave(Classifier classifier) {
    return switch (classifier.head()) {
      case EMBEDDING -> classifier.weightType();
      case LINEAR -> ElementType.FLOAT16;
      case BOTH -> ElementType.INT8;
    };
  }

  /** Returns the options; errors name them as the command does. */
  private TrainingOptions options(Optional<Classifier> initial) throws IOException {
    try {
      return chosen(initial);
    } catch (IllegalArgumentException e) {
      throw OptionName.in(e);
    }
  }

  /** Returns a range, as 3-5, one number, or none. */
  private TrainingOptions withCharNgrams(TrainingOptions options) {
    if (charNgrams.equals("none")) {
      return options.withCharNgrams(0, 0);
    }
    refuse(
        !charNgrams.matches("\\d{1,3}(-\\d{1,3})?"),
        "--char-ngrams: expected a range as 3-5, or none, but was " + charNgrams);
    String[] ends = charNgrams.split("-", -1);
    return options.withCharNgrams(
        Integer.parseInt(ends[0]), Integer.parseInt(ends[ends.length - 1]));
  }

  private TrainingOptions chosen(Optional<Classifier> initial) throws IOException {
    TrainingOptions options =
        TrainingOptions.defaults().withSeed(run.seed()).withWorkers(run.workers());
    options = initial.isPresent() ? options.withInitialModel(initial.get()) : options;
    options = options.withTemporaryFolder(output.toAbsolutePath().getParent());
    options = epochs == null ? options : options.withEpochs(epochs);
    options = rate == null ? options : options.withRate(rate);
    options = labelTree ? options.withLabelTree() : options;
    options = none ? options.withNone() : options;
    options = head == null ? options : options.withHead(head);
    options = trees == null ? options : options.withTrees(trees);
    options = vectors == null ? options : options.withPretrained(vectors);
    options = dimension == null ? options : options.withDimension(dimension);
    options = wordNgrams == null ? options : options.withWordNgrams(wordNgrams);
    options = charNgrams == null ? options : withCharNgrams(options);
    options = plainWords ? options.withPlainWords() : options;
    options = options.withLabelPrefix(input.labelPrefix(initial));
    options = minCount == null ? options : options.withMinCount(minCount);
    options = maxFeatures == null ? options : options.withMaxFeatures(maxFeatures);
    if (labelTexts != null) {
      try (Input texts =
          input.openToTrain(labelTexts, "reading " + labelTexts, initial, streams.err())) {
        try {
          options = options.withLabelTexts(texts.examples().filter(e -> !isBlank(e)));
        } catch (IllegalArgumentException e) {
          throw texts.problem(OptionName.in(e).getMessage());
        }
        texts.addTo(card, "label texts");
      }
    }
    if (validation != null) {
      try (Input others =
          input.openToTrain(validation, "reading " + validation, initial, streams.err())) {
        List<Example> examples = others.examples().toList();
        others.requireLabels();
        others.addTo(card, "validation data");
        options = options.withValidation(examples.stream());
      }
    }
    return options;
  }

  private void draw(TrainingLog log) {
    if (log.points().size() < 2) {
      streams.out().printf("%s: not drawn, since one epoch makes no curve%n", chart);
      return;
    }
    try {
      LearningCurve.draw(log.points(), chart);
      streams.out().printf("%s: the learning curve%n", chart);
    } catch (IOException | RuntimeException | LinkageError | InternalError e) { // no font, say
      streams.err().printf("No chart: %s%n", e);
      streams.err().flush();
    }
  }

  private void printNextSteps(boolean isSmall, PrintWriter out) {
    String command = Launcher.command();
    String model = Launcher.word(output);
    String options = input.words();
    out.printf("%nTo go on:%n");
    out.printf(
        "  %s test%s %s FILE%n      precision, recall and nDCG on other examples%n",
        command, options, model);
    out.printf("  %s predict %s%n      labels for each line of standard input%n", command, model);
    out.printf(
        "  %s latency%s %s FILE%n      how long predictions take%n", command, options, model);
    if (!isSmall) {
      out.printf("  %s quantize %s OUT%n      a smaller model, nearly as good%n", command, model);
    }
    if (validation == null) {
      out.printf(
          "  %s train%s --validation OTHERS -o %s %s%n      measured on other examples, and the"
              + " best model kept%n",
          command, options, model, Launcher.word(file));
    }
  }
}
