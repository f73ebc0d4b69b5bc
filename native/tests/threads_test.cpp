// SPDX-License-Identifier: Apache-2.0
// Runs the chunks of one schedule by several threads at once on shared operands: the bits are those
// of one thread, and ThreadSanitizer sees no race.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "testing.h"

namespace {

using namespace testing;

constexpr int32_t kSamples = 60, kReads = 3, kWrites = 2, kBlocks = 5, kSize = 70;

template <typename Task>
void run_by_threads(int threads, int32_t tasks, const Task& task) {
  std::atomic<int32_t> next{0};
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; ++t) {
    workers.emplace_back([&] {
      std::vector<float> scratch(static_cast<std::size_t>(most_scratch(kSize, kSize)));
      for (int32_t i; (i = next.fetch_add(1)) < tasks;) {
        task(i, scratch.data(), static_cast<int64_t>(scratch.size()));
      }
    });
  }
  for (std::thread& worker : workers) {
    worker.join();
  }
}

void check_gemm_and_softmax(int32_t isa, int32_t path) {
  context() = std::string("isa ") + blocksparse_isa_name(isa) + ", path " + std::to_string(path);
  random_source r(11);
  std::vector<int32_t> rows, blocks;
  std::vector<gemm_pair> pairs;
  for (int32_t s = 0; s < kSamples; ++s) {
    for (int32_t j = 0; j < kWrites; ++j) {
      rows.push_back(s * kWrites + j);
      blocks.push_back(r.below(kBlocks));
      for (int32_t i = 0; i < kReads; ++i) {
        pairs.push_back({s * kReads + i, rows.back(), (s + i) % kBlocks});
      }
    }
  }
  const std::vector<int32_t> schedule = gemm_schedule(rows, blocks, pairs, 4);
  matrix a(kSamples * kReads, kSize), w(kBlocks * kBlocks * kSize, kSize);
  a.fill([&] { return r.uniform(); });
  w.fill([&] { return r.uniform(); });
  const blocksparse_rows from = rows_of(a);
  const blocksparse_blocks by = blocks_of(w.data(), kBlocks, kBlocks, kSize, kSize, w.ld());
  std::atomic<int32_t> failed{0};
  const auto run = [&](int threads) {
    matrix c(kSamples * kWrites, kSize);
    run_by_threads(threads, schedule[1], [&](int32_t i, float* scratch, int64_t scratch_length) {
      const blocksparse_part part = part_of(schedule, i, i + 1, 0, kSize);
      const blocksparse_sums to = sums_of(rows_of(c));
      const int32_t product =
          blocksparse_block_gemm_f32(isa, path, &part, &from, 0, &by, &to, scratch, scratch_length);
      const int32_t softmax = call_probabilities(
          isa, BLOCKSPARSE_SOFTMAX, 0, {schedule.data(), length(schedule), i, i + 1, 0, kSize},
          nullptr, kBlocks, nullptr, rows_of(c));
      failed += product != BLOCKSPARSE_OK || softmax != BLOCKSPARSE_OK ? 1 : 0;
    });
    return c;
  };
  CHECK(run(4).same_bits(run(1)));
  CHECK(failed == 0);
}

// Runs more threads than OpenBLAS has buffers (128 at first, 640 in the end): without a bound on
// them it ends the process. All threads first wait for each other. A product takes longer than a
// scheduler's time slice, so that all of them are within one together.
void check_more_threads_than_buffers(int32_t threads_on_blas) {
  context() = std::to_string(threads_on_blas) + " threads on BLAS";
  constexpr int32_t kRows = 64, kDeep = 65536, kWide = 128;
  std::vector<int32_t> rows, blocks(kRows, 0);
  std::vector<gemm_pair> pairs;
  for (int32_t i = 0; i < kRows; ++i) {
    rows.push_back(i);
    pairs.push_back({i, i, 0});
  }
  const std::vector<int32_t> schedule = gemm_schedule(rows, blocks, pairs, kRows);
  const matrix a(kRows, kDeep, 3, 1.0f), w(kDeep, kWide, 3, 2.0f);
  std::atomic<int32_t> waiting{threads_on_blas}, failed{0};
  std::vector<std::thread> threads;
  for (int32_t t = 0; t < threads_on_blas; ++t) {
    threads.emplace_back([&] {
      matrix c(kRows, kWide), scratch(1, kDeep + kWide, 0);
      --waiting;
      while (waiting > 0) {
        std::this_thread::yield();
      }
      const blocksparse_part part = all_of(schedule, kWide);
      const blocksparse_rows from = rows_of(a);
      const blocksparse_blocks by = blocks_of(w.data(), 1, 1, kDeep, kWide, w.ld());
      const blocksparse_sums to = sums_of(rows_of(c));
      const int32_t status =
          blocksparse_block_gemm_f32(BLOCKSPARSE_PORTABLE, BLOCKSPARSE_PATH_BLAS, &part, &from, 0,
                                     &by, &to, scratch.data(), scratch.size());
      failed += status != BLOCKSPARSE_OK || c.at(kRows - 1, kWide - 1) != 2.0f * kDeep ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(failed == 0);
}

}  // namespace

// threads_test THREADS: the number of threads on BLAS at once.
int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: threads_test THREADS\n");
    return 2;
  }
  blocksparse_set_openblas_threads(1);
  for (const int32_t isa : instruction_sets()) {
    for (const int32_t path : {BLOCKSPARSE_PATH_BLAS, BLOCKSPARSE_PATH_TILE}) {
      check_gemm_and_softmax(isa, path);
    }
  }
  check_more_threads_than_buffers(std::atoi(argv[1]));
  return report("threads_test");
}
