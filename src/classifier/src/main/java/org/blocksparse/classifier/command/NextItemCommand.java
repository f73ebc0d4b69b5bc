// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.util.concurrent.Callable;
import org.blocksparse.classifier.examples.InvalidInputException;
import picocli.CommandLine.Command;

/** The commands of a recommender of next items. */
@Command(
    name = "next-item",
    description = {
      "Recommends the next items of users by their histories, or the missing items of baskets.",
      "Begin with: next-item train -o MODEL FILE"
    },
    subcommands = {
      NextItemTrainCommand.class,
      NextItemTestCommand.class,
      NextItemRecommendCommand.class
    },
    synopsisSubcommandLabel = "COMMAND",
    sortOptions = false,
    usageHelpWidth = 100)
final class NextItemCommand implements Callable<Integer> {
  /** Prints the subcommands, since none was given. */
  @Override
  public Integer call() {
    throw new InvalidInputException(
        "next-item: expected train, test or recommend; --help describes them");
  }
}
