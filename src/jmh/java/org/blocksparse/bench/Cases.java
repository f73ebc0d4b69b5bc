// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.blocksparse.ElementType;

/** The cases that a run measures, and those that it skips, each with the reason. */
final class Cases {
  /** The parts of a run; the limits are always measured. */
  enum Part {
    PRODUCTS,
    SOFTMAX,
    TOPK,
    BAG,
    WEIGHTS,
    MOE,
    EXPERTS,
    PLAN,
    CONCURRENCY,
    OPEN,
    SERVING,
    GROWTH,
    FILL,
    NETWORK,
    EVENTS
  }

  /** Two that are bound by arithmetic, a small one, and one with few, large blocks. */
  private static final List<Workload> CONCURRENT =
      List.of(Workload.HSM_200, Workload.WINDOW_64, Workload.WINDOW_32, Workload.EXPERTS);

  /** JVM options for cases where both compute. */
  private static final List<String> OURS_AND_PYTORCH =
      Stream.of(Peer.BLOCKSPARSE, Peer.PYTORCH_LOOP)
          .flatMap(peer -> peer.jvmArgs().stream())
          .toList();

  private final List<Case> cases = new ArrayList<>();
  private final List<String> skipped = new ArrayList<>();
  private final Set<String> workloads;
  private final Set<Peer> peers;

  /**
   * All cases of the parts.
   *
   * @param workloads names of those that are wanted; empty: all
   * @param peers those that are wanted
   * @param quick leaves out gradients by others than our native paths
   */
  Cases(Set<Part> parts, Set<String> workloads, Set<Peer> peers, boolean quick) {
    this.workloads = workloads;
    this.peers = peers;
    cases.add(new Case(MemoryBenchmark.class, "read", Map.of(), 1, List.of()));
    cases.add(new Case(DenseBenchmark.class, "sgemm", Map.of(), 1, List.of()));
    if (parts.contains(Part.PRODUCTS)) {
      addProducts(quick);
    }
    if (parts.contains(Part.SOFTMAX)) {
      addSoftmax();
    }
    if (parts.contains(Part.TOPK)) {
      addTopK();
    }
    if (parts.contains(Part.BAG)) {
      addBags();
    }
    if (parts.contains(Part.WEIGHTS)) {
      addWeights();
    }
    if (parts.contains(Part.MOE)) {
      addMoe();
    }
    if (parts.contains(Part.PLAN)) {
      addOurs(PlanBenchmark.class, "gemm", Map.of(), 1);
      addOurs(PlanBenchmark.class, "outer", Map.of(), 1);
    }
    if (parts.contains(Part.CONCURRENCY)) {
      addConcurrency();
    }
    if (parts.contains(Part.OPEN)) {
      addOurs(OpenBenchmark.class, "open", Map.of(), 1);
    }
    if (parts.contains(Part.SERVING)) {
      for (int callers : new int[] {1, 8, 64}) {
        addOurs(ServingBenchmark.class, "topK", Map.of(), callers);
      }
    }
    if (parts.contains(Part.GROWTH)) {
      addOurs(GrowthBenchmark.class, "batch", Map.of(), 1);
      addOurs(GrowthBenchmark.class, "blocks", Map.of(), 1);
      addOurs(GrowthBenchmark.class, "outputs", Map.of(), 1);
    }
    if (parts.contains(Part.FILL)) {
      addOurs(FillBenchmark.class, "memset", Map.of(), 1);
      addOurs(FillBenchmark.class, "fill", Map.of(), 1);
      addOurs(FillBenchmark.class, "zeros", Map.of(), 1);
    }
    if (parts.contains(Part.NETWORK)) {
      addNetwork("softmaxOfOurs");
      addNetwork("softmaxOfPyTorch");
    }
    if (parts.contains(Part.EVENTS)) {
      addOurs(EventsBenchmark.class, "topK", Map.of(), 1);
      addOurs(EventsBenchmark.class, "step", Map.of(), 1);
      addOurs(EventsBenchmark.class, "product", Map.of(), 1);
      addOurs(EventsBenchmark.class, "thousandEvents", Map.of(), 1);
    }
  }

  List<Case> all() {
    return cases;
  }

  /** A line for each case that cannot be measured. */
  List<String> skipped() {
    return skipped;
  }

  private boolean wanted(Enum<?> workload) {
    return workloads.isEmpty() || workloads.contains(workload.toString());
  }

