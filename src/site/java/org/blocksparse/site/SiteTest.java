// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.site;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.blocksparse.documents.Program;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The site as a browser shows it from its folder: no server, no network. Pictures of all pages are
 * left in {@code target/site-pictures}, for people to look at.
 */
@Tag("packaged")
final class SiteTest {
  private static final Path SITE = Path.of("target/site");
  private static final Path PICTURES = Path.of("target/site-pictures");

  /** A view of a page: its width in pixels, in light or dark. */
  private record Screen(int width, String scheme) {}

  /** A telephone at night, and a desk by day. */
  private static final List<Screen> SCREENS =
      List.of(new Screen(380, "dark"), new Screen(1400, "light"));

  /** Finds elements that leave the screen; only those with their own scroll bar may. */
  private static final String TOO_WIDE =
      "return document.documentElement.scrollWidth > innerWidth"
          + " ? ['scrolls sideways: ' + document.documentElement.scrollWidth] : [];";

  private static final String BAD_PICTURES =
      "return [...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src);";

  /**
   * Finds text that is small, or has too little contrast to its background (4.5, the minimum of
   * WCAG AA).
   */
  private static final String HARD_TO_READ =
      """
      const channels = color => color.match(/[\\d.]+/g).map(Number);
      const luminance = ([r, g, b]) =>
        [r, g, b].map(c => c / 255)
          .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
          .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
      const behind = element => {
        for (; element; element = element.parentElement) {
          const color = channels(getComputedStyle(element).backgroundColor);
          if (color.length === 3 || color[3] === 1) return color;
        }
        return [255, 255, 255];
      };
      const bad = [];
      for (const element of document.querySelectorAll('body *')) {
        const text = [...element.childNodes].filter(n => n.nodeType === 3 && n.data.trim());
        if (!text.length || ['SCRIPT', 'STYLE'].includes(element.tagName)) continue;
        const style = getComputedStyle(element);
        if (parseFloat(style.fontSize) < 13) bad.push(style.fontSize + ': ' + text[0].data);
        const [a, b] = [channels(style.color), behind(element)].map(luminance);
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) bad.push('contrast ' + contrast.toFixed(1) + ': ' + text[0].data);
      }
      return bad.slice(0, 5);
      """;

  /** The content of a page, as the browser returns it. */
  private record Content(List<?> links, List<?> programs, List<?> code) {}

  @TempDir private static Path profile;
  private static Browser browser;
  private static final Map<Path, Content> CONTENTS = new LinkedHashMap<>();

  @BeforeAll
  static void open() throws IOException {
    browser = new Browser(profile);
    String links = "return [...document.querySelectorAll('a[href]')].map(a => a.href);";
    String code = "return [...document.querySelectorAll('pre > code%s')].map(c => c.innerText);";
    for (Path page : pages()) {
      browser.open(address(page), 1400, "light");
      CONTENTS.put(
          page,
          new Content(
              (List<?>) browser.run(links),
              (List<?>) browser.run(code.formatted(".language-java")),
              (List<?>) browser.run(code.formatted(""))));
    }
  }

  @AfterAll
  static void close() {
    browser.close();
  }

  @Test
  void pagesAreReadable() throws IOException {
    List<String> wrong = new ArrayList<>();
    for (Path page : pages()) {
      for (Screen screen : SCREENS) {
        browser.open(address(page), screen.width, screen.scheme);
        String shown = page.getFileName() + " on " + screen + ": ";
        for (String script : List.of(TOO_WIDE, BAD_PICTURES, HARD_TO_READ)) {
          ((List<?>) browser.run(script)).forEach(problem -> wrong.add(shown + problem));
        }
        browser.said().forEach(message -> wrong.add(shown + message));
        String name = page.getFileName().toString().replace(".html", "");
        browser.screenshot(
            PICTURES.resolve(name + "-" + screen.width + "-" + screen.scheme + ".png"));
      }
    }
    assertEquals(List.of(), wrong);
  }

