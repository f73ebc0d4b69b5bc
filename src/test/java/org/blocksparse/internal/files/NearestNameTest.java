// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class NearestNameTest {
  private static final List<String> KNOWN =
      List.of("W1", "W2", "b1", "optimizer.first.W1", "--epochs", "--dimension", "--rate");

  @ParameterizedTest
  @CsvSource({
    "W_1, W1", // one letter more
    "w2, W2", // differs in case alone
    "optimiser.frist.W1, optimizer.first.W1",
    "--epoch, --epochs",
    "-epoch, --epochs", // fastText's spelling
    "--dim, --dimension", // a prefix
    "b7, b1",
    "--raet, --rate", // two letters transposed
    "x, ''", // too short: a letter resembles any other
    "--colour, ''",
    "'', ''"
  })
  void theNameWithTheFewestEdits_isNearest(String given, String nearest) {
    assertEquals(nearest, NearestName.of(given, KNOWN).orElse(""));
  }

  @Test
  void namesOfAnyLength_areTaken() {
    assertEquals(Optional.empty(), NearestName.of("W".repeat(1 << 20), KNOWN));
    assertEquals(Optional.of("W1"), NearestName.of("W_1", List.of("W".repeat(1 << 20), "W1")));
    assertEquals(Optional.empty(), NearestName.of("W1", List.of()));
  }
}