  private void addProducts(boolean quick) {
    for (Workload workload : Workload.values()) {
      for (Operation operation : Operation.values()) {
        for (Peer peer : peers) {
          boolean oursAlone = operation == Operation.FORWARD_AND_PLAN;
          boolean everybody = operation == Operation.FORWARD || (!quick && !oursAlone);
          boolean asked = oursAlone ? peer == Peer.BLOCKSPARSE : everybody || peer.isOurPath();
          if (wanted(workload) && peer.hasProducts() && asked) {
            add(
                ProductsBenchmark.class,
                workload,
                operation,
                peer,
                peer.reasonToSkip(workload, operation));
          }
        }
      }
    }
  }

  private void addWeights() {
    for (Workload workload : WeightsBenchmark.WORKLOADS) {
      if (wanted(workload)) {
        Map<String, String> params = Map.of("workload", workload.name());
        addOurs(WeightsBenchmark.class, "forward", params, 1);
        addOurs(WeightsBenchmark.class, "gradientOfH", params, 1);
        addOurs(
            WeightsBenchmark.class,
            "roundedForward",
            Map.of("workload", workload.name(), "type", ElementType.BFLOAT16.name()),
            1);
      }
    }
    for (TopKWorkload workload : WeightsBenchmark.SEARCHES) {
      if (wanted(workload)) {
        addOurs(WeightsBenchmark.class, "topK", Map.of("workload", workload.name()), 1);
      }
    }
  }

  private void addMoe() {
    for (MoeOperation operation : MoeOperation.values()) {
      for (Peer peer : peers) {
        if (peer.hasMoe()) {
          // Each is checked against the other before it is measured.
          cases.add(
              new Case(
                  MoeBenchmark.class,
                  "run",
                  Map.of("operation", operation.name(), "peer", peer.name()),
                  1,
                  OURS_AND_PYTORCH));
        }
      }
    }
  }

  private void addBags() {
    for (BagOperation operation : BagOperation.values()) {
      for (BagPeer peer : BagPeer.values()) {
        if (peers.contains(peer.asPeer())) {
          cases.add(
              new Case(
                  BagBenchmark.class,
                  "run",
                  Map.of("operation", operation.name(), "peer", peer.name()),
                  1,
                  peer.asPeer().jvmArgs()));
        }
      }
    }
  }

  private void addNetwork(String method) {
    cases.add(new Case(NetworkBenchmark.class, method, Map.of(), 1, OURS_AND_PYTORCH));
  }

  private void addSoftmax() {
    for (SoftmaxWorkload workload : SoftmaxWorkload.values()) {
      for (SoftmaxOperation operation : SoftmaxOperation.values()) {
        for (Peer peer : peers) {
          if (wanted(workload) && peer.has(operation)) {
            add(
                peer == Peer.FASTTEXT ? FastTextBenchmark.class : SoftmaxBenchmark.class,
                workload,
                operation,
                peer,
                peer.reasonToSkip(workload, operation));
          }
        }
      }
    }
  }

  private void addTopK() {
    for (TopKWorkload workload : TopKWorkload.values()) {
      for (Peer peer : peers) {
        if (wanted(workload) && peer.hasTopK() && (peer.isSearch() || !workload.isFiltered())) {
          add(TopKBenchmark.class, workload, SoftmaxOperation.TOP_K, peer, workload.reasonToSkip());
        }
      }
    }
  }

  private void add(
      Class<?> benchmark,
      Enum<?> workload,
      Enum<?> operation,
      Peer peer,
      Optional<String> reasonToSkip) {
    if (reasonToSkip.isPresent()) {
      skipped.add("%s, %s: %s %s".formatted(workload, operation, peer, reasonToSkip.get()));
      return;
    }
    Map<String, String> params = new LinkedHashMap<>();
    params.put("workload", workload.name());
    if (benchmark != TopKBenchmark.class) {
      params.put("operation", operation.name());
    }
    params.put("peer", peer.name());
    cases.add(new Case(benchmark, "run", params, 1, peer.jvmArgs()));
  }

  private void addConcurrency() {
    for (Workload workload : CONCURRENT) {
      if (wanted(workload)) {
        for (int callers = 1; callers <= 2; callers++) {
          addOurs(
              ConcurrencyBenchmark.class, "forward", Map.of("workload", workload.name()), callers);
        }
      }
    }
  }

  private void addOurs(Class<?> benchmark, String method, Map<String, String> params, int threads) {
    if (peers.contains(Peer.BLOCKSPARSE)) {
      cases.add(new Case(benchmark, method, params, threads, Peer.BLOCKSPARSE.jvmArgs()));
    }
  }
}
