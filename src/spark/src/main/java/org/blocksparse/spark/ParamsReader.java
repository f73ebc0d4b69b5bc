// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.function.Supplier;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.spark.ml.param.Param;
import org.apache.spark.ml.util.DefaultParamsReader;
import org.apache.spark.ml.util.DefaultParamsReader$;
import org.apache.spark.ml.util.MLReader;
import scala.Option;

/**
 * Reads what was saved in a folder: the params, which Spark keeps in its metadata, and whatever
 * else there is. The folder may come from anybody: nothing but the one class is made of it, where
 * Spark's own reader makes any that the metadata names.
 *
 * @param <P> the type of the result
 */
final class ParamsReader<P extends TwoLevelParams> extends MLReader<P> {
  private final Class<P> type;
  private final Maker<P> maker;

  ParamsReader(Class<P> type, Maker<P> maker) {
    this.type = type;
    this.maker = maker;
  }

  /** Makes an object with those params from the rest of its folder. */
  interface Maker<P> {
    P of(String uid, Path folder, Configuration hadoop) throws IOException;
  }

  /**
   * Reads a folder.
   *
   * @throws UncheckedIOException if the folder cannot be read, or does not hold one; the message
   *     names the folder and what is wrong with it
   */
  @Override
  public P load(String folder) {
    DefaultParamsReader.Metadata metadata =
        ofSpark(
            folder,
            () ->
                DefaultParamsReader$.MODULE$.loadMetadata(folder, sparkSession(), type.getName()));
    P made = made(folder, metadata.uid());
    return ofSpark(
        folder,
        () -> {
          metadata.getAndSetParams(made, Option.empty());
          requireStrings(made);
          return made;
        });
  }

  private P made(String folder, String uid) {
    try {
      return maker.of(uid, new Path(folder), sc().hadoopConfiguration());
    } catch (IOException | IllegalArgumentException e) {
      throw refused(folder, e.getMessage(), e);
    }
  }

  /**
   * Returns Spark's reading of its metadata, which it rejects by many exceptions, some of them
   * undeclared.
   */
  private static <T> T ofSpark(String folder, Supplier<T> reading) {
    try {
      return reading.get();
    } catch (Throwable e) {
      if (e instanceof VirtualMachineError error) {
        throw error;
      }
      if (e instanceof InterruptedException) {
        Thread.currentThread().interrupt();
      }
      throw refused(folder, "metadata: " + e, e);
    }
  }

  private static UncheckedIOException refused(String folder, String reason, Throwable e) {
    IOException cause = e instanceof IOException io ? io : new IOException(e);
    return new UncheckedIOException(folder + ": " + reason, cause);
  }

  /** Requires strings: for a string param, Spark accepts a vector and a matrix, too. */
  private static void requireStrings(TwoLevelParams params) {
    for (Param<?> param : params.params()) {
      if (param.getClass() == Param.class
          && params.isDefined(param)
          && !(params.getOrDefault(param) instanceof String)) {
        throw new IllegalArgumentException(param.name() + ": expected a string");
      }
    }
  }
}
