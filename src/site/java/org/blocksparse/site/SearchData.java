// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.site;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.StringWriter;
import java.util.List;
import java.util.Map;

/** The index of the site's search: the parts of all pages, and all public types. */
final class SearchData {
  private SearchData() {}

  /** Returns a script instead of a JSON file: a browser loads it from a folder, too. */
  static String of(List<SitePage> pages, Map<String, String> types) throws IOException {
    StringWriter script = new StringWriter();
    script.write("const sections = ");
    try (JsonGenerator json = new JsonFactory().createGenerator(script)) {
      json.writeStartArray();
      for (SitePage page : pages) {
        for (SitePage.Section part : page.sections()) {
          String address = page.address() + "#" + part.anchor();
          write(json, address, part.heading(), page.title(), part.text());
        }
      }
      for (Map.Entry<String, String> type : types.entrySet()) {
        write(json, type.getValue(), type.getKey(), "Javadoc", "");
      }
      json.writeEndArray();
    }
    return script + ";\n";
  }

  private static void write(
      JsonGenerator json, String address, String heading, String page, String text)
      throws IOException {
    json.writeStartObject();
    json.writeStringField("address", address);
    json.writeStringField("heading", heading);
    json.writeStringField("page", page);
    json.writeStringField("text", text);
    json.writeEndObject();
  }
}
