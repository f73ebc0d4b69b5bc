// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.Method;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.experts.MixtureOfExperts;
import org.blocksparse.experts.TopKGate;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.ranking.Filter;
import org.blocksparse.softmax.Loss;
import org.blocksparse.testing.OptionsInAnyOrder;
import org.blocksparse.testing.PublicTypes;
import org.junit.jupiter.api.Test;

/** Options are immutable: each change keeps the other options, in any order. */
final class OptionsTest {
  @Test
  void optionsAreSetInAnyOrder() {
    Map<Class<?>, Object> arguments = new HashMap<>();
    Progress progress = (done, total) -> {};
    arguments.put(float.class, 0.25f);
    arguments.put(int.class, 3);
    arguments.put(long.class, 3L);
    arguments.put(float[].class, new float[] {1, -2, 3});
    arguments.put(Workers.class, Workers.callingThread());
    arguments.put(Progress.class, progress);
    arguments.put(Map.class, Map.of("language", "en"));
    arguments.put(ElementType.class, ElementType.BFLOAT16);
    arguments.put(Activation.class, Activation.GELU);
    try (SparseRows rows = SparseRows.of(List.of(new int[] {0}));
        FloatTensor floats = FloatTensor.zeros(2, 2);
        EmbeddingBag bag = EmbeddingBag.builder(2, 2).build();
        LinearLabelTree tree = LinearLabelTree.builder(1, 1).train(rows, rows);
        BlockPlan plan = BlockPlan.dense(3)) {
      arguments.put(FloatTensor.class, floats);
      arguments.put(UnknownIds.class, UnknownIds.ignore());
      arguments.put(EmbeddingBag.class, bag);
      arguments.put(LinearLabelTree.class, tree);
      List<Object> all =
          List.of(
              plan,
              Epilogue.none(),
              Filter.without(1),
              GradientOptions.overwrite(),
              GradientOptions.add(0.5f),
              LoadOptions.copied(),
              LoadOptions.mapped(),
              LoadOptions.copyOnWrite(),
              Loss.mean(),
              Loss.sum(),
              Optimizer.sgd(0.1f),
              Optimizer.adam(0.1f),
              SaveOptions.defaults(),
              TopKGate.of(3, 2));
      OptionsInAnyOrder property = new OptionsInAnyOrder(arguments);
      all.forEach(options -> property.check(PublicTypes.of(options), options));
      Set<Class<?>> checked = all.stream().map(PublicTypes::of).collect(Collectors.toSet());
      assertEquals(optionTypes(), checked);
    }
  }

  /**
   * Returns the public types with two options or more, except for layers, whose methods make
   * copies.
   */
  private static Set<Class<?>> optionTypes() {
    Set<Class<?>> found =
        PublicTypes.all().stream()
            .filter(
                type ->
                    OptionsInAnyOrder.setters(type).stream().map(Method::getName).distinct().count()
                        > 1)
            .collect(Collectors.toSet());
    assertTrue(found.remove(MixtureOfExperts.class));
    return found;
  }
}
