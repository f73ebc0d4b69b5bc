// SPDX-License-Identifier: Apache-2.0

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.blocksparse.Workers;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.io.LoadOptions;

/**
 * Prints the microseconds of processor time that a text takes, in a list and one at a time: MODEL
 * TEXTS ROUNDS. The last round counts, when Java has compiled the code.
 */
class FastTextRates {
  private static final OperatingSystemMXBean SYSTEM =
      (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

  public static void main(String[] args) throws IOException {
    List<Example> texts =
        Files.readAllLines(Path.of(args[1])).stream().map(Example::ofText).toList();
    LoadOptions options = LoadOptions.copied().withWorkers(Workers.callingThread());
    try (Classifier classifier = Classifier.load(Path.of(args[0]), options)) {
      double together = 0;
      double alone = 0;
      for (int round = Integer.parseInt(args[2]); round > 0; round--) {
        together = micros(() -> classifier.predict(texts, 1), texts.size());
        alone = micros(() -> texts.forEach(text -> classifier.predict(text, 1)), texts.size());
      }
      System.out.printf(Locale.ROOT, "%.1f us | %.1f us%n", together, alone);
    }
  }

  private static double micros(Runnable task, int texts) {
    long begin = SYSTEM.getProcessCpuTime();
    task.run();
    return (SYSTEM.getProcessCpuTime() - begin) * 1e-3 / texts;
  }
}
