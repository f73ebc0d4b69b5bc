// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.InvocationTargetException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.experts.MixtureOfExperts;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.mixture.Mixture;
import org.blocksparse.products.OptimizerState;
import org.blocksparse.ranking.Metrics;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.LayerPart;
import org.blocksparse.softmax.TwoLevelLayer;
import org.blocksparse.testing.Budget;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Declarations;
import org.blocksparse.testing.PublicCall;
import org.blocksparse.testing.PublicMethod;
import org.blocksparse.testing.RandomArguments;
import org.blocksparse.testing.Reachable;
import org.blocksparse.testing.Seeded;
import org.blocksparse.testing.Snapshot;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/**
 * Calls every public method with arguments chosen at random, valid and invalid: every exception
 * names the error in a message of ours, and leaves all tensors, layers and states unchanged. New
 * methods take part without changes here; a new argument type must be added to {@link
 * RandomArguments}.
 */
@ExtendWith(Seeded.class)
final class RandomCallsTest {
  private static final int ROUNDS = Budget.of("blocksparse.random.rounds", 3, 130);
  private static final int CALLS_OF_A_ROUND = 8_000;
  private static final int TRIES_FOR_RIGHT_ONES = 200;

  /** Objects that calls change, besides tensors. */
  private static final List<Class<?>> CHANGEABLE =
      List.of(
          HierarchicalSoftmax.class,
          LabelTree.class,
          LayerPart.class,
          EmbeddingBag.class,
          LinearLabelTree.class,
          SparseWeights.class,
          Mixture.class,
          MixtureOfExperts.class,
          OptimizerState.class,
          Metrics.class);

  @TempDir Path folder;

  /** One flaw for each method and kind. */
  private final Map<String, String> flaws = new TreeMap<>();

  private final Map<PublicMethod, List<PublicCall>> rightCalls = new HashMap<>();
  private int succeeded;

  @Test
  void refusedMeansSaidAndUntouched(Data data) throws Exception {
    List<PublicMethod> methods = PublicMethod.all();
    for (int round = 0; round < ROUNDS; round++) {
      RandomArguments arguments =
          new RandomArguments(new SplittableRandom(data.below(Integer.MAX_VALUE)), folder);
      rightCalls.clear();
      for (PublicMethod called : methods) {
        findRightOnes(called, arguments);
      }
      for (int i = 0; i < CALLS_OF_A_ROUND; i++) {
        make(choose(arguments.oneOf(methods), arguments), arguments);
      }
    }
    assertEquals("", String.join("\n", flaws.values()));
    int calls = ROUNDS * CALLS_OF_A_ROUND;
    assertTrue(succeeded > calls / 5, () -> "only " + succeeded + " calls succeeded");
    assertTrue(succeeded < calls * 9 / 10, () -> succeeded + " calls succeeded: too few are wrong");
  }

  /** Finds some calls that succeed; one argument of each is changed later. */
  private void findRightOnes(PublicMethod called, RandomArguments arguments) {
    if (called.method().getName().equals("close")) {
      return;
    }
    for (Class<?> type : called.parameterTypes()) {
      assertTrue(arguments.knows(type), () -> "no arguments for " + type);
    }
    List<PublicCall> right = new ArrayList<>();
    for (int i = 0; i < TRIES_FOR_RIGHT_ONES && right.size() < 3; i++) {
      PublicCall call = PublicCall.of(called, arguments);
      if (call.succeeds(arguments)) {
        right.add(call);
      }
    }
    rightCalls.put(called, right);
  }

  private PublicCall choose(PublicMethod called, RandomArguments arguments) {
    PublicCall call = PublicCall.of(called, arguments);
    List<PublicCall> right = rightCalls.getOrDefault(called, List.of());
    if (right.isEmpty() || arguments.below(5) == 0) {
      return call;
    }
    PublicCall known = arguments.oneOf(right);
    Object[] values = known.arguments().clone();
    for (int i = 0; i < values.length; i++) {
      if (arguments.below(values.length) == 0) {
        values[i] = call.arguments()[i];
      }
    }
    return new PublicCall(called, known.owner(), values);
  }

