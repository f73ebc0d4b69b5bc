// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Models that cannot be trained are rejected before anything else is done. */
final class InitialModelTest {
  private static final String HAS_A_BAG =
      "initialModel: has an EmbeddingBag, which is not trained here: train both in one process, or"
          + " save the layer alone and give it sums of the bag as features";

  @TempDir Path folder;
  private Path file;

  @BeforeEach
  void save() throws IOException {
    file = Models.save(folder.resolve("model"), true);
  }

  private static InitialModel read(Path file) throws IOException {
    return InitialModel.read(EstimatorKind.SOFTMAX, file.toUri().toString(), new Configuration());
  }

  private static void assertRefused(Path file, String message) {
    assertEquals(
        message, assertThrows(IllegalArgumentException.class, () -> read(file)).getMessage());
  }

  @Test
  void whatIsNoPlace() {
    for (String place : List.of("nowhere://model", "::", folder.resolve("none").toString())) {
      String message =
          assertThrows(
                  IllegalArgumentException.class,
                  () -> InitialModel.read(EstimatorKind.SOFTMAX, place, new Configuration()))
              .getMessage();
      String expected = "initialModel: expected the folder of a saved model or the file of one: ";
      assertTrue(message.startsWith(expected), message);
    }
  }

  @Test
  void weightsThatAreOnlyRead() throws IOException {
    Path rounded = folder.resolve("rounded");
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(file);
        HierarchicalSoftmax narrow = layer.withWeights(ElementType.INT8)) {
      narrow.save(rounded);
    }
    assertRefused(
        rounded,
        "initialModel: its weights are INT8, which cannot be trained; for that, keep the float32"
            + " one that it was made of");
  }

  @Test
  void somethingElse() throws IOException {
    Path tree = folder.resolve("tree");
    try (LabelTree layer = LabelTree.builder(3, 5).build()) {
      layer.save(tree);
    }
    assertRefused(
        tree,
        "initialModel: "
            + tree.toUri()
            + ": __metadata__: is of a LabelTree; LabelTree.load loads it");
  }

  @Test
  void aBag() throws IOException {
    Path with = folder.resolve("bag");
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(file);
        EmbeddingBag bag = EmbeddingBag.builder(30, Models.FEATURES).build()) {
      layer.save(with, SaveOptions.defaults().with(bag));
    }
    assertRefused(with, HAS_A_BAG);
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(with)) {
      layer.save(with);
    }
    assertEquals(Models.FEATURES, read(with).features());
  }

  @Test
  void aBagOfOtherFeatures() throws IOException {
    Path with = folder.resolve("wider");
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(file);
        EmbeddingBag bag = EmbeddingBag.builder(30, Models.FEATURES + 1).build()) {
      layer.save(with, SaveOptions.defaults().with(bag));
    }
    assertRefused(with, HAS_A_BAG);
  }

  @Test
  void ofAnotherFile_whatATaskHasRefusedIsNotToldOfIt() throws IOException {
    Path none = Files.write(folder.resolve("none"), new byte[99]);
    FileFormatException cause =
        assertThrows(FileFormatException.class, () -> HierarchicalSoftmax.load(none));
    RuntimeException failure = new IllegalStateException(cause);
    assertEquals(
        "initialModel: place: %s: %s".formatted(cause.part(), cause.reason()),
        TwoLevelClassifier.refused(failure, "place").getMessage());
    assertSame(failure, TwoLevelClassifier.refused(failure, null));
  }

  @Test
  void equalLabels() throws IOException {
    assertEquals(Models.name(499), read(file).names().get(499));
    String content = Files.readString(file, ISO_8859_1);
    Path changed = folder.resolve("changed");
    Files.writeString(changed, content.replace(Models.name(499), Models.name(498)), ISO_8859_1);
    assertRefused(changed, "initialModel: its labels: names[499]: is the same as names[498]");
  }
}
