// SPDX-License-Identifier: Apache-2.0
/** Training of classifiers: options, heads, folds and held-out examples. */
package org.blocksparse.classifier.training;
