// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.backend;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.blocksparse.internal.binding.Blocksparse;
import org.blocksparse.internal.binding.NativeLibrary;
import org.blocksparse.internal.binding.OpenBlas;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.Kernels;
import org.blocksparse.internal.kernels.Kernels.Path;
import org.blocksparse.internal.schedule.Scheduler;

/**
 * Chooses the kernels once, at first use: those of the native library where it is loaded, with the
 * best instruction set that the processor has.
 *
 * <ul>
 *   <li>{@code -Dblocksparse.isa=portable|neon|avx2|avx512} caps the instruction set.
 *   <li>{@code -Dblocksparse.path=tile|blas} forces a way to multiply.
 *   <li>{@code -Dblocksparse.openblas.threads=keep} leaves OpenBLAS's process-wide number of
 *       threads alone. Otherwise it is set to 1 before kernels are given out that may call
 *       OpenBLAS: parallelism is ours.
 * </ul>
 */
public final class KernelChoice {
  private static final Kernels JAVA = Kernels.java();

  /** The engine with as many workers as there are processors. */
  public static final Engine COMMON = engine(Scheduler.common());

  /** The engine of the calling thread alone. */
  public static final Engine CALLING_THREAD = engine(new Scheduler(Runnable::run, 1));

  /**
   * The kernels; null until chosen. A static initializer would not do: one that fails is never
   * tried again.
   */
  private static volatile Kernels chosen;

  private KernelChoice() {}

  /**
   * Returns the kernels to use.
   *
   * @throws UnsatisfiedLinkError if the native library is wanted and does not load, or a property
   *     has no such value; the message names the remedy
   */
  public static Kernels kernels() {
    Kernels kernels = chosen;
    if (kernels == null) {
      kernels = choose();
      chosen = kernels;
    }
    return kernels;
  }

  /** Returns an engine over these kernels, which its first operation chooses. */
  public static Engine engine(Scheduler scheduler) {
    return new Engine(scheduler, KernelChoice::kernels);
  }

  private static Kernels choose() {
    return NativeLibrary.isLoaded() ? ready(Kernels.ofNative(isa(), path())) : JAVA;
  }

  /** Prepares kernels for use: if they may call OpenBLAS, it has one thread from now on. */
  private static Kernels ready(Kernels kernels) {
    if (kernels.mayUseBlas()
        && !System.getProperty("blocksparse.openblas.threads", "").equals("keep")) {
      OpenBlas.useOneThread();
    }
    return kernels;
  }

  private static int isa() {
    String cap = System.getProperty("blocksparse.isa");
    int highest = cap == null ? Integer.MAX_VALUE : NativeLibrary.isaOf(cap);
    if (highest < 0) {
      throw new UnsatisfiedLinkError("blocksparse.isa: there is no instruction set called " + cap);
    }
    return NativeLibrary.supportedIsas()
        .filter(candidate -> candidate <= highest)
        .max()
        .orElse(Blocksparse.BLOCKSPARSE_PORTABLE);
  }

  private static Path path() {
    String path = System.getProperty("blocksparse.path", "auto");
    try {
      return Path.valueOf(path.toUpperCase(Locale.ROOT));
    } catch (IllegalArgumentException e) {
      UnsatisfiedLinkError error =
          new UnsatisfiedLinkError("blocksparse.path: expected tile or blas but was " + path);
      error.initCause(e);
      throw error;
    }
  }

  /**
   * Returns every distinct kind of kernels that can run here, by name: the reference, the tiles of
   * each instruction set, OpenBLAS, and for each instruction set the choice between the two, unless
   * it is always tiles.
   */
  public static Map<String, Kernels> available() {
    return available(true);
  }

  /**
   * Returns the available kernels, or those of them that never call OpenBLAS, whose number of
   * threads is the whole process's: a process that does not use it keeps its number.
   */
  static Map<String, Kernels> available(boolean withOpenBlas) {
    Map<String, Kernels> available = new LinkedHashMap<>();
    available.put("java", JAVA);
    if (!NativeLibrary.isLoaded()) {
      return available;
    }
    int[] isas = NativeLibrary.supportedIsas().toArray();
    for (int isa : isas) {
      available.put(NativeLibrary.isaName(isa), Kernels.ofNative(isa, Path.TILE));
    }
    if (withOpenBlas) {
      available.put("OpenBLAS", ready(Kernels.ofNative(isa(), Path.BLAS)));
      for (int isa : isas) {
        Kernels choice = Kernels.ofNative(isa, Path.AUTO);
        if (choice.mayUseBlas()) {
          available.put(NativeLibrary.isaName(isa) + " or OpenBLAS", ready(choice));
        }
      }
    }
    return available;
  }
}
