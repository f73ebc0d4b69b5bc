// SPDX-License-Identifier: Apache-2.0
/** Recommendation of the next items of a history. */
package org.blocksparse.classifier.nextitem;
