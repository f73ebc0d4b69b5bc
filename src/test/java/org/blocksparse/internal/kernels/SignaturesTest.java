// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import static java.util.Map.entry;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Lists of parameters that no compiler compares: many of one type follow each other. The binding is
 * generated from the header; the definitions in C++ and the calls in Java are written by hand.
 */
final class SignaturesTest {
  private static final Path NATIVE = Path.of("native");
  private static final Path KERNELS = Path.of("src/main/java/org/blocksparse/internal/kernels");

  private static final Pattern DECLARATION =
      Pattern.compile("BLOCKSPARSE_API [^;(]*?(blocksparse_\\w+)\\(([^;]*)\\);");

  private static final Pattern DEFINITION =
      Pattern.compile("(?m)^(?:int32_t|int64_t|float) (blocksparse_\\w+_f32)\\(([^;{]*)\\) \\{");

  private static final Pattern CALL = Pattern.compile("(?<![.\"\\w])(blocksparse_\\w+_f32)\\(");

  /** The Java names of C parameters, where they differ. */
  private static final Map<String, String> PARAMETERS =
      Map.ofEntries(
          entry("schedule.packed().address(0)", "schedule"),
          entry("schedule.length()", "schedule_length"),
          entry("rows.schedule().packed().address(0)", "schedule"),
          entry("rows.schedule().length()", "schedule_length"),
          entry("rowBegin", "m_begin"),
          entry("rowEnd", "m_end"),
          entry("firstRow", "row_begin"),
          entry("endRow", "row_end"),
          entry("rounded.size()", "k"),
          entry("rounded.format().code()", "format"),
          entry("rounded.count()", "a_rows"),
          entry("to.size()", "n"),
          entry("to.count()", "to_rows"),
          entry("function.number()", "activation"),
          entry("type", "w_type"),
          entry("transposed", "w_transposed"),
          entry("roundsA", "round_a"),
          entry("scales.storage().address(0)", "scales"),
          entry("scales.inBlockStride()", "scales_read_stride"),
          entry("scales.outBlockStride()", "scales_write_stride"),
          entry("w.inSize()", "k"),
          entry("w.outSize()", "n"),
          entry("w.inBlocks()", "read_blocks"),
          entry("w.outBlocks()", "write_blocks"),
          entry("w.inBlockStride()", "w_read_stride"),
          entry("w.outBlockStride()", "w_write_stride"),
          entry("w.rowStride()", "ldw"),
          entry("bias.stride()", "bias_stride"),
          entry("scratch.storage().address(0)", "scratch"),
          entry("scratch.storage().elements()", "scratch_length"),
          entry("o.inSize()", "m"),
          entry("o.outSize()", "n"),
          entry("o.inBlocks()", "x_blocks"),
          entry("o.outBlocks()", "y_blocks"),
          entry("o.inBlockStride()", "o_x_stride"),
          entry("o.outBlockStride()", "o_y_stride"),
          entry("o.rowStride()", "ldo"),
          entry("o.transposed()", "o_transposed"),
          entry("Math.toIntExact(o.count())", "write_blocks"),
          entry("o.stride()", "o_stride"),
          entry("writeBlocks(valid)", "write_blocks"),
          entry("rule.kind().code()", "rule"),
          entry("rule.maxNorm()", "max_norm"),
          entry("number", "step"),
          entry("number(reduction)", "reduction"),
          entry("moments[0].address(offset)", "moment1"),
          entry("moments[1].address(offset)", "moment2"),
          entry("moments[0].address(0)", "moment1"),
          entry("moments[1].address(0)", "moment2"),
          entry("w.elements() / n", "w_rows"),
          entry("gradient.storage().address(0)", "scratch"),
          entry("bags.count()", "bags"),
          entry("bags.entries()", "entries"),
          entry("a.type().code()", "a_type"),
          entry("address(a.scales())", "scales"),
          entry("weights.begins().address(0)", "begins"),
          entry("weights.features()", "features"),
          entry("weights.chunks().address(0)", "chunks"),
          entry("weights.starts().address(0)", "starts"),
          entry("weights.rows()", "a_rows"),
          entry("weights.columns().address(0)", "columns"),
          entry("weights.type().code()", "w_type"),
          entry("weights.w().address(0)", "w"),
          entry("weights.entries()", "w_count"),
          entry("weights.biases().address(firstOutput)", "bias"),
          entry("positives.offsets().address()", "positive_start"),
          entry("positives.indices().address()", "positives"),
          entry("positives.entries()", "positive_count"),
          entry("input.function().number()", "activation"),
          entry("input.n()", "n"),
          entry("input.z().address()", "z"),
          entry("input.z().stride()", "ldz"),
          entry("address(input.gate())", "gate"),
          entry("gradA.count()", "a_rows"),
          entry("gradA.stride()", "ld_grad_a"),
          entry("gradZ.stride()", "ld_grad_z"));