  private void make(PublicCall call, RandomArguments arguments) {
    boolean closes = call.called().method().getName().equals("close") && arguments.below(12) != 0;
    if (closes || !call.hasOwner()) {
      return;
    }
    IdentityHashMap<Object, Object> before = states(call, arguments);
    try {
      call.makeAndKeep(arguments);
      succeeded++;
    } catch (InvocationTargetException e) {
      String flaw = flaw(call, e.getCause());
      if (flaw != null) {
        report(call, flaw);
      }
      List<FloatTensor> changed = mayHaveChanged(call, e.getCause());
      before.keySet().removeIf(owner -> shareMemory(changed, owner));
      IdentityHashMap<Object, Object> after = states(call, arguments);
      before.forEach(
          (owner, state) -> {
            if (!Objects.equals(state, after.get(owner))) {
              report(call, "changed " + owner + ", and threw " + e.getCause());
            }
          });
    }
  }

  private static String flaw(PublicCall call, Throwable thrown) {
    boolean ofNumbers = thrown instanceof ArithmeticException;
    return ofNumbers && !Declarations.documents(call.called().method(), ArithmeticException.class)
        ? thrown + ", which its Javadoc does not name"
        : PublicCall.flaw(thrown);
  }

  /**
   * Returns what a failed call may change: a layer's step whose loss is not finite in W2 alone has
   * changed other classes, and its gradX, as documented.
   */
  private static List<FloatTensor> mayHaveChanged(PublicCall call, Throwable thrown) {
    List<FloatTensor> changed = new ArrayList<>();
    if (thrown instanceof ArithmeticException && call.owner() instanceof TwoLevelLayer<?> layer) {
      Object[] arguments = call.arguments();
      changed.addAll(Reachable.of(FloatTensor.class, layer));
      if (call.called().method().getName().equals("step")) {
        changed.addAll(Reachable.of(FloatTensor.class, arguments[arguments.length - 1]));
      }
    }
    return changed;
  }

  /** Returns whether an object shares any of the memory: as a view, or as a layer made of it. */
  private static boolean shareMemory(List<FloatTensor> tensors, Object owner) {
    return !tensors.isEmpty()
        && Reachable.of(FloatTensor.class, owner).stream()
            .anyMatch(own -> tensors.stream().anyMatch(tensor -> Check.overlap(tensor, own)));
  }

  private void report(PublicCall call, String flaw) {
    flaws.putIfAbsent(
        call.called().toString() + flaw.replaceAll("[^A-Za-z].*", ""), call + ": " + flaw);
  }

  /**
   * Returns the content of all tensors and all objects that the call names, and a little of the
   * other layers; nothing of closed objects.
   */
  private static IdentityHashMap<Object, Object> states(
      PublicCall call, RandomArguments arguments) {
    IdentityHashMap<Object, Object> states = new IdentityHashMap<>();
    arguments.kept(FloatTensor.class).forEach(t -> states.put(t, Snapshot.of(t)));
    arguments.kept(IntTensor.class).forEach(t -> states.put(t, Snapshot.of(t)));
    arguments.kept(HierarchicalSoftmax.class).forEach(l -> states.put(l, Snapshot.of(l.b2())));
    arguments.kept(LabelTree.class).forEach(l -> states.put(l, Snapshot.of(l.b2())));
    arguments.kept(LayerPart.class).forEach(p -> states.put(p, Snapshot.of(p.b())));
    for (Class<?> type : CHANGEABLE) {
      for (Object each : arguments.kept(type)) {
        if (call.names(each)) {
          states.put(each, Snapshot.of(each));
        }
      }
    }
    return states;
  }
}
