// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.ref.WeakReference;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Predicate;
import org.blocksparse.FloatTensor;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.testing.ProcessMemory;
import org.bytedeco.javacpp.Pointer;

/**
 * Loads the library in many class loaders; the main class of the JVMs of {@code ClassLoaderTest}.
 */
public final class ClassLoaderProgram {
  private static final int LOADERS = Integer.getInteger("blocksparse.loaders");

  /**
   * Growth that the JVM's own memory may cause, mainly its compiled code; a leaked loader takes
   * megabytes.
   */
  private static final long ROOM_BYTES = 64L << 20;

  private ClassLoaderProgram() {}

  /** The work of each class loader. */
  public static final class Inside implements Callable<Float> {
    @Override
    public Float call() throws IOException {
      Path file = Path.of(System.getProperty("model"));
      try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(file, LoadOptions.mapped());
          FloatTensor x = FloatTensor.zeros(1, layer.features())) {
        layer.topK(x, 1);
      }
      return ProductProgram.compute();
    }
  }

  /** {@link Inside}, followed by what a container does that unloads an application with JavaCPP. */
  public static final class InsideWithJavaCpp implements Callable<Float> {
    @Override
    public Float call() throws IOException {
      float result = new Inside().call();
      Pointer.interruptDeallocatorThread();
      return result;
    }
  }

  public static void main(String[] args) throws Exception {
    Path folder = Path.of(args[1]);
    Path model = folder.resolve("model");
    System.setProperty("model", model.toString());
    switch (args[0]) {
      case "save" -> {
        try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(5, 40).build()) {
          layer.save(model);
        }
      }
      case "each" -> {
        each();
        provokeBusError(folder.resolve("short"));
      }
      case "shared" -> shared();
      default -> throw new IllegalArgumentException(args[0]);
    }
  }

  private static URL[] classPath(Predicate<String> wanted) throws MalformedURLException {
    List<URL> urls = new ArrayList<>();
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator, -1)) {
      if (wanted.test(entry)) {
        urls.add(Path.of(entry).toUri().toURL());
      }
    }
    return urls.toArray(URL[]::new);
  }

  private static void use(ClassLoader loader, Class<?> inside) throws Exception {
    Class<?> loaded = loader.loadClass(inside.getName());
    if (loaded.getClassLoader() != loader) {
      throw new AssertionError(loaded + " is not the loader's own");
    }
    Object result = ((Callable<?>) loaded.getConstructor().newInstance()).call();
    if (!result.equals(7f)) {
      throw new AssertionError("1 + 2 * 3 = " + result);
    }
  }

  /** Creates loaders that have everything, one after the other. */
  private static void each() throws Exception {
    URL[] all = classPath(entry -> true);
    List<WeakReference<ClassLoader>> loaders = new ArrayList<>();
    long before = 0;
    for (int i = 0; i < LOADERS; i++) {
      loaders.add(useNewLoader(all));
      if (i == LOADERS / 4) {
        awaitUnloading(loaders);
        before = ProcessMemory.residentBytes();
      }
    }
    awaitUnloading(loaders);
    long growth = ProcessMemory.residentBytes() - before;
    if (growth > ROOM_BYTES) {
      throw new AssertionError(growth + " bytes more are resident");
    }
  }

  /** Uses a new loader in a method of its own, after which no variable holds the loader. */
  private static WeakReference<ClassLoader> useNewLoader(URL[] all) throws Exception {
    try (URLClassLoader loader = new URLClassLoader(all, ClassLoader.getPlatformClassLoader())) {
      use(loader, InsideWithJavaCpp.class);
      return new WeakReference<>(loader);
    }
  }

  private static void awaitUnloading(List<WeakReference<ClassLoader>> loaders)
      throws InterruptedException {
    long deadline = System.nanoTime() + 600_000_000_000L;
    while (loaders.stream().anyMatch(loader -> loader.get() != null)) {
      if (System.nanoTime() > deadline) {
        throw new AssertionError("loaders are still there");
      }
      System.gc();
      Thread.sleep(20);
    }
  }

  /** Provokes a fault that the JVM's own handler answers with an error, if it is still called. */
  private static void provokeBusError(Path file) throws IOException {
    Files.write(file, new byte[1 << 16]);
    try (RandomAccessFile random = new RandomAccessFile(file.toFile(), "rw")) {
      MappedByteBuffer mapped =
          random.getChannel().map(FileChannel.MapMode.READ_ONLY, 0, random.length());
      random.setLength(0);
      System.out.println(mapped.get(1 << 15));
    } catch (InternalError e) {
      System.out.println("the JVM answers a fault: " + e.getMessage());
    }
  }

  /** Checks two loaders with this library, below one with JavaCPP. */
  private static void shared() throws Exception {
    Predicate<String> ours =
        entry -> {
          String name = Path.of(entry).getFileName().toString();
          return name.startsWith("blocksparse-") || name.equals("test-classes");
        };
    ClassLoader javaCpp =
        new URLClassLoader(classPath(ours.negate()), ClassLoader.getPlatformClassLoader());
    for (int i = 0; i < 2; i++) {
      use(new URLClassLoader(classPath(ours), javaCpp), Inside.class);
      System.out.println("loader " + i + " works");
    }
  }
}
