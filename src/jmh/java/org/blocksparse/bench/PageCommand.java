// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Writes the page of one machine from the results of one run. */
@Command(
    name = "page",
    mixinStandardHelpOptions = true,
    description =
        "Writes the documentation page of one machine, with its charts, from results.json.")
final class PageCommand implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "RESULTS", description = "results.json of a run")
  private Path results;

  @Parameters(
      index = "1",
      paramLabel = "MACHINE",
      description = "The name of the processor: Zen-5 makes zen-5.md.")
  private String machine;

  @Option(
      names = "--out",
      defaultValue = "src/doc/performance",
      description = "The folder of the pages. Default: ${DEFAULT-VALUE}.")
  private Path out;

  @Override
  public Integer call() throws IOException {
    Report report = Report.read(results);
    String name = machine.toLowerCase(Locale.ROOT);
    Path forward = out.resolve(name + "-forward.png");
    Path instead = out.resolve(name + "-instead.png");
    Path experts = out.resolve(name + "-experts.png");
    Files.createDirectories(out);
    Charts charts = new Charts(report);
    StringBuilder page = new StringBuilder();
    page.append(
        """
        # Performance on %s

        One run, as it was measured; `mvn -f src/jmh -Dbench.args="page %s %s"` wrote this page.
        [Performance](../performance.md#how-it-is-measured) explains how to read it.

        """
            .formatted(machine.replace('-', ' '), results, machine));
    if (charts.writeForward(forward)) {
      page.append(picture("Products forward, as multiples of the limit.", forward));
    }
    if (charts.writeInstead(instead)) {
      page.append(picture("Whole layers of other libraries, as multiples of our time.", instead));
    }
    if (charts.writeExperts(experts)) {
      page.append(picture("A layer of experts in several engines, in milliseconds.", experts));
    }
    page.append(new Table(report));
    Files.writeString(out.resolve(name + ".md"), page);
    System.out.println("Written to " + out + ": " + name + ".md and its charts");
    return 0;
  }

  private static String picture(String text, Path file) {
    return "![%s](%s)%n%n".formatted(text, file.getFileName()).replace("\r", "");
  }
}
