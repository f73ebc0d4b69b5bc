// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.ranking;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.blocksparse.testing.Failures.assertFails;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.testing.ThreadHeap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Names of outputs in both directions, in rankings and in files. */
final class LabelsTest {
  /** Two names with the same FNV-1a hash, 0x5e4daa9d. */
  private static final List<String> SAME_HASH = List.of("costarring", "liquid");

  private static final List<String> NAMES =
      List.of("", "a", "b", "ab", "Straße", "日本", "\0", "😀", "costarring", "liquid", "ba");

  @TempDir Path folder;

  private static void assertAll(Labels labels, List<String> names) {
    assertEquals(names.size(), labels.size());
    for (int output = 0; output < names.size(); output++) {
      assertEquals(names.get(output), labels.name(output));
      assertEquals(output, labels.output(names.get(output)));
    }
    assertEquals(names, labels.names());
  }

  @Test
  void thereAndBack() {
    Labels labels = Labels.of(NAMES);
    assertAll(labels, NAMES);
    for (String other : List.of("c", "aa", "STRASSE", "日", "\0\0", "😀😀", "\ud83d", "liqui")) {
      assertEquals(-1, labels.output(other), other);
    }
    assertEquals("Labels(11 names)", labels.toString());
    assertEquals(labels, Labels.of(NAMES.toArray(new String[0])));
    assertEquals(labels.hashCode(), Labels.of(NAMES).hashCode());
    assertNotEquals(labels, Labels.of("a"));
  }

  @Test
  void namesWithTheSameHashAreTold() {
    assertEquals(
        List.of(0x5e4daa9d, 0x5e4daa9d),
        SAME_HASH.stream().map(LabelsTest::fnv).toList(),
        "the names do not test what they should");
    assertAll(Labels.of(SAME_HASH), SAME_HASH);
    assertAll(Labels.of("liquid", "costarring"), List.of("liquid", "costarring"));
    assertEquals(-1, Labels.of("liquid").output("costarring"));
  }

  private static int fnv(String name) {
    int hash = 0x811c9dc5;
    for (byte letter : name.getBytes(US_ASCII)) {
      hash = (hash ^ letter) * 0x01000193;
    }
    return hash;
  }

  @Test
  void noNames() {
    Labels none = Labels.of();
    assertAll(none, List.of());
    assertEquals(-1, none.output(""));
  }

  @Test
  void manyNames() {
    List<String> names =
        IntStream.range(0, 100_000).mapToObj(i -> "name " + i * 7919 % 100_003).toList();
    assertAll(Labels.of(names), names);
  }

  @Test
  void oneAfterTheOther() {
    assertAll(Labels.of("a", "b").with("c", "d"), List.of("a", "b", "c", "d"));
    assertAll(Labels.of("a").with(), List.of("a"));
    assertFails(
        IllegalArgumentException.class,
        "names[2]: is the same as names[0]",
        () -> Labels.of("a", "b").with("a"));
  }

  @Test
  void namesAreAListThatDoesNotChange() {
    Labels two = Labels.of("a", "b");
    assertThrows(UnsupportedOperationException.class, () -> two.names().add("c"));
    assertThrows(IndexOutOfBoundsException.class, () -> two.names().get(2));
  }

  private static HierarchicalSoftmax layer() {
    return HierarchicalSoftmax.builder(2, NAMES.size()).labels(Labels.of(NAMES)).seed(1).build();
  }

  @Test
  void rankingsAndExplanationsHaveThem() {
    try (HierarchicalSoftmax layer = layer();
        FloatTensor x = FloatTensor.of(new float[] {1, 2}, 1, 2)) {
      Ranking ranking = layer.topK(x, 3);
      for (int rank = 0; rank < 3; rank++) {
        assertEquals(NAMES.get(ranking.output(0, rank)), ranking.label(0, rank));
      }
      assertEquals(NAMES.get(layer.topP(x, .1).output(0, 0)), layer.topP(x, .1).label(0, 0));
      assertEquals(ranking.label(0, 0), layer.atLeast(x, .01).label(0, 0));
      assertEquals("日本", layer.explain(x, 5).label());
      assertThrows(IndexOutOfBoundsException.class, () -> ranking.label(0, 3));
      assertThrows(IndexOutOfBoundsException.class, () -> ranking.label(1, 0));
      // A ranking keeps the names of the time when it was made.
      String before = ranking.label(0, 0);
      int added = layer.addOutputs(1);
      assertNull(layer.explain(x, added).label());
      String[] names = NAMES.toArray(new String[0]);
      names[0] = "x";
      layer.setLabels(Labels.of(names).with("more"));
      assertEquals(before, ranking.label(0, 0));
      assertEquals("x", layer.explain(x, 0).label());
      assertEquals("more", layer.explain(x, added).label());
      layer.close();
      assertEquals(before, ranking.label(0, 0));
    }
  }

