// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;

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
  @Mixin private Streams streams;

  @Override
  public Integer call() {
    streams.command().usage(streams.err());
    return ExitCode.USAGE;
  }
}
