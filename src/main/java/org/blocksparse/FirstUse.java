// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.lang.invoke.MethodHandles;
import org.blocksparse.internal.KernelsProvider;
import org.blocksparse.internal.Scheduler;
import org.blocksparse.internal.binding.NativeLibrary;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.StackRoom;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.optimizer.UpdateRule;
import org.blocksparse.internal.softmax.ClassCount;

/**
 * What has to have happened before anything else does. The initializer of a class runs once: one
 * that the end of a stack cuts short leaves a class that cannot be used again. So the first use of
 * the library asks for more room than later ones, and there initializes what others would
 * initialize in passing. Nothing that is used before this has an initializer of its own.
 */
final class FirstUse {
  private static volatile boolean done;

  private FirstUse() {}

  /**
   * Returns if there is room for the frames of an operation.
   *
   * @throws StackOverflowError if not
   */
  static void requireRoom() {
    if (!done) {
      StackRoom.requireForFiles();
      initialize();
      done = true;
    }
    StackRoom.require();
  }

  private static void initialize() {
    Class<?>[] classes = {
      NativeLibrary.class,
      KernelsProvider.class,
      Storage.class,
      Scratch.class,
      Scheduler.class,
      Workers.Instances.class,
      UpdateRule.Kind.class,
      ClassCount.class
    };
    try {
      for (Class<?> each : classes) {
        MethodHandles.lookup().ensureInitialized(each);
      }
    } catch (IllegalAccessException e) {
      throw new AssertionError(e);
    }
  }
}
