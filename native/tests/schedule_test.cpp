// SPDX-License-Identifier: Apache-2.0
// Checks that malformed schedules and sizes are rejected with the right status, and that nothing is
// written.
#include "testing.h"

namespace {

using namespace testing;

// A valid call of block_gemm, of which single arguments are made invalid.
struct gemm_call {
  int32_t isa = BLOCKSPARSE_PORTABLE, path = BLOCKSPARSE_PATH_BLAS;  // this path needs scratch
  std::vector<int32_t> schedule = gemm_schedule(
      {0, 1, 2, 3}, {0, 0, 1, 1}, {{0, 0, 0}, {1, 1, 0}, {2, 2, 1}, {0, 3, 0}, {2, 3, 0}}, 10);
  std::vector<float> a = std::vector<float>(9, 1.0f), w = std::vector<float>(48, 1.0f),
                     bias = std::vector<float>(8, 1.0f), c = std::vector<float>(16, 9.0f),
                     scratch = std::vector<float>(1000);
  blocksparse_part part = part_of(schedule, 0, 2, 0, 4);
  blocksparse_rows from = rows_of(a.data(), 3, 3);
  blocksparse_blocks by = blocks_of(w.data(), 2, 2, 3, 4, 4);
  blocksparse_sums to = {rows_of(c.data(), 4, 4), rows_of(bias.data(), 2, 4), 0};
  float* scratch_data = scratch.data();
  int64_t scratch_length = 1000;

  int32_t run() {
    return blocksparse_block_gemm_f32(isa, path, &part, &from, 0, &by, &to, scratch_data,
                                      scratch_length);
  }

