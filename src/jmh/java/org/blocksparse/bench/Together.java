// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.function.IntConsumer;
import java.util.stream.IntStream;

/**
 * One task for each processor, begun together and timed until the last has ended. The limits are
 * measured so, because operations are: the shortest times of threads that do not wait for each
 * other are from different moments, and added up they promise more than the machine can do.
 */
final class Together {
  static final int THREADS = Runtime.getRuntime().availableProcessors();

  private Together() {}

  static void run(IntConsumer task) {
    IntStream.range(0, THREADS).parallel().forEach(task);
  }
}
