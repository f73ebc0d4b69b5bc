// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.blocksparse.internal.KernelsProvider;
import org.blocksparse.internal.SelfTest;
import org.blocksparse.internal.binding.Blocksparse;
import org.bytedeco.javacpp.Loader;

/**
 * Which kernels run, and why. {@code java -cp '*' org.blocksparse.Backend} prints it (in a folder
 * with all jars, or with the class path of an application), with what to do about each thing that
 * is not as it should be; put that text into a report of a problem.
 *
 * <p>System properties, read when the library is first used:
 *
 * <ul>
 *   <li>{@code -Dblocksparse.backend=native|java} forces a backend. By default native code runs
 *       where its jar is present, and plain Java where it is not.
 *   <li>{@code -Dblocksparse.isa=portable|neon|avx2|avx512} caps the instruction set.
 *   <li>{@code -Dblocksparse.openblas.threads=keep} leaves OpenBLAS's number of threads as it is.
 *       By default it is set to 1, for the whole process: parallelism is Java's here.
 * </ul>
 */
public final class Backend {
  private static final Path HUGE_PAGES = Path.of("/sys/kernel/mm/transparent_hugepage/enabled");

  private Backend() {}

  /**
   * Whether native kernels run.
   *
   * @throws UnsatisfiedLinkError if they should but cannot; the message tells the remedy
   */
  public static boolean isNative() {
    return KernelsProvider.nativeLibraryLoaded();
  }

  /**
   * Why these kernels run, in one sentence.
   *
   * @throws UnsatisfiedLinkError if native kernels should run but cannot
   */
  public static String reason() {
    return KernelsProvider.reason();
  }

  /**
   * The instruction set of the kernels, {@code avx512} for instance, or {@code java}.
   *
   * @throws UnsatisfiedLinkError if native kernels should run but cannot
   */
  public static String instructionSet() {
    Integer isa = KernelsProvider.isa();
    return isa == null ? "java" : KernelsProvider.name(isa);
  }

  /**
   * Runs a few exact products through every kind of kernels that this machine can execute, in about
   * a second.
   *
   * @return what was wrong, naming the kernels; empty if all is well
   * @throws UnsatisfiedLinkError if native kernels should run but cannot
   */
  public static List<String> selfTest() {
    return SelfTest.failures();
  }

  /**
   * All of the above, a line for each fact; lines that begin with an arrow tell what to do about
   * the one before.
   *
   * @throws UnsatisfiedLinkError if native kernels should run but cannot
   */
  public static String describe() {
    Report report = new Report();
    report.fact(
        "platform",
        Loader.getPlatform()
            + ", "
            + System.getProperty("os.name")
            + " "
            + System.getProperty("os.version")
            + ", Java "
            + System.getProperty("java.version"));
    report.fact("kernels", isNative() ? "native" : "Java");
    report.fact("because", reason());
    report.fact("instruction set", instructionSet());
    if (!isNative()) {
      report.remedy("they are slow: see the README for the artifact to add");
    } else {
      describeNative(report);
    }
    describeWorkers(report);
    List<String> wrong = selfTest();
    report.fact(
        "self-test",
        wrong.isEmpty()
            ? String.join(", ", KernelsProvider.available().keySet()) + ": exact"
            : String.join("; ", wrong));
    if (!wrong.isEmpty()) {
      report.remedy(
          "do not use these kernels: -Dblocksparse.isa=... caps the instruction set, and"
              + " OPENBLAS_CORETYPE=Haswell changes OpenBLAS's. Please report it");
    }
    return report.toString();
  }

  private static void describeNative(Report report) {
    report.fact(
        "version",
        Blocksparse.blocksparse_version().getString()
            + ", build "
            + Blocksparse.blocksparse_build_id().getString());
    List<String> supported = new ArrayList<>();
    for (int isa = 0; KernelsProvider.name(isa) != null; isa++) {
      if (Blocksparse.blocksparse_isa_supported(isa) != 0) {
        supported.add(KernelsProvider.name(isa));
      }
    }
    report.fact("supported", String.join(", ", supported));
    if (!instructionSet().equals(supported.get(supported.size() - 1))) {
      report.remedy("the instruction set is capped by -Dblocksparse.isa");
    }
    report.fact("OpenBLAS", Blocksparse.blocksparse_openblas_config().getString());
    report.fact("OpenBLAS core", Blocksparse.blocksparse_openblas_core().getString());
    if (System.getenv("OPENBLAS_CORETYPE") != null) {
      report.remedy(
          "set by the environment variable OPENBLAS_CORETYPE; without it OpenBLAS chooses");
    }
    int threads = Blocksparse.blocksparse_openblas_threads();
    report.fact("OpenBLAS threads", Integer.toString(threads));
    if (threads != 1) {
      report.remedy("1 is right here: workers are Java's, and more threads each are in their way");
    }
    if (Files.isReadable(HUGE_PAGES)) {
      describeHugePages(report);
    }
  }

  private static void describeHugePages(Report report) {
    String setting;
    try {
      setting = Files.readString(HUGE_PAGES).strip();
    } catch (IOException e) {
      setting = "unknown: " + e.getMessage();
    }
    report.fact("huge pages", setting);
    if (setting.contains("[never]")) {
      report.remedy("weights above 4 MB are read faster with them: echo madvise > " + HUGE_PAGES);
    }
  }

  private static void describeWorkers(Report report) {
    int processors = Runtime.getRuntime().availableProcessors();
    int workers = Workers.common().max();
    report.fact("workers", workers + " for " + processors + " processors");
    if (workers < processors) {
      report.remedy(
          "the common pool is small: -Djava.util.concurrent.ForkJoinPool.common.parallelism"
              + "="
              + (processors - 1)
              + ", or Workers.of(executor, "
              + processors
              + ")");
    }
  }

  /** Names in a column, facts beside them. */
  private static final class Report {
    private final StringBuilder text = new StringBuilder();

    void fact(String name, String value) {
      text.append(String.format("%-18s %s%n", name, value));
    }

    void remedy(String advice) {
      text.append(String.format("%-18s -> %s%n", "", advice));
    }

    @Override
    public String toString() {
      return text.toString();
    }
  }

  /**
   * Prints {@link #describe}; exits with 1 if the native library does not load or a kernel errs.
   */
  public static void main(String[] args) {
    PrintStream out = System.out;
    try {
      out.print(describe());
      if (!selfTest().isEmpty()) {
        System.exit(1);
      }
    } catch (UnsatisfiedLinkError e) {
      out.println(e.getMessage());
      System.exit(1);
    } catch (NoClassDefFoundError e) {
      out.println(
          "JavaCPP is missing. Copy javacpp and openblas of org.bytedeco and blocksparse, each with"
              + " and without the classifier of the platform, into one folder, and run there:"
              + " java -cp '*' org.blocksparse.Backend ("
              + e.getMessage()
              + ")");
      System.exit(1);
    }
  }
}
