// SPDX-License-Identifier: Apache-2.0
/** Sums of the scores of several layers, which are searched exactly. */
package org.blocksparse.mixture;
