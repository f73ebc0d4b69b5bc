// SPDX-License-Identifier: Apache-2.0

/**
 * The common part of the files of all layers: safetensors, the names, weights and optimizer state
 * in them, and atomic replacement of a file by another. Files may come from anybody: they are
 * checked before memory is allocated, and rejected with {@link
 * org.blocksparse.internal.files.MalformedException}, to which the public API adds the file.
 */
package org.blocksparse.internal.files;
