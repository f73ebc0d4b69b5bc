// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Translates command lines of fastText into those of this command. The tables here are those of the
 * page for fastText's users, too.
 */
final class FastText {
  private static final String INPUT = "-input";
  private static final String OUTPUT = "-output";
  private static final String NO_VECTORS = "no unsupervised training";

  /** The default of -autotune-duration. */
  private static final String SECONDS_OF_TUNING = "300";

  /**
   * A subcommand.
   *
   * @param arguments after its name
   * @param here its equivalent in this command; empty if there is none
   * @param remark may be empty
   */
  private record Subcommand(String name, String arguments, String here, String remark) {}

  /**
   * An option, or one value of it.
   *
   * @param value the name of its value, in upper case; a value, in lower case; empty if it takes
   *     none
   * @param here its equivalent in this command, with the name of the value; empty if there is none
   * @param remark may be empty
   */
  private record Option(String name, String value, String here, String remark) {
    Option(String name, String value, String here) {
      this(name, value, here, "");
    }

    boolean matches(String name, String value) {
      boolean isAny = this.value.equals(this.value.toUpperCase(Locale.ROOT));
      return this.name.equals(name) && (isAny || this.value.equals(value));
    }

    /** Returns the words of this command. */
    Stream<String> translated(String value) {
      return Stream.of(here.split(" ")).map(word -> word.equals(this.value) ? value : word);
    }
  }

  private static final String MINN = "-minn";
  private static final String MAXN = "-maxn";
  private static final String CHAR_NGRAMS = "--char-ngrams";

  private static final List<Subcommand> SUBCOMMANDS =
      List.of(
          new Subcommand("supervised", "-input F -output M", "train -o M F", ""),
          new Subcommand(
              "test",
              "M F [K] [P]",
              "test M F --top K --threshold P",
              "P@K and R@K are means over examples"),
          new Subcommand(
              "test-label",
              "M F [K] [P]",
              "test M F --top K --threshold P --by-label TSV",
              "the table goes into the file TSV"),
          new Subcommand(
              "predict",
              "M F [K] [P]",
              "predict M F --top K --threshold P",
              "prints probabilities, too; without K, fastText prints one label, this command five"),
          new Subcommand(
              "predict-prob",
              "M F [K] [P]",
              "predict M F --top K --threshold P",
              "labels have no prefix"),
          new Subcommand(
              "quantize",
              "-output M",
              "quantize M M.small",
              "no examples, no training; needs --head embedding: train writes other models in 16 or"
                  + " 8 bits"),
          new Subcommand("dump", "M args", "info M", ""),
          new Subcommand("dump", "M input", "export M NPZ", "needs --head embedding"),
          new Subcommand("skipgram", "", "", NO_VECTORS),
          new Subcommand("cbow", "", "", NO_VECTORS),
          new Subcommand("print-word-vectors", "", "", NO_VECTORS),
          new Subcommand("print-sentence-vectors", "", "", NO_VECTORS),
          new Subcommand(
              "print-ngrams", "", "", "predict --explain names those of a text that count"),
          new Subcommand("nn", "", "", NO_VECTORS),
          new Subcommand("analogies", "", "", NO_VECTORS));

