// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.internal.search.ScoreSource.Scaled;

/**
 * Finds the outputs with the highest sums of the scores of any number of sources, without computing
 * all of them: the threshold algorithm (Fagin, Lotem and Naor, 2003) over classes of outputs.
 *
 * <p>One source is the leader. Its nodes are opened in descending order of an upper bound of the
 * sum: that of the node, of the highest sparse score below it, and of the other sources for its
 * outputs. The scores of the others are looked up ({@link ClassLookup}) for outputs that can change
 * the ranking. The search ends when no closed node can ({@link Addends} has the arithmetic). How
 * many classes that takes depends on how peaked the scores are; in the worst case it is all.
 *
 * <p>If the leader opens classes of several rows together, rows search in rounds. In a round a row
 * opens at most as many classes as it did before, which at most doubles the work of the last round
 * and keeps the rounds few; or all at once, where nothing is likely to be ruled out.
 */
public final class SumSearch {
  /** An estimate of the work for a row, in multiply-adds. */
  private static final long ROW_WORK = 1 << 14;

  /** The cost of checking one result, or one class, in multiply-adds. */
  private static final long LOOK_WORK = 16;

  /** The cost of each output that a filter lists: its class and slot are in large tables. */
  private static final long LIST_WORK = 256;

  /**
   * The maximum number of rows whose added scores are in memory together, if classes are shared.
   */
  private static final int MOST_ROWS = 64;

  /**
   * The fraction of classes, one in {@value}, and at least {@link #LEAST}, after whose opening a
   * search reviews the others.
   */
  private static final int SOME = 64;

  private static final int LEAST = 16;

  private final ScoreSource leader;

  /** The scale of the leader; null if its scores are the sums. */
  private final ScoreSource.Scale scale;

  private final List<Scaled> others;
  private final List<SparseTerm> terms;
  private final int wanted;
  private final ClassTable table;
  private final int[] parents;

  /**
   * Creates a search over leased sources and terms.
   *
   * @param sources at least one; the first that {@linkplain ScoreSource#sharedReads shares reads}
   *     leads, or else the first
   * @param wanted an estimate of the outputs that are found
   * @throws IllegalStateException if the sources have different numbers of outputs
   */
  public SumSearch(List<Scaled> sources, List<SparseTerm> terms, int wanted) {
    int first =
        IntStream.range(0, sources.size())
            .filter(i -> sources.get(i).source().sharedReads() != null)
            .findFirst()
            .orElse(0);
    this.leader = sources.get(first).source();
    this.scale = sources.get(first).scale();
    this.others = new ArrayList<>(sources);
    this.others.remove(first);
    this.terms = terms;
    this.wanted = wanted;
    this.table = leader.classes();
    this.parents = leader.parents();
    for (Scaled other : others) {
      int outputs = other.source().classes().outputs();
      if (outputs != table.outputs()) {
        throw new IllegalStateException(
            "mixture: a scorer has "
                + outputs
                + " outputs, but another one has "
                + table.outputs());
      }
    }
  }

  /** Creates a search of the scores of one source. */
  public SumSearch(ScoreSource source) {
    this(List.of(new Scaled(source, null)), List.of(), 1);
  }

  /** Returns the number of outputs. */
  public int outputs() {
    return table.outputs();
  }

  /** Returns the ranking of every row, with candidates made for each; operands were checked. */
  public SearchResult search(int batch, OutputFilter filter, Candidates.Maker candidates) {
    RowResults results = new RowResults(batch);
    OutputFilter live = withoutRetired(filter);
    OutputFilter.OfRow rowFilter = live.in(table);
    ScoreSource.SharedReads shared = leader.sharedReads();
    int step = Math.min(batch, leader.rowsAtOnce());
    for (Scaled other : others) {
      step = Math.min(step, other.source().rowsAtOnce());
    }
    step = shared == null ? step : Math.min(step, MOST_ROWS);
    for (int begin = 0; begin < batch; begin += step) {
      int first = begin;
      int count = Math.min(step, batch - begin);
      leader.prepare(first, count);
      others.forEach(other -> other.source().prepare(first, count));
      if (shared == null) {
        leader
            .engine()
            .run(
                count,
                ROW_WORK * count + sparseWork(first, count),
                Row::new,
                (row, from, to) -> {
                  for (int r = first + from; r < first + to; r++) {
                    row.begin(r, rowFilter.of(r), candidates.make(0));
                    row.run();
                    results.put(r, row.found, row.opened, row.allowed);
                  }
                });
      } else {
        Row[] rows = new Row[count];
        try {
          searchTogether(shared, rows, first, rowFilter, live.listed(), candidates);
          for (int r = 0; r < count; r++) {
            results.put(first + r, rows[r].found, rows[r].opened, rows[r].allowed);
          }
        } finally {
          for (Row row : rows) {
            if (row != null) {
              row.close();
            }
          }
        }
      }
    }
    return results.result();
  }

