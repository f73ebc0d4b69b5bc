// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.lang.reflect.AccessibleObject;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.file.Path;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ForkJoinPool;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.experts.MixtureOfExperts;
import org.blocksparse.experts.Routing;
import org.blocksparse.experts.TopKGate;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A loaded layer, its copies and what it makes run on the requested workers only. */
final class LoadedWorkersTest {
  @TempDir Path folder;

  /** Returns the schedulers that an object can reach. */
  private static Set<Scheduler> schedulers(Object from) {
    Set<Object> seen = Collections.newSetFromMap(new IdentityHashMap<>());
    Set<Scheduler> found = Collections.newSetFromMap(new IdentityHashMap<>());
    visit(from, seen, found);
    return found;
  }

  private static void visit(Object object, Set<Object> seen, Set<Scheduler> found) {
    if (object == null || !seen.add(object)) {
      return;
    }
    if (object instanceof Scheduler scheduler) {
      found.add(scheduler);
      return;
    }
    if (object instanceof Object[] elements) {
      for (Object element : elements) {
        visit(element, seen, found);
      }
    }
    for (Class<?> type = object.getClass();
        type != null && type.getName().startsWith("org.blocksparse.");
        type = type.getSuperclass()) {
      Field[] fields = type.getDeclaredFields();
      AccessibleObject.setAccessible(fields, true);
      for (Field field : fields) {
        try {
          if (!Modifier.isStatic(field.getModifiers()) && !field.getType().isPrimitive()) {
            visit(field.get(object), seen, found);
          }
        } catch (IllegalAccessException e) {
          throw new AssertionError(e);
        }
      }
    }
  }

  private static void assertOnlyOn(Workers workers, Object made) {
    assertEquals(schedulers(workers), schedulers(made), made.toString());
  }

  @Test
  void layersRunOnTheWorkersOfTheOptions() throws IOException {
    ForkJoinPool pool = new ForkJoinPool(2);
    Workers mine = Workers.of(pool, 2);
    Path file = folder.resolve("file");
    try (SparseRows rows = SparseRows.of(List.of(new int[] {0}, new int[] {1}));
        FloatTensor x = FloatTensor.zeros(2, 3)) {
      try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(3, 5).build()) {
        layer.save(file);
      }
      for (LoadOptions options : List.of(LoadOptions.copied(), LoadOptions.mapped())) {
        try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(file, options.withWorkers(mine));
            HierarchicalSoftmax copy = layer.copy();
            HierarchicalSoftmax narrow = layer.withWeights(ElementType.FLOAT16)) {
          List.of(layer, copy, narrow).forEach(each -> assertOnlyOn(mine, each));
        }
      }
      try (LabelTree layer = LabelTree.builder(3, 5).build()) {
        layer.save(file);
      }
      try (LabelTree layer = LabelTree.load(file, LoadOptions.copied().withWorkers(mine));
          LabelTree copy = layer.copy()) {
        List.of(layer, copy).forEach(each -> assertOnlyOn(mine, each));
      }
      try (EmbeddingBag bag = EmbeddingBag.builder(2, 3).build()) {
        bag.save(file);
      }
      try (EmbeddingBag bag = EmbeddingBag.load(file, LoadOptions.copied().withWorkers(mine));
          EmbeddingBag copy = bag.copy();
          EmbeddingBag narrow = bag.withWeights(ElementType.INT8)) {
        bag.addRows(2);
        List.of(bag, copy, narrow).forEach(each -> assertOnlyOn(mine, each));
      }
      try (LinearLabelTree tree = LinearLabelTree.builder(2, 2).train(rows, rows)) {
        tree.save(file);
      }
      try (LinearLabelTree tree =
              LinearLabelTree.load(file, LoadOptions.copied().withWorkers(mine));
          LinearLabelTree copy = tree.copy()) {
        List.of(tree, copy).forEach(each -> assertOnlyOn(mine, each));
      }
      try (SparseWeights weights = SparseWeights.of(rows, 2)) {
        weights.save(file);
      }
      try (SparseWeights weights =
              SparseWeights.load(file, LoadOptions.copied().withWorkers(mine));
          SparseWeights narrow = weights.withWeights(ElementType.FLOAT16)) {
        List.of(weights, narrow).forEach(each -> assertOnlyOn(mine, each));
      }
      try (MixtureOfExperts layer = MixtureOfExperts.builder(3, 3, TopKGate.of(4, 2)).build()) {
        layer.save(file);
      }
      try (MixtureOfExperts layer =
              MixtureOfExperts.load(file, LoadOptions.copied().withWorkers(mine));
          MixtureOfExperts copy = layer.copy();
          Routing routing = layer.route(x);
          Routing ofCopy = copy.route(x)) {
        routing.toExperts();
        ofCopy.fromExperts();
        List.of(layer, copy, layer.gate(), routing, ofCopy)
            .forEach(each -> assertOnlyOn(mine, each));
      }
    } finally {
      pool.shutdown();
    }
  }
}
