// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.site;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * Makes a folder of HTML of the pages: {@code mvn -f src/site}. What Maven puts there beside it are
 * the Javadoc and libraries of the browser.
 *
 * <p>The pages are those of the repository, as they are: a link to another page, a picture or a
 * file leads to where that is on the site, headings have the anchors that they have in the
 * repository's viewer, and the list beside each page is that at the end of README.md.
 */
public final class Site {
  /** The types of the library, the classifier and Spark, in the Javadoc of each. */
  private static final List<Path> TYPES =
      List.of(
          Path.of("apidocs/org.blocksparse/org/blocksparse"),
          Path.of("apidocs/org.blocksparse/org/blocksparse/bag"),
          Path.of("apidocs/org.blocksparse/org/blocksparse/experts"),
          Path.of("apidocs/org.blocksparse/org/blocksparse/io"),
          Path.of("apidocs/org.blocksparse/org/blocksparse/linear"),
          Path.of("apidocs/org.blocksparse/org/blocksparse/products"),
          Path.of("apidocs/org.blocksparse/org/blocksparse/ranking"),
          Path.of("apidocs/org.blocksparse/org/blocksparse/softmax"),
          Path.of("apidocs-classifier/org/blocksparse/classifier"),
          Path.of("apidocs-classifier/org/blocksparse/classifier/examples"),
          Path.of("apidocs-classifier/org/blocksparse/classifier/fasttext"),
          Path.of("apidocs-classifier/org/blocksparse/classifier/nextitem"),
          Path.of("apidocs-classifier/org/blocksparse/classifier/training"),
          Path.of("apidocs-spark/org/blocksparse/spark"));

  private static final Path RESOURCES = Path.of("src/site/resources");

  private final Path folder;
  private final Map<Path, String> addresses = new LinkedHashMap<>();
  private final Map<String, String> types = new TreeMap<>();

  private Site(Path folder) throws IOException {
    this.folder = folder;
    addresses.put(Path.of("README.md"), "index.html");
    addresses.put(Path.of("native/README.md"), "kernels.html");
    addresses.put(Path.of("native/EXPERIMENTS.md"), "experiments.html");
    addresses.put(Path.of("CONTRIBUTING.md"), "contributing.html");
    addresses.put(Path.of("CHANGELOG.md"), "changelog.html");
    addPages(Path.of("src/doc"), "");
    addPages(Path.of("src/doc/performance"), "performance-");
    for (Path api : TYPES) {
      for (Path type : list(folder.resolve(api), ".html")) {
        String name = type.getFileName().toString().replace(".html", "");
        if (Character.isUpperCase(name.charAt(0))) {
          types.put(name, folder.relativize(type).toString());
        }
      }
    }
  }

  private void addPages(Path pages, String prefix) throws IOException {
    for (Path page : list(pages, ".md")) {
      addresses.put(page, prefix + page.getFileName().toString().replace(".md", ".html"));
    }
  }

  /** Arguments: the folder, with the Javadoc in it, and the version of the library. */
  public static void main(String[] args) throws IOException {
    Locale.setDefault(Locale.ROOT); // anchors are in lower case
    new Site(Path.of(args[0])).write(args[1]);
  }

  private void write(String version) throws IOException {
    List<SitePage> pages = new ArrayList<>();
    for (Path file : addresses.keySet()) {
      pages.add(SitePage.read(file, this));
    }
    String template = Files.readString(RESOURCES.resolve("template.html"));
    for (SitePage page : pages) {
      String html =
          template
              .replace("{title}", page.title())
              .replace("{version}", version)
              .replace("{navigation}", pages.get(0).navigation(page.address()))
              .replace("{contents}", page.contents())
              .replace("{body}", page.html());
      Files.writeString(folder.resolve(page.address()), html);
    }
    Files.writeString(folder.resolve("search-data.js"), SearchData.of(pages, types));
    for (Path resource : list(RESOURCES, "")) {
      if (!resource.endsWith("template.html")) {
        copy(resource);
      }
    }
  }

  /** Returns the address of a page on the site. */
  String address(Path page) {
    return addresses.get(page);
  }

  /** Returns the address on the site that a link of a page leads to. */
  String resolved(Path page, String link) {
    if (link.startsWith("https://")) {
      return link;
    }
    String[] parts = link.split("(?=#)", 2);
    if (parts[0].startsWith("#")) {
      return link;
    }
    Path file = page.resolveSibling(parts[0]).normalize();
    String address = addresses.containsKey(file) ? addresses.get(file) : copy(file);
    return address + (parts.length == 2 ? parts[1] : "");
  }

  /** Returns the Javadoc of a type, or of the type of a method; null if it is none of ours. */
  String javadoc(String code) {
    return types.get(code.split("[.(<]", 2)[0]);
  }

  private String copy(Path file) {
    try {
      Files.write(folder.resolve(file.getFileName()), Files.readAllBytes(file));
    } catch (IOException e) {
      throw new IllegalStateException("a page leads to " + file + ", which cannot be copied", e);
    }
    return file.getFileName().toString();
  }

  private static List<Path> list(Path folder, String ending) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(file -> file.toString().endsWith(ending)).sorted().toList();
    }
  }
}
