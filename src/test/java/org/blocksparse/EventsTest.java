// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import jdk.jfr.EventType;
import jdk.jfr.FlightRecorder;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.experts.ExpertCache;
import org.blocksparse.experts.MixtureOfExperts;
import org.blocksparse.experts.TopKGate;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.io.TensorFile;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.OptimizerState;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.products.SparseBlockGemv;
import org.blocksparse.products.SparseBlockOuter;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.LayerBuilder;
import org.blocksparse.softmax.LayerPart;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The library's events in a recording of the JVM. */
final class EventsTest {
  private static final Optimizer SGD = Optimizer.sgd(0.1f);

  @TempDir private Path folder;

  private final float[] rows = {1, 2, 3, 4, 5, 6};

  /** Returns the events of a call from a recording of them; each has taken some time. */
  private List<RecordedEvent> recorded(String name, Call call) throws IOException {
    Path file = folder.resolve(name + ".jfr");
    try (Recording recording = new Recording()) {
      recording.enable("org.blocksparse." + name);
      recording.start();
      call.run();
      recording.stop();
      recording.dump(file);
    }
    String thread = Thread.currentThread().getName();
    List<RecordedEvent> events =
        RecordingFile.readAllEvents(file).stream()
            .filter(event -> event.getEventType().getName().startsWith("org.blocksparse."))
            .filter(event -> event.getThread().getJavaName().equals(thread))
            .toList();
    events.forEach(event -> assertTrue(event.getDuration().toNanos() > 0, event::toString));
    events.forEach(event -> assertNull(event.getStackTrace(), event::toString));
    return events;
  }

  private interface Call {
    void run() throws IOException;
  }

  private static HierarchicalSoftmax softmax() {
    return HierarchicalSoftmax.builder(2, 100).seed(1).build();
  }

  @Test
  void stepsTellLossAndClasses() throws IOException {
    double[] losses = new double[2];
    List<RecordedEvent> events =
        recorded(
            "Step",
            () -> {
              try (HierarchicalSoftmax layer = softmax();
                  LabelTree tree = LabelTree.builder(2, 100).build();
                  EmbeddingBag bag = EmbeddingBag.builder(10, 2).build();
                  FloatTensor x = FloatTensor.of(rows, 3, 2);
                  IntTensor targets = IntTensor.of(new int[] {1, 50, 99}, 3);
                  SparseRows labels = SparseRows.of(List.of(new int[] {0, 99}, i(), i(7)))) {
                losses[0] = layer.step(x, targets, SGD);
                losses[1] = tree.step(x, labels, Optimizer.adagrad(0.1f));
                try (SparseRows words = SparseRows.of(List.of(i(1, 2), i(3), i(4)))) {
                  bag.step(words, x, Optimizer.adam(0.1f));
                }
              }
            });
    assertEquals(3, events.size(), events::toString);
    assertStep(events.get(0), "softmax", 3, "SGD", losses[0]);
    assertStep(events.get(1), "label tree", 3, "ADAGRAD", losses[1]);
    assertStep(events.get(2), "embedding bag", 4, "ADAM", Double.NaN);
  }

  private static int[] i(int... values) {
    return values;
  }

  private static void assertStep(
      RecordedEvent event, String layer, long touched, String optimizer, double loss) {
    assertEquals("org.blocksparse.Step", event.getEventType().getName());
    assertEquals(layer, event.getString("layer"));
    assertEquals(3, event.getInt("rows"));
    assertEquals(touched, event.getLong("touched"));
    assertEquals(optimizer, event.getString("optimizer"));
    assertEquals(loss, event.getDouble("loss"));
  }

  @Test
  void callsOfCachedExpertsCountHitsAndMisses() throws IOException {
    Path model = folder.resolve("experts");
    TopKGate gate = TopKGate.of(3, 2);
    try (MixtureOfExperts floats = MixtureOfExperts.builder(2, 4, gate).build();
        MixtureOfExperts packed = floats.withWeights(ElementType.Q8_0)) {
      packed.save(model);
    }
    MemoryUse[] use = new MemoryUse[1];
    List<RecordedEvent> events =
        recorded(
            "Experts",
            () -> {
              try (ExpertCache cache = ExpertCache.ofBytes(1 << 20);
                  MixtureOfExperts layer =
                      MixtureOfExperts.load(model, LoadOptions.mapped(), cache);
                  FloatTensor x = FloatTensor.of(new float[] {1, 2}, 1, 2)) {
                layer.apply(x).close();
                layer.apply(x).close();
                use[0] = layer.memoryUse();
              }
            });
    assertEquals(2, events.size(), events::toString);
    assertExperts(events.get(0), model, 0, 2, use[0].bytesRead());
    assertExperts(events.get(1), model, 2, 0, 0);
  }

