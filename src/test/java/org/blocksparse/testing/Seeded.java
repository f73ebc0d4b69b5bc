// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.jupiter.api.extension.TestExecutionExceptionHandler;

/**
 * Gives tests their {@link Data}. The seed is another one every time, is told when a test fails,
 * and can be set: {@code -Dblocksparse.seed=N}.
 */
public final class Seeded implements ParameterResolver, TestExecutionExceptionHandler {
  private static final long SEED = Long.getLong("blocksparse.seed", System.nanoTime());
  private static final AtomicBoolean TOLD = new AtomicBoolean();
  private static final Namespace NAMESPACE = Namespace.create(Seeded.class);

  /** The seed of this run. */
  public static long seed() {
    return SEED;
  }

  @Override
  public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
    return parameter.getParameter().getType() == Data.class;
  }

  @Override
  public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
    context.getStore(NAMESPACE).put("used", true);
    return new Data(SEED);
  }

  @Override
  public void handleTestExecutionException(ExtensionContext context, Throwable failure)
      throws Throwable {
    if (context.getStore(NAMESPACE).get("used") != null) {
      failure.addSuppressed(new AssertionError("to repeat: -Dblocksparse.seed=" + SEED));
      if (TOLD.compareAndSet(false, true)) {
        System.err.println("To repeat what failed: -Dblocksparse.seed=" + SEED);
      }
    }
    throw failure;
  }
}
