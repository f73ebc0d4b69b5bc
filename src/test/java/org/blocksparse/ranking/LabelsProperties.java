// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.ranking;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.blocksparse.internal.files.SafeTensorsWriter;

/** Labels find the same as a map. */
final class LabelsProperties {
  /**
   * Returns short names, so that many are equal; of any characters, including halves of surrogate
   * pairs.
   */
  @Provide
  Arbitrary<List<String>> names() {
    return Arbitraries.oneOf(
            Arbitraries.strings().ofMaxLength(3),
            Arbitraries.strings().withCharRange('a', 'c').ofMaxLength(4),
            Arbitraries.strings().withChars('\ud83d', '\ude00', 'é', '\0').ofMaxLength(3))
        .list()
        .ofMaxSize(60);
  }

  @Property
  void asAMap(@ForAll("names") List<String> names, @ForAll("names") List<String> others) {
    Map<String, Integer> map = new HashMap<>();
    boolean right = true;
    for (int i = 0; i < names.size(); i++) {
      right &= SafeTensorsWriter.isText(names.get(i)) && map.put(names.get(i), i) == null;
    }
    if (!right) {
      assertThrows(IllegalArgumentException.class, () -> Labels.of(names));
      return;
    }
    Labels labels = Labels.of(names);
    assertEquals(names, labels.names());
    for (List<String> asked : List.of(names, others)) {
      for (String name : asked) {
        assertEquals(map.getOrDefault(name, -1), labels.output(name));
      }
    }
  }
}
