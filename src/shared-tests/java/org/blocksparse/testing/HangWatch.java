// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Timeout;
import org.junit.platform.commons.support.AnnotationSupport;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.support.descriptor.ClassSource;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.TestPlan;

/**
 * Ends the JVM when it hangs, and prints where: when nothing has begun or ended for six times the
 * limit of a test. JUnit's own timeout comes first where it applies. It does not apply to
 * properties of jqwik, methods that provide arguments, and initializers of classes; and Surefire's
 * does not work (SUREFIRE-1722). JUnit's launcher finds this as a service.
 */
public final class HangWatch implements TestExecutionListener {
  private static final String LIMIT = "junit.jupiter.execution.timeout.default";
  private static final Pattern DURATION = Pattern.compile("(\\d+) *([smh])");

  /** At a load of 100 everything is slow, and a deadlock uses no CPU time that could be counted. */
  private static final int TIMES = 6;

  /** Running tests and containers, with their limits in seconds. */
  private final Map<TestIdentifier, Long> running = new ConcurrentHashMap<>();

  private volatile long lastEvent = System.nanoTime();
  private long defaultSeconds;
  private Thread watching;

  @Override
  public void testPlanExecutionStarted(TestPlan plan) {
    if (isDebugged()) {
      return;
    }
    defaultSeconds = seconds(plan.getConfigurationParameters().get(LIMIT).orElseThrow());
    lastEvent = System.nanoTime();
    watching = new Thread(this::watch, "hang-watch");
    watching.setDaemon(true);
    watching.start();
  }

  @Override
  public void testPlanExecutionFinished(TestPlan plan) {
    if (watching != null) {
      watching.interrupt();
    }
  }

  private static boolean isDebugged() {
    return ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
        .anyMatch(argument -> argument.startsWith("-agentlib:jdwp"));
  }

  private static long seconds(String duration) {
    Matcher parts = DURATION.matcher(duration);
    if (!parts.matches()) {
      throw new IllegalArgumentException(
          LIMIT + ": expected 90 s, 10 m or 6 h but was " + duration);
    }
    TimeUnit unit =
        switch (parts.group(2)) {
          case "s" -> TimeUnit.SECONDS;
          case "m" -> TimeUnit.MINUTES;
          default -> TimeUnit.HOURS;
        };
    return unit.toSeconds(Long.parseLong(parts.group(1)));
  }

  @Override
  public void executionStarted(TestIdentifier test) {
    running.put(test, ownSeconds(test));
    lastEvent = System.nanoTime();
  }

  @Override
  public void executionFinished(TestIdentifier test, TestExecutionResult result) {
    running.remove(test);
    lastEvent = System.nanoTime();
  }

  /** Returns the limit of an annotation; 0 if there is none. */
  private static long ownSeconds(TestIdentifier test) {
    return test.getSource()
        .map(
            source ->
                source instanceof MethodSource method
                    ? method.getJavaMethod()
                    : source instanceof ClassSource type ? type.getJavaClass() : null)
        .flatMap(element -> AnnotationSupport.findAnnotation(element, Timeout.class))
        .map(timeout -> timeout.unit().toSeconds(timeout.value()))
        .orElse(0L);
  }

  private void watch() {
    while (true) {
      try {
        Thread.sleep(500);
      } catch (InterruptedException e) {
        return;
      }
      long limit = TIMES * running.values().stream().reduce(defaultSeconds, Math::max);
      if (System.nanoTime() - lastEvent > TimeUnit.SECONDS.toNanos(limit)) {
        halt(limit);
      }
    }
  }

  private void halt(long seconds) {
    // System.err of Surefire keeps all output until a test ends.
    PrintStream err = new PrintStream(new FileOutputStream(FileDescriptor.err), true, UTF_8);
    err.println("Nothing has begun or ended for " + seconds + " seconds. What runs:");
    for (TestIdentifier test : running.keySet()) {
      err.println("  " + test.getUniqueId());
    }
    Thread.getAllStackTraces()
        .forEach(
            (thread, stack) -> {
              err.println(thread);
              for (StackTraceElement element : stack) {
                err.println("\tat " + element);
              }
            });
    Runtime.getRuntime().halt(1);
  }
}