  private static void assertExperts(
      RecordedEvent event, Path file, int hits, int misses, long bytes) {
    assertEquals(file.toString(), event.getString("file"));
    assertEquals(hits, event.getInt("hits"));
    assertEquals(misses, event.getInt("misses"));
    assertEquals(bytes, event.getLong("bytesRead"));
  }

  @Test
  void searchesTellTheClassesThatTheyOpened() throws IOException {
    int[] opened = new int[3];
    int[] classes = new int[1];
    List<RecordedEvent> events =
        recorded(
            "Search",
            () -> {
              try (HierarchicalSoftmax layer = softmax();
                  FloatTensor x = FloatTensor.of(rows, 3, 2)) {
                classes[0] = layer.classCount();
                opened[0] = opened(layer.topK(x, 5));
                opened[1] = opened(layer.atLeast(x, 0.01));
                opened[2] = opened(layer.topP(x, 0.5));
              }
            });
    assertEquals(
        List.of("topK", "atLeast", "topP"),
        events.stream().map(event -> event.getString("query")).toList());
    for (int i = 0; i < opened.length; i++) {
      assertEquals("softmax", events.get(i).getString("layer"));
      assertEquals(3, events.get(i).getInt("rows"));
      assertEquals(opened[i], events.get(i).getLong("openedClasses"));
      assertEquals(classes[0], events.get(i).getInt("classes"));
    }
  }

  private static int opened(Ranking ranking) {
    return IntStream.range(0, ranking.batch()).map(ranking::openedClasses).sum();
  }

  @Test
  void productsTellTheirPairs() throws IOException {
    List<RecordedEvent> events =
        recorded(
            "Product",
            () -> {
              try (FloatTensor w = FloatTensor.zeros(2, 3, 4, 5);
                  FloatTensor b = FloatTensor.zeros(3, 5);
                  FloatTensor h = FloatTensor.zeros(2, 1, 4);
                  FloatTensor out = FloatTensor.zeros(2, 2, 5);
                  FloatTensor z = FloatTensor.zeros(2, 1, 4);
                  OptimizerState state = OptimizerState.of(w);
                  IntTensor inputs = IntTensor.of(i(0, 1), 2, 1);
                  IntTensor outputs = IntTensor.of(i(2, 0, 1, 2), 2, 2);
                  BlockPlan plan = BlockPlan.of(inputs, outputs, 2, 3)) {
                SparseBlockDot.apply(w, h, plan, Epilogue.none().withBias(b)).close();
                SparseBlockDot.apply(w, h, plan, Epilogue.none().withBias(b)).close();
                SparseBlockGemv.applyInPlace(w, h, plan, out);
                SparseBlockDot.gradH(w, out, plan).close();
                SparseBlockDot.gradH(
                    w,
                    out,
                    plan,
                    GradientOptions.overwrite().withActivation(Activation.RELU, z),
                    h);
                SparseBlockDot.gradW(h, out, plan, GradientOptions.add(1), w);
                SparseBlockOuter.applyInPlace(h, out, plan, 1, w);
                SparseBlockDot.stepW(h, out, plan, SGD, w, state);
              }
            });
    assertEquals(
        List.of("forward", "forward", "forward", "gradH", "gradH", "gradW", "gradW", "stepW"),
        events.stream().map(event -> event.getString("operation")).toList());
    for (RecordedEvent event : events) {
      assertEquals(2, event.getInt("samples"), event::toString);
      assertEquals(4, event.getLong("pairs"), event::toString);
      assertEquals(4, event.getInt("inputSize"), event::toString);
      assertEquals(5, event.getInt("outputSize"), event::toString);
    }
  }

