// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static java.util.stream.Collectors.toSet;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.spark.ml.Estimator;
import org.apache.spark.ml.Model;
import org.apache.spark.ml.util.MLReader;
import org.apache.spark.ml.util.MLWritable;
import org.junit.jupiter.api.Test;

/** The Java classes that the module for PySpark uses exist. PySpark itself is not needed. */
final class PythonModuleTest {
  /** Matches a class; a common base class begins with an underscore, and is a Java class, too. */
  private static final Pattern CLASS =
      Pattern.compile("^class _?((?!Params)[A-Z]\\w*)\\((.*)\\):$");

  private static final Pattern CALL = Pattern.compile("_call_java\\(\"(\\w+)\"");

  private static final Pattern STATIC_CALL =
      Pattern.compile("\\{cls\\.__name__}\\.(\\w+)\", file\\)");

  /** Returns the module in the jar, where PySpark looks for it by the name of the package. */
  private static List<String> module() throws IOException {
    String name = "/" + HierarchicalSoftmaxClassifier.class.getPackageName().replace('.', '/');
    try (InputStream in = PythonModuleTest.class.getResourceAsStream(name + ".py")) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8).lines().toList();
    }
  }

  @Test
  void itsClassesAreThoseOfJavaAndWhatTheyCallIsThere() throws Exception {
    Map<String, Set<String>> found = new LinkedHashMap<>();
    Class<?> type = null;
    for (String line : module()) {
      Matcher of = CLASS.matcher(line);
      if (of.matches()) {
        type =
            Class.forName(HierarchicalSoftmaxClassifier.class.getPackageName() + "." + of.group(1));
        Set<String> bases =
            Stream.of(of.group(2).split(", ", -1))
                .flatMap(
                    base -> found.getOrDefault(base.replaceFirst("_", ""), Set.of(base)).stream())
                .collect(toSet());
        found.put(of.group(1), bases);
        assertIsWhatPythonSays(type, bases);
      }
      Matcher call = CALL.matcher(line);
      while (call.find()) {
        assertTrue(Modifier.isPublic(type.getMethod(call.group(1)).getModifiers()), line);
      }
    }
    assertEquals(
        List.of(
            "TwoLevelClassificationModel",
            "TwoLevelClassifier",
            "HierarchicalSoftmaxClassificationModel",
            "HierarchicalSoftmaxClassifier",
            "LabelTreeClassificationModel",
            "LabelTreeClassifier"),
        List.copyOf(found.keySet()));
  }

  /**
   * Asserts that the bases in PySpark fit a type: they call the methods of these types, and two
   * that no type has.
   */
  private static void assertIsWhatPythonSays(Class<?> type, Set<String> bases) throws Exception {
    assertEquals(bases.contains("JavaEstimator"), Estimator.class.isAssignableFrom(type));
    assertEquals(bases.contains("JavaModel"), Model.class.isAssignableFrom(type));
    assertEquals(bases.contains("JavaMLWritable"), MLWritable.class.isAssignableFrom(type));
    if (bases.contains("JavaMLReadable")) {
      assertTrue(type.getMethod("read").invoke(null) instanceof MLReader);
    }
    if (bases.contains("JavaEstimator") && !Modifier.isAbstract(type.getModifiers())) {
      assertEquals(
          "a name", ((Estimator<?>) type.getConstructor(String.class).newInstance("a name")).uid());
    }
  }

  @Test
  void modelsAreMadeOfFilesByAMethodOfTheClass() throws Exception {
    Matcher call = STATIC_CALL.matcher(String.join("\n", module()));
    assertTrue(call.find());
    for (Class<?> type :
        List.of(HierarchicalSoftmaxClassificationModel.class, LabelTreeClassificationModel.class)) {
      Method of = type.getMethod(call.group(1), Path.class);
      assertTrue(Modifier.isStatic(of.getModifiers()));
      assertEquals(type, of.getReturnType());
    }
  }

  @Test
  void paramsOfItsExampleAreThere() throws IOException {
    Matcher example =
        Pattern.compile("HierarchicalSoftmaxClassifier\\((\\w+=.*)\\)\\.fit")
            .matcher(String.join("\n", module()));
    assertTrue(example.find());
    Set<String> params =
        Stream.of(new HierarchicalSoftmaxClassifier().params()).map(p -> p.name()).collect(toSet());
    Pattern.compile("(\\w+)=")
        .matcher(example.group(1))
        .results()
        .forEach(param -> assertTrue(params.contains(param.group(1)), param.group(1)));
  }
}
