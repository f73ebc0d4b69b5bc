// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.tensors;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.Tensor;
import org.blocksparse.Weights;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.NamedTensors;
import org.blocksparse.io.TensorFile;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The memory that a lease holds, also when it fails. */
final class OperandLeaseTest {
  private final FloatTensor tensor = FloatTensor.zeros(3);
  private final FloatTensor closed = FloatTensor.zeros(5);

  @BeforeEach
  void close() {
    closed.close();
  }

  private interface Holding {
    void by(OperandLease lease);
  }

  /** Asserts that a call fails after it has held a tensor, and releases it. */
  private void assertRefused(String message, Holding holding) {
    OperandLease lease = new OperandLease().of("tensor", tensor);
    IllegalStateException refused =
        assertThrows(IllegalStateException.class, () -> holding.by(lease));
    assertTrue(refused.getMessage().startsWith(message), refused::toString);
    tensor.close();
    assertTrue(Dense.from(tensor).storage().isFreed(), "it is held still");
  }

  @Test
  void whatIsHeldStaysUntilTheEnd() {
    try (OperandLease lease = new OperandLease().of("tensor", tensor).writing("tensor", tensor)) {
      assertTrue(lease.tryHold(Dense.from(tensor).storage()));
      tensor.close();
      assertFalse(Dense.from(tensor).storage().isFreed());
    }
    assertTrue(Dense.from(tensor).storage().isFreed());
  }

  @Test
  void weightsStayWithTheirScales() {
    try (FloatTensor wide = FloatTensor.zeros(2, 3, 4, 5)) {
      for (ElementType type : ElementType.values()) {
        Weights weights = Weights.of(wide, type);
        Storage scales = StoredBlocks.from(weights).scales();
        OperandLease lease = new OperandLease().of("W", weights);
        weights.close();
        assertFalse(StoredBlocks.from(weights).elements().isFreed(), "elements of " + type);
        assertFalse(scales != null && scales.isFreed(), "scales of " + type);
        lease.close();
        assertTrue(StoredBlocks.from(weights).elements().isFreed(), "elements of " + type);
        assertTrue(scales == null || scales.isFreed(), "scales of " + type);
      }
    }
  }

  @Test
  void nothingIsHeldOfNothing() {
    try (OperandLease lease = new OperandLease()) {
      assertEquals(lease, lease.of("a", (Tensor) null).of("b", (Weights) null).writing("c", null));
      assertTrue(lease.tryHold(null));
    }
  }

  @Test
  void aTensorThatIsClosed() {
    assertRefused("x: ", lease -> lease.of("x", closed));
  }

  @Test
  void aTensorThatIsClosedAndWouldBeWritten() {
    assertRefused("out: ", lease -> lease.writing("out", closed));
  }

  @Test
  void weightsThatAreClosed() {
    FloatTensor W = FloatTensor.zeros(1, 1, 2, 2);
    Weights weights = Weights.of(W, ElementType.INT8);
    W.close();
    weights.close();
    assertRefused("W: ", lease -> lease.of("W", weights));
  }

  @Test
  void aTensorThatCannotBeWritten(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("file");
    try (FloatTensor saved = FloatTensor.zeros(2)) {
      TensorFile.save(file, NamedTensors.none().with("t", saved));
    }
    try (TensorFile open = TensorFile.open(file, LoadOptions.mapped());
        FloatTensor mapped = open.floats("t")) {
      assertRefused("out: ", lease -> lease.writing("out", mapped));
      Storage storage = Dense.from(mapped).storage();
      mapped.close();
      assertTrue(storage.isFreed(), "it is held still");
    }
  }

  /** Others try one tensor after the other, and continue with those that are open. */
  @Test
  void memoryThatIsClosedIsTriedOnly() {
    try (OperandLease lease = new OperandLease().of("tensor", tensor)) {
      assertFalse(lease.tryHold(Dense.from(closed).storage()));
      tensor.close();
      assertFalse(Dense.from(tensor).storage().isFreed());
    }
    assertTrue(Dense.from(tensor).storage().isFreed());
  }
}
