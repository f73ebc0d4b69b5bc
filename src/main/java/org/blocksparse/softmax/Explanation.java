// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

/**
 * Explains the probability of an output, level by level. Probabilities have the errors of {@link
 * TwoLevelLayer#probabilities}, and below 2<sup>-126</sup>, where that is 0 or has few digits,
 * those of {@link org.blocksparse.ranking.Ranking#probability}.
 *
 * @param output the output, by the caller's number
 * @param label its name; null if it has none
 * @param classNumber its class
 * @param classProbability P(class)
 * @param classRank how many classes are likelier
 * @param probabilityInClass P(output | class)
 * @param rankInClass how many outputs of the class are likelier
 */
public record Explanation(
    int output,
    String label,
    int classNumber,
    double classProbability,
    int classRank,
    double probabilityInClass,
    int rankInClass) {
  /** Returns P(output), the product of the two. */
  public double probability() {
    return classProbability * probabilityInClass;
  }
}
