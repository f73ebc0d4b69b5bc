// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.nextitem;

import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/**
 * Sessions of clicks that are made up, with something to learn from them.
 *
 * <p>Items are about as popular as words of a language: item i is drawn as often as (i + {@link
 * #HEAD}) to the power of -{@link #ZIPF} says. Each belongs to a topic and has a taste, a place on
 * a circle. A session is about two topics, one of them more, and has a taste, too. It clicks
 * popular items of its topics, the rather the nearer their taste is to its own; now and then it
 * clicks any item; and it clicks none twice.
 */
final class Clicks {
  /** Without it, the first item would have a seventh of all clicks. */
  private static final int HEAD = 20;

  private static final double ZIPF = 1.1;

  private static final int ITEMS_OF_A_TOPIC = 130;
  private static final double FIRST_TOPIC = 0.75;
  private static final double SECOND_TOPIC = 0.15;
  private static final double TASTE_WIDTH = 0.3;
  private static final int SHORTEST = 4;
  private static final int LONGEST = 25;
  private static final double MEAN_LENGTH_MORE = 6;
  private static final int TRIES = 40;

  private final SplittableRandom random;
  private final double[] taste;
  private final Weighted all;
  private final Weighted[] ofTopic;
  private final Weighted topics;

  /** Numbers that are drawn as often as their weights say. */
  private record Weighted(int[] numbers, double[] cumulative) {
    static Weighted of(int[] numbers, double[] weights) {
      double[] cumulative = weights.clone();
      Arrays.parallelPrefix(cumulative, Double::sum);
      return new Weighted(numbers, cumulative);
    }

    double sum() {
      return cumulative.length == 0 ? 0 : cumulative[cumulative.length - 1];
    }

    int draw(SplittableRandom random) {
      int found = Arrays.binarySearch(cumulative, random.nextDouble() * sum());
      return numbers[found < 0 ? -found - 1 : found];
    }
  }

  Clicks(int items, long seed) {
    this.random = new SplittableRandom(seed);
    this.taste = random.doubles(items).toArray();
    int count = Math.max(2, items / ITEMS_OF_A_TOPIC);
    int[] topicOf = random.ints(items, 0, count).toArray();
    this.all = items(IntStream.range(0, items).toArray());
    this.ofTopic = new Weighted[count];
    double[] weights = new double[count];
    int[][] members = new int[count][0];
    int[] sizes = new int[count];
    for (int item = 0; item < items; item++) {
      int topic = topicOf[item];
      members[topic] = Arrays.copyOf(members[topic], sizes[topic] + 1);
      members[topic][sizes[topic]++] = item;
    }
    for (int topic = 0; topic < count; topic++) {
      ofTopic[topic] = items(members[topic]);
      // Popular topics are common, but not as much as their items are together.
      weights[topic] = Math.sqrt(ofTopic[topic].sum());
    }
    this.topics = Weighted.of(IntStream.range(0, count).toArray(), weights);
  }

  private static Weighted items(int[] items) {
    return Weighted.of(
        items, Arrays.stream(items).mapToDouble(i -> Math.pow(i + HEAD, -ZIPF)).toArray());
  }

  /** The next session: different items, in the order of the clicks. */
  int[] session() {
    double own = random.nextDouble();
    Weighted first = ofTopic[topics.draw(random)];
    Weighted second = ofTopic[topics.draw(random)];
    double more = -MEAN_LENGTH_MORE * Math.log(1 - random.nextDouble());
    int[] clicks = new int[(int) Math.min(LONGEST, SHORTEST + more)];
    int count = 0;
    for (int tries = 0; tries < TRIES * LONGEST && count < clicks.length; tries++) {
      double choice = random.nextDouble();
      boolean any = choice >= FIRST_TOPIC + SECOND_TOPIC;
      int item = (any ? all : choice < FIRST_TOPIC ? first : second).draw(random);
      if ((any || suits(own, item)) && !contains(clicks, count, item)) {
        clicks[count++] = item;
      }
    }
    return Arrays.copyOf(clicks, count);
  }

  private boolean suits(double own, int item) {
    double distance = Math.abs(own - taste[item]);
    double onCircle = Math.min(distance, 1 - distance) / TASTE_WIDTH;
    return random.nextDouble() < Math.exp(-onCircle * onCircle);
  }

  private static boolean contains(int[] clicks, int count, int item) {
    return Arrays.stream(clicks, 0, count).anyMatch(clicked -> clicked == item);
  }
}