  @Test
  void darkIsDark() {
    for (Screen screen : SCREENS) {
      String scheme = screen.scheme;
      browser.open(address(SITE.resolve("index.html")), screen.width, scheme);
      String color =
          (String) browser.run("return getComputedStyle(document.body.parentElement).colorScheme");
      assertEquals(scheme, color.replace("light dark", scheme));
      String behind =
          (String) browser.run("return getComputedStyle(document.documentElement).backgroundColor");
      boolean isDark = Integer.parseInt(behind.replaceAll("rgb\\((\\d+),.*", "$1")) < 60;
      assertEquals(scheme.equals("dark"), isDark, behind);
    }
  }

  /** Links to other sites are not followed. */
  @Test
  void linksLeadSomewhere() {
    List<String> broken = new ArrayList<>();
    CONTENTS.forEach(
        (page, content) -> {
          assertTrue(content.links().size() > 10, () -> page + " has few links: " + content);
          content.links().stream()
              .map(Object::toString)
              .filter(link -> !link.startsWith("https://") && !exists(link))
              .forEach(link -> broken.add(page.getFileName() + ": " + link));
        });
    assertEquals(List.of(), broken);
  }

  private static boolean exists(String link) {
    String[] parts = link.split("#", 2);
    Path file = Path.of(URI.create(parts[0]));
    return Files.isRegularFile(file) && (parts.length == 1 || anchors(file).contains(parts[1]));
  }

