// SPDX-License-Identifier: Apache-2.0
/** Training of classifiers: options, heads, folds, held-out examples and tuning. */
package org.blocksparse.classifier.training;
