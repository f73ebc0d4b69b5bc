// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;

/**
 * A JVM with its own class path and properties, for behavior that occurs once in a process only.
 */
public final class ChildJvm {
  /** The exit code, and the output on both streams. */
  public record Result(int exit, String output) {
    @Override
    public String toString() {
      return "exit " + exit + "\n" + output;
    }
  }

  private static final int SECONDS = Budget.of("blocksparse.child.seconds", 600, 3600);

  private final List<String> classPath = new ArrayList<>();
  private final Map<String, String> properties = new LinkedHashMap<>();
  private final Map<String, String> environment = new LinkedHashMap<>();
  private final List<String> options = new ArrayList<>();
  private final List<String> wrapper = new ArrayList<>();

  /**
   * Makes a JVM like this one, with a cache of extracted libraries of its own. Under an emulator,
   * which starts no process, the test is skipped.
   */
  public ChildJvm(Path cache) {
    assumeFalse(Boolean.getBoolean("blocksparse.emulated"), "an emulator starts no process");
    String given =
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    classPath.addAll(Arrays.asList(given.split(File.pathSeparator)));
    property("org.bytedeco.javacpp.cachedir", cache.toString());
    // In a process of seconds, the optimizing compiler costs more than it gains.
    option("-XX:TieredStopAtLevel=" + Budget.of("blocksparse.compiler.level", 1, 4));
  }

  public ChildJvm property(String name, String value) {
    properties.put(name, value);
    return this;
  }

  public ChildJvm environment(String name, String value) {
    environment.put(name, value);
    return this;
  }

  public ChildJvm option(String option) {
    options.add(option);
    return this;
  }

  /** Limits the address space of the process, if there is a shell that can. */
  public ChildJvm addressSpace(long kilobytes) {
    return within("/bin/sh", "-c", "ulimit -v " + kilobytes + " && exec \"$0\" \"$@\"");
  }

  /** Returns a program that gets the command line of the JVM as its last arguments, and runs it. */
  public ChildJvm within(String... command) {
    wrapper.addAll(Arrays.asList(command));
    return this;
  }

  /** Leaves out the class path entries whose file name the predicate accepts. */
  public ChildJvm without(Predicate<String> refused) {
    if (!classPath.removeIf(entry -> refused.test(Path.of(entry).getFileName().toString()))) {
      throw new AssertionError("nothing to leave out in " + classPath);
    }
    return this;
  }

  public ChildJvm with(Path entry) {
    classPath.add(0, entry.toString());
    return this;
  }

  /** Returns the entries of the class path with such file names. */
  public List<Path> entries(Predicate<String> wanted) {
    return classPath.stream()
        .map(Path::of)
        .filter(path -> wanted.test(path.getFileName().toString()))
        .toList();
  }

  /** Returns the entry of the class path with such a file name. */
  public Path entry(Predicate<String> wanted) {
    return entries(wanted).stream()
        .findFirst()
        .orElseThrow(() -> new AssertionError("not in " + classPath));
  }

  /** Ends the process with exit code 1 if a condition of a program does not hold. */
  public static void check(boolean condition, String what) {
    if (!condition) {
      throw new IllegalStateException(what);
    }
  }

  /** Starts a main class. */
  public Started start(Class<?> main, String... arguments) {
    return startOnClassPath(main.getName(), arguments);
  }

  private Started startOnClassPath(String main, String... arguments) {
    List<String> program = new ArrayList<>();
    program.add("--enable-native-access=ALL-UNNAMED"); // or JDK 25 warns
    program.add("-cp");
    program.add(String.join(File.pathSeparator, classPath));
    program.add(main);
    program.addAll(Arrays.asList(arguments));
    return start(program);
  }

  private Started start(List<String> program) {
    List<String> command = new ArrayList<>(wrapper);
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(options);
    properties.forEach((name, value) -> command.add("-D" + name + "=" + value));
    command.addAll(program);
    try {
      Path output = Files.createTempFile("blocksparse-child", ".txt");
      ProcessBuilder builder =
          new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile());
      builder.environment().putAll(environment);
      return new Started(builder.start(), output);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Runs a main class to its end. */
  public Result run(Class<?> main, String... arguments) {
    return start(main, arguments).await();
  }

  /** Compiles and runs a program of one source file to its end. */
  public Result runSource(Path source, String... arguments) {
    return startOnClassPath(source.toString(), arguments).await();
  }

  /** Runs a program that these options name, without class path and main class, to its end. */
  public Result runProgram(String... options) {
    return start(List.of(options)).await();
  }

  /** A running JVM. */
  public record Started(Process process, Path output) {
    /** Waits for its end. */
    public Result await() {
      try {
        if (!process.waitFor(SECONDS, TimeUnit.SECONDS)) {
          process.destroyForcibly();
          throw new AssertionError("did not end: " + Files.readString(output));
        }
        Result result = new Result(process.exitValue(), Files.readString(output));
        Files.delete(output);
        return result;
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      } catch (InterruptedException e) {
        process.destroyForcibly();
        Thread.currentThread().interrupt();
        throw new AssertionError(e);
      }
    }

    /** Kills it at once, in the middle of its work. */
    public Result kill() {
      process.destroyForcibly();
      return await();
    }
  }
}
