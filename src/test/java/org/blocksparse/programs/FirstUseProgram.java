// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.io.File;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.blocksparse.BlockPlan;
import org.blocksparse.ClassAssignment;
import org.blocksparse.FloatTensor;
import org.blocksparse.HierarchicalSoftmax;
import org.blocksparse.IntTensor;
import org.blocksparse.Loss;
import org.blocksparse.Optimizer;
import org.blocksparse.Workers;
import org.blocksparse.testing.ChildJvm;

/**
 * Uses the library for the first time where the stack is nearly used up, at many depths, each in a
 * class loader of its own; and then where there is room.
 */
public final class FirstUseProgram {
  /** Frames between depths: a few hundred bytes, and so less than an initializer takes. */
  private static final int STEP = 5;

  private static final int MOST_DEPTHS = 2000;

  private FirstUseProgram() {}

  /** The first thing that is done with the library, by name. */
  static final Map<String, Class<? extends Runnable>> FIRST =
      new TreeMap<>(
          Map.of(
              "tensor", OfTensor.class,
              "plan", OfPlan.class,
              "layer", OfLayer.class,
              "options", OfOptions.class));

  public static final class OfTensor implements Runnable {
    @Override
    public void run() {
      FloatTensor.zeros(3).close();
    }
  }

  public static final class OfPlan implements Runnable {
    @Override
    public void run() {
      try (IntTensor idx = IntTensor.zeros(1, 1);
          BlockPlan plan = BlockPlan.of(idx, idx, 1, 1)) {
        ProductProgram.compute();
      }
    }
  }

  public static final class OfLayer implements Runnable {
    @Override
    public void run() {
      try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(2, 9).build();
          FloatTensor x = FloatTensor.zeros(1, 2);
          IntTensor target = IntTensor.zeros(1)) {
        layer.step(x, target, Optimizer.adam(0.1f));
        layer.topK(x, 2);
      }
    }
  }

  public static final class OfOptions implements Runnable {
    @Override
    public void run() {
      Workers.callingThread().max();
      ChildJvm.check(!Loss.sum().withSmoothing(0.1f).toString().isEmpty(), "a loss has a name");
      ClassAssignment.defaultCount(1000);
      ClassAssignment.contiguous(100, 10).size(3);
    }
  }

  public static void main(String[] args) throws Exception {
    List<URL> urls = new ArrayList<>();
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator, -1)) {
      urls.add(Path.of(entry).toUri().toURL());
    }
    Class<? extends Runnable> first = FIRST.get(args[0]);
    // The JDK's own initializers have run: what a program does before it uses a library.
    newIn(urls, first).run();
    newIn(urls, OfLayer.class).run();
    int refused = 0;
    int spoilt = 0;
    boolean wentWell = false;
    for (int depth = 0; depth < MOST_DEPTHS && !wentWell; depth++) {
      Runnable use = newIn(urls, first);
      Throwable failure = onShortStack(use, depth * STEP);
      wentWell = failure == null;
      refused += wentWell ? 0 : 1;
      try {
        use.run();
      } catch (Throwable e) {
        spoilt++;
        if (spoilt < 4) {
          System.out.println("depth " + depth + ": " + failure + ", and then for ever " + e);
        }
      }
    }
    System.out.println(refused + " were too deep, " + spoilt + " spoilt it");
    ChildJvm.check(refused > 0 && wentWell && spoilt == 0, "the library is to work");
    System.out.println("lives on");
  }

  private static Runnable newIn(List<URL> urls, Class<? extends Runnable> first) throws Exception {
    ClassLoader loader =
        new URLClassLoader(urls.toArray(URL[]::new), ClassLoader.getPlatformClassLoader());
    return (Runnable) loader.loadClass(first.getName()).getConstructor().newInstance();
  }

  private static Runnable tried;
  private static boolean unwinding;
  private static int framesLeft;
  private static Throwable failure;

  /** What it throws where so many frames above the end of the stack are free. */
  @SuppressWarnings("StaticAssignmentOfThrowable") // forgets that of the use before
  private static Throwable onShortStack(Runnable use, int frames) throws InterruptedException {
    tried = use;
    unwinding = false;
    framesLeft = frames;
    failure = null;
    Thread thread =
        new Thread(null, () -> descend(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), "short", 512 << 10);
    thread.start();
    thread.join();
    return failure;
  }

  @SuppressWarnings("StaticAssignmentOfThrowable") // there is no stack to do more
  private static long descend(
      long a,
      long b,
      long c,
      long d,
      long e,
      long f,
      long g,
      long h,
      long i,
      long j,
      long k,
      long l) {
    long result = 0;
    if (!unwinding) {
      try {
        result = descend(l, a, b, c, d, e, f, g, h, i, j, k) + 1;
      } catch (StackOverflowError error) {
        unwinding = true;
      }
    }
    if (unwinding && framesLeft-- == 0) {
      try {
        tried.run();
      } catch (Throwable error) {
        failure = error;
      }
    }
    return result;
  }
}
