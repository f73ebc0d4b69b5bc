// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.blocksparse.Activation;
import org.blocksparse.BlockPlan;
import org.blocksparse.ClassAssignment;
import org.blocksparse.EmbeddingBag;
import org.blocksparse.FloatTensor;
import org.blocksparse.HierarchicalSoftmax;
import org.blocksparse.IntTensor;
import org.blocksparse.LabelTree;
import org.blocksparse.Labels;
import org.blocksparse.NpyFile;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseBlockDot;
import org.blocksparse.SparseRows;
import org.blocksparse.TensorFile;
import org.blocksparse.TopKGate;
import org.blocksparse.Workers;
import org.blocksparse.testing.ChildJvm;
import org.blocksparse.testing.ShortStack;

/**
 * Uses the library for the first time where the stack is nearly used up, by class loaders that have
 * it all anew, and then with room: an initializer that a short stack has ended would stay ended.
 *
 * <p>Argument: at how many depths each use is tried, twice.
 */
public final class FirstUseProgram {
  private static final int STACK_BYTES = 1 << 20;

  /** The frames that are left at most: where initializers end, and to where all has room. */
  private static final int[] FRAMES = {300, 6000};

  private FirstUseProgram() {}

  /** What a program may begin with. */
  public enum Use implements Runnable {
    WORKERS {
      @Override
      void use(Path folder) {
        Workers.common().max();
      }
    },
    PRODUCT {
      @Override
      void use(Path folder) {
        try (FloatTensor W = FloatTensor.zeros(1, 1, 2, 2);
            FloatTensor h = FloatTensor.zeros(1, 1, 2);
            FloatTensor b = FloatTensor.zeros(1, 2);
            BlockPlan plan = BlockPlan.dense(1)) {
          SparseBlockDot.apply(W, h, b, plan).close();
          Activation.SILU.apply(h, h);
        }
      }
    },
    SOFTMAX {
      @Override
      void use(Path folder) {
        try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(2, 10).build();
            FloatTensor x = FloatTensor.zeros(1, 2);
            IntTensor targets = IntTensor.zeros(1)) {
          layer.step(x, targets, Optimizer.adagrad(0.1f));
          layer.topK(x, 3);
          layer.sample(x, new Random(1));
        }
      }
    },
    LABEL_TREE {
      @Override
      void use(Path folder) {
        try (LabelTree layer = LabelTree.builder(2, 10).build();
            FloatTensor x = FloatTensor.zeros(1, 2);
            SparseRows labels = SparseRows.of(List.of(new int[] {1, 7}))) {
          layer.step(x, labels, Optimizer.adam(0.1f));
          layer.atLeast(x, 0.5);
        }
      }
    },
    BAG {
      @Override
      void use(Path folder) {
        try (EmbeddingBag layer = EmbeddingBag.builder(10, 2).build();
            SparseRows rows = SparseRows.of(List.of(new int[] {1, 7}));
            FloatTensor sums = layer.apply(rows)) {
          layer.step(rows, sums, Optimizer.sgd(0.1f));
        }
      }
    },
    GATE {
      @Override
      void use(Path folder) {
        try (FloatTensor logits = FloatTensor.zeros(2, 3)) {
          TopKGate.of(3, 2).route(logits).close();
        }
      }
    },
    CLASSES {
      @Override
      void use(Path folder) {
        try (FloatTensor vectors = FloatTensor.zeros(9, 2)) {
          ClassAssignment.clustered(vectors, 3, 1);
          Labels.of("a", "b").output("b");
        }
      }
    },
    MODEL_FILE {
      @Override
      void use(Path folder) throws IOException {
        try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(2, 10).build()) {
          layer.save(folder.resolve("model"));
          HierarchicalSoftmax.load(folder.resolve("model")).close();
        }
      }
    },
    TENSOR_FILE {
      @Override
      void use(Path folder) throws IOException {
        try (FloatTensor tensor = FloatTensor.zeros(2, 3)) {
          TensorFile.save(folder.resolve("tensors"), Map.of("tensor", tensor));
          TensorFile.open(folder.resolve("tensors")).close();
        }
      }
    },
    ARRAY_FILE {
      @Override
      void use(Path folder) throws IOException {
        try (FloatTensor tensor = FloatTensor.zeros(2, 3)) {
          NpyFile.write(folder.resolve("npy"), tensor);
          NpyFile.readFloats(folder.resolve("npy")).close();
        }
      }
    };

    private static final Path FOLDER = Path.of(System.getProperty("blocksparse.folder"));

    abstract void use(Path folder) throws IOException;

    @Override
    public void run() {
      try {
        use(FOLDER);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /** Has all classes in memory: the JDK's own loaders do not survive every short stack. */
  private static final class AnewLoader extends ClassLoader {
    private final Map<String, byte[]> classes;

    AnewLoader(Map<String, byte[]> classes) {
      super(ClassLoader.getPlatformClassLoader());
      this.classes = classes;
    }

    @Override
    protected Class<?> findClass(String name) throws ClassNotFoundException {
      byte[] bytes = classes.get(name);
      if (bytes == null) {
        throw new ClassNotFoundException(name);
      }
      return defineClass(name, bytes, 0, bytes.length);
    }
  }

  private static Map<String, byte[]> classes() throws IOException {
    Map<String, byte[]> classes = new HashMap<>();
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator, -1)) {
      Path path = Path.of(entry);
      if (Files.isDirectory(path)) {
        addClasses(path, classes);
      } else {
        try (FileSystem jar = FileSystems.newFileSystem(path)) {
          addClasses(jar.getPath("/"), classes);
        }
      }
    }
    return classes;
  }

  private static void addClasses(Path root, Map<String, byte[]> classes) throws IOException {
    try (Stream<Path> files = Files.walk(root)) {
      for (Path file : (Iterable<Path>) files::iterator) {
        String name = root.relativize(file).toString().replaceAll("[/\\\\]", ".");
        if (name.endsWith(".class")) {
          classes.putIfAbsent(name.substring(0, name.lastIndexOf('.')), Files.readAllBytes(file));
        }
      }
    }
  }

  /** The same by a class loader of its own. */
  private static Runnable anew(Use use, Map<String, byte[]> classes) throws Exception {
    for (Object other : new AnewLoader(classes).loadClass(Use.class.getName()).getEnumConstants()) {
      if (other.toString().equals(use.toString())) {
        return (Runnable) other;
      }
    }
    throw new AssertionError(use);
  }

  public static void main(String[] args) throws Exception {
    int depths = Integer.parseInt(args[0]);
    Map<String, byte[]> classes = classes();
    for (Use use : Use.values()) {
      int ended = 0;
      int tried = 0;
      for (int frames : FRAMES) {
        int apart = frames / depths;
        List<Runnable> anew = new ArrayList<>();
        for (int i = 0; i < depths; i++) {
          anew.add(anew(use, classes));
        }
        int[] next = {0};
        int[] errors = {0};
        Runnable first =
            () -> {
              try {
                anew.get(next[0]++).run();
              } catch (Error e) { // not always one of the stack: the JDK wraps some
                errors[0]++;
              }
            };
        Thread thread =
            new Thread(null, () -> ShortStack.fill(0, apart, depths, first), "short", STACK_BYTES);
        thread.start();
        thread.join();
        for (int i = 0; i < depths; i++) {
          try {
            anew.get(i).run();
          } catch (Error e) {
            throw new IllegalStateException(use + ", first with " + apart * i + " frames left", e);
          }
        }
        tried += next[0];
        ended += errors[0];
      }
      String counts = use + ": ended at " + ended + " of " + tried + " depths";
      ChildJvm.check(ended > 0 && ended < tried, counts);
      System.out.println(counts);
    }
    System.out.println("lives on");
  }
}
