// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Shows what became faster or slower between two runs. */
@Command(
    name = "compare",
    mixinStandardHelpOptions = true,
    description = "Compares two results.json files by the ratio of their times.")
final class CompareCommand implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "BEFORE", description = "results.json of a run")
  private Path before;

  @Parameters(index = "1", paramLabel = "AFTER", description = "results.json of another run")
  private Path after;

  @Option(names = "--all", description = "Also show cases that differ by less than 5 percent.")
  private boolean all;

  @Override
  public Integer call() throws IOException {
    Map<String, Report.Row> earlier = new LinkedHashMap<>();
    Report.read(before).rows().forEach(row -> earlier.put(row.key(), row));
    System.out.println("| case | before ms | after ms | after / before | the same for medians |");
    System.out.println("|---|---|---|---|---|");
    for (Report.Row row : Report.read(after).rows()) {
      Report.Row old = earlier.remove(row.key());
      if (old == null) {
        System.out.printf("| %s | - | %s | new | |%n", row.key(), Table.milliseconds(row.bestNs()));
        continue;
      }
      double ratio = row.bestNs() / old.bestNs();
      if (all || Math.abs(Math.log(ratio)) > Math.log(1.05)) {
        System.out.printf(
            Locale.ROOT,
            "| %s | %s | %s | %.2f | %.2f |%n",
            row.key(),
            Table.milliseconds(old.bestNs()),
            Table.milliseconds(row.bestNs()),
            ratio,
            row.medianNs() / old.medianNs());
      }
    }
    earlier.forEach(
        (key, row) ->
            System.out.printf("| %s | %s | - | gone | |%n", key, Table.milliseconds(row.bestNs())));
    return 0;
  }
}
