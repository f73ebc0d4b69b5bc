// SPDX-License-Identifier: Apache-2.0
/**
 * Schedules define what is computed, the scheduler on which threads, and kernels how. Tensors and
 * the checks of arguments are in the layers above.
 *
 * <table>
 *   <caption>Words</caption>
 *   <tr><th>word</th><th>meaning</th></tr>
 *   <tr><td>schedule</td><td>a plan as the kernels read it, packed into int32</td></tr>
 *   <tr><td>pair</td><td>a row and a block that it is multiplied with</td></tr>
 *   <tr><td>segment</td><td>pairs of a chunk that have the block in common</td></tr>
 *   <tr><td>chunk</td><td>rows that are written together, with their segments</td></tr>
 *   <tr><td>band</td><td>some columns of the rows, or rows of the block, that are written</td></tr>
 *   <tr><td>task</td><td>a band of a chunk or of a block: what a worker takes at a time</td></tr>
 *   <tr><td>piece</td><td>what is copied, checked or fetched at a time of something longer</td></tr>
 *   <tr><td>share</td><td>some rows of a table, whose entries one worker sorts</td></tr>
 *   <tr><td>slice</td><td>some of the rows or elements of others, not copied</td></tr>
 *   <tr><td>scratch</td><td>memory that is borrowed for a task, or for all tasks of a call</td></tr>
 *   <tr><td>workspace</td><td>memory that one call of a layer borrows, by its uses</td></tr>
 * </table>
 */
package org.blocksparse.internal.kernels;