  /** Expressions whose names follow from the operand's. */
  private static final Map<Pattern, String> PATTERNS =
      Map.of(
          Pattern.compile("address\\((?:\\w+\\.)?(\\w+)(?:\\(\\))?\\)"), "$1",
          Pattern.compile("(?:bags\\.)?(\\w+)(?:\\(\\))?\\.address\\(\\w*\\)"), "$1",
          Pattern.compile("(\\w)\\.count\\(\\)"), "$1_rows",
          Pattern.compile("(\\w)\\.stride\\(\\)"), "ld$1",
          Pattern.compile("(?:rule|rows)\\.(\\w+)\\(\\)"), "$1");

  /** The parameters of each function, with their types. */
  private static Map<String, List<String>> functions(Pattern pattern, Path folder, String ending)
      throws IOException {
    Map<String, List<String>> functions = new TreeMap<>();
    List<Path> files;
    try (Stream<Path> all = Files.walk(folder)) {
      files = all.filter(file -> file.toString().endsWith(ending)).toList();
    }
    for (Path file : files) {
      for (MatchResult found : pattern.matcher(Files.readString(file)).results().toList()) {
        List<String> parameters =
            Stream.of(found.group(2).split(","))
                .map(p -> p.strip().replaceAll("\\s+", " "))
                .toList();
        functions.put(found.group(1), parameters);
      }
    }
    return functions;
  }

  private static Map<String, List<String>> header() throws IOException {
    Map<String, List<String>> header = functions(DECLARATION, NATIVE.resolve("include"), ".h");
    header.keySet().removeIf(name -> !name.endsWith("_f32"));
    return header;
  }

  @Test
  void definitionsAreThoseOfTheHeader() throws IOException {
    assertEquals(header(), functions(DEFINITION, NATIVE.resolve("src"), ".cpp"));
  }

  /** The name of a parameter; "rows" are those of a, and of all else in the same call. */
  private static String nameOf(String parameter) {
    String name = parameter.replaceFirst(".*[ *]", "");
    return name.equals("rows") ? "a_rows" : name;
  }

  /** The arguments that begin at a place of a source, up to the parenthesis that closes. */
  private static List<String> arguments(String source, int begin) {
    List<String> arguments = new ArrayList<>();
    int depth = 0;
    int from = begin;
    for (int at = begin; ; at++) {
      char c = source.charAt(at);
      if (depth == 0 && (c == ',' || c == ')')) {
        arguments.add(source.substring(from, at).strip().replaceAll("\\s+", " "));
        from = at + 1;
        if (c == ')') {
          return arguments;
        }
      }
      depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    }
  }

  /** What C calls the operand of an argument. */
  private static String parameterOf(String argument) {
    // An omitted argument is 0, and a boolean is a number.
    String operand = argument.replaceFirst("^.* \\? 0 : ", "").replaceFirst(" \\? 1 : 0$", "");
    String name = PARAMETERS.get(operand);
    for (Map.Entry<Pattern, String> pattern : PATTERNS.entrySet()) {
      if (name == null && pattern.getKey().matcher(operand).matches()) {
        name = pattern.getKey().matcher(operand).replaceFirst(pattern.getValue());
      }
    }
    return (name == null ? operand : name)
        .replaceAll("([a-z])([A-Z])", "$1_$2")
        .toLowerCase(Locale.ROOT);
  }

  @Test
  void callsPassEachOperandWhereItBelongs() throws IOException {
    Map<String, List<String>> header = header();
    Set<String> called = new TreeSet<>();
    for (String name : new String[] {"NativeProductKernels.java", "NativeRowKernels.java"}) {
      String source = Files.readString(KERNELS.resolve(name));
      for (MatchResult call : CALL.matcher(source).results().toList()) {
        if (source.contains("PackedProduct") // which are next
            || header.get(call.group(1)).stream().anyMatch(p -> p.contains("blocksparse_"))) {
          called.add(call.group(1));
          continue; // structs, whose types the compiler compares
        }
        List<String> expected =
            header.get(call.group(1)).stream().map(SignaturesTest::nameOf).toList();
        List<String> actual =
            arguments(source, call.end()).stream().map(SignaturesTest::parameterOf).toList();
        called.add(call.group(1));
        assertEquals(expected, actual, call.group(1));
      }
    }
    assertEquals(header.keySet(), called);
    assertTrue(header.size() > 10, header::toString);
  }
}
