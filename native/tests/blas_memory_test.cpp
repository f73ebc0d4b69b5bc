// SPDX-License-Identifier: Apache-2.0
// Products in a process without memory for a buffer of OpenBLAS, which would end the process: tiles
// run instead, or calls of BLAS alone return an error. Buffers that exist are kept.
#include <malloc.h>
#include <sys/resource.h>

#include <atomic>
#include <thread>

#include "testing.h"

namespace {

using namespace testing;

// Much less than OpenBLAS's buffer, and enough for everything else here.
constexpr rlim_t kRoom = rlim_t{96} << 20;

void limit_memory() {
  long pages = 0;
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  CHECK(file != nullptr && std::fscanf(file, "%ld", &pages) == 1);
  if (file != nullptr) {
    std::fclose(file);
  }
  rlimit limit;
  CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
  limit.rlim_cur = static_cast<rlim_t>(pages) * 4096 + kRoom;
  CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

void end_limit() {
  rlimit limit;
  CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

// A product of each kind, with so many rows and such large blocks that BLAS may be chosen; its
// inputs are 0 and 1, so that results are exact.
struct products {
  int32_t size, rows;
  matrix x, y, o, scratch;
  std::vector<int32_t> gemm, outer;

  products(int32_t size_, int32_t rows_)
      : size(size_),
        rows(rows_),
        x(rows, size, 0),
        y(rows, size, 0),
        o(size, size, 0),
        scratch(1, 256 * size, 0) {
    std::vector<int32_t> each, blocks(static_cast<std::size_t>(rows), 0);
    std::vector<gemm_pair> pairs;
    outer = {BLOCKSPARSE_OUTER_SCHEDULE, 1, rows, 0, 0, 0, rows};
    for (int32_t i = 0; i < rows; ++i) {
      each.push_back(i);
      pairs.push_back({i, i, 0});
    }
    gemm = gemm_schedule(each, blocks, pairs, rows);
    outer.insert(outer.end(), each.begin(), each.end());
    outer.insert(outer.end(), each.begin(), each.end());
    x.fill([] { return 1.0f; });
  }

  int32_t run_gemm(int32_t isa, int32_t path, int32_t transposed) {
    o.fill([] { return 1.0f; });
    const blocksparse_part part = all_of(gemm, size);
    const blocksparse_rows from = rows_of(x);
    const blocksparse_blocks by = blocks_of(o.data(), 1, 1, size, size, size, transposed == 1);
    const blocksparse_sums to = sums_of(rows_of(y));
    return blocksparse_block_gemm_f32(isa, path, &part, &from, 0, &by, &to, scratch.data(),
                                      scratch.size());
  }

  int32_t run_outer(int32_t isa, int32_t path) {
    y.fill([] { return 1.0f; });
    const blocksparse_part part = all_of(outer, size);
    const blocksparse_rows of_x = rows_of(x), of_y = rows_of(y);
    const blocksparse_blocks to = blocks_of(o.data(), 1, 1, size, size, size);
    return blocksparse_block_outer_f32(isa, path, &part, 1.0f, &of_x, &of_y, 0, &to, scratch.data(),
                                       scratch.size());
  }

  // Runs all three products, and checks their results where success is expected.
  void check(int32_t isa, int32_t path, blocksparse_status expected) {
    context() = "isa " + std::string(blocksparse_isa_name(isa)) + ", path " + std::to_string(path) +
                ", size " + std::to_string(size);
    for (const int32_t transposed : {0, 1}) {
      CHECK_STATUS(expected, run_gemm(isa, path, transposed));
      CHECK(expected != BLOCKSPARSE_OK || y.at(rows - 1, size - 1) == static_cast<float>(size));
    }
    CHECK_STATUS(expected, run_outer(isa, path));
    CHECK(expected != BLOCKSPARSE_OK || o.at(size - 1, size - 1) == static_cast<float>(rows));
  }
};

// Threads that ask at once get buffers or the status, and the process survives.
void check_threads(int32_t isa) {
  context() = "threads";
  std::atomic<int32_t> wrong{0};
  std::vector<std::thread> threads;
  for (int32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      products p(128, 64);
      for (int32_t i = 0; i < 20; ++i) {
        const int32_t status = p.run_gemm(isa, BLOCKSPARSE_PATH_BLAS, 0);
        wrong += status != BLOCKSPARSE_NO_MEMORY &&
                         (status != BLOCKSPARSE_OK || p.y.at(63, 127) != 128.0f)
                     ? 1
                     : 0;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(wrong == 0);
}

}  // namespace

int main() {
  // One arena for each thread would take the space of other threads' stacks.
  CHECK(mallopt(M_ARENA_MAX, 1) == 1);
  blocksparse_set_openblas_threads(1);
  products small(128, 64), large(512, 64);
  limit_memory();
  for (const int32_t isa : instruction_sets()) {
    for (products* p : {&small, &large}) {
      p->check(isa, BLOCKSPARSE_PATH_BLAS, BLOCKSPARSE_NO_MEMORY);
      p->check(isa, BLOCKSPARSE_PATH_AUTO, BLOCKSPARSE_OK);
      p->check(isa, BLOCKSPARSE_PATH_TILE, BLOCKSPARSE_OK);
    }
  }
  end_limit();
  small.check(BLOCKSPARSE_PORTABLE, BLOCKSPARSE_PATH_BLAS, BLOCKSPARSE_OK);
  limit_memory();
  for (const int32_t isa : instruction_sets()) {
    small.check(isa, BLOCKSPARSE_PATH_BLAS, BLOCKSPARSE_OK);
    check_threads(isa);
  }
  return report("blas_memory_test");
}
