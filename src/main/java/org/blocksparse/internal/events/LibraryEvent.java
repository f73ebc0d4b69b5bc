// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.events;

import java.util.function.Supplier;
import jdk.jfr.Category;
import jdk.jfr.Enabled;
import jdk.jfr.Event;
import jdk.jfr.StackTrace;

/** An event of this library. */
@Category("blocksparse")
@Enabled(false)
@StackTrace(false)
abstract class LibraryEvent extends Event {
  /** Returns a new event, begun; null if no recording wants events of its type. */
  static <E extends LibraryEvent> E begunOrNull(E any, Supplier<E> maker) {
    if (!any.isEnabled()) {
      return null;
    }
    E event = maker.get();
    event.begin();
    return event;
  }
}
