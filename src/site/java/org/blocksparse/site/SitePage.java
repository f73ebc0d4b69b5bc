// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.site;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.commonmark.Extension;
import org.commonmark.ext.gfm.tables.TableBlock;
import org.commonmark.ext.gfm.tables.TablesExtension;
import org.commonmark.ext.heading.anchor.HeadingAnchorExtension;
import org.commonmark.ext.heading.anchor.IdGenerator;
import org.commonmark.node.AbstractVisitor;
import org.commonmark.node.Code;
import org.commonmark.node.CustomNode;
import org.commonmark.node.FencedCodeBlock;
import org.commonmark.node.Heading;
import org.commonmark.node.Image;
import org.commonmark.node.Link;
import org.commonmark.node.ListItem;
import org.commonmark.node.Node;
import org.commonmark.node.SoftLineBreak;
import org.commonmark.node.Text;
import org.commonmark.parser.Parser;
import org.commonmark.renderer.html.HtmlRenderer;

/** A page of the repository, converted for the site. */
final class SitePage {
  /** A heading and the text below it; headings of level 2 are the parts of a page. */
  record Section(String heading, int level, String anchor, String text) {}

  /** The least parts of a page with a list of them. */
  private static final int LISTED_PARTS = 3;

  private static final List<Extension> EXTENSIONS =
      List.of(TablesExtension.create(), HeadingAnchorExtension.create());
  private static final Parser PARSER = Parser.builder().extensions(EXTENSIONS).build();
  private static final HtmlRenderer HTML = HtmlRenderer.builder().extensions(EXTENSIONS).build();

  private final String address;
  private final Node root;
  private final List<Section> sections;

  private SitePage(String address, Node root) {
    this.address = address;
    this.root = root;
    this.sections = sections(root);
  }

  static SitePage read(Path file, Site site) throws IOException {
    Node root = PARSER.parse(Files.readString(file));
    SitePage page = new SitePage(site.address(file), root);
    root.accept(new Links(file, site));
    return page;
  }

  String address() {
    return address;
  }

  /** Returns its first heading. */
  String title() {
    return sections.get(0).heading;
  }

  List<Section> sections() {
    return sections;
  }

  /** Returns the HTML; a table that is too wide for the screen gets its own scroll bar. */
  String html() {
    return HTML.render(root)
        .replace("<table>", "<div class=\"overflow-auto\"><table>")
        .replace("</table>", "</table></div>");
  }

  /**
   * Returns the links to pages from the tables in its last part, below their headings; the current
   * page is marked. Links to parts of pages are left out.
   */
  String navigation(String current) {
    StringBuilder html = new StringBuilder();
    boolean last = false;
    for (Node node = root.getFirstChild(); node != null; node = node.getNext()) {
      if (node instanceof Heading heading) {
        last |= text(heading).equals("Where to go on");
        if (last && heading.getLevel() == 3) {
          html.append("<h2>").append(text(heading)).append("</h2>\n");
        }
      } else if (last && node instanceof TableBlock table) {
        html.append("<ul>\n");
        for (Link link : pageLinks(table)) {
          String mark = link.getDestination().equals(current) ? "\" aria-current=\"page" : "";
          html.append("<li><a href=\"").append(link.getDestination()).append(mark).append("\">");
          html.append(text(link)).append("</a></li>\n");
        }
        html.append("</ul>\n");
      }
    }
    return html.toString();
  }

  /** Returns a list of its parts, if there are several. */
  String contents() {
    List<Section> parts = sections.stream().filter(part -> part.level == 2).toList();
    if (parts.size() < LISTED_PARTS) {
      return "";
    }
    StringBuilder html = new StringBuilder();
    html.append("<details id=\"contents\"><summary>On this page</summary>\n<ul>\n");
    for (Section part : parts) {
      html.append("<li><a href=\"#").append(part.anchor).append("\">");
      html.append(part.heading.replace("&", "&amp;").replace("<", "&lt;")).append("</a></li>\n");
    }
    return html.append("</ul>\n</details>\n").toString();
  }

  private static List<Link> pageLinks(Node node) {
    List<Link> links = new ArrayList<>();
    node.accept(
        new AbstractVisitor() {
          @Override
          public void visit(Link link) {
            if (!link.getDestination().contains("#")) {
              links.add(link);
            }
          }
        });
    return links;
  }

  private static List<Section> sections(Node root) {
    IdGenerator ids = IdGenerator.builder().build();
    List<Section> sections = new ArrayList<>();
    for (Node node = root.getFirstChild(); node != null; node = node.getNext()) {
      if (node instanceof Heading heading) {
        String text = text(heading);
        sections.add(new Section(text, heading.getLevel(), ids.generateId(text), ""));
      } else {
        Section last = sections.remove(sections.size() - 1);
        String text = last.text + " " + text(node);
        sections.add(new Section(last.heading, last.level, last.anchor, text));
      }
    }
    return sections;
  }

  /** Returns the text without the targets of links and pictures. */
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

          @Override
          public void visit(FencedCodeBlock part) {
            text.append(part.getLiteral());
          }

          @Override
          public void visit(SoftLineBreak part) {
            text.append(' ');
          }

          @Override
          public void visit(CustomNode part) {
            visitChildren(part);
            text.append(' '); // after a cell of a table
          }

          @Override
          public void visit(ListItem part) {
            visitChildren(part);
            text.append(' ');
          }
        });
    return text.toString().strip();
  }

  /** Resolves links and pictures to addresses on the site, and names of types to their Javadoc. */
  private static final class Links extends AbstractVisitor {
    private final Path file;
    private final Site site;

    Links(Path file, Site site) {
      this.file = file;
      this.site = site;
    }

    @Override
    public void visit(Link link) {
      link.setDestination(site.resolved(file, link.getDestination()));
    }

    @Override
    public void visit(Image image) {
      image.setDestination(site.resolved(file, image.getDestination()));
    }

    @Override
    public void visit(Heading heading) {
      // Headings have no links.
    }

    @Override
    public void visit(Code code) {
      String javadoc = site.javadoc(code.getLiteral());
      if (javadoc != null) {
        Link link = new Link(javadoc, null);
        code.insertBefore(link);
        link.appendChild(code);
      }
    }
  }
}
