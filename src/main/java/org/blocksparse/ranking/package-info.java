// SPDX-License-Identifier: Apache-2.0
/** Rankings of outputs: the names of outputs, filters and metrics. */
package org.blocksparse.ranking;