  private static Set<String> anchors(Path file) {
    try {
      Set<String> anchors = new TreeSet<>();
      Pattern.compile("id=\"([^\"]+)\"")
          .matcher(Files.readString(file))
          .results()
          .map((MatchResult found) -> found.group(1))
          .forEach(anchors::add);
      return anchors;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void everyPageIsInTheList() throws IOException {
    browser.open(address(SITE.resolve("index.html")), 1400, "light");
    String links = "return [...document.querySelectorAll('nav a')].map(a => a.href);";
    Set<String> listed = new TreeSet<>();
    ((List<?>) browser.run(links)).forEach(link -> listed.add(link.toString()));
    for (Path page : pages()) {
      boolean isFirst = page.endsWith("index.html");
      assertTrue(isFirst || listed.contains(address(page)), () -> page + " is not in " + listed);
    }
  }

  /**
   * A program copied from a page, with or without colors, is one that tests run. The site has the
   * files of other programs, which pages show in parts; DocumentsTest compares these.
   */
  @Test
  void programsAreWhatIsCopied() {
    Set<String> copied = new TreeSet<>();
    for (Content content : CONTENTS.values()) {
      content.programs().forEach(text -> copied.add(text.toString().strip()));
    }
    copied.removeIf(text -> !text.startsWith("///"));
    List<Program> programs = Program.in(Path.of("src"));
    Set<String> texts = new TreeSet<>();
    programs.forEach(program -> texts.add(program.text()));
    assertTrue(texts.containsAll(copied), () -> "no test runs all of " + copied);
    for (Program program : programs) {
      assertTrue(
          copied.contains(program.text())
              || Files.exists(SITE.resolve(program.source().getFileName())),
          () -> "the site lacks " + program);
    }
  }

  /**
   * Shell lines and all other code are copied as they are in the pages' sources, from which CI runs
   * them.
   */
  @Test
  void codeIsCopiedAsItWasWritten() throws IOException {
    StringBuilder sources = new StringBuilder();
    for (String folder : List.of("", "native", "src/doc", "src/doc/performance")) {
      try (Stream<Path> files = Files.list(Path.of(folder))) {
        for (Path file : files.filter(file -> file.toString().endsWith(".md")).toList()) {
          sources.append(Files.readString(file));
        }
      }
    }
    int blocks = 0;
    for (Map.Entry<Path, Content> page : CONTENTS.entrySet()) {
      for (Object text : page.getValue().code()) {
        String lines = "\n" + text.toString().strip() + "\n";
        assertTrue(
            sources.indexOf(lines) >= 0, () -> page.getKey() + " shows what nobody wrote:" + lines);
        blocks++;
      }
    }
    assertTrue(blocks > 50, "few blocks: " + blocks);
  }

  @Test
  void searchFindsPages() {
    for (String[] search :
        new String[][] {
          {"adaptive softmax", "pytorch.html"},
          {"virtual thr", "serving.html#virtual-threads"},
          {"hnsw", "hnsw.html"},
          {"lable", "text.html"},
          {"kotlin", "platforms.html"},
          {"onnx", "pytorch.html"},
          {"Classifier", "apidocs-classifier"},
          {"HierarchicalSoftmax", "HierarchicalSoftmax.html"}
        }) {
      browser.open(address(SITE.resolve("index.html")), 380, "dark");
      search(search[0]);
      List<?> found =
          (List<?>)
              browser.run("return [...document.querySelectorAll('#found a')].map(a => a.href);");
      assertTrue(
          found.stream().limit(3).anyMatch(link -> link.toString().contains(search[1])),
          () -> search[0] + " finds " + found);
      browser.run("document.querySelector('#found a').click();");
      assertEquals(found.get(0), browser.address());
    }
  }

  private static void search(String words) {
    browser.run(
        "const box = document.getElementById('search'); box.value = arguments[0];"
            + "box.dispatchEvent(new Event('input'));",
        words);
  }

  @Test
  void searchShowsTheTextAroundWhatItFound() {
    browser.open(address(SITE.resolve("index.html")), 380, "dark");
    search("epochs");
    List<?> marked =
        (List<?>)
            browser.run(
                "return [...document.querySelectorAll('#found mark')].map(m => m.innerText);");
    assertTrue(!marked.isEmpty(), "no excerpts");
    marked.forEach(word -> assertEquals("epochs", word.toString().toLowerCase(Locale.ROOT)));
  }

  @Test
  void listsStayWhilePagesScroll() throws IOException {
    String scroll =
        "document.getElementById('contents')?.querySelector('li:last-child a').click();"
            + "window.scrollBy(0, 1); return new Promise(done => requestAnimationFrame(() => done("
            + "['#pages', '#search'].filter(id => {"
            + "  const box = document.querySelector(id).getBoundingClientRect();"
            + "  return box.bottom <= 0 || box.top >= innerHeight; }))));";
    for (Path page : pages()) {
      browser.open(address(page), 1400, "light");
      assertEquals(List.of(), browser.run(scroll), page.toString());
    }
  }

  @Test
  void longPagesListTheirParts() {
    String lists =
        "const list = document.getElementById('contents');"
            + "return [list.open].concat([...list.querySelectorAll('a')].map(a => a.innerText));";
    Path page = SITE.resolve("performance.html");
    browser.open(address(page), 1400, "light");
    List<?> wide = (List<?>) browser.run(lists);
    browser.open(address(page), 380, "light");
    assertTrue(wide.size() > 4, () -> "few parts: " + wide);
    assertEquals(true, wide.get(0));
    assertEquals(false, ((List<?>) browser.run(lists)).get(0), "open on a telephone");
  }

  @Test
  void buttonsCopyCode() {
    browser.open(address(SITE.resolve("index.html")), 1400, "light");
    List<?> copied =
        (List<?>)
            browser.run(
                """
                const copied = [];
                Object.defineProperty(navigator, 'clipboard',
                    { value: { writeText: text => copied.push(text) } });
                document.querySelectorAll('pre > button').forEach(button => button.click());
                return copied;
                """);
    assertEquals(CONTENTS.get(SITE.resolve("index.html")).code(), copied);
  }

  /** No button covers code, at any width. */
  @Test
  void buttonsDoNotCoverCode() {
    String covered =
        """
        return [...document.querySelectorAll('pre')].filter(pre => {
          const text = document.createRange();
          text.selectNodeContents(pre.querySelector('code'));
          const first = text.getClientRects()[0];
          return pre.querySelector('button').getBoundingClientRect().bottom > first.top;
        }).length;
        """;
    browser.open(address(SITE.resolve("index.html")), 380, "light");
    assertEquals(0L, browser.run(covered));
  }

  @Test
  void headingsThatLinksLeadToAreVisible() throws IOException {
    String hidden =
        """
        const header = document.querySelector('body > header');
        return [...document.querySelectorAll('main h2[id]')].filter(heading => {
          location.hash = heading.id;
          return heading.getBoundingClientRect().top < header.getBoundingClientRect().bottom;
        }).map(heading => heading.id);
        """;
    for (Path page : pages()) {
      for (Screen screen : SCREENS) {
        browser.open(address(page), screen.width, screen.scheme);
        assertEquals(List.of(), browser.run(hidden), page + " on " + screen);
      }
    }
  }

  @Test
  void theListOfPagesHasPagesOnly() {
    browser.open(address(SITE.resolve("index.html")), 1400, "light");
    String links =
        "return [...document.querySelectorAll('#pages a')].map(a => a.getAttribute('href'));";
    List<?> pages = (List<?>) browser.run(links);
    assertEquals(List.of(), pages.stream().filter(link -> link.toString().contains("#")).toList());
    assertEquals(pages.size(), Set.copyOf(pages).size(), pages::toString);
  }

  /** A table that is cut off has a shadow at that side; charts shrink, and are dark at night. */
  @Test
  void tablesShowThatTheyScrollAndChartsAreDark() throws IOException {
    browser.open(address(SITE.resolve("performance.html")), 380, "dark");
    String shadows =
        "return [...document.querySelectorAll('main .overflow-auto, main p:has(> img)')]"
            + ".filter(box => !getComputedStyle(box).backgroundImage.includes('gradient')).length;";
    assertEquals(0L, browser.run(shadows));
    String cutOff =
        "return [...document.querySelectorAll('main img')]"
            + ".filter(image => image.getBoundingClientRect().right > innerWidth).length;";
    assertEquals(0L, browser.run(cutOff));
    try (Stream<Path> files = Files.list(SITE)) {
      for (Path picture : files.filter(file -> file.toString().endsWith(".svg")).toList()) {
        String svg = Files.readString(picture);
        assertTrue(svg.contains("prefers-color-scheme: dark"), picture.toString());
      }
    }
  }

  /**
   * The first page of each Javadoc opens, and that of every type; javadoc itself checks their
   * links.
   */
  @Test
  void javadocOpens() throws IOException {
    List<String> wrong = new ArrayList<>();
    for (String types :
        List.of(
            "apidocs/org.blocksparse/org/blocksparse",
            "apidocs/org.blocksparse/org/blocksparse/bag",
            "apidocs/org.blocksparse/org/blocksparse/experts",
            "apidocs/org.blocksparse/org/blocksparse/io",
            "apidocs/org.blocksparse/org/blocksparse/linear",
            "apidocs/org.blocksparse/org/blocksparse/products",
            "apidocs/org.blocksparse/org/blocksparse/ranking",
            "apidocs/org.blocksparse/org/blocksparse/softmax",
            "apidocs-classifier/org/blocksparse/classifier",
            "apidocs-classifier/org/blocksparse/classifier/examples",
            "apidocs-classifier/org/blocksparse/classifier/fasttext",
            "apidocs-classifier/org/blocksparse/classifier/nextitem",
            "apidocs-classifier/org/blocksparse/classifier/training",
            "apidocs-spark/org/blocksparse/spark")) {
      Path index = SITE.resolve(Path.of(types).getName(0)).resolve("index.html");
      try (Stream<Path> pages = Files.list(SITE.resolve(types))) {
        Stream.concat(Stream.of(index), pages)
            .filter(page -> page.toString().endsWith(".html"))
            .forEach(
                page -> {
                  browser.open(address(page), 1400, "dark");
                  browser.said().forEach(message -> wrong.add(page + ": " + message));
                });
      }
    }
    browser.screenshot(PICTURES.resolve("javadoc-dark.png"));
    assertEquals(List.of(), wrong);
  }

  private static List<Path> pages() throws IOException {
    try (Stream<Path> files = Files.list(SITE)) {
      return files.filter(file -> file.toString().endsWith(".html")).sorted().toList();
    }
  }

  private static String address(Path page) {
    return page.toAbsolutePath().toUri().toString();
  }
}
