// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.blocksparse.internal.weights.Panels;
import org.blocksparse.internal.weights.WeightType;

/** The description of packed weights in a file: {@code Q4_0 2048 768} for instance. */
final class PackedForm {
  private static final String INT8 = "INT8";
  private static final Pattern TEXT =
      Pattern.compile(
          Arrays.stream(WeightType.values())
                  .filter(WeightType::isPacked)
                  .map(WeightType::toString)
                  .collect(Collectors.joining("|", "(", ")"))
              + " ([0-9]{1,10}) ([0-9]{1,10})");

  private PackedForm() {}

  static String of(Panels panels) {
    return panels.type() + " " + panels.rows() + " " + panels.columns();
  }

  /**
   * Returns the panels that a text describes.
   *
   * @param name the name of the tensor, for messages
   */
  static Panels panels(String name, String text) throws MalformedException {
    Matcher form = TEXT.matcher(text);
    if (form.matches()) {
      long rows = Long.parseLong(form.group(2));
      long columns = Long.parseLong(form.group(3));
      if (rows <= Integer.MAX_VALUE && columns <= Integer.MAX_VALUE) {
        String type = form.group(1);
        return new Panels(
            type.equals(INT8) ? WeightType.PACKED_INT8 : WeightType.valueOf(type),
            (int) rows,
            (int) columns);
      }
    }
    throw new MalformedException(
        name,
        ModelNames.packed(name)
            + " is not a packed type and two sizes: "
            + MalformedException.excerpt(text));
  }
}
