// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.binding;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URL;

/**
 * The hash of all sources of the native library, made by Maven. The libraries of a native jar are
 * in a folder of that name, so that JavaCPP's cache has another file for each build.
 */
final class BuildId {
  private static final String FILE = "build-id.txt";

  private BuildId() {}

  /** Returns the build that these classes belong to. */
  static String ofClasses() {
    return read(BuildId.class.getResource(FILE));
  }

  /** Returns the build of the native jar for a platform; null if there is no such jar. */
  static String ofLibrary(String platform) {
    String folder = BuildId.class.getPackageName().replace('.', '/') + "/" + platform + "/";
    return read(BuildId.class.getClassLoader().getResource(folder + FILE));
  }

  private static String read(URL url) {
    if (url == null) {
      return null;
    }
    try (InputStream in = url.openStream()) {
      return new String(in.readAllBytes(), UTF_8).strip();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
