// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

final class ScratchTest {
  @Test
  void nobodyElseHasWhatIsBorrowed() throws Exception {
    Set<Storage> borrowed = Collections.synchronizedSet(new HashSet<>());
    ExecutorService threads = Executors.newFixedThreadPool(8);
    try {
      List<Future<?>> futures = new ArrayList<>();
      for (int t = 0; t < 8; t++) {
        int elements = 16 << t;
        futures.add(
            threads.submit(
                () -> {
                  for (int i = 0; i < 2_000; i++) {
                    try (Scratch scratch = Scratch.borrow(elements)) {
                      assertTrue(scratch.storage().elements() >= elements, "too small");
                      assertTrue(borrowed.add(scratch.storage()), "two have the same scratch");
                      borrowed.remove(scratch.storage());
                    }
                  }
                }));
      }
      for (Future<?> future : futures) {
        future.get();
      }
    } finally {
      threads.shutdown();
    }
  }

  @Test
  void whatIsGivenBackIsBorrowedAgain() {
    long elements = 1 << 20;
    Scratch.borrow(elements).close();
    long before = Storage.allocatedBytes();
    for (int i = 0; i < 100; i++) {
      Scratch.borrow(elements).close();
    }
    assertTrue(Storage.allocatedBytes() <= before);
  }

  @Test
  void ofTwoSizesAtOnceBothAreBorrowedAgain() {
    borrowOneWithinTheOther();
    long before = Storage.allocatedBytes();
    for (int i = 0; i < 100; i++) {
      borrowOneWithinTheOther();
      assertTrue(Storage.allocatedBytes() <= before);
    }
  }

  private static void borrowOneWithinTheOther() {
    try (Scratch large = Scratch.borrow(1_000_000);
        Scratch small = Scratch.borrow(64)) {
      assertTrue(large.storage().elements() > small.storage().elements());
    }
  }

  @Test
  void whatIsTooSmallIsNotLent() {
    List<Scratch> all = new ArrayList<>();
    for (int i = 0; i < 2 * Runtime.getRuntime().availableProcessors(); i++) {
      all.add(Scratch.borrow(1)); // takes what other tests have left
    }
    Scratch.borrow(1000).close();
    for (int elements : new int[] {1001, 2000, 2001}) {
      try (Scratch scratch = Scratch.borrow(elements)) {
        assertTrue(scratch.storage().elements() >= elements, elements + " elements");
      }
    }
    all.forEach(Scratch::close);
  }

  @Test
  void sizesAreRoundedUpToPowersOfTwo() {
    int[][] sizes = {{0, 1}, {1, 1}, {2, 2}, {3, 4}, {4, 4}, {1023, 1024}, {1024, 1024}};
    for (int[] size : sizes) {
      try (Scratch scratch = Scratch.borrow(size[0])) {
        assertEquals(size[1], scratch.storage().elements(), "of " + size[0]);
      }
    }
  }

  @Test
  void whatThereIsNoRoomForIsFreedAndTheRestIfMemoryIsWanted() {
    Scratch.freeIdle();
    int room = 2 * Runtime.getRuntime().availableProcessors();
    List<Storage> given = new ArrayList<>();
    List<Scratch> all = new ArrayList<>();
    for (int i = 0; i < room + 3; i++) {
      all.add(Scratch.borrow(1 << 10));
      given.add(all.get(i).storage());
    }
    all.forEach(Scratch::close);
    for (int i = 0; i < given.size(); i++) {
      assertEquals(i >= room, given.get(i).isFreed(), "scratch " + i);
    }
    Scratch.freeIdle();
    assertTrue(given.stream().allMatch(Storage::isFreed));
    try (Scratch scratch = Scratch.borrow(1 << 10)) {
      assertFalse(scratch.storage().isFreed());
    }
  }
}
