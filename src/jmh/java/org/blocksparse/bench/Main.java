// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * The benchmarks:
 *
 * <pre>{@code
 * unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
 * mvn install -DskipTests
 * mvn -f src/jmh -Dbench.args="Products Limits"                 JMH, with its options
 * mvn -f src/jmh -Dbench.args="Products -p workload=HSM_200 -r 200ms"
 * mvn -f src/jmh -Dbench.args="-l"                              all benchmarks by name
 * mvn -f src/jmh -Dbench.args="-h"                              the options of JMH
 * mvn -f src/jmh -Dbench.args="experts"                         Experts: beside ggml and others
 * mvn -f src/jmh -Dbench.args="cache FOLDER LAYERS MEGABYTES"   LargeExperts: beside mapped ones
 * mvn -f src/jmh -Dbench.args="small"                           SmallCalls: waking threads
 * mvn -f src/jmh -Dbench.args="heads"                           Heads: exact search in dense layers
 * mvn -f src/jmh -Dbench.args="versions OLD NEW"                Versions: two builds in turns
 * }</pre>
 *
 * <p>Writes the results of JMH, and a page of them, to {@code target/bench}.
 */
public final class Main {
  private static final Path FOLDER = Path.of("target/bench");

  private Main() {}

  public static void main(String[] args) throws Exception {
    Locale.setDefault(Locale.ROOT); // output is English, including its numbers
    for (String name : List.of("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS")) {
      if (System.getenv(name) != null) {
        System.out.println("warning: " + name + " is set and changes the results: unset it");
      }
    }
    Files.createDirectories(FOLDER);
    String[] rest = Arrays.copyOfRange(args, Math.min(1, args.length), args.length);
    switch (args.length == 0 ? "" : args[0]) {
      case "experts" ->
          write(new Experts(0.2, FOLDER.resolve("experts.log"), rest).measure(), args);
      case "cache" -> LargeExperts.measure(FOLDER.resolve("cache.tsv"), rest);
      case "heads" -> Heads.measure(FOLDER, rest);
      case "small" -> SmallCalls.measure(rest);
      case "versions" -> Versions.compare(FOLDER, rest);
      default -> jmh(args);
    }
  }

  private static void jmh(String... args) throws Exception {
    Path json = FOLDER.resolve("results.json");
    Files.deleteIfExists(json);
    List<String> all = new ArrayList<>(List.of(args));
    all.addAll(List.of("-rf", "json", "-rff", json.toString(), "-prof", Facts.class.getName()));
    org.openjdk.jmh.Main.main(all.toArray(String[]::new));
    if (Files.exists(json)) { // JMH writes none if it prints help
      write(Results.read(json), args);
    }
  }

  private static void write(Results results, String... args) throws IOException {
    Page page = new Page(results, String.join(" ", args));
    System.out.println(page);
    System.out.println("Written: " + Files.writeString(FOLDER.resolve("page.md"), page.toString()));
  }
}
