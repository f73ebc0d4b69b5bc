// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** Facts about a method of the library from its source, which the class file lacks. */
public final class Declarations {
  private static final Path SOURCES = Path.of("src/main/java");

  /** A type that may have arguments, and a name. */
  private static final Pattern PARAMETER =
      Pattern.compile("(\\w+(?:\\[])?)(?:<[^>]*>)?(\\.{3})? (\\w+)");

  private Declarations() {}

  /** Returns the names of its parameters. */
  public static List<String> parameters(Method method) {
    List<String> types = Stream.of(method.getParameterTypes()).map(Class::getSimpleName).toList();
    return Pattern.compile("[\\w>\\]] " + method.getName() + "\\( ?([^()]*)\\)")
        .matcher(source(method))
        .results()
        .map(declaration -> PARAMETER.matcher(declaration.group(1)).results().toList())
        .filter(parameters -> types.equals(parameters.stream().map(Declarations::type).toList()))
        .map(parameters -> parameters.stream().map(parameter -> parameter.group(3)).toList())
        .findFirst()
        .orElseThrow(() -> new AssertionError("no declaration of " + method));
  }

  private static String type(MatchResult parameter) {
    String type = parameter.group(1).equals("T") ? "Object" : parameter.group(1); // its erasure
    return type + (parameter.group(2) == null ? "" : "[]");
  }

  /** Returns whether the Javadoc of a method with this name says that it throws an exception. */
  public static boolean documents(Method method, Class<? extends Throwable> thrown) {
    String comment =
        "/\\*\\*(?:(?!\\*/).)*@throws " + thrown.getSimpleName() + "(?:(?!\\*/).)*\\*/";
    return Pattern.compile(comment + " public (?:static )?\\S+ " + method.getName() + "\\(")
        .matcher(source(method))
        .find();
  }

  /** Returns the source of its class, with one space between words. */
  private static String source(Method method) {
    // The compiler repeats public methods of a class that is not public, as bridges.
    Class<?> type = method.getDeclaringClass();
    type = method.isBridge() ? type.getSuperclass() : type;
    String file = type.getName().replace('.', '/') + ".java";
    try {
      return Files.readString(SOURCES.resolve(file)).replaceAll("\\s+", " ");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