  private static final List<Option> OPTIONS =
      List.of(
          new Option(
              "-lr",
              "R",
              "--rate R",
              "Adagrad needs other rates than SGD: leave it out first; the default is 0.2"),
          new Option("-epoch", "N", "--epochs N"),
          new Option("-dim", "N", "--dimension N"),
          new Option("-wordNgrams", "N", "--word-ngrams N", "the default is 2"),
          new Option(
              "-minCount",
              "N",
              "--min-count N",
              "pairs of words that occur once are dropped by default"),
          new Option(
              "-bucket",
              "N",
              "--shared-rows N",
              "usually better without: then each feature has a row of its own"),
          new Option("-loss", "ova", "--label-tree", "one-vs-all up to 1024 labels"),
          new Option("-loss", "NAME", "", "softmax, hs, ns: a softmax of one or two levels"),
          new Option("-thread", "N", "--threads N", "the model is the same for any number"),
          new Option("-label", "P", "--label-prefix P", "a model keeps it"),
          new Option("-seed", "N", "--seed N"),
          new Option("-autotune-validation", "F", "--validation F", "and --tune SECONDS"),
          new Option("-autotune-duration", "S", "--tune S"),
          new Option("-autotune-metric", "f1", "--validation-metric f1"),
          new Option("-autotune-metric", "M", "", "the other metrics here are p@1 and ndcg@5"),
          new Option("-autotune-predictions", "K", "", "the metric has its own k"),
          new Option(
              "-autotune-modelsize",
              "S",
              "",
              "with --head embedding, quantize makes the model smaller"),
          new Option(MINN, "N", CHAR_NGRAMS + " N-M", "with -maxn; by default, the data decide"),
          new Option(MAXN, "M", CHAR_NGRAMS + " N-M", "0: none"),
          new Option("-pretrainedVectors", "F", "--pretrained F", "the .bin, not the .vec"),
          new Option("-minCountLabel", "N", "", "all labels are kept"),
          new Option("-lrUpdateRate", "N", "", "the rate falls with each step"),
          new Option("-ws", "N", "", NO_VECTORS),
          new Option("-neg", "N", "", "no negative sampling"),
          new Option("-t", "R", "", "frequent words are not skipped"),
          new Option("-saveOutput", "", "", "export writes all parameters; needs --head embedding"),
          new Option("-verbose", "N", "", "progress goes to standard error"),
          new Option("-cutoff", "N", "", "quantize drops no features"),
          new Option("-retrain", "", "", "quantize needs no training"),
          new Option("-qnorm", "", "", "quantize has 16 or 8 bits: --type"),
          new Option("-qout", "", "", "quantize has 16 or 8 bits: --type"),
          new Option("-dsub", "N", "", "quantize has 16 or 8 bits: --type"));

  private FastText() {}

  /**
   * Returns the table of the page; names without a counterpart share a row if they share the
   * remark.
   */
  static String table() {
    Map<List<String>, List<String>> rows = new LinkedHashMap<>();
    SUBCOMMANDS.forEach(c -> add(c.name + " " + c.arguments, c.here, c.remark, rows));
    OPTIONS.forEach(o -> add(o.name + " " + o.value, o.here, o.remark, rows));
    StringBuilder table = new StringBuilder("| fastText | here | |\n|---|---|---|\n");
    rows.forEach(
        (here, names) ->
            table.append(
                "| `%s` | %s | %s |\n"
                    .formatted(String.join("`, `", names), here.get(0), here.get(1))));
    return table.toString();
  }

  private static void add(
      String name, String here, String remark, Map<List<String>, List<String>> rows) {
    String code = here.isEmpty() ? "" : "`" + here + "`";
    String text = remark.replaceAll("--[a-z-]+( [A-Z]+| embedding)?", "`$0`");
    rows.computeIfAbsent(List.of(code, text), key -> new ArrayList<>()).add(name.strip());
  }

  /**
   * Returns the lines to print for the arguments of fastText; empty if these are not.
   *
   * @param takesValue whether a word is an option of this command that takes a value
   */
  static List<String> answer(List<String> args, Predicate<String> takesValue) {
    if (args.isEmpty()) {
      return List.of();
    }
    String name = args.get(0);
    List<String> words = args.subList(1, args.size());
    return switch (name) {
      case "train", "supervised", "quantize" -> {
        Translation translation = new Translation(words, takesValue);
        boolean isFastText = name.equals("supervised") || translation.translated;
        yield isFastText ? translation.lines(name) : List.of();
      }
      case "test", "predict" -> isRanked(words) ? ranked(name, words) : List.of();
      case "test-label", "predict-prob" -> ranked(name, words);
      case "dump" ->
          List.of("fastText's dump is here: info, which prints the arguments; export, all vectors");
      default ->
          SUBCOMMANDS.stream()
              .filter(subcommand -> subcommand.name.equals(name))
              .map(subcommand -> "fastText's " + name + " is not here: " + subcommand.remark)
              .toList();
    };
  }

  /** Returns whether k follows model and file, which has an option here. */
  private static boolean isRanked(List<String> words) {
    return (words.size() == 3 || words.size() == 4)
        && words.stream().noneMatch(word -> word.startsWith("--"))
        && words.subList(2, words.size()).stream().allMatch(word -> word.matches("[0-9.]+"));
  }

