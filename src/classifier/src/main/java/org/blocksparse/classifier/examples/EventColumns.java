// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import java.util.List;
import java.util.stream.Stream;

/**
 * The columns of {@linkplain SequenceFormat#EVENTS events}, by their names in a header. An empty
 * name stands for the usual ones, those of RecBole and MovieLens among them. Immutable: {@code
 * EventColumns.defaults().withItem("sku")}.
 *
 * @param user the column with the user; empty: user, user_id, userId or user_id:token
 * @param item the column with the item; empty: item, item_id, itemId, movieId or item_id:token
 * @param time the column with the time; empty: time, timestamp or timestamp:float
 */
public record EventColumns(String user, String item, String time) {
  private static final EventColumns DEFAULTS = new EventColumns("", "", "");

  /**
   * Checks the names.
   *
   * @throws IllegalArgumentException if two columns have one name
   */
  public EventColumns {
    List<String> given = Stream.of(user, item, time).filter(name -> !name.isEmpty()).toList();
    if (given.stream().distinct().count() < given.size()) {
      throw new IllegalArgumentException("columns: expected different names but was " + given);
    }
  }

  /** Returns columns with the usual names. */
  public static EventColumns defaults() {
    return DEFAULTS;
  }

  /** Returns columns with another name of the user. */
  public EventColumns withUser(String name) {
    return new EventColumns(name, item, time);
  }

  /** Returns columns with another name of the item. */
  public EventColumns withItem(String name) {
    return new EventColumns(user, name, time);
  }

  /** Returns columns with another name of the time. */
  public EventColumns withTime(String name) {
    return new EventColumns(user, item, name);
  }

  /** Returns the fields to read: user, item and time. */
  List<RecordReader.Field> fields() {
    return List.of(
        field(user, "EventColumns.withUser", "user", "user_id", "userId", "user_id:token"),
        field(
            item, "EventColumns.withItem", "item", "item_id", "itemId", "movieId", "item_id:token"),
        field(time, "EventColumns.withTime", "time", "timestamp", "timestamp:float"));
  }

  private static RecordReader.Field field(String name, String setter, String... usual) {
    return new RecordReader.Field(
        name.isEmpty() ? List.of(usual) : List.of(name),
        setter + " names another one, and lines without a header are user, item and time",
        true);
  }
}
