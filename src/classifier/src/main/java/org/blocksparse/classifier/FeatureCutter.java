// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ForkJoinTask;

/**
 * Cuts texts into features on another thread, while the caller reads more examples and counts the
 * features of those before: each of the two takes about half of the time. Hands on examples in
 * their order, by the thread of the caller.
 */
final class FeatureCutter {
  /** A chunk that is small beside what it takes to hand it to another thread and back. */
  private static final int EXAMPLES = 512;

  /** Of all texts of a chunk, or its features, about: there may be few examples that are long. */
  private static final int CHARACTERS = 1 << 16;

  /** Enough that neither thread waits for the other for long. */
  private static final int CHUNKS_AHEAD = 4;

  /** Of all chunks that are ahead; a longer text is cut while nothing else is. */
  private static final int MOST_CHARACTERS_AHEAD = 1 << 20;

  /** Set in the key of words in a row; keys have fewer bits. */
  private static final long IN_A_ROW = 1L << Vocabulary.KEY_BITS;

  private final TextFeatures features;
  private final boolean ahead;
  private final Sink sink;
  private final Queue<Chunk> chunks = new ArrayDeque<>();
  private Chunk last;
  private long charactersAhead;

  /** The keys of a chunk that were handed on, to be used for another one: no garbage. */
  private long[] spare = new long[EXAMPLES];

  /**
   * A cutter.
   *
   * @param ahead whether another thread cuts; if not, it is that of the caller
   */
  FeatureCutter(TextFeatures features, boolean ahead, Sink sink) {
    this.features = features;
    this.ahead = ahead;
    this.sink = sink;
    this.last = new Chunk();
  }

  /** Takes an example with the keys of its text; with none if it is not one. */
  @FunctionalInterface
  interface Sink {
    void take(Example example, Keys keys);
  }

  /** Receives features, each by its key. */
  @FunctionalInterface
  interface KeyConsumer {
    void accept(long key, boolean isWord);
  }

  /** The keys of an example's features. */
  static final class Keys {
    private final long[] keys;
    private final int begin;
    private final int end;

    private Keys(long[] keys, int begin, int end) {
      this.keys = keys;
      this.begin = begin;
      this.end = end;
    }

    void forEach(KeyConsumer consumer) {
      for (int i = begin; i < end; i++) {
        consumer.accept(keys[i] & ~IN_A_ROW, (keys[i] & IN_A_ROW) == 0);
      }
    }
  }

  /** Some examples, and the keys of all their texts, one after the other. */
  private final class Chunk {
    private final List<Example> examples = new ArrayList<>();
    private final ForkJoinTask<?> cutting = ForkJoinTask.adapt(this::cut);
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
      return examples.size() == EXAMPLES || characters >= CHARACTERS;
    }

    private void cut() {
      ends = new int[examples.size()];
      for (int e = 0; e < ends.length; e++) {
        if (examples.get(e).isText()) {
          features.of(examples.get(e).text(), this::add, key -> add(key | IN_A_ROW));
        }
        ends[e] = size;
      }
    }

    private void add(long key) {
      if (size == keys.length) {
        keys = Arrays.copyOf(keys, Math.max(EXAMPLES, size + (size >> 1)));
      }
      keys[size++] = key;
    }

    private void handOn() {
      if (ahead) {
        cutting.join();
      } else {
        cutting.invoke();
      }
      int begin = 0;
      for (int e = 0; e < ends.length; e++) {
        sink.take(examples.get(e), new Keys(keys, begin, ends[e]));
        begin = ends[e];
      }
      spare = keys.length <= CHARACTERS ? keys : new long[0];
    }
  }

  void add(Example example) {
    last.add(example);
    if (last.isFull()) {
      cutLast();
    }
  }

  /** Hands on all that are left. */
  void finish() {
    cutLast();
    while (!chunks.isEmpty()) {
      handOnFirst();
    }
  }

  private void cutLast() {
    if (ahead) {
      last.cutting.fork();
    }
    chunks.add(last);
    charactersAhead += last.characters;
    while (chunks.size() > CHUNKS_AHEAD || charactersAhead > MOST_CHARACTERS_AHEAD) {
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
