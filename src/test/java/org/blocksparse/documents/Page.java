// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.documents;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Stream;
import org.commonmark.ext.heading.anchor.IdGenerator;
import org.commonmark.node.AbstractVisitor;
import org.commonmark.node.Code;
import org.commonmark.node.FencedCodeBlock;
import org.commonmark.node.Heading;
import org.commonmark.node.Image;
import org.commonmark.node.Link;
import org.commonmark.node.Node;
import org.commonmark.node.Text;
import org.commonmark.parser.Parser;

/** A page of documentation, parsed by a CommonMark parser. */
final class Page {
  /** A block of code between fences. */
  record Block(Page page, String language, String text) {}

  private final Path file;
  private final List<Block> blocks = new ArrayList<>();
  private final List<String> spans = new ArrayList<>();
  private final List<String> links = new ArrayList<>();
  private final Set<String> anchors = new HashSet<>();

  private Page(Path file) {
    this.file = file;
    Parser.builder().build().parse(read(file)).accept(new Reader());
  }

  /** Returns all pages of the repository. */
  static List<Page> all() {
    return Stream.of("", "native", "src/doc", "src/doc/performance")
        .map(Path::of)
        .flatMap(Page::markdown)
        .toList();
  }

  static Page of(String file) {
    return new Page(Path.of(file));
  }

  static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Stream<Page> markdown(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .filter(file -> file.toString().endsWith(".md"))
          .sorted()
          .map(Page::new)
          .toList()
          .stream();
    } catch (IOException e) {
      throw new AssertionError("tests run in the folder of pom.xml", e);
    }
  }

  Path file() {
    return file;
  }

  /** Returns whether the page is about the library, not about its development. */
  boolean isForUsers() {
    return file.equals(Path.of("README.md"))
        || (file.startsWith("src/doc") && !file.endsWith("developing.md"));
  }

  /** Returns code within the text. */
  Stream<String> spans() {
    return spans.stream();
  }

  /** Returns code between fences in a language. */
  Stream<Block> blocks(String language) {
    return blocks.stream().filter(block -> block.language.equals(language));
  }

  /** Returns the languages of its blocks, without those given. */
  Set<String> languagesBut(Set<String> known) {
    Set<String> others = new HashSet<>();
    blocks.forEach(block -> others.add(block.language));
    others.removeAll(known);
    return others;
  }

  /** Returns lines of code of any kind except Java and XML, within the text and between fences. */
  Stream<String> commands() {
    return Stream.concat(spans.stream(), blocks("sh").flatMap(block -> block.text.lines()));
  }

  /** Returns the targets of links and pictures. */
  List<String> links() {
    return links;
  }

  /** Returns whether a link leads to a file. */
  boolean linksTo(Path to) {
    return links.stream().anyMatch(link -> file.resolveSibling(link).normalize().equals(to));
  }

  /** Returns the anchors of the headings, the part of a link after the #. */
  Set<String> anchors() {
    return anchors;
  }

  @Override
  public String toString() {
    return file.toString();
  }

  private final class Reader extends AbstractVisitor {
    private final IdGenerator ids = IdGenerator.builder().build();

    @Override
    public void visit(FencedCodeBlock code) {
      blocks.add(new Block(Page.this, code.getInfo(), code.getLiteral().strip()));
    }

    @Override
    public void visit(Code code) {
      spans.add(code.getLiteral());
    }

    @Override
    public void visit(Link link) {
      links.add(link.getDestination());
      visitChildren(link);
    }

    @Override
    public void visit(Image image) {
      links.add(image.getDestination());
    }

    @Override
    public void visit(Heading heading) {
      // The generator itself uses the lower case of the default locale.
      anchors.add(ids.generateId(text(heading).toLowerCase(Locale.ROOT)));
      visitChildren(heading);
    }

    private static String text(Node node) {
      StringBuilder text = new StringBuilder();
      node.accept(
          new AbstractVisitor() {
            @Override
            public void visit(Text part) {
              text.append(part.getLiteral());
            }

            @Override
            public void visit(Code part) {
              text.append(part.getLiteral());
            }
          });
      return text.toString();
    }
  }
}
