// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.Model;
import ai.djl.inference.Predictor;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import ai.djl.nn.SequentialBlock;
import ai.djl.nn.core.Linear;
import ai.djl.translate.NoopTranslator;
import ai.djl.translate.TranslateException;
import org.blocksparse.FloatTensor;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.junit.jupiter.api.Test;

class DjlBridgeTest {
  private final NDManager manager = NDManager.newBaseManager("PyTorch");

  @Test
  void embeddingsOfAModelAreRanked() throws TranslateException {
    SequentialBlock layers =
        new SequentialBlock().add(Linear.builder().setUnits(8).build()).add(Activation::tanh);
    layers.initialize(manager, DataType.FLOAT32, new Shape(4, 16));
    try (Model model = Model.newInstance("embedder", "PyTorch");
        HierarchicalSoftmax softmax = HierarchicalSoftmax.builder(8, 100).seed(5).build()) {
      model.setBlock(layers);
      try (Predictor<NDList, NDList> predictor = model.newPredictor(new NoopTranslator(null));
          NDList embeddings =
              predictor.predict(new NDList(manager.randomNormal(new Shape(4, 16))));
          FloatTensor copy = FloatTensor.of(embeddings.singletonOrThrow().toFloatArray(), 4, 8)) {
        Ranking shared = DjlTraining.topK(embeddings.singletonOrThrow(), softmax, 5);
        Ranking copied = softmax.topK(copy, 5);
        assertEquals(4, shared.batch());
        for (int row = 0; row < shared.batch(); row++) {
          assertArrayEquals(copied.outputs(row), shared.outputs(row));
        }
      }
    }
  }

  @Test
  void memoryIsShared() {
    NDArray array = manager.randomNormal(new Shape(4, 8));
    try (FloatTensor tensor = DjlTraining.wrap(array)) {
      assertArrayEquals(array.toFloatArray(), tensor.toArray());
      tensor.set(42, 3, 7);
      assertEquals(42, array.getFloat(3, 7));
      array.muli(2);
      assertEquals(84, tensor.get(3, 7));
    }
  }

  @Test
  void arraysThatAreNotInOrderAreCopied() {
    NDArray array = manager.arange(6f).reshape(2, 3);
    for (NDArray view : new NDArray[] {array.transpose(), array.get(":, 1:"), array.get("1:")}) {
      try (FloatTensor tensor = DjlTraining.wrap(view)) {
        assertArrayEquals(view.toFloatArray(), tensor.toArray(), view.getShape() + "");
      }
    }
  }

  @Test
  void otherTypesAreRefused() {
    for (DataType type : new DataType[] {DataType.INT32, DataType.FLOAT64, DataType.FLOAT16}) {
      NDArray array = manager.zeros(new Shape(4, 8), type);
      IllegalArgumentException refused =
          assertThrows(IllegalArgumentException.class, () -> DjlTraining.wrap(array));
      assertTrue(refused.getMessage().startsWith("array: expected FLOAT32 but"));
    }
  }
}