  @Test
  void filesTellTheirSize() throws IOException {
    Path model = folder.resolve("model");
    Path table = folder.resolve("table");
    Path tensors = folder.resolve("tensors");
    List<RecordedEvent> events =
        recorded(
            "File",
            () -> {
              try (HierarchicalSoftmax layer = softmax();
                  EmbeddingBag bag = EmbeddingBag.builder(10, 2).build()) {
                layer.save(model);
                HierarchicalSoftmax.load(model).close();
                HierarchicalSoftmax.load(model, LoadOptions.mapped()).close();
                bag.save(table);
                EmbeddingBag.load(table).close();
                TensorFile.save(tensors, Map.of("table", bag.table()));
                TensorFile.open(tensors).close();
                TensorFile.open(tensors, LoadOptions.mapped()).close();
              }
            });
    assertEquals(
        List.of("save", "load", "map", "save", "load", "save", "load", "map"),
        events.stream().map(event -> event.getString("operation")).toList());
    for (int i = 0; i < events.size(); i++) {
      Path file = i < 3 ? model : i < 5 ? table : tensors;
      String layer = i < 3 ? "softmax" : i < 5 ? "embedding bag" : "tensors";
      assertFile(events.get(i), layer, file);
    }
  }

  private static void assertFile(RecordedEvent event, String layer, Path file) throws IOException {
    assertEquals(layer, event.getString("layer"));
    assertEquals(file.toString(), event.getString("file"));
    assertEquals(Files.size(file), event.getLong("size"));
  }

  @Test
  void aFileOfPartsIsThatOfTheLayer() throws IOException {
    Path model = folder.resolve("model");
    assertSaved(HierarchicalSoftmax.builder(2, 100).classes(2), "softmax", model);
    assertSaved(LabelTree.builder(2, 100).classes(2), "label tree", model);
  }

  private void assertSaved(LayerBuilder<?, ?> builder, String kind, Path model) throws IOException {
    List<byte[]> parts = new ArrayList<>();
    for (int number = LayerPart.CLASS_LEVEL; number < 2; number++) {
      try (LayerPart<?> part = builder.buildPart(number)) {
        parts.add(part.toBytes());
      }
    }
    List<RecordedEvent> events =
        recorded(
            "File", () -> builder.saveParts(model, 0, parts.iterator(), SaveOptions.defaults()));
    assertEquals(1, events.size(), events::toString);
    assertEquals("save", events.get(0).getString("operation"));
    assertFile(events.get(0), kind, model);
  }

  @Test
  void reloadsTellTheirFileAndWhatFailed() throws IOException {
    Path model = folder.resolve("model");
    try (HierarchicalSoftmax layer = softmax()) {
      layer.save(model);
    }
    Path none = folder.resolve("none");
    List<RecordedEvent> events =
        recorded(
            "Reload",
            () -> {
              try (var holder = ModelHolder.load(model, HierarchicalSoftmax::load)) {
                holder.reload(model);
                assertThrows(NoSuchFileException.class, () -> holder.reload(none));
                holder.reload(EventsTest::softmax);
              }
            });
    assertEquals(
        List.of(model.toString(), none.toString(), ""),
        events.stream().map(event -> event.getString("file")).toList());
    assertEquals(
        List.of("", NoSuchFileException.class.getName() + ": " + none, ""),
        events.stream().map(event -> event.getString("error")).toList());
  }

  /** A recording without these settings, such as that of a server that always records. */
  @Test
  void areOffByDefault() {
    try (Recording recording = new Recording()) {
      recording.enable("jdk.ThreadSleep");
      recording.start();
      List<EventType> own =
          FlightRecorder.getFlightRecorder().getEventTypes().stream()
              .filter(type -> type.getName().startsWith("org.blocksparse."))
              .toList();
      own.forEach(type -> assertEquals(false, type.isEnabled(), type::getName));
      assertNull(Recorder.step());
      assertNull(Recorder.product());
      assertNull(Recorder.search());
      assertNull(Recorder.file());
      assertNull(Recorder.reload());
      recording.enable("org.blocksparse.Search");
      assertNotNull(Recorder.search());
      assertNull(Recorder.step());
    }
    assertNull(Recorder.search());
  }
}
