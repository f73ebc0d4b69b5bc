// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The tree over clusters, and trees in files. */
final class ChunkTreeTest {
  /** Returns a chain of chunks with one output each. */
  private static ChunkTree chain(int levels) {
    int[] numbers = IntStream.rangeClosed(0, levels).toArray();
    return new ChunkTree(numbers, numbers, new int[1]);
  }

  @Test
  void treesOfFilesHaveFewLevels() {
    assertEquals(31, chain(32).check().levelOf(31));
    ChunkTree deep = chain(33);
    String message = assertThrows(IllegalArgumentException.class, deep::check).getMessage();
    assertEquals("levels: has 33, more than 32", message);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 6, 7, 11, 12, 13})
  void eachChunkIsOnItsLevel(int halvings) {
    int clusters = 1 << halvings;
    int[] clusterOf = IntStream.range(0, 3 * clusters).map(label -> label % clusters).toArray();
    ChunkTree tree = ChunkTree.over(clusterOf, halvings).check();
    assertTrue(tree.levels() <= 4);
    for (int level = 0; level < tree.levels(); level++) {
      for (int chunk = tree.levelBegins()[level]; chunk < tree.levelBegins()[level + 1]; chunk++) {
        assertEquals(level, tree.levelOf(chunk));
      }
    }
    assertEquals(tree.levels() - 1, tree.levelOf(tree.firstLeaf()));
  }
}
