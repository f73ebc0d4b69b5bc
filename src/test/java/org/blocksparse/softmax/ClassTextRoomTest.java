// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.blocksparse.internal.files.MalformedException;
import org.junit.jupiter.api.Test;

/** A text with too many lines to test. */
final class ClassTextRoomTest {
  @Test
  void thereIsRoomForAsManyOutputsAsAnArrayCanHave() throws MalformedException {
    int most = Integer.MAX_VALUE - 8;
    assertEquals(2048, ClassText.roomAfter(1024));
    assertEquals(most, ClassText.roomAfter(1 << 30));
    assertEquals(most, ClassText.roomAfter(most - 1));
    MalformedException refused =
        assertThrows(MalformedException.class, () -> ClassText.roomAfter(most));
    assertEquals("line 2147483640: there are at most 2147483639 outputs", refused.getMessage());
  }
}
