// SPDX-License-Identifier: Apache-2.0

/** The choice of kernels at run time, its report, and the self-test. */
package org.blocksparse.internal.backend;