  bool untouched() const { return c == std::vector<float>(16, 9.0f); }
};

template <typename Invalidate>
void refuse(blocksparse_status expected, const char* what, const Invalidate& invalidate) {
  context() = what;
  gemm_call call;
  invalidate(call);
  CHECK_STATUS(expected, call.run());
  CHECK(call.untouched());
}

#define REFUSE(expected, change) \
  refuse(BLOCKSPARSE_##expected, #change, [](gemm_call& call) { call.change; })

// Positions in the schedule above: 5 + write_block 2, row_start 3, segment_start 3, read_block 3,
// pair_start 4, row 4, pair_read 5, pair_write 5.
constexpr std::size_t kWriteBlock = 5, kRowStart = 7, kSegmentStart = 10, kReadBlock = 13,
                      kPairStart = 16, kRow = 20, kPairRead = 24, kPairWrite = 29, kEnd = 34;

void check_gemm() {
  gemm_call valid;
  context() = "valid";
  CHECK(valid.schedule.size() == kEnd);
  CHECK_STATUS(BLOCKSPARSE_OK, valid.run());
  CHECK(!valid.untouched());

  REFUSE(UNSUPPORTED_ISA, isa = -1);
  REFUSE(UNSUPPORTED_ISA, isa = 4);
  REFUSE(BAD_ARGUMENT, path = -1);
  REFUSE(BAD_ARGUMENT, path = 3);
  REFUSE(BAD_ARGUMENT, by.transposed = 2);
  REFUSE(BAD_ARGUMENT, to.accumulate = -1);
  REFUSE(BAD_ARGUMENT, to.accumulate = 1);  // with a bias

  REFUSE(NULL_POINTER, part.schedule = nullptr);
  REFUSE(NULL_POINTER, from.data = nullptr);
  REFUSE(NULL_POINTER, by.data = nullptr);
  REFUSE(NULL_POINTER, to.rows.data = nullptr);
  REFUSE(NULL_POINTER, scratch_data = nullptr);

  REFUSE(BAD_SIZE, by.in_size = -1);
  REFUSE(BAD_SIZE, by.out_size = -1);
  REFUSE(BAD_SIZE, from.count = -1);
  REFUSE(BAD_SIZE, from.stride = 2);
  REFUSE(BAD_SIZE, from.stride = INT64_MAX);
  REFUSE(BAD_SIZE, from.stride = INT64_MIN);
  REFUSE(BAD_SIZE, to.rows.count = INT64_MAX);
  REFUSE(BAD_SIZE, to.rows.stride = 3);
  REFUSE(BAD_SIZE, by.ld = 3);
  REFUSE(BAD_SIZE, by.ld = INT64_MAX / 8);
  REFUSE(BAD_SIZE, by.in_blocks = -1);
  REFUSE(BAD_SIZE, by.out_blocks = -1);
  REFUSE(BAD_SIZE, by.in_stride = -24);
  REFUSE(BAD_SIZE, by.in_stride = INT64_MAX);
  REFUSE(BAD_SIZE, by.out_stride = INT64_MAX / 8);
  REFUSE(BAD_SIZE, to.bias.stride = 3);
  REFUSE(BAD_SIZE, to.bias.count = 1);
  REFUSE(BAD_SIZE, part.column_begin = -1);
  REFUSE(BAD_SIZE, part.column_begin = 5);
  REFUSE(BAD_SIZE, part.column_end = 5);
  REFUSE(SCRATCH_TOO_SMALL, scratch_length = 6);
  REFUSE(SCRATCH_TOO_SMALL, scratch_length = -1);

  REFUSE(BAD_SCHEDULE, part.begin = -1);
  REFUSE(BAD_SCHEDULE, part.end = 3);
  REFUSE(BAD_SCHEDULE, part.begin = 3);
  for (const int64_t length : {-1, 0, 1, 4, 5, 33, 35}) {
    refuse(BLOCKSPARSE_BAD_SCHEDULE, "length",
           [&](gemm_call& c) { c.part.schedule_length = length; });
  }
  REFUSE(BAD_SCHEDULE, schedule[0] = BLOCKSPARSE_OUTER_SCHEDULE);
  for (std::size_t i = 1; i < 5; ++i) {  // counts
    for (const int32_t value : {-1, 0, 1000, INT32_MAX, INT32_MIN}) {
      refuse(BLOCKSPARSE_BAD_SCHEDULE, "counts", [&](gemm_call& c) { c.schedule[i] = value; });
    }
  }
  for (const std::size_t start : {kRowStart, kSegmentStart, kPairStart}) {
    const std::size_t parts = start == kPairStart ? 3 : 2;
    for (const int32_t value : {-1, 1000, INT32_MAX, INT32_MIN}) {
      for (std::size_t i = 0; i <= parts; ++i) {
        context() = "boundaries " + std::to_string(start) + " + " + std::to_string(i);
        gemm_call call;
        call.schedule[start + i] = value;
        // The chunks before the invalid one are valid and may be run; no memory is lost (ASan).
        CHECK_STATUS(BLOCKSPARSE_BAD_SCHEDULE, call.run());
      }
    }
  }
  REFUSE(BAD_INDEX, schedule[kWriteBlock] = 2);
  REFUSE(BAD_INDEX, schedule[kWriteBlock] = -1);
  REFUSE(BAD_INDEX, schedule[kReadBlock] = 2);
  REFUSE(BAD_INDEX, schedule[kReadBlock] = INT32_MIN);
  REFUSE(BAD_INDEX, schedule[kRow] = 4);
  REFUSE(BAD_INDEX, schedule[kRow + 1] = -1);
  REFUSE(BAD_INDEX, schedule[kPairRead] = 3);
  REFUSE(BAD_INDEX, schedule[kPairRead + 1] = -1);
  REFUSE(BAD_SCHEDULE, schedule[kPairWrite] = 2);
  REFUSE(BAD_SCHEDULE, schedule[kPairWrite] = -1);
  REFUSE(BAD_SCHEDULE, schedule[kPairWrite] = 1; call.schedule[kPairWrite + 1] = 0);

  context() = "no operand";
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER,
               blocksparse_block_gemm_f32(valid.isa, valid.path, nullptr, &valid.from, 0, &valid.by,
                                          &valid.to, valid.scratch_data, valid.scratch_length));
  CHECK_STATUS(
      BLOCKSPARSE_NULL_POINTER,
      blocksparse_block_gemm_f32(valid.isa, valid.path, &valid.part, &valid.from, 0, &valid.by,
                                 nullptr, valid.scratch_data, valid.scratch_length));

  // Operands that are not needed may be NULL.
  context() = "nothing to read";
  gemm_call empty;
  empty.schedule = gemm_schedule({0, 1, 2, 3}, {0, 0, 1, 1}, {}, 10);
  empty.part = all_of(empty.schedule, 4);
  empty.from = {nullptr, 0, 3};
  empty.by.in_blocks = 0;
  empty.by.data = nullptr;
  CHECK_STATUS(BLOCKSPARSE_OK, empty.run());
  CHECK(empty.c == std::vector<float>(16, 1.0f));
}

// Prefetching for the next chunk, run or not, reads no further than the checks did.
void check_fetched_ahead() {
  const std::vector<int32_t> good =
      gemm_schedule({0, 1, 2, 3}, {0, 0, 1, 1}, {{0, 0, 0}, {1, 1, 0}, {2, 2, 1}, {0, 3, 0}}, 1);
  constexpr std::size_t chunks = 4, segment_start = 5 + chunks + (chunks + 1);
  CHECK(good[1] == chunks && good[segment_start + chunks] == good[2]);
  for (const int32_t isa : instruction_sets()) {
    for (const int32_t value : {1000, INT32_MAX}) {  // the first of these is sure to hit the wall
      for (std::size_t changed = 1; changed < chunks; ++changed) {
        walled<int32_t> schedule(good.size(), 0);
        std::copy(good.begin(), good.end(), schedule.data());
        schedule.data()[segment_start + changed] = value;
        for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
          context() = std::string("fetched ahead, isa ") + blocksparse_isa_name(isa) + ", chunk " +
                      std::to_string(chunk) + ", boundary " + std::to_string(changed);
          gemm_call call;
          // Small blocks, of up to 4096 elements, are not prefetched by chunks.
          constexpr int32_t n = 1400;
          call.w.resize(4 * 3 * n);
          call.bias.resize(2 * n);
          call.c.resize(4 * n);
          call.by = blocks_of(call.w.data(), 2, 2, 3, n, n);
          call.to = {rows_of(call.c.data(), 4, n), rows_of(call.bias.data(), 2, n), 0};
          call.isa = isa;
          call.path = BLOCKSPARSE_PATH_TILE;
          const int32_t begin = static_cast<int32_t>(chunk);
          call.part = {schedule.data(), length(good), begin, begin + 1, 0, n};
          const bool of_this = changed == chunk || changed == chunk + 1;
          CHECK_STATUS(of_this ? BLOCKSPARSE_BAD_SCHEDULE : BLOCKSPARSE_OK, call.run());
        }
      }
    }
  }
}

