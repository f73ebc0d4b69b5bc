// SPDX-License-Identifier: Apache-2.0

/**
 * The plans of products (which rows meet which blocks, in which order), and the threads that run
 * them. A schedule depends on the indices alone; {@link
 * org.blocksparse.internal.schedule.Scheduler} runs its tasks.
 */
package org.blocksparse.internal.schedule;