  /** Returns a filter that also excludes outputs that are retired in another source. */
  private OutputFilter withoutRetired(OutputFilter filter) {
    List<OutputFilter.OutputList> lists = new ArrayList<>(filter.lists());
    for (Scaled other : others) {
      ClassTable of = other.source().classes();
      if (of.live() < of.outputs()) {
        int[] retired = IntStream.range(0, of.outputs()).filter(o -> of.classOf()[o] < 0).toArray();
        lists.add(new OutputFilter.OutputList(false, new SharedOutputs(retired), null));
      }
    }
    return new OutputFilter(lists, filter.renormalized());
  }

  /** Searches rows in rounds, until all are done. */
  private void searchTogether(
      ScoreSource.SharedReads shared,
      Row[] rows,
      int first,
      OutputFilter.OfRow rowFilter,
      long listed,
      Candidates.Maker candidates) {
    leader
        .engine()
        .run(
            rows.length,
            LOOK_WORK * rows.length * table.classes()
                + LIST_WORK * listed
                + sparseWork(first, rows.length),
            (from, to) -> {
              for (int r = from; r < to; r++) {
                rows[r] = new Row();
                rows[r].begin(first + r, rowFilter.of(first + r), candidates.make(0));
              }
            });
    int[] requestRows = new int[16];
    int[] requestClasses = new int[16];
    Row[] active = rows.clone();
    int count = unfinished(active, active.length);
    while (count > 0) {
      int most = Math.max(1, shared.mostClasses() / count);
      int requests = 0;
      for (int a = 0; a < count; a++) {
        Row row = active[a];
        row.firstRequest = requests;
        int guesses = Math.min(most, row.guesses());
        for (int i = 0; i < guesses && !row.isDone(); i++) {
          if (requests == requestRows.length) {
            requestRows = Arrays.copyOf(requestRows, 2 * requests);
            requestClasses = Arrays.copyOf(requestClasses, 2 * requests);
          }
          requestRows[requests] = row.number;
          requestClasses[requests++] = row.next();
        }
        row.endRequest = requests;
      }
      shared.open(requests, requestRows, requestClasses);
      int[] classes = requestClasses;
      leader
          .engine()
          .run(
              count,
              LOOK_WORK * requests * table.slots(),
              (from, to) -> {
                for (int a = from; a < to; a++) {
                  active[a].take(shared, classes);
                }
              });
      count = unfinished(active, count);
    }
  }

  /** Estimates the work of sparse terms, in multiply-adds. */
  private long sparseWork(int first, int count) {
    return terms.stream().mapToLong(term -> term.work(first, count)).sum();
  }

  /** Moves the unfinished rows to the front. Returns their number. */
  private static int unfinished(Row[] rows, int count) {
    int left = 0;
    for (int i = 0; i < count; i++) {
      if (!rows[i].isDone()) {
        rows[left++] = rows[i];
      }
    }
    return left;
  }

  /** The search of one row after another. */
  private final class Row implements Scheduler.Share, ScoreSource.Limit {
    private final ScoreSource.Walk walk = leader.walk();
    private final Addends.Other[] lookups = new Addends.Other[others.size()];
    private final int[] nodes = new int[Math.max(parents.length, table.classes())];
    private final float[] nodeBounds = new float[nodes.length];
    private final float[] values = new float[table.slots()];

    /** The nodes that are not open, by upper bounds of their sums. */
    private final LongHeap closed = new LongHeap();

    private long[] room = new long[64];

    /** The score of each closed node, if there are addends. */
    private final float[] nodeScores;

    /** An upper bound of what is added to the outputs of each node, if there are addends. */
    private final double[] addedBounds;

    int number;
    AllowedSlots allowed;
    Candidates found;

    /** The addends; null if nothing is added. */
    private Addends added;

    int opened;

    /** The number of classes at the top with allowed outputs. */
    private int classes;

    int firstRequest;
    int endRequest;

    Row() {
      nodeScores = new float[scale == null ? 0 : nodes.length];
      addedBounds = new double[nodeScores.length];
      for (int i = 0; i < lookups.length; i++) {
        Scaled other = others.get(i);
        lookups[i] =
            new Addends.Other(new ClassLookup(other.source(), table, wanted), other.scale());
      }
    }

    void begin(int row, AllowedSlots slots, Candidates candidates) {
      number = row;
      allowed = slots;
      found = candidates;
      added = null;
      opened = 0;
      classes = 0;
      closed.reset(room, 0, 0);
      if (parents.length > 0 && allowed.none()) { // otherwise all nodes would be expanded
        return;
      }
      if (scale != null) {
        add();
      }
      int count = walk.begin(row, nodes, nodeBounds);
      room = room.length < count ? new long[count] : room;
      for (int i = 0; i < count; i++) {
        int node = nodes[i];
        if (Float.isNaN(nodeBounds[i])) {
          found.giveUp();
        }
        if (node >= table.classes() || allowed.any(node)) {
          room[classes++] = Candidates.encode(node, keep(node, nodeBounds[i]));
        }
      }
      closed.reset(room, 0, classes);
    }

