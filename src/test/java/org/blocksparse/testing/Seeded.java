// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.jupiter.api.extension.TestExecutionExceptionHandler;

/**
 * Gives tests their {@link Data}, made from the {@link Seed}. A test that fails prints how to
 * repeat it.
 */
public final class Seeded implements ParameterResolver, TestExecutionExceptionHandler {
  private static final AtomicBoolean PRINTED = new AtomicBoolean();
  private static final Namespace NAMESPACE = Namespace.create(Seeded.class);

  @Override
  public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
    return parameter.getParameter().getType() == Data.class;
  }

  @Override
  public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
    context.getStore(NAMESPACE).put("used", true);
    return new Data(Seed.value());
  }

  @Override
  public void handleTestExecutionException(ExtensionContext context, Throwable failure)
      throws Throwable {
    if (context.getStore(NAMESPACE).get("used") != null) {
      failure.addSuppressed(new AssertionError(Seed.howToRepeat()));
      if (PRINTED.compareAndSet(false, true)) {
        System.err.println(Seed.howToRepeat());
      }
    }
    throw failure;
  }
}
