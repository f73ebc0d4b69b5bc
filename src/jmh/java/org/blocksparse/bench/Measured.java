// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Warmup;

/** The settings of all benchmarks; JMH's options change them. */
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 1, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 1,
    jvmArgsAppend = {Measured.NATIVE, Measured.MEMORY})
abstract class Measured {
  static final String NATIVE = "-Dblocksparse.backend=native";

  /** JavaCPP counts all memory of the process, not only its own. */
  static final String MEMORY = "-Dorg.bytedeco.javacpp.maxPhysicalBytes=0";
}
