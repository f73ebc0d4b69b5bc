// SPDX-License-Identifier: Apache-2.0
/** Features of texts, the vocabulary of those that a model keeps, and rows of its table. */
package org.blocksparse.classifier.features;