  @Test
  void aLayerWithoutThem() {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(2, 3).build();
        FloatTensor x = FloatTensor.zeros(1, 2)) {
      assertFalse(layer.hasLabels());
      assertFails(
          IllegalStateException.class,
          "layer: has no labels; setLabels names its outputs",
          layer::labels);
      Ranking ranking = layer.topK(x, 1);
      assertFails(
          IllegalStateException.class,
          "layer: has no labels; setLabels names its outputs",
          () -> ranking.label(0, 0));
      assertNull(layer.explain(x, 0).label());
      for (Labels wrong : List.of(Labels.of("a", "b", "c", "d"), Labels.of("a", "b"))) {
        assertFails(
            IllegalArgumentException.class,
            "labels: expected 3 names but was " + wrong.size(),
            () -> layer.setLabels(wrong));
      }
      assertFails(NullPointerException.class, "labels", () -> layer.setLabels(null));
      layer.setLabels(Labels.of("a", "b", "c"));
      assertTrue(layer.hasLabels());
    }
    for (int wrong : new int[] {0, 2, 4}) {
      List<String> names = IntStream.range(0, wrong).mapToObj(i -> "" + i).toList();
      assertFails(
          IllegalArgumentException.class,
          "labels: expected 3 names but was " + wrong,
          () -> HierarchicalSoftmax.builder(2, 3).labels(Labels.of(names)));
    }
    assertFails(
        NullPointerException.class, "labels", () -> HierarchicalSoftmax.builder(2, 3).labels(null));
  }

  @Test
  void filesHaveThem() throws IOException {
    Path file = folder.resolve("model");
    List<String> longer = new ArrayList<>(NAMES.subList(0, 10));
    longer.add("x".repeat(3_000_000));
    for (List<String> names : List.of(NAMES, NAMES.subList(0, 3), longer)) {
      try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(2, names.size()).build();
          EmbeddingBag bag = EmbeddingBag.builder(3, 2).build()) {
        layer.setLabels(Labels.of(names));
        layer.addOutputs(2); // the new outputs have no names
        layer.save(file, SaveOptions.defaults().withOptimizerState().with(bag));
      }
      for (LoadOptions options :
          List.of(LoadOptions.copied(), LoadOptions.mapped(), LoadOptions.copyOnWrite())) {
        List<Long> progress = new ArrayList<>();
        try (HierarchicalSoftmax layer =
                HierarchicalSoftmax.load(
                    file,
                    options.withProgress(
                        (done, total) -> progress.addAll(Arrays.asList(done, total))));
            EmbeddingBag bag = EmbeddingBag.load(file, options)) {
          assertAll(layer.labels(), names);
          assertEquals(3, bag.vocabulary());
          assertEquals(progress.get(progress.size() - 1), progress.get(progress.size() - 2));
        }
      }
    }
  }

  /** Loading takes heap for the letters and eight bytes of each name, and no objects. */
  @Test
  void namesOfAMappedFileAreNoStrings() throws IOException {
    int outputs = 300_000;
    List<String> names = IntStream.range(0, outputs).mapToObj(i -> "the name of " + i).toList();
    Path named = folder.resolve("named");
    Path plain = folder.resolve("plain");
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(1, outputs).build()) {
      layer.save(plain);
      layer.setLabels(Labels.of(names));
      layer.save(named);
    }
    HierarchicalSoftmax.load(named, LoadOptions.mapped()).close(); // loads the JDK's classes
    long before = ThreadHeap.taken();
    HierarchicalSoftmax.load(plain, LoadOptions.mapped()).close();
    long withoutNames = ThreadHeap.taken() - before;
    before = ThreadHeap.taken();
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(named, LoadOptions.mapped())) {
      long ofNames = ThreadHeap.taken() - before - withoutNames;
      long letters = names.stream().mapToInt(String::length).sum();
      long most = letters + 8L * outputs + (256 << 10);
      assertTrue(ofNames <= most, ofNames + " bytes of the heap, and not " + most);
      Labels labels = layer.labels();
      assertEquals(outputs, labels.size());
      for (int output = 0; output < outputs; output += 997) {
        assertEquals(names.get(output), labels.name(output));
        assertEquals(output, labels.output(names.get(output)));
      }
      assertEquals(outputs - 1, labels.output(labels.name(outputs - 1)));
      assertEquals(-1, labels.output("the name of " + outputs));
    }
  }

  @Test
  void aFileWithoutThemHasNone() throws IOException {
    Path file = folder.resolve("model");
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(2, 3).build()) {
      layer.save(file);
    }
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(file)) {
      assertFalse(layer.hasLabels());
    }
  }
}
