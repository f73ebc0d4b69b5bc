// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.StringWriter;
import java.net.URISyntaxException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.testing.WrongCalls;
import org.blocksparse.testing.WrongOperands;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Calls that the public API rejects: the exception, its whole message, and that no operand and no
 * file was written, and no memory was kept. The tables are the files in {@code wrong-arguments}:
 *
 * <ul>
 *   <li>{@code ## title} begins a section, the Java members of its {@link WrongCalls} follow,
 *       indented; {@code ## native: title} is only for the native library;
 *   <li>{@code call throws TYPE message} is a row; statements before the call prepare it; indented
 *       lines continue a row;
 *   <li>{@code <a|b>} in a call stands for each of the choices, {@code <>} elsewhere in the row for
 *       the choice;
 *   <li>{@code operands NAME... -> call} stands for the rows of {@link WrongOperands};
 *   <li>{@code {name}: a || b} defines a name, which rows use as {@code {name}}.
 * </ul>
 */
final class WrongArgumentsTest {
  private static final String IMPORTS =
      """
      import java.io.IOException;
      import java.nio.*;
      import java.nio.file.*;
      import java.util.*;
      import java.util.function.*;
      import java.util.stream.*;
      import org.blocksparse.*;
      import org.blocksparse.bag.*;
      import org.blocksparse.experts.*;
      import org.blocksparse.io.*;
      import org.blocksparse.linear.*;
      import org.blocksparse.mixture.*;
      import org.blocksparse.products.*;
      import org.blocksparse.ranking.*;
      import org.blocksparse.softmax.*;
      import org.blocksparse.testing.*;
      import org.bytedeco.javacpp.BytePointer;
      import org.bytedeco.javacpp.FloatPointer;
      import org.bytedeco.javacpp.ShortPointer;
      """;

  private static final Map<String, Class<? extends Throwable>> TYPES =
      Map.of(
          "ARITHMETIC", ArithmeticException.class,
          "ARGUMENT", IllegalArgumentException.class,
          "FORMAT", FileFormatException.class,
          "MISSING", NoSuchFileException.class,
          "SYSTEM", FileSystemException.class,
          "UNSUPPORTED", UnsupportedOperationException.class,
          "BOUNDS", IndexOutOfBoundsException.class,
          "NULL", NullPointerException.class,
          "STATE", IllegalStateException.class);

  private static final Pattern ROW = Pattern.compile("(.*) throws ([A-Z]+) (.*)", Pattern.DOTALL);
  private static final Pattern DEFINITION = Pattern.compile("\\{(\\w+)\\}: (.*)");
  private static final Pattern NAME = Pattern.compile("\\{(\\w+)\\}");
  private static final Pattern CHOICE = Pattern.compile("<([^<>]*\\|[^<>]*)>");

  @TempDir static Path folder;

  private static URLClassLoader loader;

  /** A row with its choices made; {@code number} is the number in its section. */
  record Row(String where, String section, int number, String call, String type, String message) {
    @Override
    public String toString() {
      return where + " " + call;
    }
  }

  /** Reads the tables, and writes the class of each section. */
  private static final class Tables {
    private final List<Row> rows = new ArrayList<>();
    private final List<Path> sources = new ArrayList<>();
    private final Map<String, String> names = new TreeMap<>();
    private final StringBuilder members = new StringBuilder();
    private final StringBuilder calls = new StringBuilder();
    private String section;
    private boolean isLeftOut;
    private int count;

    void read(Path table) throws IOException {
      List<String> lines = Files.readAllLines(table);
      String row = null;
      for (int i = 0; i <= lines.size(); i++) {
        String line = i == lines.size() ? "## end" : lines.get(i);
        if (line.isBlank() || line.startsWith("# ")) {
          continue;
        }
        if (line.startsWith(" ") && row != null) {
          row += " " + line.strip();
          continue;
        }
        if (row != null) {
          addRow(table.getFileName() + ":" + i, row);
          row = null;
        }
        if (line.startsWith("## ")) {
          endSection();
          section = "Section" + sources.size();
          isLeftOut = line.startsWith("## native:") && !Backend.isNative();
        } else if (line.startsWith(" ")) {
          members.append(line).append('\n');
        } else {
          Matcher definition = DEFINITION.matcher(line);
          if (definition.matches()) {
            names.put(definition.group(1), definition.group(2));
          } else {
            row = line;
          }
        }
      }
      names.clear();
    }

    private void addRow(String where, String row) {
      if (isLeftOut) {
        return;
      }
      Matcher name = NAME.matcher(row);
      while (name.find()) {
        String choices = names.get(name.group(1));
        if (choices != null) {
          for (String choice : choices.split(" \\|\\| ", -1)) {
            addRow(where, row.replace(name.group(), choice));
          }
          return;
        }
      }
      if (row.startsWith("operands ")) {
        WrongOperands.addRows(row, added -> addRow(where, added));
        return;
      }
      Matcher choices = CHOICE.matcher(row);
      if (choices.find()) {
        for (String choice : choices.group(1).split("\\|", -1)) {
          String chosen = row.substring(0, choices.start()) + choice + row.substring(choices.end());
          String printed = choice.replaceAll("(?<=\\d)[fL]\\b", "");
          addRow(where, chosen.replace("<>", printed));
        }
        return;
      }
      Matcher parts = ROW.matcher(row);
      assertTrue(parts.matches(), where + ": expected call throws TYPE message");
      String call = parts.group(1);
      int last = 1 + lastSemicolon(call);
      calls.append(
          "  private void call%d() throws Throwable { %s record(); %s; }%n"
              .formatted(count, call.substring(0, last), call.substring(last)));
      rows.add(new Row(where, section, count++, call, parts.group(2), parts.group(3)));
    }

    /** Returns where the last statement that prepares the call ends, or -1. */
    private static int lastSemicolon(String call) {
      int depth = 0;
      for (int i = call.length() - 1; i >= 0; i--) {
        char c = call.charAt(i);
        depth += c == ')' || c == '}' ? 1 : c == '(' || c == '{' ? -1 : 0;
        if (c == ';' && depth == 0) {
          return i;
        }
      }
      return -1;
    }

    private void endSection() throws IOException {
      if (section != null && count > 0) {
        StringBuilder text = new StringBuilder(IMPORTS);
        text.append("public final class %s extends WrongCalls {%n".formatted(section));
        text.append("  public %s() throws Exception {}%n".formatted(section));
        text.append(members).append(calls);
        text.append("  public void call(int number) throws Throwable {\n    switch (number) {\n");
        for (int i = 0; i < count; i++) {
          text.append("      case %1$d: call%1$d(); return;%n".formatted(i));
        }
        text.append("      default: throw new AssertionError();\n    }\n  }\n}\n");
        sources.add(Files.writeString(folder.resolve(section + ".java"), text));
      }
      members.setLength(0);
      calls.setLength(0);
      count = 0;
    }
  }

  static Stream<Row> rows() throws IOException, URISyntaxException {
    Tables tables = new Tables();
    URL resources = WrongArgumentsTest.class.getResource("/wrong-arguments");
    try (Stream<Path> files = Files.list(Path.of(resources.toURI()))) {
      for (Path file : files.sorted().toList()) {
        tables.read(file);
      }
    }
    compile(tables.sources);
    loader =
        new URLClassLoader(
            new URL[] {folder.toUri().toURL()}, WrongArgumentsTest.class.getClassLoader());
    WrongCalls.folder = Files.createDirectory(folder.resolve("files"));
    takeScratch();
    return tables.rows.stream();
  }

  private static void compile(List<Path> sources) throws IOException {
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    assumeTrue(compiler != null, "this is a JRE");
    StringWriter messages = new StringWriter();
    String classes = System.getProperty("surefire.test.class.path", "");
    List<String> options =
        List.of(
            "-cp",
            classes.isEmpty() ? System.getProperty("java.class.path") : classes,
            "-d",
            folder.toString(),
            "-proc:none",
            "-nowarn");
    try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null)) {
      boolean isCompiled =
          compiler
              .getTask(
                  messages, files, null, options, null, files.getJavaFileObjectsFromPaths(sources))
              .call();
      assertTrue(isCompiled, messages::toString);
    }
  }

  /** Takes the scratch that is kept from the first operation on, so that it counts for no row. */
  private static void takeScratch() {
    try (FloatTensor x = FloatTensor.zeros(2, 6);
        HierarchicalSoftmax layer = HierarchicalSoftmax.builder(6, 9).build()) {
      layer.topK(x, 2);
    }
    for (int elements = 1; elements <= 1 << 12; elements *= 2) {
      Scratch one = Scratch.borrow(elements);
      Scratch.borrow(elements).close(); // a worker may hold two pieces at once
      one.close();
    }
  }

  @AfterAll
  static void closeLoader() throws IOException {
    if (loader != null) {
      loader.close();
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("rows")
  void areRejected(Row row) throws Exception {
    long bytesBefore = FloatTensor.allocatedBytes();
    try (WrongCalls calls =
        (WrongCalls) loader.loadClass(row.section()).getDeclaredConstructor().newInstance()) {
      Throwable thrown = assertThrows(Throwable.class, () -> calls.call(row.number()));
      String message =
          String.valueOf(thrown.getMessage()).replace(WrongCalls.folder.toString(), "FOLDER");
      assertEquals(
          TYPES.get(row.type()) + ": " + row.message(), thrown.getClass() + ": " + message);
      calls.assertUnwritten();
    }
    // Garbage of earlier tests may make it less.
    long kept = FloatTensor.allocatedBytes() - bytesBefore;
    assertTrue(kept <= 0, kept + " bytes were kept");
  }
}
