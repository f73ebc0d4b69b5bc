// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import java.util.Arrays;

/**
 * The pairs of samples and experts in bands, each with the pairs of some experts. An expert is in
 * one band, unless it has more pairs than a band holds: so its weights are read once, and the
 * memory between two products is bounded.
 */
final class ExpertBands {
  private final int[] chosen;
  private final int[] places;
  private final int k;

  /** The pairs of all bands, one band after the other, and in each by sample. */
  private final int[] pairs;

  /** The begin of each band in {@link #pairs}, and the end of the last. */
  private final int[] begins;

  private ExpertBands(int[] chosen, int[] places, int k, int[] pairs, int[] begins) {
    this.chosen = chosen;
    this.places = places;
    this.k = k;
    this.pairs = pairs;
    this.begins = begins;
  }

  /**
   * Divides pairs into bands.
   *
   * @param chosen (batch, k) experts
   * @param places for each pair its place among the gates, or {@link TopExperts#DROPPED}
   * @param experts how many there are
   * @param most pairs of a band, at least 1
   */
  public static ExpertBands of(int[] chosen, int[] places, int k, int experts, int most) {
    int[] begins = cut(counted(chosen, places, experts), most);
    int[] pairs = byExpert(chosen, places, experts);
    for (int band = 0; band + 1 < begins.length; band++) {
      Arrays.sort(pairs, begins[band], begins[band + 1]);
    }
    return new ExpertBands(chosen, places, k, pairs, begins);
  }

  /**
   * Returns the pairs that were not dropped, by expert and then by sample.
   *
   * @param experts how many there are
   */
  public static int[] byExpert(int[] chosen, int[] places, int experts) {
    int[] next = counted(chosen, places, experts);
    addUp(next);
    int[] pairs = new int[next[experts]];
    for (int pair = 0; pair < chosen.length; pair++) {
      if (places[pair] != TopExperts.DROPPED) {
        pairs[next[chosen[pair]]++] = pair;
      }
    }
    return pairs;
  }

  /** Returns the pairs of expert e, at e + 1. */
  private static int[] counted(int[] chosen, int[] places, int experts) {
    int[] counts = new int[experts + 1];
    for (int pair = 0; pair < chosen.length; pair++) {
      counts[chosen[pair] + 1] += places[pair] == TopExperts.DROPPED ? 0 : 1;
    }
    return counts;
  }

  /**
   * Returns where bands begin, and the end of the last.
   *
   * @param loads the pairs of expert e, at e + 1
   */
  private static int[] cut(int[] loads, int most) {
    int total = Arrays.stream(loads).sum();
    int[] begins = new int[1 + (int) Math.min(total, 2L * total / most + 1)];
    int bands = 0;
    int size = most;
    for (int e = 1, at = 0; e < loads.length; e++) {
      for (int left = loads[e], taken; left > 0; left -= taken, size += taken, at += taken) {
        if (size == most || (left <= most && left > most - size)) {
          begins[bands++] = at;
          size = 0;
        }
        taken = Math.min(left, most - size);
      }
    }
    begins[bands] = total;
    return Arrays.copyOf(begins, bands + 1);
  }

  private static void addUp(int[] counts) {
    for (int i = 1; i < counts.length; i++) {
      counts[i] += counts[i - 1];
    }
  }

  /** Returns how many bands there are. */
  public int count() {
    return begins.length - 1;
  }

  /** Returns how many pairs a band has. */
  public int size(int band) {
    return begins[band + 1] - begins[band];
  }

  /** Returns where the pairs of each sample begin within a band, and the end of the last. */
  public int[] offsets(int band) {
    int[] offsets = new int[chosen.length / k + 1];
    for (int i = begins[band]; i < begins[band + 1]; i++) {
      offsets[pairs[i] / k + 1]++;
    }
    addUp(offsets);
    return offsets;
  }

  /** Returns the experts of a band's pairs. */
  public int[] experts(int band) {
    return Arrays.stream(pairs, begins[band], begins[band + 1]).map(pair -> chosen[pair]).toArray();
  }

  /** Returns the places of a band's pairs among the gates. */
  public int[] places(int band) {
    return Arrays.stream(pairs, begins[band], begins[band + 1]).map(pair -> places[pair]).toArray();
  }
}
