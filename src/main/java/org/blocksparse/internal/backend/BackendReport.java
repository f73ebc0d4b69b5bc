// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.backend;

import java.io.IOException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.blocksparse.internal.binding.Blocksparse;
import org.blocksparse.internal.binding.NativeLibrary;
import org.blocksparse.internal.binding.NativeMemory;
import org.blocksparse.internal.binding.OpenBlas;
import org.blocksparse.internal.schedule.Scheduler;
import org.bytedeco.javacpp.Loader;

/** A report of the kernels and what they depend on: names in a column, facts beside them. */
public final class BackendReport {
  private static final Path HUGE_PAGES = Path.of("/sys/kernel/mm/transparent_hugepage/enabled");

  private final StringBuilder text = new StringBuilder();
  private boolean good = true;

  private BackendReport() {}

  /** Gathers the facts and runs the self-test. Never fails: a failure to load is a fact as well. */
  public static BackendReport make() {
    BackendReport report = new BackendReport();
    report.addVersions();
    report.addJars();
    try {
      report.addKernels();
    } catch (UnsatisfiedLinkError e) {
      report.fact("kernels", "none");
      report.fact("because", e.getMessage());
      report.good = false;
    }
    report.addWorkers();
    return report;
  }

  /** Returns whether kernels are there and none of them errs. */
  public boolean isGood() {
    return good;
  }

  @Override
  public String toString() {
    return text.toString();
  }

  private void fact(String name, String value) {
    text.append(String.format(Locale.ROOT, "%-18s %s%n", name, value));
  }

  private void remedy(String advice) {
    text.append(String.format(Locale.ROOT, "%-18s -> %s%n", "", advice));
  }

  private void addVersions() {
    String version = NativeLibrary.version();
    fact("version", version == null ? "unknown, not from a jar" : version);
    fact(
        "platform",
        (NativeLibrary.hasJavaCpp() ? Loader.getPlatform() : "unknown without JavaCPP")
            + ", "
            + System.getProperty("os.name")
            + " "
            + System.getProperty("os.version")
            + ", Java "
            + System.getProperty("java.version"));
  }

  private void addJars() {
    List<String> found = new ArrayList<>();
    List<String> missing = new ArrayList<>();
    wanted()
        .forEach(
            (artifact, file) -> {
              URL url = BackendReport.class.getClassLoader().getResource(file);
              if (url == null) {
                missing.add(artifact);
              } else {
                found.add(container(url.toString(), file));
              }
            });
    fact("found", found.stream().distinct().collect(Collectors.joining(", ")));
    if (!missing.isEmpty()) {
      fact("missing", String.join(", ", missing));
      remedy("add it to the class path, or org.blocksparse:blocksparse-platform, which has all");
    }
  }

  /** Returns the needed artifacts, and a file of each. */
  private static Map<String, String> wanted() {
    Map<String, String> wanted = new LinkedHashMap<>();
    wanted.put(
        "org.blocksparse:blocksparse", "org/blocksparse/internal/backend/BackendReport.class");
    wanted.put(
        "com.fasterxml.jackson.core:jackson-core (for model files)",
        "com/fasterxml/jackson/core/JsonFactory.class");
    wanted.put("org.bytedeco:javacpp", "org/bytedeco/javacpp/Loader.class");
    if (NativeLibrary.hasJavaCpp()) {
      String platform = Loader.getPlatform();
      String classifier = " with the classifier " + platform;
      wanted.put(
          "org.blocksparse:blocksparse" + classifier,
          "org/blocksparse/internal/binding/" + platform + "/build-id.txt");
      wanted.put(
          "org.bytedeco:javacpp" + classifier,
          "org/bytedeco/javacpp/" + platform + "/" + System.mapLibraryName("jnijavacpp"));
      wanted.put("org.bytedeco:openblas" + classifier, OpenBlas.resource(platform));
    }
    return wanted;
  }

  /** Returns the name of the jar, folder or module that holds a file, without the way to it. */
  private static String container(String url, String file) {
    String holder = url.substring(0, url.length() - file.length()).replaceFirst("!?/$", "");
    return holder.substring(holder.lastIndexOf('/') + 1);
  }

  private void addKernels() {
    fact("kernels", NativeLibrary.isLoaded() ? "native" : "Java");
    fact("because", NativeLibrary.reason());
    fact("instruction set", KernelChoice.kernels().instructionSet());
    fact("products", KernelChoice.kernels().path());
    if (NativeLibrary.isLoaded()) {
      addNative();
    } else {
      remedy("they are slow");
    }
    List<String> wrong = SelfTest.failures();
    if (wrong.isEmpty()) {
      fact("self-test", String.join(", ", SelfTest.tested()) + ": exact");
    } else {
      good = false;
      fact("self-test", String.join("; ", wrong));
      remedy(
          "do not use these kernels: -Dblocksparse.isa=... caps the instruction set, and"
              + " OPENBLAS_CORETYPE=Haswell changes OpenBLAS's. Please report it");
    }
  }

  private void addNative() {
    int isa = NativeLibrary.isaOf(KernelChoice.kernels().instructionSet());
    fact("rounded inputs", NativeMemory.text(Blocksparse.blocksparse_rounded_words(isa)));
    fact("packed weights", NativeMemory.text(Blocksparse.blocksparse_packed_name(isa)));
    List<String> supported =
        NativeLibrary.supportedIsas().mapToObj(NativeLibrary::isaName).toList();
    fact("supported", String.join(", ", supported));
    if (!KernelChoice.kernels().instructionSet().equals(supported.get(supported.size() - 1))) {
      remedy("the instruction set is capped by -Dblocksparse.isa");
    }
    fact("build", NativeLibrary.build());
    fact("OpenBLAS", NativeMemory.text(Blocksparse.blocksparse_openblas_config()));
    fact("OpenBLAS file", String.valueOf(OpenBlas.file()));
    if (!OpenBlas.isLoadedByJavaCpp()) {
      remedy(
          "it is not the one of the jar: other code has loaded it first. Use a class of blocksparse"
              + " before that code");
    }
    fact("OpenBLAS core", NativeMemory.text(Blocksparse.blocksparse_openblas_core()));
    if (System.getenv("OPENBLAS_CORETYPE") != null) {
      remedy("set by the environment variable OPENBLAS_CORETYPE; without it OpenBLAS chooses");
    }
    int threads = Blocksparse.blocksparse_openblas_threads();
    fact("OpenBLAS threads", Integer.toString(threads));
    if (threads != 1 && KernelChoice.kernels().mayUseBlas()) {
      remedy("set it to 1: the threads here are Java's, and OpenBLAS's own compete with them");
    }
    if (Files.isReadable(HUGE_PAGES)) {
      addHugePages();
    }
  }

  private void addHugePages() {
    String setting;
    try {
      setting = Files.readString(HUGE_PAGES).strip();
    } catch (IOException e) {
      setting = "unknown: " + e.getMessage();
    }
    fact("huge pages", setting);
    if (setting.contains("[never]")) {
      remedy("weights above 4 MB are read faster with them: echo madvise > " + HUGE_PAGES);
    }
  }

  private void addWorkers() {
    fact("workers", Integer.toString(Scheduler.common().maxWorkers()));
  }
}
