// SPDX-License-Identifier: Apache-2.0
/**
 * Files of fastText.
 *
 * <p>Not API: FastTextDictionary, FastTextModel.
 */
package org.blocksparse.classifier.fasttext;
