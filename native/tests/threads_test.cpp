// SPDX-License-Identifier: Apache-2.0
//
// Chunks of one schedule, run by several threads at once on shared operands: the bits of one
// thread, and no race that ThreadSanitizer would see.
#include <atomic>
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
      std::vector<float> scratch(static_cast<std::size_t>(blocksparse_scratch_f32(kSize, kSize)));
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
  const int64_t block = kSize * w.ld();
  std::atomic<int32_t> failed{0};
  const auto run = [&](int threads) {
    matrix c(kSamples * kWrites, kSize);
    run_by_threads(threads, schedule[1], [&](int32_t i, float* scratch, int64_t scratch_length) {
      const int32_t product = blocksparse_block_gemm_f32(
          isa, path, schedule.data(), length(schedule), i, i + 1, 0, kSize, kSize, kSize, a.data(),
          a.rows(), a.ld(), w.data(), kBlocks, kBlocks, block * kBlocks, block, w.ld(), 0, nullptr,
          0, 0, c.data(), c.rows(), c.ld(), scratch, scratch_length);
      const int32_t softmax =
          blocksparse_block_softmax_f32(isa, 0, schedule.data(), length(schedule), i, i + 1, kSize,
                                        kBlocks, nullptr, nullptr, c.data(), c.rows(), c.ld());
      failed += product != BLOCKSPARSE_OK || softmax != BLOCKSPARSE_OK ? 1 : 0;
    });
    return c;
  };
  CHECK(run(4).same_bits(run(1)));
  CHECK(failed == 0);
}

}  // namespace

int main() {
  blocksparse_set_openblas_threads(1);
  for (const int32_t isa : instruction_sets()) {
    for (const int32_t path : {BLOCKSPARSE_PATH_BLAS, BLOCKSPARSE_PATH_TILE}) {
      check_gemm_and_softmax(isa, path);
    }
  }
  return report("threads_test");
}