void check_outer() {
  const std::vector<int32_t> good = {BLOCKSPARSE_OUTER_SCHEDULE,
                                     2,
                                     3,  // blocks, pairs
                                     0,
                                     1,  // x_block
                                     1,
                                     0,  // y_block
                                     0,
                                     2,
                                     3,  // pair_start
                                     0,
                                     1,
                                     0,  // pair_x
                                     1,
                                     0,
                                     1};  // pair_y
  struct change {
    std::size_t place;
    int32_t value;
    blocksparse_status expected;
  };
  const change changes[] = {
      {0, BLOCKSPARSE_OUTER_SCHEDULE, BLOCKSPARSE_OK},
      {0, BLOCKSPARSE_GEMM_SCHEDULE, BLOCKSPARSE_BAD_SCHEDULE},
      {1, -1, BLOCKSPARSE_BAD_SCHEDULE},
      {1, 3, BLOCKSPARSE_BAD_SCHEDULE},
      {2, INT32_MAX, BLOCKSPARSE_BAD_SCHEDULE},
      {3, 2, BLOCKSPARSE_BAD_INDEX},
      {5, -1, BLOCKSPARSE_BAD_INDEX},
      {7, 1, BLOCKSPARSE_BAD_SCHEDULE},
      {8, 4, BLOCKSPARSE_BAD_SCHEDULE},
      {8, INT32_MIN, BLOCKSPARSE_BAD_SCHEDULE},
      {9, 2, BLOCKSPARSE_BAD_SCHEDULE},
      {10, 2, BLOCKSPARSE_BAD_INDEX},
      {13, -1, BLOCKSPARSE_BAD_INDEX},
  };
  for (const change& changed : changes) {
    context() = "outer schedule, place " + std::to_string(changed.place);
    std::vector<int32_t> schedule = good;
    schedule[changed.place] = changed.value;
    std::vector<float> x(6, 1.0f), y(8, 1.0f), o(48, 9.0f), scratch(7);
    const blocksparse_part part = part_of(schedule, 0, 2, 0, 3);
    const blocksparse_rows of_x = rows_of(x.data(), 2, 3), of_y = rows_of(y.data(), 2, 4);
    const blocksparse_blocks to = blocks_of(o.data(), 2, 2, 3, 4, 4);
    CHECK_STATUS(changed.expected,
                 blocksparse_block_outer_f32(BLOCKSPARSE_PORTABLE, BLOCKSPARSE_PATH_BLAS, &part,
                                             1.0f, &of_x, &of_y, 0, &to, scratch.data(), 7));
    CHECK((o == std::vector<float>(48, 9.0f)) == (changed.expected != BLOCKSPARSE_OK));
  }
  context() = "outer arguments";
  std::vector<float> x(6, 1.0f), y(8, 1.0f), o(48, 9.0f), scratch(7);
  const auto run = [&](int32_t m_begin, int32_t m_end, int64_t ldx, int64_t ldo, int32_t accumulate,
                       int64_t scratch_length, float* out) {
    const blocksparse_part part = part_of(good, 0, 2, m_begin, m_end);
    const blocksparse_rows of_x = rows_of(x.data(), 2, ldx), of_y = rows_of(y.data(), 2, 4);
    blocksparse_blocks to = blocks_of(out, 2, 2, 3, 4, 4);
    to.ld = ldo;
    return blocksparse_block_outer_f32(BLOCKSPARSE_PORTABLE, BLOCKSPARSE_PATH_BLAS, &part, 1.0f,
                                       &of_x, &of_y, accumulate, &to, scratch.data(),
                                       scratch_length);
  };
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, run(-1, 3, 3, 4, 0, 7, o.data()));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, run(0, 4, 3, 4, 0, 7, o.data()));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, run(2, 1, 3, 4, 0, 7, o.data()));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, run(0, 3, 2, 4, 0, 7, o.data()));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, run(0, 3, 3, 3, 0, 7, o.data()));
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, run(0, 3, 3, 4, 2, 7, o.data()));
  CHECK_STATUS(BLOCKSPARSE_SCRATCH_TOO_SMALL, run(0, 3, 3, 4, 0, 6, o.data()));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, run(0, 3, 3, 4, 0, 7, nullptr));
  CHECK(o == std::vector<float>(48, 9.0f));
}

