// SPDX-License-Identifier: Apache-2.0
package topics;

import dev.langchain4j.model.embedding.EmbeddingModel;
import dev.langchain4j.model.embedding.onnx.allminilml6v2q.AllMiniLmL6V2QuantizedEmbeddingModel;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/**
 * Writes the vectors of definitions of WordNet 3.1, in random order, as floats, little endian: for
 * {@code -Dbench.args="heads"} of src/jmh.
 *
 * <p>Arguments: the file, the number of definitions.
 */
final class Definitions {
  private static final int WIDTH = 384;

  public static void main(String[] args) throws IOException {
    EmbeddingModel encoder = new AllMiniLmL6V2QuantizedEmbeddingModel();
    List<String> definitions = definitions().subList(0, Integer.parseInt(args[1]));
    List<float[]> vectors =
        definitions.parallelStream().map(text -> encoder.embed(text).content().vector()).toList();
    ByteBuffer bytes = ByteBuffer.allocate(vectors.size() * WIDTH * Float.BYTES);
    bytes.order(ByteOrder.LITTLE_ENDIAN);
    for (float[] vector : vectors) {
      bytes.asFloatBuffer().put(vector);
      bytes.position(bytes.position() + WIDTH * Float.BYTES);
    }
    Path file = Path.of(args[0]);
    Files.createDirectories(file.toAbsolutePath().getParent());
    Files.write(file, bytes.array());
  }

  private static List<String> definitions() throws IOException {
    List<String> all = new ArrayList<>();
    for (String part : List.of("noun", "verb", "adj", "adv")) {
      String name = "/net/sf/extjwnl/data/wordnet/wn31/data." + part;
      try (InputStream in = Definitions.class.getResourceAsStream(name);
          BufferedReader lines =
              new BufferedReader(new InputStreamReader(in, StandardCharsets.US_ASCII))) {
        lines
            .lines()
            .filter(line -> line.contains(" | "))
            .map(line -> line.substring(line.indexOf(" | ") + 3).strip())
            .forEach(all::add);
      }
    }
    Collections.shuffle(all, new Random(1));
    return all;
  }

  private Definitions() {}
}
