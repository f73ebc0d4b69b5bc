// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.io.PrintStream;
import org.blocksparse.internal.KernelsProvider;
import org.blocksparse.internal.binding.Blocksparse;

/**
 * Which kernels run, and why. {@code java -jar blocksparse-VERSION.jar} prints it.
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
  private Backend() {}

  /**
   * Whether native kernels run.
   *
   * @throws UnsatisfiedLinkError if they should but cannot; the message tells the remedy
   */
  public static boolean isNative() {
    return KernelsProvider.nativeLibraryLoaded();
  }

  /** Why these kernels run, in one sentence. */
  public static String reason() {
    return KernelsProvider.reason();
  }

  /** The instruction set of the kernels, {@code avx512} for instance, or {@code java}. */
  public static String instructionSet() {
    Integer isa = KernelsProvider.isa();
    return isa == null ? "java" : KernelsProvider.name(isa);
  }

  /** All of it, a line for each fact. */
  public static String describe() {
    StringBuilder text = new StringBuilder();
    line(text, "kernels", isNative() ? "native" : "Java");
    line(text, "because", reason());
    line(text, "instruction set", instructionSet());
    line(text, "workers", Integer.toString(Workers.common().max()));
    if (isNative()) {
      line(text, "version", Blocksparse.blocksparse_version().getString());
      line(text, "build", Blocksparse.blocksparse_build_id().getString());
      line(text, "OpenBLAS", Blocksparse.blocksparse_openblas_config().getString());
      line(text, "OpenBLAS core", Blocksparse.blocksparse_openblas_core().getString());
      line(text, "OpenBLAS threads", Integer.toString(Blocksparse.blocksparse_openblas_threads()));
    }
    return text.toString();
  }

  private static void line(StringBuilder text, String name, String value) {
    text.append(String.format("%-18s %s%n", name, value));
  }

  /** Prints {@link #describe}. */
  public static void main(String[] args) {
    PrintStream out = System.out;
    out.print(describe());
  }
}