// Only BLAS needs scratch: none is asked for where a product cannot reach BLAS, and equally much
// for either order of sizes.
void check_paths() {
  const int32_t sizes[] = {0, 1, 16, 64, 128, 129, 512, 1024, INT32_MAX};
  for (const int32_t isa : instruction_sets()) {
    context() = std::string("paths, isa ") + blocksparse_isa_name(isa);
    CHECK(blocksparse_may_use_blas(isa, BLOCKSPARSE_PATH_BLAS) == 1);
    CHECK(blocksparse_may_use_blas(isa, BLOCKSPARSE_PATH_TILE) == 0);
    const bool may = blocksparse_may_use_blas(isa, BLOCKSPARSE_PATH_AUTO) == 1;
    CHECK(may == (isa != BLOCKSPARSE_NEON));
    const std::string words = blocksparse_path_words(isa, BLOCKSPARSE_PATH_AUTO);
    CHECK(may == (words.rfind("OpenBLAS for gradients of W", 0) == 0));
    CHECK(words.size() > 20 && words.size() < 159);  // whole
    if (isa == BLOCKSPARSE_PORTABLE) {
      CHECK(words.find("with 16 rows or more of a block of 128 x 128 or more") != words.npos);
      CHECK(words.find("other products with 64 rows or more") != words.npos);
    }
    bool any = false;
    for (const int32_t m : sizes) {
      for (const int32_t n : sizes) {
        const int64_t needed = blocksparse_outer_scratch_f32(isa, BLOCKSPARSE_PATH_AUTO, m, n);
        CHECK(needed == 0 || needed == most_scratch(m, n));
        CHECK(needed == blocksparse_outer_scratch_f32(isa, BLOCKSPARSE_PATH_AUTO, n, m));
        CHECK(blocksparse_outer_scratch_f32(isa, BLOCKSPARSE_PATH_TILE, m, n) == 0);
        any = any || needed > 0;
        for (const int32_t transposed : {0, 1}) {
          const int64_t of_gemm = blocksparse_gemm_scratch_f32(
              isa, BLOCKSPARSE_PATH_AUTO, BLOCKSPARSE_FLOAT32, m, n, transposed);
          const bool large = int64_t{m} * n >= 128 * 128;
          CHECK(of_gemm == (isa == BLOCKSPARSE_PORTABLE && large ? most_scratch(m, n) : 0));
          CHECK(blocksparse_gemm_scratch_f32(isa, BLOCKSPARSE_PATH_TILE, BLOCKSPARSE_FLOAT32, m, n,
                                             transposed) == 0);
        }
      }
    }
    CHECK(any == may);
  }
}

}  // namespace

int main() {
  blocksparse_set_openblas_threads(1);
  CHECK(blocksparse_isa_supported(BLOCKSPARSE_PORTABLE) == 1);
  CHECK(blocksparse_isa_supported(-1) == 0 && blocksparse_isa_supported(4) == 0);
  CHECK(most_scratch(0, 0) >= 0 && most_scratch(3, 4) >= 7);
  CHECK(most_scratch(INT32_MAX, INT32_MAX) >= 2 * int64_t{INT32_MAX});
  check_paths();
  check_gemm();
  check_fetched_ahead();
  check_outer();
  return report("schedule_test");
}
