// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.OutputStream;
import java.io.PrintStream;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/** Runs tests that hang where JUnit has no timeout: those of the given nested class. */
public final class HangProgram {
  private HangProgram() {}

  public static void main(String[] args) {
    // The stream is like that of Surefire, which keeps all output until a test ends.
    System.setErr(new PrintStream(OutputStream.nullOutputStream(), false, UTF_8));
    LauncherFactory.create()
        .execute(
            LauncherDiscoveryRequestBuilder.request()
                .selectors(DiscoverySelectors.selectClass(args[0]))
                .configurationParameter("junit.jupiter.execution.timeout.default", "2 s")
                .build());
    System.out.println("has ended");
  }

  private static boolean hang() {
    while (true) {
      Thread.onSpinWait();
    }
  }

  /** A property that never ends. */
  public static final class InAProperty {
    @Property
    boolean hangs(@ForAll int any) {
      return hang();
    }
  }

  /** Arguments whose computation never ends. */
  public static final class InItsArguments {
    static Stream<Integer> arguments() {
      hang();
      return Stream.of(1);
    }

    @ParameterizedTest
    @MethodSource("arguments")
    void test(int argument) {}
  }

  /** A class whose initialization never ends. */
  public static final class InAnInitializer {
    private static final boolean READY = hang();

    @Test
    void test() {
      System.out.println(READY);
    }
  }
}
