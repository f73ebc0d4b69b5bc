// SPDX-License-Identifier: Apache-2.0

import java.nio.file.Path;
import java.util.Locale;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.Prediction;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.ExampleReader;

/**
 * Prints the data of a reliability chart, the share of right labels by predicted probability:
 * {@code java Reliability.java NAME MODEL TEST NAME MODEL TEST...}
 */
class Reliability {
  private static final int BINS = 10;

  /** The least labels of a bin: with fewer, the standard error of a share exceeds 0.05. */
  private static final int LEAST = 100;

  private static final int TOP = 50;

  public static void main(String[] args) throws Exception {
    System.out.println("title\tPredicted probabilities, and how often such labels are right");
    System.out.println(
        "subtitle\tEach point is the mean of a tenth of the probabilities; held out.");
    System.out.println("x\tpredicted probability");
    System.out.println("y\tshare that is right");
    System.out.println("line\tcalibrated\t0\t0\nline\tcalibrated\t1\t1");
    for (int i = 0; i < args.length; i += 3) {
      print(args[i], Path.of(args[i + 1]), Path.of(args[i + 2]));
    }
  }

  private static void print(String name, Path file, Path test) throws Exception {
    int[] count = new int[BINS];
    int[] right = new int[BINS];
    double[] sum = new double[BINS];
    try (Classifier model = Classifier.load(file);
        ExampleReader reader = ExampleReader.open(test)) {
      for (Example example : (Iterable<Example>) reader.examples()::iterator) {
        for (Prediction prediction : model.predict(example, TOP)) {
          int bin = Math.min(BINS - 1, (int) (BINS * prediction.probability()));
          count[bin]++;
          sum[bin] += prediction.probability();
          right[bin] += example.labels().contains(prediction.label()) ? 1 : 0;
        }
      }
    }
    for (int bin = 0; bin < BINS; bin++) {
      if (count[bin] >= LEAST) {
        System.out.printf(
            Locale.ROOT,
            "point\t%s\t%.3f\t%.3f%n",
            name,
            sum[bin] / count[bin],
            (double) right[bin] / count[bin]);
      }
    }
  }
}
