// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.jni.JniUtils;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import org.blocksparse.FloatTensor;

/** PyTorch through DJL, on all processors. */
final class PyTorch {
  static {
    int processors = Runtime.getRuntime().availableProcessors();
    System.setProperty("ai.djl.pytorch.num_threads", Integer.toString(processors));
    System.setProperty("ai.djl.offline", "true");
    System.setProperty("OPT_OUT_TRACKING", "true");
  }

  private PyTorch() {}

  static NDManager manager() {
    NDManager manager = NDManager.newBaseManager(Device.cpu(), "PyTorch");
    JniUtils.setGradMode(false); // DJL does this, but only for the thread that loads PyTorch
    return manager;
  }

  /** Returns the tensor's own memory as an array. */
  static NDArray wrap(NDManager manager, FloatTensor tensor) {
    Shape shape = new Shape(tensor.shape().toArray());
    return manager.create(tensor.asByteBuffer(), shape, DataType.FLOAT32);
  }

  static FloatBuffer floats(NDArray array) {
    return array.toByteBuffer(true).order(ByteOrder.nativeOrder()).asFloatBuffer();
  }

  static long[] longs(int[] values) {
    return Arrays.stream(values).asLongStream().toArray();
  }
}
