// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.net.URLConnection;
import java.net.URLStreamHandler;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Runs {@link ProductProgram} in a class loader that knows the length of a file, but no time. */
public final class TimelessLoaderProgram {
  private static final String PROTOCOL = "timeless";

  private TimelessLoaderProgram() {}

  public static void main(String[] args) throws Exception {
    run(args, true);
  }

  /** The same with a class loader that knows no length either. */
  public static final class WithoutLength {
    private WithoutLength() {}

    public static void main(String[] args) throws Exception {
      run(args, false);
    }
  }

  private static void run(String[] args, boolean tellsLength) throws Exception {
    List<URL> classPath = new ArrayList<>();
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator, -1)) {
      classPath.add(Path.of(entry).toUri().toURL());
    }
    Timeless loader =
        new Timeless(
            new URLClassLoader(classPath.toArray(URL[]::new), ClassLoader.getPlatformClassLoader()),
            tellsLength);
    URL.setURLStreamHandlerFactory(protocol -> protocol.equals(PROTOCOL) ? loader.handler : null);
    loader
        .loadClass(ProductProgram.class.getName())
        .getMethod("main", String[].class)
        .invoke(null, (Object) args);
  }

  private static final class Timeless extends ClassLoader {
    private final ClassLoader files;
    private final boolean tellsLength;
    private final URLStreamHandler handler = new Handler();

    Timeless(ClassLoader files, boolean tellsLength) {
      super(ClassLoader.getPlatformClassLoader());
      this.files = files;
      this.tellsLength = tellsLength;
    }

    @Override
    protected Class<?> findClass(String name) throws ClassNotFoundException {
      try (InputStream in = files.getResourceAsStream(name.replace('.', '/') + ".class")) {
        if (in == null) {
          throw new ClassNotFoundException(name);
        }
        byte[] bytes = in.readAllBytes();
        return defineClass(name, bytes, 0, bytes.length);
      } catch (IOException e) {
        throw new ClassNotFoundException(name, e);
      }
    }

    @Override
    protected URL findResource(String name) {
      try {
        return files.getResource(name) == null
            ? null
            : new URL(null, PROTOCOL + ":/" + name, handler);
      } catch (MalformedURLException e) {
        throw new AssertionError(e);
      }
    }

    private final class Handler extends URLStreamHandler {
      @Override
      protected URLConnection openConnection(URL url) throws IOException {
        URLConnection real = files.getResource(url.getPath().substring(1)).openConnection();
        return new URLConnection(url) {
          @Override
          public void connect() {}

          @Override
          public InputStream getInputStream() throws IOException {
            return real.getInputStream();
          }

          @Override
          public long getContentLengthLong() {
            return tellsLength ? real.getContentLengthLong() : -1;
          }

          @Override
          public int getContentLength() {
            return tellsLength ? real.getContentLength() : -1;
          }
        };
      }
    }
  }
}
