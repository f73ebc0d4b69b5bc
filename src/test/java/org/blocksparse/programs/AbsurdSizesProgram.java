// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.lang.reflect.InvocationTargetException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.testing.ChildJvm;
import org.blocksparse.testing.PublicCall;

/**
 * Makes a valid call of each public method, with one argument replaced by numbers for which no
 * memory is large enough. The exception is one of ours, which names the error or the bytes that
 * native memory lacks, or the JVM's {@link OutOfMemoryError}. New methods take part without changes
 * here.
 *
 * <p>Arguments: a folder.
 */
public final class AbsurdSizesProgram {
  private static final List<Long> SIZES =
      List.of(1L << 29, Integer.MAX_VALUE - 8L, (long) Integer.MAX_VALUE);

  private final Map<String, String> flaws = new TreeMap<>();
  private int refused;

  private AbsurdSizesProgram() {}

  public static void main(String[] args) throws Exception {
    AbsurdSizesProgram program = new AbsurdSizesProgram();
    for (PublicCall call : new RightCalls(Path.of(args[0])).all()) {
      for (int i = 0; i < call.arguments().length; i++) {
        program.tryWith(call, i);
      }
    }
    program.ofManyRows();
    ChildJvm.check(program.flaws.isEmpty(), "flaws: " + program.flaws);
    ChildJvm.check(program.refused > 0, "nothing was refused");
    System.out.println("lives on");
  }

  /** Checks a size that no argument states: rows are in native memory. */
  private void ofManyRows() {
    SparseRows row = SparseRows.of(new int[] {0, 1 << 20}, new int[1 << 20]);
    ChildJvm.check(row.select(new int[20]).entries() == 20 << 20, "as much as the heap");
    check("select", () -> row.select(new int[2047]));
  }

  private void check(String name, Runnable call) {
    try {
      call.run();
      flaws.put(name, "there was enough memory");
    } catch (Throwable e) {
      String flaw = PublicCall.flaw(e);
      if (flaw != null) {
        flaws.put(name, flaw);
      }
    }
  }

  private void tryWith(PublicCall call, int position) {
    for (long size : SIZES) {
      Object absurd = absurd(call.arguments()[position], size);
      if (absurd != null) {
        Object[] arguments = call.arguments().clone();
        arguments[position] = absurd;
        make(new PublicCall(call.called(), call.owner(), arguments));
      }
    }
  }

  /** Returns the size as an argument of the same type; null if its type has no size. */
  private static Object absurd(Object argument, long size) {
    if (argument instanceof FloatTensor tensor) {
      if (tensor.shape().rank() < 2 || size < Integer.MAX_VALUE) {
        return null;
      }
      long[] dimensions = tensor.shape().toArray();
      dimensions[0] = size;
      dimensions[1] = 0;
      return FloatTensor.zeros(dimensions);
    }
    if (argument instanceof long[] dimensions && dimensions.length > 0) {
      long[] changed = dimensions.clone();
      changed[0] = size;
      return changed;
    }
    return argument instanceof Integer
        ? (Object) (int) size
        : argument instanceof Long ? size : null;
  }

  private void make(PublicCall call) {
    try {
      Object result = call.make();
      if (result instanceof AutoCloseable closeable && result != call.owner()) {
        closeable.close();
      }
    } catch (InvocationTargetException e) {
      refused++;
      String flaw = PublicCall.flaw(e.getCause());
      if (flaw != null) {
        flaws.put(call.toString(), flaw);
      }
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }
}
