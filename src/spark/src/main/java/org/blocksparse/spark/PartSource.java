// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.Serializable;
import org.apache.spark.broadcast.Broadcast;
import org.blocksparse.Workers;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.TwoLevelLayer;

/** The source of the parts that tasks train. */
interface PartSource extends Serializable {
  /** Opens the layer of the parts, for one task. */
  Layer open();

  /** The classes of a layer, and its parts before training. */
  interface Layer {
    ClassAssignment classes();

    TrainedPart<?> part(int number, Workers workers);
  }

  /** The parts of a new layer. */
  record Initial(EstimatorKind kind, int features, Broadcast<int[]> classOf, long seed)
      implements PartSource {
    @Override
    public Layer open() {
      ClassAssignment classes = ClassAssignment.of(classOf.value());
      return new Layer() {
        @Override
        public ClassAssignment classes() {
          return classes;
        }

        @Override
        public TrainedPart<?> part(int number, Workers workers) {
          return kind.newPart(features, classes, seed, number, workers);
        }
      };
    }
  }

  /** The parts of a model whose training continues; each JVM has one. */
  record Trained(ModelBytes.Sent bytes) implements PartSource {
    @Override
    public Layer open() {
      TwoLevelLayer<?> model = bytes.modelToTrain().layer();
      return new Layer() {
        @Override
        public ClassAssignment classes() {
          return model.assignment();
        }

        @Override
        public TrainedPart<?> part(int number, Workers workers) {
          return TrainedPart.of(model, number, workers);
        }
      };
    }
  }
}
