// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.Locale;
import org.blocksparse.bench.nextitem.BasketsCommand;
import org.blocksparse.bench.nextitem.NextItemCommand;
import org.blocksparse.demo.LanguageModelCommand;
import org.blocksparse.demo.QualityCommand;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/**
 * The benchmarks:
 *
 * <pre>{@code
 * unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
 * mvn install -DskipTests
 * mvn -f src/jmh                                        everything; about an hour
 * mvn -f src/jmh -Dbench.args="run --quick"             a first impression in some minutes
 * mvn -f src/jmh -Dbench.args="run --workload hsm-200 --peer blocksparse --peer mkl-batch"
 * mvn -f src/jmh -Dbench.args="run --part TOPK"         the demo's model too, if mvn -Pdemo ran before
 * mvn -f src/jmh -Dbench.args="compare before.json after.json"
 * mvn -f src/jmh -Dbench.args="page target/bench/results.json Zen-5" a page of src/doc/performance
 * mvn -f src/jmh -Dbench.args="run --quick --part EXPERTS" beside ggml and others: MoeTurns
 * mvn -f src/jmh -Dbench.args="run --quick --part SERVING" how long callers wait; a minute
 * mvn -f src/jmh -Dbench.args="next-item"               a recommender, against Lucene's HNSW
 * mvn -f src/jmh -Dbench.args="baskets baskets.txt"     the same of real baskets, against item-kNN
 * mvn -f src/jmh -Dbench.args="language-model"          the demo's model, against PyTorch's
 * mvn -f src/jmh -Dbench.args="quality classes"         the demo's model with other classes, or bits
 * mvn -f src/jmh -Dbench.args="--help"
 * }</pre>
 *
 * <p>OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE must not be set: they change the speed of OpenBLAS, for
 * us and for the peers.
 */
@Command(
    name = "bench",
    mixinStandardHelpOptions = true,
    description = "Compares this library with the limits of the machine and with other libraries.",
    subcommands = {
      RunCommand.class,
      CompareCommand.class,
      PageCommand.class,
      NextItemCommand.class,
      BasketsCommand.class,
      LanguageModelCommand.class,
      QualityCommand.class
    })
public final class Main {
  private Main() {}

  /** Runs the command, {@code run} if none is given. */
  public static void main(String[] args) {
    Locale.setDefault(Locale.ROOT); // what is printed is English, its numbers included
    String[] command = args.length == 0 ? new String[] {"run"} : args;
    System.exit(
        new CommandLine(new Main()).setCaseInsensitiveEnumValuesAllowed(true).execute(command));
  }
}
