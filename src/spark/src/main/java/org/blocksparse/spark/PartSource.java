// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.Serializable;
import org.apache.spark.broadcast.Broadcast;
import org.blocksparse.ClassAssignment;
import org.blocksparse.HierarchicalSoftmax;
import org.blocksparse.SoftmaxPart;
import org.blocksparse.Workers;

/** Where tasks get the parts from that they train. */
interface PartSource extends Serializable {
  /** What the parts are parts of, of one task. */
  Layer open();

  /** The classes of a layer, and its parts as they are before training. */
  interface Layer {
    ClassAssignment classes();

    SoftmaxPart part(int number, Workers workers);
  }

  /** Those of a new layer. */
  record Initial(int features, Broadcast<int[]> classOf, long seed) implements PartSource {
    @Override
    public Layer open() {
      ClassAssignment classes = ClassAssignment.of(classOf.value());
      return new Layer() {
        @Override
        public ClassAssignment classes() {
          return classes;
        }

        @Override
        public SoftmaxPart part(int number, Workers workers) {
          return HierarchicalSoftmax.builder(features, classes.outputs())
              .classes(classes)
              .seed(seed)
              .workers(workers)
              .buildPart(number);
        }
      };
    }
  }

  /** Those of a model whose training goes on, of which there is one in each JVM. */
  record Trained(ModelBytes.Sent bytes) implements PartSource {
    @Override
    public Layer open() {
      HierarchicalSoftmax model = bytes.model().layer();
      return new Layer() {
        @Override
        public ClassAssignment classes() {
          return model.assignment();
        }

        @Override
        public SoftmaxPart part(int number, Workers workers) {
          return SoftmaxPart.of(model, number, workers);
        }
      };
    }
  }
}
