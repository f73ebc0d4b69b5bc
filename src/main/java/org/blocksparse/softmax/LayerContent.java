// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.Map;
import org.blocksparse.internal.files.NameTable;

/**
 * The content of a layer's file.
 *
 * @param metadata the caller's own strings
 * @param steps the training steps of the layer so far
 * @param labels the names of the outputs, or null
 */
record LayerContent(
    LayerMemory memory, Map<String, String> metadata, long steps, NameTable labels) {}
