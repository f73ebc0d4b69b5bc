// SPDX-License-Identifier: Apache-2.0
/**
 * Examples and sequences, and the formats of their files.
 *
 * <p>Not API: ChunkedIntList, ItemList, LineParser.
 */
package org.blocksparse.classifier.examples;
