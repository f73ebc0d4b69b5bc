// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import net.jqwik.api.lifecycle.AroundPropertyHook;
import net.jqwik.api.lifecycle.PropagationMode;
import net.jqwik.api.lifecycle.PropertyExecutionResult;
import net.jqwik.api.lifecycle.PropertyExecutor;
import net.jqwik.api.lifecycle.PropertyLifecycleContext;

/**
 * Ends the JVM when a property hangs, after it has said where: jqwik has no timeout of its own, and
 * Surefire's does not work (SUREFIRE-1722). jqwik finds this hook as a service.
 */
public final class PropertyTimeout implements AroundPropertyHook {
  private static final int SECONDS = Budget.of("blocksparse.property.seconds", 60, 6 * 3600);

  private static final ScheduledExecutorService CLOCK =
      Executors.newSingleThreadScheduledExecutor(
          task -> {
            Thread thread = new Thread(task, "property-timeout");
            thread.setDaemon(true);
            return thread;
          });

  @Override
  public PropagationMode propagateTo() {
    return PropagationMode.ALL_DESCENDANTS;
  }

  @Override
  public PropertyExecutionResult aroundProperty(
      PropertyLifecycleContext context, PropertyExecutor property) {
    Thread thread = Thread.currentThread();
    ScheduledFuture<?> end =
        CLOCK.schedule(() -> halt(context.extendedLabel(), thread), SECONDS, TimeUnit.SECONDS);
    try {
      return property.execute();
    } finally {
      end.cancel(false);
    }
  }

  private static void halt(String property, Thread thread) {
    System.err.println(property + " still runs after " + SECONDS + " seconds:");
    for (StackTraceElement element : thread.getStackTrace()) {
      System.err.println("\tat " + element);
    }
    System.err.flush();
    Runtime.getRuntime().halt(1);
  }
}
