// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.Locale;

/** How constants are written on the command line and in tables: {@code hsm-200}. */
final class Names {
  private Names() {}

  static String of(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  static <E extends Enum<E>> E parse(Class<E> type, String name) {
    return Enum.valueOf(type, name.toUpperCase(Locale.ROOT).replace('-', '_'));
  }
}
