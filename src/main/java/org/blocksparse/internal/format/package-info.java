// SPDX-License-Identifier: Apache-2.0

/**
 * Files: safetensors, GGUF, arrays and archives of NumPy, classes as text, and how a file is put in
 * the place of another. Knows memory and files, and nothing of layers. Files may come from anybody:
 * they are checked before memory is taken, and refused with {@link
 * org.blocksparse.internal.format.MalformedException}, to which the public API adds the file.
 */
package org.blocksparse.internal.format;
