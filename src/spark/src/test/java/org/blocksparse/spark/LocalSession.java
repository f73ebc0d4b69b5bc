// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.nio.file.Path;
import org.apache.spark.sql.SparkSession;

/** Spark in this process, for tests that need no cluster. */
final class LocalSession {
  private LocalSession() {}

  /** Returns a session on two threads, which a test stops. */
  static SparkSession start(Path folder) {
    return SparkSession.builder()
        .master("local[2]")
        .config("spark.ui.enabled", false)
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", 2)
        .config("spark.sql.warehouse.dir", folder.resolve("warehouse").toString())
        .getOrCreate();
  }
}
