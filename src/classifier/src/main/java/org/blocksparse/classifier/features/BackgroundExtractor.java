// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.features;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.FutureTask;
import org.blocksparse.Workers;
import org.blocksparse.classifier.examples.Example;

/**
 * Runs a {@link FeatureExtractor} on another thread, if there is one, while the caller reads more
 * examples and counts the features of earlier ones: each of the two takes about half of the time.
 * The caller's thread passes the examples on, in their order.
 */
public final class BackgroundExtractor {
  /**
   * The examples of a chunk, whose work is much longer than handing it to another thread and back.
   */
  private static final int EXAMPLES = 512;

  /** The approximate characters of a chunk, or its features: examples may be few and long. */
  private static final int CHARACTERS = 1 << 16;

  /** The chunks ahead, enough that neither thread waits long for the other. */
  private static final int CHUNKS_AHEAD = 4;

  /**
   * The maximum number of characters in all chunks ahead; after a longer text, reading waits until
   * its features are extracted.
   */
  private static final int MOST_CHARACTERS_AHEAD = 1 << 20;

  /** The bits of a key; the group is above them. */
  private static final long KEY = (1L << FeatureVocabulary.KEY_BITS) - 1;

  private final FeatureExtractor features;
  private final Workers workers;
  private final Sink sink;

  /** The maximum number of examples of a chunk. */
  private final int mostExamples;

  private final int mostChunksAhead;
  private final Queue<Chunk> chunks = new ArrayDeque<>();
  private Chunk last;
  private long charactersAhead;

  /** The keys of a finished chunk, reused for another one to avoid garbage. */
  private long[] spare = new long[EXAMPLES];

  /** Creates an extractor. Without other threads, it passes each example on at once. */
  public BackgroundExtractor(FeatureExtractor features, Workers workers, Sink sink) {
    boolean ahead = Prefetch.isPossible(workers);
    this.features = features;
    this.workers = workers;
    this.sink = sink;
    this.mostExamples = ahead ? EXAMPLES : 1;
    this.mostChunksAhead = ahead ? CHUNKS_AHEAD : 0;
    this.last = new Chunk();
  }

  /** Receives an example with the keys of its text, or without keys if it has no text. */
  @FunctionalInterface
  public interface Sink {
    void take(Example example, Keys keys);
  }

  /** Receives features, each by its key. */
  @FunctionalInterface
  public interface KeyConsumer {
    void accept(long key, FeatureGroup group);
  }

  /** The keys of an example's features. */
  public static final class Keys {
    private final long[] keys;
    private final int begin;
    private final int end;

    private Keys(long[] keys, int begin, int end) {
      this.keys = keys;
      this.begin = begin;
      this.end = end;
    }

    public void forEach(KeyConsumer consumer) {
      for (int i = begin; i < end; i++) {
        int group = (int) (keys[i] >>> FeatureVocabulary.KEY_BITS);
        consumer.accept(keys[i] & KEY, FeatureGroup.of(group));
      }
    }
  }

  /** Some examples, and the keys of all their texts, one after the other. */
  private final class Chunk {
    private final List<Example> examples = new ArrayList<>();
    private FutureTask<Chunk> cutting;
    private long characters;
    private long[] keys;
    private int[] ends;
    private int size;

    Chunk() {
      keys = spare;
      spare = new long[0];
    }

    void add(Example example) {
      examples.add(example);
      characters += example.isText() ? example.text().length() : example.indices().length;
    }

    boolean isFull() {
      return examples.size() == mostExamples || characters >= CHARACTERS;
    }

    private Chunk cut() {
      ends = new int[examples.size()];
      for (int e = 0; e < ends.length; e++) {
        if (examples.get(e).isText()) {
          features.of(
              examples.get(e).text(),
              (key, group, begin, end) ->
                  add(key | ((long) group.number() << FeatureVocabulary.KEY_BITS)));
        }
        ends[e] = size;
      }
      return this;
    }

    private void add(long key) {
      if (size == keys.length) {
        keys = Arrays.copyOf(keys, Math.max(EXAMPLES, size + (size >> 1)));
      }
      keys[size++] = key;
    }

    private void handOn() {
      Prefetch.result(cutting);
      int begin = 0;
      for (int e = 0; e < ends.length; e++) {
        sink.take(examples.get(e), new Keys(keys, begin, ends[e]));
        begin = ends[e];
      }
      spare = keys.length <= CHARACTERS ? keys : new long[0];
    }
  }

  public void add(Example example) {
    last.add(example);
    if (last.isFull()) {
      cutLast();
    }
  }

  /** Passes the remaining examples on. */
  public void finish() {
    cutLast();
    while (!chunks.isEmpty()) {
      handOnFirst();
    }
  }

  private void cutLast() {
    last.cutting = Prefetch.begin(last::cut, workers);
    chunks.add(last);
    charactersAhead += last.characters;
    while (chunks.size() > mostChunksAhead || charactersAhead > MOST_CHARACTERS_AHEAD) {
      handOnFirst();
    }
    last = new Chunk();
  }

  private void handOnFirst() {
    Chunk first = chunks.remove();
    charactersAhead -= first.characters;
    first.handOn();
  }
}
