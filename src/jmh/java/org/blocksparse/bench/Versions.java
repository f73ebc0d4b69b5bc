// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.File;
import java.io.IOException;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
import org.blocksparse.bench.jobs.Jobs;
import org.bytedeco.javacpp.Loader;

/**
 * Compares two versions of this library, which take turns on the same {@link Jobs}:
 *
 * <pre>{@code
 * git worktree add ../old COMMIT && (cd ../old && mvn package -DskipTests)
 * mvn package -DskipTests
 * mvn -f src/jmh -Dbench.args="versions ../old/target target"
 * mvn -f src/jmh -Dbench.args="versions ../old/target target experts.* 9"   these jobs, 9 rounds
 * }</pre>
 *
 * <p>The arguments are folders with the jars. Each version is a JVM of its own, since two versions
 * of the native library cannot be in one. The sources of the jobs are compiled for each version, so
 * types may be in other packages. Each round starts new JVMs; within it, both have the same job at
 * the same time and take short turns, so that a change of the machine's speed affects both. The
 * same folder twice shows the noise.
 */
final class Versions {
  private static final Path SOURCES = Path.of("src/jmh/java/org/blocksparse/bench/jobs");
  private static final int ROUNDS = 5;
  private static final int TURNS = 8;
  private static final double SECONDS = 0.1;

  /** The ratio of times from which on a job counts as slower. */
  private static final double SLOWER = 1.03;

  private Versions() {}

  static void compare(Path folder, String... args) throws IOException {
    if (args.length < 2) {
      throw new IllegalArgumentException("versions: expected OLD NEW [JOBS [ROUNDS]]");
    }
    String wanted = args.length > 2 ? args[2] : ".*";
    int rounds = args.length > 3 ? Integer.parseInt(args[3]) : ROUNDS;
    List<ProcessBuilder> programs = new ArrayList<>();
    for (int v = 0; v < 2; v++) {
      programs.add(program(Path.of(args[v]), folder.resolve(v == 0 ? "old" : "new")));
    }
    Path log = folder.resolve("versions.log");
    List<String> jobs;
    try (Child child = new Child(programs.get(1), log)) {
      jobs = Stream.of(child.ask("jobs").split(" ", -1)).filter(j -> j.matches(wanted)).toList();
    }
    double[][][] times = new double[jobs.size()][2][rounds]; // by job, version, round
    for (int round = 0; round < rounds; round++) {
      System.out.printf("round %d of %d%n", round + 1, rounds);
      try (Child old = new Child(programs.get(0), log);
          Child now = new Child(programs.get(1), log)) {
        for (int job = 0; job < times.length; job++) {
          double[] both = inTurns(jobs.get(job), old, now);
          times[job][0][round] = both[0];
          times[job][1][round] = both[1];
        }
      }
    }
    print(jobs, times);
  }

  /** Returns, for each version, the shortest of the median times of its turns. */
  private static double[] inTurns(String job, Child... versions) throws IOException {
    for (Child version : versions) {
      Child.requireReady(version.ask("job " + job));
    }
    double[] shortest = {Double.MAX_VALUE, Double.MAX_VALUE};
    for (int turn = 0; turn < TURNS; turn++) {
      for (int i = 0; i < 2; i++) {
        int version = (i + turn) % 2; // each version comes first in half of the turns
        double[] times = versions[version].askNumbers("time " + SECONDS);
        shortest[version] = Math.min(shortest[version], median(times));
      }
    }
    return shortest;
  }

  private static double median(double... values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }

  private static void print(List<String> jobs, double[][]... times) {
    System.out.println("| job | old ms | new ms | new / old | rounds |");
    System.out.println("|---|---|---|---|---|");
    List<String> slower = new ArrayList<>();
    for (int job = 0; job < times.length; job++) {
      double[] old = times[job][0];
      double[] now = times[job][1];
      double[] ratios = IntStream.range(0, old.length).mapToDouble(r -> now[r] / old[r]).toArray();
      double ratio = median(ratios);
      System.out.printf(
          "| %s | %s | %s | %.3f | %.3f to %.3f |%n",
          jobs.get(job),
          Page.milliseconds(median(old)),
          Page.milliseconds(median(now)),
          ratio,
          Arrays.stream(ratios).min().orElseThrow(),
          Arrays.stream(ratios).max().orElseThrow());
      if (ratio > SLOWER) {
        slower.add("%s %.3f".formatted(jobs.get(job), ratio));
      }
    }
    System.out.printf(
        "%d of %d jobs are slower by more than 3 percent: %s%n",
        slower.size(), jobs.size(), slower);
  }

  /** Returns a program of the jobs, compiled for the version whose jars are in a folder. */
  private static ProcessBuilder program(Path jars, Path folder) throws IOException {
    List<Path> library;
    String platform = Loader.getPlatform();
    try (Stream<Path> files = Files.list(jars)) {
      String name = "blocksparse-\\d[^-]*(-SNAPSHOT)?(-%s)?\\.jar".formatted(platform);
      library = files.filter(f -> f.getFileName().toString().matches(name)).sorted().toList();
    }
    if (library.size() != 2) {
      throw new IOException(jars + ": expected the jars of blocksparse but was " + library);
    }
    String classPath =
        Stream.concat(library.stream().map(Path::toString), others())
            .collect(Collectors.joining(File.pathSeparator));
    Path classes = Files.createDirectories(folder.resolve("classes"));
    List<String> arguments = new ArrayList<>(List.of("-proc:none", "-nowarn", "-cp", classPath));
    arguments.addAll(List.of("-d", classes.toString()));
    arguments.addAll(sources(library, Files.createDirectories(folder.resolve("sources"))));
    int failed =
        ToolProvider.getSystemJavaCompiler()
            .run(null, null, null, arguments.toArray(String[]::new));
    if (failed != 0) {
      throw new IOException("the jobs do not compile with " + library);
    }
    return new ProcessBuilder(
        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        Measured.NATIVE,
        Measured.MEMORY,
        "-Dorg.bytedeco.javacpp.cachedir=" + folder.resolve("cache"), // jars have equal names
        "-cp",
        classes + File.pathSeparator + classPath,
        Jobs.class.getName());
  }

  /** Returns the class path of this program without this library. */
  private static Stream<String> others() {
    return Stream.of(System.getProperty("java.class.path").split(File.pathSeparator, -1))
        .filter(path -> path.endsWith(".jar"))
        .filter(path -> !Path.of(path).getFileName().toString().startsWith("blocksparse"));
  }

  /** Copies the sources of the jobs, with imports of all packages of a library. */
  private static List<String> sources(List<Path> library, Path folder) throws IOException {
    String imports =
        ModuleFinder.of(library.toArray(Path[]::new)).findAll().stream()
            .flatMap(module -> module.descriptor().exports().stream())
            .filter(exported -> !exported.isQualified())
            .map(ModuleDescriptor.Exports::source)
            .map("import %s.*;\n"::formatted)
            .collect(Collectors.joining());
    List<String> copies = new ArrayList<>();
    try (Stream<Path> files = Files.list(SOURCES)) {
      for (Path file : files.toList()) {
        String source =
            Files.readString(file)
                .replaceAll("(?m)^import org\\.blocksparse\\..*\\n", "")
                .replaceFirst("(?m)^(package .*\\n)", "$1\n" + imports);
        Path copy = folder.resolve(file.getFileName());
        copies.add(Files.writeString(copy, source).toString());
      }
    }
    return copies;
  }
}
