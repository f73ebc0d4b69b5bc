// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import org.blocksparse.internal.Access;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.internal.files.SaveSettings;

/** The part of this package that other packages of the module use. */
final class IoAccess implements Access.Io {
  @Override
  public SaveSettings settings(SaveOptions options) {
    return options.settings();
  }

  @Override
  public LoadSettings settings(LoadOptions options) {
    return options.settings();
  }
}
