// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.documents;

import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.w3c.dom.NodeList;
import org.xml.sax.InputSource;
import org.xml.sax.SAXException;

/** The part of a project's POM that pages mention. */
final class Pom {
  private static final Pom PARENT = new Pom(Path.of("src/build/pom.xml"), null);
  static final Pom MAIN = new Pom(Path.of("pom.xml"), PARENT);
  static final Pom PLATFORM = new Pom(Path.of("platform/pom.xml"), PARENT);
  static final Pom ONE_PLATFORM = new Pom(Path.of("platform/each/pom.xml"), PARENT);
  private static final Pom LINUX =
      new Pom(Path.of("platform/each/linux-x86_64/pom.xml"), ONE_PLATFORM);
  private static final Pom CLASSIFIER = new Pom(Path.of("src/classifier/pom.xml"), PARENT);
  private static final Pom SPARK = new Pom(Path.of("src/spark/pom.xml"), PARENT);

  /** Projects of users, whose pages name dependencies on others. */
  private static final List<Pom> USERS =
      Stream.of("langchain4j", "jlama", "spark-consumer")
          .map(name -> new Pom(Path.of("src/it", name, "pom.xml"), PARENT))
          .toList();

  private final String text;
  private final Element project;
  private final Map<String, String> properties = new HashMap<>();
  private final Set<String> profiles = new TreeSet<>();

  /** Reads the POM in a file, which inherits from another. */
  private Pom(Path file, Pom parent) {
    text = Page.read(file) + (parent == null ? "" : parent.text);
    project = parse(Page.read(file));
    if (parent != null) {
      properties.putAll(parent.properties);
      profiles.addAll(parent.profiles);
    }
    children(project, "profiles")
        .flatMap(all -> children(all, "profile"))
        .forEach(profile -> profiles.add(child(profile, "id")));
    children(project, "properties")
        .flatMap(all -> children(all, null))
        .forEach(property -> properties.put(property.getTagName(), property.getTextContent()));
    properties.put("project.groupId", inherited("groupId"));
    properties.put("project.version", inherited("version"));
  }

  private String inherited(String name) {
    return Stream.of(project, children(project, "parent").findFirst().orElse(project))
        .flatMap(element -> children(element, name))
        .findFirst()
        .orElseThrow()
        .getTextContent();
  }

  String version() {
    return properties.get("project.version");
  }

  /** Returns the profiles of all projects. */
  static Set<String> profiles() {
    Set<String> ids = new TreeSet<>(MAIN.profiles);
    ids.addAll(SPARK.profiles);
    return ids;
  }

  /** Returns whether the library's POM or that of a user's project defines or uses a property. */
  static boolean anyMentions(String property) {
    return MAIN.mentions(property) || USERS.stream().anyMatch(user -> user.mentions(property));
  }

  private boolean mentions(String property) {
    return text.contains("<" + property + ">")
        || text.contains("<" + property + "/>")
        || text.contains("${" + property + "}");
  }

  /** Returns the dependencies of a page that this project does not have, in that version. */
  static Stream<String> wrongDependencies(String xml) {
    Set<String> known = new TreeSet<>();
    MAIN.dependencies(MAIN.project).forEach(known::add);
    PLATFORM.dependencies(PLATFORM.project).forEach(known::add);
    USERS.forEach(user -> user.dependencies(user.project).forEach(known::add));
    for (Pom own : List.of(MAIN, PLATFORM, LINUX, CLASSIFIER, SPARK)) {
      known.add(own.coordinates());
    }
    return MAIN.dependencies(parse("<project><dependencies>" + xml + "</dependencies></project>"))
        .filter(dependency -> !known.contains(dependency))
        .map(dependency -> dependency + " is not one of " + known);
  }

  private String coordinates() {
    return String.join(":", inherited("groupId"), child(project, "artifactId"), version());
  }

  /** Returns the dependencies with a classifier, each as group:artifact:version:classifier. */
  Set<String> classified() {
    Set<String> found = new TreeSet<>();
    dependencies(project).filter(d -> d.split(":").length == 4).forEach(found::add);
    return found;
  }

  private Stream<String> dependencies(Element root) {
    return children(root, "dependencies")
        .flatMap(all -> children(all, "dependency"))
        .map(this::coordinates);
  }

  private String coordinates(Element artifact) {
    List<String> parts = new ArrayList<>();
    for (String part : List.of("groupId", "artifactId", "version", "classifier")) {
      children(artifact, part).map(Element::getTextContent).map(this::filled).forEach(parts::add);
    }
    return String.join(":", parts);
  }

  private String filled(String value) {
    String result = value;
    Matcher reference = REFERENCE.matcher(result);
    while (reference.find() && properties.containsKey(reference.group(1))) {
      result = result.replace(reference.group(), properties.get(reference.group(1)));
      reference = REFERENCE.matcher(result);
    }
    return result;
  }

  private static final Pattern REFERENCE = Pattern.compile("\\$\\{([^}]+)}");

  private static String child(Element parent, String name) {
    return children(parent, name).findFirst().orElseThrow().getTextContent();
  }

  /** Returns the child elements with a name, or all of them. */
  private static Stream<Element> children(Element parent, String name) {
    NodeList nodes = parent.getChildNodes();
    return IntStream.range(0, nodes.getLength())
        .mapToObj(nodes::item)
        .filter(node -> node.getNodeType() == Node.ELEMENT_NODE)
        .map(Element.class::cast)
        .filter(element -> name == null || element.getTagName().equals(name));
  }

  private static Element parse(String xml) {
    try {
      return DocumentBuilderFactory.newInstance()
          .newDocumentBuilder()
          .parse(new InputSource(new StringReader(xml)))
          .getDocumentElement();
    } catch (SAXException | IOException | ParserConfigurationException e) {
      throw new AssertionError(xml, e);
    }
  }
}
