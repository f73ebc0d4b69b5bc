// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

import java.util.Locale;

/** The names of constants on pages: {@code hsm-200}. */
final class Names {
  private Names() {}

  static String of(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
