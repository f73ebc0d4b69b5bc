// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.events;

import jdk.jfr.Description;
import jdk.jfr.Label;
import jdk.jfr.Name;

/** A search for the likeliest outputs. */
@Name("org.blocksparse.Search")
@Label("Search")
@Description("A search for the likeliest outputs of some rows")
public final class SearchEvent extends LibraryEvent {
  /** Shows whether a recording wants such events. */
  private static final SearchEvent ANY = new SearchEvent();

  @Label("Query")
  @Description("topK, atLeast, topP or sample")
  String query;

  @Label("Layer")
  @Description("softmax, label tree, linear label tree, sparse weights, dense head or mixture")
  String layer;

  @Label("Rows")
  int rows;

  @Label("Opened Classes")
  @Description("By all rows together")
  long openedClasses;

  @Label("Classes")
  @Description("Of the layer")
  int classes;

  static SearchEvent begunOrNull() {
    return begunOrNull(ANY, SearchEvent::new);
  }

  /**
   * Ends the event.
   *
   * @param opened the classes opened by each row
   */
  public void record(String name, String ofLayer, int[] opened, int ofClasses) {
    query = name;
    layer = ofLayer;
    rows = opened.length;
    for (int count : opened) {
      openedClasses += count;
    }
    classes = ofClasses;
    commit();
  }
}
