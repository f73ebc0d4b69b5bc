// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.schedule;

/**
 * The blocks that each sample of a batch selects, one sample after the other. All samples select
 * the same number; where each begins and ends is asked here alone.
 */
final class SampleWindows {
  private final int batch;
  private final int[] blocks;
  private final int length;

  /**
   * Windows of equal length.
   *
   * @param blocks (batch, length): what is selected; not copied
   */
  SampleWindows(int batch, int[] blocks) {
    this.batch = batch;
    this.blocks = blocks;
    this.length = batch == 0 ? 0 : blocks.length / batch;
  }

  /** What all elements select. */
  int[] blocks() {
    return blocks;
  }

  int block(int element) {
    return blocks[element];
  }

  int elements() {
    return blocks.length;
  }

  /** The elements of each sample. */
  int length() {
    return length;
  }

  int sampleOf(int element) {
    return element / length;
  }

  /** The first element of a sample. */
  int begin(int sample) {
    return sample * length;
  }

  int end(int sample) {
    return begin(sample) + length;
  }

  /** All samples in order. */
  int[] samples() {
    int[] samples = new int[batch];
    for (int sample = 0; sample < batch; sample++) {
      samples[sample] = sample;
    }
    return samples;
  }

  /** All samples by the block that they select first; there is one. */
  int[] samplesByFirst(int bound) {
    int[] first = new int[batch];
    for (int sample = 0; sample < batch; sample++) {
      first[sample] = blocks[begin(sample)];
    }
    return RadixSort.sort(first, bound, samples());
  }

  /** The elements of the given samples, in their order. */
  int[] elementsOf(int[] samples) {
    int[] elements = new int[blocks.length];
    int next = 0;
    for (int sample : samples) {
      for (int element = begin(sample); element < end(sample); element++) {
        elements[next++] = element;
      }
    }
    return elements;
  }
}
