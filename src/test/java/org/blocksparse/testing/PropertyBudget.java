// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.util.List;
import java.util.concurrent.TimeUnit;
import net.jqwik.api.lifecycle.AroundTryHook;
import net.jqwik.api.lifecycle.Lifespan;
import net.jqwik.api.lifecycle.PropagationMode;
import net.jqwik.api.lifecycle.RegistrarHook;
import net.jqwik.api.lifecycle.Store;
import net.jqwik.api.lifecycle.TryExecutionResult;
import net.jqwik.api.lifecycle.TryExecutor;
import net.jqwik.api.lifecycle.TryLifecycleContext;

/**
 * Lets no property of the long run take more than some minutes, however many tries are left: those
 * that train layers make a million in a day, those that look at numbers in a minute. jqwik finds
 * this as a service.
 */
public final class PropertyBudget implements RegistrarHook {
  private static final int SECONDS = Budget.of("blocksparse.property.seconds", 0, 240);

  @Override
  public void registerHooks(Registrar registrar) {
    if (SECONDS > 0) {
      registrar.register(LastTry.class, PropagationMode.ALL_DESCENDANTS);
    }
  }

  /** Makes the try with which the time is over the last. */
  public static final class LastTry implements AroundTryHook {
    @Override
    public TryExecutionResult aroundTry(
        TryLifecycleContext context, TryExecutor aTry, List<Object> parameters) {
      long began = Store.getOrCreate(LastTry.class, Lifespan.PROPERTY, System::nanoTime).get();
      TryExecutionResult result = aTry.execute(parameters);
      boolean over = System.nanoTime() - began > TimeUnit.SECONDS.toNanos(SECONDS);
      return over && result.isSatisfied() ? TryExecutionResult.satisfied(true) : result;
    }
  }
}