    /** Begins the addends. */
    private void add() {
      for (Addends.Other other : lookups) {
        other.lookup().begin(number);
      }
      added = new Addends(number, table, allowed, scale, terms, lookups);
      if (added.isUndefined()) {
        found.giveUp();
      }
      for (int c = 0; c < table.classes(); c++) {
        addedBounds[c] = added.bound(c);
      }
      if (parents.length > 0) {
        Arrays.fill(addedBounds, table.classes(), parents.length, Double.NEGATIVE_INFINITY);
        for (int node = 0; node < parents.length - 1; node++) { // each before those above it
          int parent = parents[node];
          addedBounds[parent] = Math.max(addedBounds[parent], addedBounds[node]);
        }
      }
    }

    /** Keeps the score of a node. Returns an upper bound of its sums. */
    private float keep(int node, float score) {
      if (added == null) {
        return score;
      }
      nodeScores[node] = score;
      return added.total(score, addedBounds[node]);
    }

    /** Excludes nodes of the leader, and outputs of its classes. */
    @Override
    public boolean excludes(int node, float score) {
      return found.isDone(added == null ? score : added.total(score, addedBounds[node]));
    }

    boolean isDone() {
      return closed.isEmpty() || found.isUndefined() || found.isDone(closedBound());
    }

    /** Returns an upper bound of outputs in closed nodes. */
    private float closedBound() {
      float bound = Candidates.logProbability(closed.min());
      while (added != null && (int) closed.min() < table.classes()) { // the bounds of classes fall
        int c = (int) closed.min();
        addedBounds[c] = added.bound(c);
        float now = added.total(nodeScores[c], addedBounds[c]);
        if (!(now < bound)) {
          break;
        }
        closed.replaceMin(Candidates.encode(c, now));
        bound = Candidates.logProbability(closed.min());
      }
      return bound;
    }

    /** Searches until no closed node can change the ranking. */
    void run() {
      while (!isDone()) {
        long next = closed.removeMin();
        int node = (int) next;
        float score = added == null ? Candidates.logProbability(next) : nodeScores[node];
        if (node < table.classes()) {
          opened++;
          walk.open(node, score, values);
          offer(node, score);
          settle(opened);
        } else {
          expand(node, score);
        }
      }
      settle(0);
    }

    private void expand(int node, float score) {
      int count = walk.expand(node, score, this, nodes, nodeBounds);
      for (int i = 0; i < count; i++) {
        if (Float.isNaN(nodeBounds[i])) {
          found.giveUp();
          return;
        }
        if (nodes[i] >= table.classes() || allowed.any(nodes[i])) {
          closed.add(Candidates.encode(nodes[i], keep(nodes[i], nodeBounds[i])));
        }
      }
    }

    /**
     * Returns how many classes to open in a round, needed or not: as many as were opened before;
     * or, if most are far from being excluded though the best are open, all of them. Otherwise a
     * search that excludes nothing would take longer than scoring all outputs.
     */
    int guesses() {
      if (opened < Math.max(LEAST, classes / SOME)) {
        return Math.max(1, opened);
      }
      int beyond = closed.countBelow(Candidates.encode(0, found.farAbove()));
      return 2 * beyond >= classes ? beyond : Math.max(1, opened);
    }

    /** Removes and returns the best closed class, which is then opened. */
    int next() {
      opened++;
      return (int) closed.removeMin();
    }

    /** Takes the classes that were opened for this row in a round. */
    void take(ScoreSource.SharedReads shared, int[] requestClasses) {
      for (int request = firstRequest; request < endRequest; request++) {
        int c = requestClasses[request];
        shared.get(request, values);
        offer(c, added == null ? 0 : nodeScores[c]);
      }
      settle(opened);
    }

    /** Offers the allowed outputs of an open class. */
    private void offer(int c, float score) {
      if (added != null) {
        walk.scores(c, score, this, values, 0, table.size(c));
        added.offer(c, allowed, values, found);
      } else if (allowed.all(c)) {
        offer(c, score, 0, table.size(c));
      } else {
        allowed.forEachRun(c, (begin, end) -> offer(c, score, begin, end));
      }
    }

    private void offer(int c, float score, int begin, int end) {
      walk.scores(c, score, this, values, begin, end);
      if (!found.isUndefined()) {
        found.offer(table.members()[c], values, values, begin, end);
      }
    }

    /**
     * Completes the sums of outputs that may be better than those in closed nodes, then lowers the
     * bounds of these nodes, up to {@code times} times, instead of opening as many more.
     */
    private void settle(int times) {
      if (added == null) {
        return;
      }
      offerWaiting();
      for (int i = 0; i < times && !isDone() && advance(); i++) {
        offerWaiting();
      }
    }

    private boolean advance() {
      int node = (int) closed.min();
      return node < table.classes() && added.advance(node);
    }

    private void offerWaiting() {
      boolean isNext = true;
      while (isNext) {
        float limit = closed.isEmpty() ? Float.NEGATIVE_INFINITY : closedBound();
        isNext = added.offerNext(limit, found);
      }
    }

    @Override
    public void close() {
      walk.close();
      for (Addends.Other other : lookups) {
        other.lookup().close();
      }
    }
  }
}
