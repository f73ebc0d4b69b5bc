// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

/**
 * The settings of a {@link TopKGate}, as files store them.
 *
 * @param k experts of each sample
 * @param sigmoid whether a probability is the sigmoid of its logit; else they are a softmax
 * @param renormalized whether the gates of a sample add up to 1, but for their scales
 * @param choiceBias for each expert what its probability is increased by for the choice; or null
 * @param groups the experts of a group follow each other; 1: there are none
 * @param groupsUsed groups that a sample chooses from
 * @param scales for each expert the factor of its gates; or null
 * @param capacity samples of an expert; the largest int: no limit
 * @param balancing the weight of the loss; 0: none
 */
@SuppressWarnings("ArrayRecordComponent")
record Gating(
    int k,
    boolean sigmoid,
    boolean renormalized,
    float[] choiceBias,
    int groups,
    int groupsUsed,
    float[] scales,
    int capacity,
    float balancing) {

  static Gating of(int k) {
    return new Gating(k, false, true, null, 1, 1, null, Integer.MAX_VALUE, 0);
  }

  Gating withSigmoid(boolean yes) {
    return new Gating(
        k, yes, renormalized, choiceBias, groups, groupsUsed, scales, capacity, balancing);
  }

  Gating withRenormalized(boolean yes) {
    return new Gating(k, sigmoid, yes, choiceBias, groups, groupsUsed, scales, capacity, balancing);
  }

  Gating withChoiceBias(float[] bias) {
    return new Gating(
        k, sigmoid, renormalized, bias, groups, groupsUsed, scales, capacity, balancing);
  }

  Gating withGroups(int count, int used) {
    return new Gating(
        k, sigmoid, renormalized, choiceBias, count, used, scales, capacity, balancing);
  }

  Gating withScales(float[] factors) {
    return new Gating(
        k, sigmoid, renormalized, choiceBias, groups, groupsUsed, factors, capacity, balancing);
  }

  Gating withCapacity(int samples) {
    return new Gating(
        k, sigmoid, renormalized, choiceBias, groups, groupsUsed, scales, samples, balancing);
  }

  Gating withBalancing(float weight) {
    return new Gating(
        k, sigmoid, renormalized, choiceBias, groups, groupsUsed, scales, capacity, weight);
  }

  boolean isRagged() {
    return capacity != Integer.MAX_VALUE;
  }
}
