// SPDX-License-Identifier: Apache-2.0
/**
 * Files of tensors: safetensors, GGUF and NumPy, and the options that layers are saved and loaded
 * with.
 */
package org.blocksparse.io;