  private static List<String> ranked(String name, List<String> words) {
    List<String> ours = new ArrayList<>();
    ours.add(name.startsWith("test") ? "test" : "predict");
    ours.add(!words.isEmpty() ? words.get(0) : "MODEL");
    ours.add(words.size() > 1 ? words.get(1) : "FILE");
    ours.add("--top");
    ours.add(words.size() > 2 ? words.get(2) : "1");
    if (words.size() > 3) {
      ours.add("--threshold");
      ours.add(words.get(3));
    }
    if (name.equals("test-label")) {
      ours.add("--by-label");
      ours.add("TSV");
    }
    return List.of(line(name, ours));
  }

  private static String line(String name, List<String> ours) {
    String words = ours.stream().map(Launcher::word).collect(Collectors.joining(" "));
    return "fastText's " + name + " is here: " + Launcher.command() + " " + words;
  }

  /** The translation of the options of a line. */
  private static final class Translation {
    private final List<String> ours = new ArrayList<>();
    private final List<String> remarks = new ArrayList<>();
    private Optional<String> input = Optional.empty();
    private Optional<String> output = Optional.empty();

    /** Whether an option of fastText was found. */
    private boolean translated;

    /** The shortest and the longest character n-gram; empty if not given. */
    private Optional<String> shortest = Optional.empty();

    private Optional<String> longest = Optional.empty();

    Translation(List<String> words, Predicate<String> takesValue) {
      Iterator<String> rest = words.iterator();
      while (rest.hasNext()) {
        String word = rest.next();
        if (word.equals(INPUT)) {
          translated = true;
          input = next(rest);
        } else if (word.equals(OUTPUT)) {
          translated = true;
          output = next(rest);
        } else if (word.equals(MINN)) {
          translated = true;
          shortest = next(rest);
        } else if (word.equals(MAXN)) {
          translated = true;
          longest = next(rest);
        } else if (OPTIONS.stream().anyMatch(option -> option.name.equals(word))) {
          add(word, rest);
        } else {
          ours.add(word);
          if (takesValue.test(word)) {
            next(rest).ifPresent(ours::add);
          }
        }
      }
      addCharNgrams();
      if (ours.contains("--validation") && !ours.contains("--tune")) {
        ours.addAll(List.of("--tune", SECONDS_OF_TUNING));
      }
    }

    /** Adds character n-grams where both lengths are above 0, as fastText does. */
    private void addCharNgrams() {
      if (shortest.isPresent() || longest.isPresent()) {
        String most = longest.orElse("0");
        String least = shortest.orElse("0");
        boolean areNone = most.equals("0");
        ours.addAll(
            List.of(
                CHAR_NGRAMS, areNone ? "none" : (least.equals("0") ? "1" : least) + "-" + most));
      }
    }

    private static Optional<String> next(Iterator<String> words) {
      return words.hasNext() ? Optional.of(words.next()) : Optional.empty();
    }

    private void add(String name, Iterator<String> rest) {
      translated = true;
      boolean takesValue =
          OPTIONS.stream().anyMatch(o -> o.name.equals(name) && !o.value.isEmpty());
      String value = takesValue ? next(rest).orElse("") : "";
      Option option =
          OPTIONS.stream().filter(o -> o.matches(name, value)).findFirst().orElseThrow();
      option.translated(value).filter(word -> !word.isEmpty()).forEach(ours::add);
      if (!option.remark.isEmpty()) {
        remarks.add("  " + name + ": " + option.remark);
      }
    }

    List<String> lines(String name) {
      List<String> all = new ArrayList<>();
      if (name.equals("quantize")) {
        String model = output.or(() -> input).orElse("MODEL");
        all.addAll(List.of("quantize", model, model + ".small"));
      } else {
        all.addAll(List.of("train", "-o", output.orElse("MODEL")));
        all.addAll(ours);
        all.add(input.orElse("FILE"));
      }
      return Stream.concat(Stream.of(line(name, all)), remarks.stream().distinct()).toList();
    }
  }
}
