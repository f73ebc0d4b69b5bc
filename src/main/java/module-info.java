// SPDX-License-Identifier: Apache-2.0

/** Block-sparse products and hierarchical softmax over native kernels. */
@SuppressWarnings("module") // the classifier is built later
module org.blocksparse {
  // Transitive: a tensor can be made over a JavaCPP pointer, so its types are part of the API.
  requires transitive org.bytedeco.javacpp;

  // The header of a model file is JSON; no type of it is part of the API.
  requires com.fasterxml.jackson.core;

  // Events, where the JVM can record them.
  requires static jdk.jfr;

  // Reads without the page cache, where the JVM has them.
  requires static jdk.unsupported;

  exports org.blocksparse;
  exports org.blocksparse.bag;
  exports org.blocksparse.experts;
  exports org.blocksparse.io;
  exports org.blocksparse.linear;
  exports org.blocksparse.mixture;
  exports org.blocksparse.products;
  exports org.blocksparse.ranking;
  exports org.blocksparse.softmax;

  // The classifier saves what it writes beside models as the library saves models.
  exports org.blocksparse.internal.files to
      org.blocksparse.classifier;

  // The classifier fits the odds that no label applies as mixtures fit their weights.
  exports org.blocksparse.internal.search to
      org.blocksparse.classifier;

  // The classifier checks its arguments as the library does.
  exports org.blocksparse.internal.tensors to
      org.blocksparse.classifier;

  // JavaCPP's loader looks into the binding by reflection.
  opens org.blocksparse.internal.binding to
      org.bytedeco.javacpp;
}
