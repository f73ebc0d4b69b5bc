// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.lang.reflect.AnnotatedElement;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import net.jqwik.api.lifecycle.AroundTryHook;
import net.jqwik.api.lifecycle.Lifespan;
import net.jqwik.api.lifecycle.PropagationMode;
import net.jqwik.api.lifecycle.Store;
import net.jqwik.api.lifecycle.TryExecutionResult;
import net.jqwik.api.lifecycle.TryExecutor;
import net.jqwik.api.lifecycle.TryLifecycleContext;

/**
 * Limits the time of each property in the long run, however many tries are left: properties that
 * train layers make a million tries in a day, those that check numbers in a minute. The try during
 * which the time ends is the last. jqwik finds this as a service.
 */
public final class PropertyBudget implements AroundTryHook {
  private static final int SECONDS = Budget.of("blocksparse.property.seconds", 0, 15);

  @Override
  public PropagationMode propagateTo() {
    return PropagationMode.ALL_DESCENDANTS;
  }

  @Override
  public boolean appliesTo(Optional<AnnotatedElement> element) {
    return SECONDS > 0;
  }

  @Override
  public TryExecutionResult aroundTry(
      TryLifecycleContext context, TryExecutor aTry, List<Object> parameters) {
    long began = Store.getOrCreate(PropertyBudget.class, Lifespan.PROPERTY, System::nanoTime).get();
    TryExecutionResult result = aTry.execute(parameters);
    boolean over = System.nanoTime() - began > TimeUnit.SECONDS.toNanos(SECONDS);
    return over && result.isSatisfied() ? TryExecutionResult.satisfied(true) : result;
  }
}
