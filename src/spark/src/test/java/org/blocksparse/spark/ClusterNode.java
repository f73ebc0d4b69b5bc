// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import java.util.Arrays;

/** Runs a main class, and ends with the process that has started it. */
final class ClusterNode {
  private ClusterNode() {}

  /**
   * Runs it.
   *
   * @param args the main class, then its arguments
   */
  public static void main(String[] args) throws Exception {
    Thread watch = new Thread(ClusterNode::endWithInput, "ends with its starter");
    watch.setDaemon(true);
    watch.start();
    Class.forName(args[0])
        .getMethod("main", String[].class)
        .invoke(null, (Object) Arrays.copyOfRange(args, 1, args.length));
  }

  private static void endWithInput() {
    try {
      while (System.in.read() >= 0) {
        // The input never has content.
      }
    } catch (IOException e) {
      // An error ends it, too.
    }
    Runtime.getRuntime().halt(0);
  }
}
