// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.schedule;

import java.util.Arrays;

/**
 * The blocks that each sample of a batch selects, one sample after the other: the same number for
 * all, or a number for each. Only this class knows the begin and the end of a sample.
 */
public final class SampleWindows {
  private final int batch;
  private final int[] blocks;

  /** The elements of each sample; unused if {@link #begins} exists. */
  private final int length;

  /** The first element of each sample and the end of the last; null if all have as many. */
  private final int[] begins;

  /** The sample of each element; null if all have as many. */
  private final int[] samples;

  private SampleWindows(int batch, int[] blocks, int length, int[] begins, int[] samples) {
    this.batch = batch;
    this.blocks = blocks;
    this.length = length;
    this.begins = begins;
    this.samples = samples;
  }

  /**
   * Returns windows of equal length.
   *
   * @param blocks (batch, length): what is selected; not copied
   */
  public static SampleWindows equal(int batch, int[] blocks) {
    return new SampleWindows(batch, blocks, batch == 0 ? 0 : blocks.length / batch, null, null);
  }

  /**
   * Returns windows of any length: sample s selects {@code blocks[begins[s]]} to {@code
   * blocks[begins[s + 1] - 1]}.
   *
   * @param begins batch + 1, ascending from 0 to the number of blocks; not copied
   * @param blocks the selected blocks; not copied
   */
  public static SampleWindows ragged(int[] begins, int[] blocks) {
    int batch = begins.length - 1;
    int[] samples = new int[blocks.length];
    for (int sample = 0; sample < batch; sample++) {
      Arrays.fill(samples, begins[sample], begins[sample + 1], sample);
    }
    return new SampleWindows(batch, blocks, 0, begins, samples);
  }

  /** Returns the number of samples. */
  public int batch() {
    return batch;
  }

  /** Returns the blocks that all elements select. */
  public int[] blocks() {
    return blocks;
  }

  int block(int element) {
    return blocks[element];
  }

  /** Returns how many blocks all samples select together. */
  public int elements() {
    return blocks.length;
  }

  int sampleOf(int element) {
    return samples == null ? element / length : samples[element];
  }

  /** Returns the first element of a sample. */
  int begin(int sample) {
    return begins == null ? sample * length : begins[sample];
  }

  public int end(int sample) {
    return begins == null ? (sample + 1) * length : begins[sample + 1];
  }

  /** Returns how many elements of {@code others} are of the same sample as an element of these. */
  int partners(int element, SampleWindows others) {
    if (others.begins == null) {
      return others.length;
    }
    int sample = sampleOf(element);
    return others.begins[sample + 1] - others.begins[sample];
  }

  /** Returns all samples in order. */
  int[] samplesInOrder() {
    return numbers(batch);
  }

  /** Returns all elements in order. */
  int[] elementsInOrder() {
    return numbers(blocks.length);
  }

  private static int[] numbers(int count) {
    int[] all = new int[count];
    for (int i = 0; i < count; i++) {
      all[i] = i;
    }
    return all;
  }

  /**
   * Returns all samples by the block that they select first; one that selects none, as if block 0.
   */
  int[] samplesByFirst(int bound) {
    int[] first = new int[batch];
    for (int sample = 0; sample < batch; sample++) {
      first[sample] = begin(sample) == end(sample) ? 0 : blocks[begin(sample)];
    }
    return RadixSort.sort(first, bound, samplesInOrder());
  }

  /** Returns the elements of the given samples, in their order. */
  int[] elementsOf(int[] chosen) {
    int[] elements = new int[blocks.length];
    int next = 0;
    for (int sample : chosen) {
      for (int element = begin(sample); element < end(sample); element++) {
        elements[next++] = element;
      }
    }
    return elements;
  }
}
