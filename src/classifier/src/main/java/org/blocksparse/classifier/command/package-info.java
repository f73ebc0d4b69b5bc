// SPDX-License-Identifier: Apache-2.0
/** The command {@code blocksparse-classifier}. */
package org.blocksparse.classifier.command;
