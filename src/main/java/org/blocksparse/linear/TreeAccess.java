// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import org.blocksparse.internal.Access;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.io.ModelPart;

/** The part of this package that other packages of the module use. */
final class TreeAccess implements Access.Parts {
  @Override
  public SaveSettings.Part partOrNull(ModelPart part) {
    return part instanceof LinearLabelTree tree ? tree.part() : null;
  }
}
