// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.binding;

import java.io.IOException;
import java.net.URISyntaxException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.ArrayList;
import java.util.List;
import java.util.jar.JarFile;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Starts a main class of this jar once more, with the jars that {@code java -jar} leaves out. A
 * {@code Class-Path} in the manifest would name them as well, but then {@code javac -Xlint} warns
 * every user who keeps them elsewhere. Names no class of another jar.
 */
public final class SiblingJars {
  private static final Pattern OURS =
      Pattern.compile("(blocksparse|jackson-core|openblas)-.*\\.jar");
  private static final Pattern JAVACPP = Pattern.compile("javacpp-.*\\.jar");

  /** In the manifest: the folders of what this jar needs, within a repository of Maven's. */
  private static final String FOLDERS = "Needed-Folders";

  private SiblingJars() {}

  /**
   * Takes the jars beside this one; if JavaCPP is not among them, also those in the repository that
   * this one lies in, and in the user's own.
   *
   * @return false if JavaCPP was not found, or this is the second start already
   */
  public static boolean runAgain(Class<?> main, String... args)
      throws IOException, URISyntaxException, ReflectiveOperationException {
    CodeSource source = main.getProtectionDomain().getCodeSource();
    if (source == null || main.getClassLoader() != ClassLoader.getSystemClassLoader()) {
      return false;
    }
    Path own = Path.of(source.getLocation().toURI());
    List<Path> jars = new ArrayList<>(List.of(own));
    addJars(own.getParent(), jars);
    if (!hasJavaCpp(jars)) {
      for (String folder : neededFolders(own)) {
        // This jar lies in org/blocksparse/blocksparse/VERSION of its repository.
        addJars(own.resolve("../../../../..").resolve(folder).normalize(), jars);
        addJars(Path.of(System.getProperty("user.home"), ".m2/repository", folder), jars);
      }
    }
    if (!hasJavaCpp(jars)) {
      return false;
    }
    List<URL> urls = new ArrayList<>();
    for (Path jar : jars) {
      urls.add(jar.toUri().toURL());
    }
    // Never closed: what runs in it ends with the process.
    ClassLoader loader =
        new URLClassLoader(urls.toArray(new URL[0]), ClassLoader.getPlatformClassLoader());
    Thread.currentThread().setContextClassLoader(loader);
    loader.loadClass(main.getName()).getMethod("main", String[].class).invoke(null, (Object) args);
    return true;
  }

  private static boolean hasJavaCpp(List<Path> jars) {
    return jars.stream().anyMatch(jar -> named(JAVACPP, jar));
  }

  private static boolean named(Pattern name, Path jar) {
    return name.matcher(jar.getFileName().toString()).matches();
  }

  private static void addJars(Path folder, List<Path> jars) throws IOException {
    if (Files.isDirectory(folder)) {
      try (Stream<Path> files = Files.list(folder)) {
        files.filter(file -> named(OURS, file) || named(JAVACPP, file)).sorted().forEach(jars::add);
      }
    }
  }

  private static String[] neededFolders(Path own) throws IOException {
    if (!Files.isRegularFile(own)) {
      return new String[0];
    }
    try (JarFile jar = new JarFile(own.toFile())) {
      String folders = jar.getManifest().getMainAttributes().getValue(FOLDERS);
      return folders == null ? new String[0] : folders.split(" ", -1);
    }
  }
}
