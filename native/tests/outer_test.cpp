// SPDX-License-Identifier: Apache-2.0
//
// block_outer and block_sum against plain loops in double.
#include <numeric>

#include "testing.h"

namespace {

using namespace testing;

struct problem {
  const char* name;
  int32_t m, n;
  int32_t x_blocks, y_blocks;
  int32_t x_rows, y_rows;
  int32_t most_pairs;  // per block
  float alpha;
  bool transposed, accumulate, dense;
};

struct operands {
  std::vector<int32_t> schedule;
  matrix x, y, o, scratch;
  bool without_scratch = false;

  blocksparse_blocks blocks(const problem& p) const {
    return blocks_of(o.data(), p.x_blocks, p.y_blocks, p.m, p.n, o.ld(), p.transposed);
  }

  int32_t run(const problem& p, int32_t isa, int32_t path, int32_t block_begin, int32_t block_end,
              int32_t m_begin, int32_t m_end) {
    const blocksparse_part part = part_of(schedule, block_begin, block_end, m_begin, m_end);
    const blocksparse_rows of_x = rows_of(x), of_y = rows_of(y);
    const blocksparse_blocks to = blocks(p);
    return blocksparse_block_outer_f32(isa, path, &part, p.alpha, &of_x, &of_y, p.accumulate, &to,
                                       without_scratch ? nullptr : scratch.data(),
                                       without_scratch ? 0 : scratch.size());
  }
};

// Makes operands of which about two thirds of the blocks are written, some of them from no pair.
operands make(const problem& p, random_source& r, bool whole) {
  std::vector<int32_t> x_block, y_block, pair_start{0}, pair_x, pair_y;
  for (int32_t i = 0; i < p.x_blocks; ++i) {
    for (int32_t j = 0; j < p.y_blocks; ++j) {
      if (r.below(3) == 0) {
        continue;
      }
      x_block.push_back(i);
      y_block.push_back(j);
      const int32_t pairs = r.below(p.most_pairs + 1);
      for (int32_t l = 0; l < pairs; ++l) {
        pair_x.push_back(p.dense ? l % p.x_rows : r.below(p.x_rows));
        pair_y.push_back(p.dense ? l % p.y_rows : r.below(p.y_rows));
      }
      pair_start.push_back(static_cast<int32_t>(pair_x.size()));
    }
  }
  std::vector<int32_t> packed{BLOCKSPARSE_OUTER_SCHEDULE, static_cast<int32_t>(x_block.size()),
                              static_cast<int32_t>(pair_x.size())};
  for (const auto* part : {&x_block, &y_block, &pair_start, &pair_x, &pair_y}) {
    packed.insert(packed.end(), part->begin(), part->end());
  }
  const auto value = [&] { return whole ? r.whole() : r.uniform(); };
  const int32_t o_rows = p.transposed ? p.n : p.m;
  matrix x(p.x_rows, p.m), y(p.y_rows, p.n);
  matrix o(int64_t{p.x_blocks} * p.y_blocks * o_rows, p.transposed ? p.m : p.n);
  x.fill(value);
  y.fill(value);
  if (p.accumulate) {
    o.fill(value);
  }
  return {packed, x, y, o, matrix(1, static_cast<int32_t>(most_scratch(p.m, p.n)))};
}

void compare(const problem& p, const operands& before, const matrix& o, int32_t begin, int32_t end,
             bool whole) {
  const std::vector<int32_t>& s = before.schedule;
  const std::size_t blocks = static_cast<std::size_t>(s[1]);
  const int32_t* const x_block = s.data() + 3;
  const int32_t* const y_block = x_block + blocks;
  const int32_t* const pair_start = y_block + blocks;
  const int32_t* const pair_x = pair_start + blocks + 1;
  const int32_t* const pair_y = pair_x + s[2];
  matrix expected_untouched = before.o;
  for (std::size_t b = 0; b < blocks; ++b) {
    const blocksparse_blocks all = before.blocks(p);
    const int64_t at = x_block[b] * all.in_stride + y_block[b] * all.out_stride;
    for (int32_t i = begin; i < end; ++i) {
      for (int32_t j = 0; j < p.n; ++j) {
        const int64_t place = at + (p.transposed ? j * o.ld() + i : i * o.ld() + j);
        double sum = 0.0, magnitude = 0.0;
        for (int32_t l = pair_start[b]; l < pair_start[b + 1]; ++l) {
          const double term = static_cast<double>(before.x.at(pair_x[l], i)) *
                              static_cast<double>(before.y.at(pair_y[l], j));
          sum += term;
          magnitude += std::fabs(term);
        }
        const double alpha = static_cast<double>(p.alpha);
        const double old = p.accumulate ? static_cast<double>(before.o.data()[place]) : 0.0;
        const double expected = old + alpha * sum;
        const double actual = static_cast<double>(o.data()[place]);
        const int terms = pair_start[b + 1] - pair_start[b] + 2;
        const double bound =
            whole ? 0.0 : terms * 0x1p-24 * (std::fabs(old) + std::fabs(alpha) * magnitude);
        CHECK(std::fabs(actual - expected) <= bound);
        expected_untouched.data()[place] = o.data()[place];
      }
    }
  }
  CHECK(o.same_bits(expected_untouched));  // everything else is unchanged
}

void check_problem(const problem& p, int32_t isa, int32_t path, uint64_t stream) {
  context() = std::string(p.name) + " m " + std::to_string(p.m) + " n " + std::to_string(p.n) +
              ", isa " + blocksparse_isa_name(isa) + ", path " + std::to_string(path) +
              (p.transposed ? ", transposed" : "") + (p.accumulate ? ", accumulate" : "");
  for (const bool whole : {true, false}) {
    random_source r(stream);
    const operands before = make(p, r, whole);
    const int32_t blocks = before.schedule[1];
    operands o = before;
    CHECK_STATUS(BLOCKSPARSE_OK, o.run(p, isa, path, 0, blocks, 0, p.m));
    compare(p, before, o.o, 0, p.m, whole);
    CHECK(o.scratch.intact() && o.x.same_bits(before.x) && o.y.same_bits(before.y));

    operands single = before;
    for (int32_t b = blocks - 1; b >= 0; --b) {
      CHECK_STATUS(BLOCKSPARSE_OK, single.run(p, isa, path, b, b + 1, 0, p.m));
    }
    CHECK(single.o.same_bits(o.o));

    operands part = before;
    const int32_t begin = p.m / 3, end = p.m - p.m / 4;
    CHECK_STATUS(BLOCKSPARSE_OK, part.run(p, isa, path, 0, blocks, begin, end));
    compare(p, before, part.o, begin, end, whole);

    operands least = before;
    least.scratch = matrix(1, p.m + p.n);
    CHECK_STATUS(BLOCKSPARSE_OK, least.run(p, isa, path, 0, blocks, 0, p.m));
    compare(p, before, least.o, 0, p.m, whole);
    CHECK(least.scratch.intact());

    // Scratch is optional where only tiles can run; elsewhere its lack is reported before anything
    // is written.
    operands none = before;
    none.without_scratch = true;
    const int32_t status = none.run(p, isa, path, 0, blocks, 0, p.m);
    if (blocksparse_outer_scratch_f32(isa, path, p.m, p.n) == 0) {
      CHECK_STATUS(BLOCKSPARSE_OK, status);
      CHECK(none.o.same_bits(o.o));
    } else {
      CHECK_STATUS(BLOCKSPARSE_SCRATCH_TOO_SMALL, status);
      CHECK(none.o.same_bits(before.o));
    }
  }
}

// Writes one block of m x n, stored plainly.
int32_t write_block(int32_t isa, int32_t path, const std::vector<int32_t>& schedule, float alpha,
                    const matrix& x, const matrix& y, int32_t accumulate, const matrix& o,
                    matrix& scratch) {
  const blocksparse_part part = part_of(schedule, 0, 1, 0, x.size());
  const blocksparse_rows of_x = rows_of(x), of_y = rows_of(y);
  const blocksparse_blocks to = blocks_of(o.data(), 1, 1, x.size(), y.size(), o.ld());
  return blocksparse_block_outer_f32(isa, path, &part, alpha, &of_x, &of_y, accumulate, &to,
                                     scratch.data(), scratch.size());
}

// Multiplies each row of x by the row of y with the same index.
int32_t outer_of(int32_t isa, int32_t path, float alpha, const matrix& x, const matrix& y,
                 int32_t accumulate, matrix& o) {
  const int32_t pairs = static_cast<int32_t>(x.rows());
  std::vector<int32_t> schedule = {BLOCKSPARSE_OUTER_SCHEDULE, 1, pairs, 0, 0, 0, pairs};
  for (int32_t i = 0; i < 2 * pairs; ++i) {
    schedule.push_back(i % pairs);
  }
  matrix scratch(1, x.size() + y.size());
  return write_block(isa, path, schedule, alpha, x, y, accumulate, o, scratch);
}

// OpenBLAS's kernels for small products read the rows even if alpha is 0, and those for large ones
// do not: sizes of both kinds.
void check_alpha_zero(int32_t isa, int32_t path, int32_t m, int32_t n, int32_t pairs) {
  context() = std::string("alpha 0, isa ") + blocksparse_isa_name(isa) + ", path " +
              std::to_string(path) + ", m " + std::to_string(m);
  std::vector<int32_t> schedule = {BLOCKSPARSE_OUTER_SCHEDULE, 1, pairs, 0, 0, 0, pairs};
  for (int32_t i = 0; i < 2 * pairs; ++i) {
    schedule.push_back(i % pairs);
  }
  // An infinity leads to sums in double; a NaN alone does not.
  for (const int32_t variant : {0, 1, 2, 3}) {
    const int32_t accumulate = variant % 2;
    matrix x(pairs, m, 3, 1.0f), y(pairs, n, 3, 2.0f), o(m, n, 3, 5.0f), scratch(1, m + n);
    x.at(pairs - 1, 1) = quiet_nan();
    y.at(0, n - 5) = variant < 2 ? std::numeric_limits<float>::infinity() : quiet_nan();
    CHECK_STATUS(BLOCKSPARSE_OK,
                 write_block(isa, path, schedule, 0.0f, x, y, accumulate, o, scratch));
    for (int32_t i = 0; i < m; ++i) {
      for (int32_t j = 0; j < n; ++j) {
        const float v = o.at(i, j);
        const bool poisoned = i == 1 || j == n - 5;
        CHECK(poisoned ? std::isnan(v) : v == (accumulate == 1 ? 5.0f : 0.0f));
      }
    }
  }
}

// Here x * y overflows, but alpha * (x * y) does not.
void check_large_products(int32_t isa, int32_t path) {
  context() = std::string("large products, isa ") + blocksparse_isa_name(isa) + ", path " +
              std::to_string(path);
  for (const float alpha : {0.0f, 0.1f, -0.1f, 0x1p-120f}) {
    for (const int32_t accumulate : {0, 1}) {
      matrix x(1, 20, 3, 1.0f), y(1, 70, 3, 2.0f), o(20, 70, 3, 5.0f);
      x.at(0, 3) = -3e38f;
      x.at(0, 4) = -std::numeric_limits<float>::max();
      y.at(0, 69) = -0.0f;
      CHECK_STATUS(BLOCKSPARSE_OK, outer_of(isa, path, alpha, x, y, accumulate, o));
      for (int32_t i = 0; i < 20; ++i) {
        for (int32_t j = 0; j < 70; ++j) {
          const double product = static_cast<double>(alpha) * static_cast<double>(x.at(0, i)) *
                                 static_cast<double>(y.at(0, j));
          const double exact = (accumulate == 1 ? 5.0 : 0.0) + product;
          CHECK(std::fabs(static_cast<double>(o.at(i, j)) - exact) <=
                2 * 0x1p-24 * std::fabs(exact));
        }
      }
      CHECK(o.intact());
      // A NaN neither hides the overflow, wherever it is in the vectors, nor is hidden.
      for (const int32_t at : {2, 7, 8, 11, 19}) {
        matrix with_nan = x;
        with_nan.at(0, at) = quiet_nan();
        CHECK_STATUS(BLOCKSPARSE_OK, outer_of(isa, path, alpha, with_nan, y, 0, o));
        CHECK(std::isfinite(o.at(3, 5)) && std::isfinite(o.at(4, 69)) && std::isfinite(o.at(0, 9)));
        CHECK(std::isnan(o.at(at, 5)));
      }
      y.at(0, 0) = quiet_nan();
      y.at(0, 1) = std::numeric_limits<float>::infinity();
      CHECK_STATUS(BLOCKSPARSE_OK, outer_of(isa, path, alpha, x, y, 0, o));
      CHECK(std::isfinite(o.at(3, 5)) && std::isnan(o.at(3, 0)));
      CHECK(alpha == 0.0f ? std::isnan(o.at(3, 1)) : std::isinf(o.at(3, 1)));
    }
  }
  // No product overflows, but their sum does.
  const matrix x(3, 20, 3, 1.5e38f), y(3, 70, 3, 1.0f);
  matrix o(20, 70, 3, 5.0f);
  CHECK_STATUS(BLOCKSPARSE_OK, outer_of(isa, path, 0.1f, x, y, 0, o));
  CHECK(std::fabs(o.at(19, 69) - 4.5e37f) <= 1e32f && o.at(0, 0) == o.at(19, 69));
  // Half of the sum overflows, though not times alpha, and the whole sum is 0.
  matrix opposite(256, 20, 3, 0x1p64f), equal(256, 70, 3, 0x1p57f), zero(20, 70);
  for (int64_t i = 128; i < 256; ++i) {
    for (int32_t q = 0; q < 20; ++q) {
      opposite.at(i, q) = -0x1p64f;
    }
  }
  for (const int32_t accumulate : {1, 0}) {
    zero.fill([=] { return accumulate == 1 ? 0x1p110f : quiet_nan(); });
    CHECK_STATUS(BLOCKSPARSE_OK, outer_of(isa, path, 0.25f, opposite, equal, accumulate, zero));
    for (int32_t r = 0; r < 20; ++r) {
      for (int32_t q = 0; q < 70; ++q) {
        CHECK(zero.at(r, q) == (accumulate == 1 ? 0x1p110f : 0.0f));
      }
    }
    CHECK(zero.intact());
  }
  if (path != BLOCKSPARSE_PATH_TILE) {
    return;
  }
  // Finite sums have the same bits as without an overflow elsewhere.
  random_source r(7);
  matrix small_x(100, 40), small_y(100, 70);
  small_x.fill([&] { return r.uniform(); });
  small_y.fill([&] { return r.uniform(); });
  matrix large_x = small_x;
  large_x.at(7, 3) = large_x.at(99, 39) = 3e38f;
  matrix large_y = small_y;
  large_y.at(7, 5) = large_y.at(99, 69) = 1e3f;
  for (const int32_t accumulate : {0, 1}) {
    matrix expected(40, 70, 3, 5.0f), actual(40, 70, 3, 5.0f);
    CHECK_STATUS(BLOCKSPARSE_OK,
                 outer_of(isa, path, 1e-4f, small_x, small_y, accumulate, expected));
    CHECK_STATUS(BLOCKSPARSE_OK, outer_of(isa, path, 1e-4f, large_x, large_y, accumulate, actual));
    for (int32_t i = 0; i < 40; ++i) {
      for (int32_t j = 0; j < 70; ++j) {
        const bool changed = i == 3 || i == 39 || j == 5 || j == 69;
        CHECK(changed || actual.at(i, j) == expected.at(i, j));
      }
    }
    CHECK(std::fabs(actual.at(3, 5) - 3e37f) <= 1e32f &&
          std::fabs(actual.at(39, 69) - 3e37f) <= 1e32f);
  }
}

// A sum over rows has the same bits whether they are contiguous, at a constant distance, or
// anywhere, in either operand or in both.
void check_rows_apart(int32_t isa, int32_t path, int32_t m, int32_t n) {
  for (const int32_t pairs : {128, 129, 500}) {
    context() = "rows apart, isa " + std::string(blocksparse_isa_name(isa)) + ", path " +
                std::to_string(path) + ", m " + std::to_string(m) + ", n " + std::to_string(n) +
                ", pairs " + std::to_string(pairs);
    random_source r(3);
    matrix x(pairs, m), y(pairs, n), scratch(1, static_cast<int32_t>(most_scratch(m, n)));
    x.fill([&] { return r.uniform(); });
    y.fill([&] { return r.uniform(); });
    const auto row = [](int32_t layout, int32_t i) {
      return layout == 0 ? i : layout == 1 ? 3 * i : 3 * i + i * i % 3;
    };
    std::vector<matrix> sums;
    for (int32_t x_layout = 0; x_layout < 3; ++x_layout) {
      for (int32_t y_layout = 0; y_layout < 3; ++y_layout) {
        std::vector<int32_t> schedule = {BLOCKSPARSE_OUTER_SCHEDULE, 1, pairs, 0, 0, 0, pairs};
        matrix x_apart(3 * pairs, m), y_apart(3 * pairs, n);
        for (int32_t i = 0; i < pairs; ++i) {
          schedule.push_back(row(x_layout, i));
          std::copy_n(&x.at(i, 0), m, &x_apart.at(schedule.back(), 0));
        }
        for (int32_t i = 0; i < pairs; ++i) {
          schedule.push_back(row(y_layout, i));
          std::copy_n(&y.at(i, 0), n, &y_apart.at(schedule.back(), 0));
        }
        sums.emplace_back(m, n);
        CHECK_STATUS(BLOCKSPARSE_OK, write_block(isa, path, schedule, 0.5f, x_apart, y_apart, 0,
                                                 sums.back(), scratch));
        CHECK(sums.back().same_bits(sums.front()));
      }
    }
  }
}

void check_block_sum(int32_t isa) {
  context() = std::string("block_sum, isa ") + blocksparse_isa_name(isa);
  random_source r(5);
  for (const int32_t n : {0, 1, 7, 16, 17, 100, 256, 257, 530}) {
    std::vector<int32_t> rows, blocks;
    for (int32_t i = 0; i < 60; ++i) {
      rows.push_back((i * 7) % 60);
      blocks.push_back(i % 4 == 3 ? 0 : r.below(4));  // no row names block 4
    }
    const std::vector<int32_t> schedule = row_schedule(rows, blocks, 11);
    matrix y(60, n), o(5, n);
    y.fill([&] { return r.whole(); });
    o.fill([&] { return r.whole(); });
    const matrix before = o;
    const blocksparse_rows of_y = rows_of(y), of_o = rows_of(o);
    const blocksparse_part all = all_of(schedule, n);
    CHECK_STATUS(BLOCKSPARSE_OK, blocksparse_block_sum_f32(isa, &all, -0.5f, &of_y, &of_o));
    for (int32_t b = 0; b < 5; ++b) {
      for (int32_t q = 0; q < n; ++q) {
        double expected = static_cast<double>(before.at(b, q));
        for (std::size_t i = 0; i < rows.size(); ++i) {
          expected += blocks[i] == b ? -0.5 * static_cast<double>(y.at(rows[i], q)) : 0.0;
        }
        CHECK(static_cast<double>(o.at(b, q)) == expected);
      }
    }
    CHECK(o.intact());
    for (const int64_t stride : {int64_t{0}, o.ld()}) {
      const blocksparse_part none = part_of(schedule, 0, 0, 0, n);
      const blocksparse_rows fewer = {o.data(), -1, stride};
      CHECK_STATUS(BLOCKSPARSE_BAD_SIZE,
                   blocksparse_block_sum_f32(isa, &none, 1.0f, &of_y, &fewer));
    }
  }
}

// Summands that are small beside the sum so far are not lost.
void check_long_block_sum(int32_t isa) {
  context() = std::string("long block_sum, isa ") + blocksparse_isa_name(isa);
  std::vector<int32_t> rows(60);
  std::iota(rows.begin(), rows.end(), 0);
  const std::vector<int32_t> schedule = row_schedule(rows, std::vector<int32_t>(60, 0), 20);
  const std::vector<float> y(60, 1.0f);
  float o = 0x1p24f;
  const blocksparse_part all = all_of(schedule, 1);
  const blocksparse_rows of_y = rows_of(y.data(), 60, 1), of_o = rows_of(&o, 1, 1);
  CHECK_STATUS(BLOCKSPARSE_OK, blocksparse_block_sum_f32(isa, &all, 1.0f, &of_y, &of_o));
  CHECK(o == 0x1p24f + 60);
}

// Blocks that exceed the caches together are written past them where lines are whole: the bits are
// those of adding to zeros, which the blocks do not hold. The cases include blocks and rows that
// begin within a line, rows that end within one, and parts of blocks.
void check_blocks_beyond_caches(int32_t isa, int32_t columns, int32_t ldo) {
  constexpr int32_t kRows = 2080, kPairs = 3, kBlocks = 2;
  context() = std::string("beyond caches, isa ") + blocksparse_isa_name(isa) + ", n " +
              std::to_string(columns) + ", ldo " + std::to_string(ldo);
  const int64_t block = int64_t{kRows} * ldo;
  const std::vector<int32_t> schedule = {
      BLOCKSPARSE_OUTER_SCHEDULE, kBlocks, kPairs, 0, 0, 0, 1, 0, 1, 3, 0, 1, 2, 2, 1, 0};
  random_source r(11);
  matrix x(kPairs, kRows, 0), y(kPairs, columns, 0);
  x.fill([&] { return r.uniform(); });
  y.fill([&] { return r.uniform(); });
  const auto run = [&](float* o, int32_t m_begin, int32_t m_end, int32_t accumulate) {
    const blocksparse_part part = part_of(schedule, 0, kBlocks, m_begin, m_end);
    const blocksparse_rows of_x = rows_of(x), of_y = rows_of(y);
    const blocksparse_blocks to = blocks_of(o, 1, kBlocks, kRows, columns, ldo);
    return blocksparse_block_outer_f32(isa, BLOCKSPARSE_PATH_TILE, &part, 1.0f, &of_x, &of_y,
                                       accumulate, &to, nullptr, 0);
  };
  const auto all = static_cast<std::size_t>(kBlocks * block);
  std::vector<float> sums(all), memory(all + 32);
  CHECK_STATUS(BLOCKSPARSE_OK, run(sums.data(), 0, kRows, 1));
  for (int64_t row = 0; row < int64_t{kBlocks} * kRows; ++row) {
    std::fill_n(sums.data() + row * ldo + columns, ldo - columns, 7.0f);
  }
  const std::size_t before = reinterpret_cast<std::uintptr_t>(memory.data()) / 4 % 16;
  float* const line = memory.data() + (16 - before);
  for (float* const o : {line, line + 1}) {
    std::fill(memory.begin(), memory.end(), 7.0f);
    CHECK_STATUS(BLOCKSPARSE_OK, run(o, 0, 13, 0));
    CHECK(o[int64_t{13} * ldo] == 7.0f);
    CHECK_STATUS(BLOCKSPARSE_OK, run(o, 13, kRows, 0));
    CHECK(o[-1] == 7.0f && o[all] == 7.0f);
    CHECK(std::equal(sums.begin(), sums.end(), o));
  }
}

// Blocks beyond the caches that are so small that a few pairs are taken at once.
template <int32_t kSide, int32_t kLdo>
void check_small_blocks_beyond_caches(int32_t isa) {
  constexpr int32_t kBlock = kSide * kLdo, kBlocks = (33 << 20) / 4 / (kSide * kSide);
  context() = "blocks of " + std::to_string(kSide) + " rows beyond caches, ldo " +
              std::to_string(kLdo) + ", isa " + blocksparse_isa_name(isa);
  std::vector<int32_t> schedule = {BLOCKSPARSE_OUTER_SCHEDULE, kBlocks, 2 * kBlocks};
  schedule.resize(3 + kBlocks);  // x_block: 0
  for (int32_t b = 0; b < kBlocks; ++b) {
    schedule.push_back(b);
  }
  for (int32_t b = 0; b <= kBlocks; ++b) {
    schedule.push_back(2 * b);
  }
  for (int32_t i = 0; i < 4 * kBlocks; ++i) {
    schedule.push_back(i % 3);
  }
  random_source r(12);
  std::vector<float> x(3 * kSide), y(3 * kSide);
  for (std::vector<float>* const values : {&x, &y}) {
    for (float& value : *values) {
      value = r.uniform();
    }
  }
  const auto run = [&](float* o, int32_t accumulate) {
    const blocksparse_part part = all_of(schedule, kSide);
    const blocksparse_rows of_x = rows_of(x.data(), 3, kSide), of_y = rows_of(y.data(), 3, kSide);
    const blocksparse_blocks to = blocks_of(o, 1, kBlocks, kSide, kSide, kLdo);
    return blocksparse_block_outer_f32(isa, BLOCKSPARSE_PATH_TILE, &part, 1.0f, &of_x, &of_y,
                                       accumulate, &to, nullptr, 0);
  };
  constexpr auto kAll = std::size_t{kBlocks} * kBlock;
  std::vector<float> sums(kAll), memory(kAll + 32, 7.0f);
  CHECK_STATUS(BLOCKSPARSE_OK, run(sums.data(), 1));
  for (std::size_t row = 0; row < std::size_t{kBlocks} * kSide; ++row) {
    std::fill_n(sums.data() + row * kLdo + kSide, kLdo - kSide, 7.0f);
  }
  float* const line =
      memory.data() + (16 - reinterpret_cast<std::uintptr_t>(memory.data()) / 4 % 16);
  CHECK_STATUS(BLOCKSPARSE_OK, run(line, 0));
  CHECK(line[-1] == 7.0f && line[kAll] == 7.0f);
  CHECK(std::equal(sums.begin(), sums.end(), line));
}

}  // namespace

int main() {
  blocksparse_set_openblas_threads(1);
  const bool kNo = false;
  const problem shapes[] = {
      {"one element", 1, 1, 2, 2, 3, 3, 3, 1.0f, kNo, kNo, kNo},
      {"small", 7, 5, 3, 3, 9, 4, 6, 1.0f, kNo, kNo, kNo},
      {"tile", 12, 64, 2, 3, 20, 20, 30, -2.0f, kNo, kNo, kNo},
      {"primes", 31, 101, 2, 2, 17, 13, 20, 0.5f, kNo, kNo, kNo},
      {"column", 40, 1, 2, 2, 5, 5, 9, 2.0f, kNo, kNo, kNo},
      {"row", 1, 140, 2, 2, 5, 5, 9, 2.0f, kNo, kNo, kNo},
      {"m is 0", 0, 14, 2, 2, 5, 5, 9, 2.0f, kNo, kNo, kNo},
      {"n is 0", 14, 0, 2, 2, 5, 5, 9, 2.0f, kNo, kNo, kNo},
      {"no pairs", 14, 20, 2, 2, 5, 5, 0, 2.0f, kNo, kNo, kNo},
      {"a pair or two", 16, 16, 6, 6, 20, 30, 2, 1.0f, kNo, kNo, kNo},
      {"up to eight pairs", 11, 37, 5, 6, 20, 30, 8, 0.5f, kNo, kNo, kNo},
      {"a few pairs of larger blocks", 70, 90, 3, 3, 20, 30, 6, 0.5f, kNo, kNo, kNo},
      {"many pairs", 20, 70, 1, 4, 50, 60, 400, 1.0f, kNo, kNo, kNo},
      {"dense", 20, 30, 1, 3, 200, 200, 200, 1.0f, kNo, kNo, true},
  };
  uint64_t stream = 0;
  for (const int32_t isa : instruction_sets()) {
    for (const int32_t path :
         {BLOCKSPARSE_PATH_AUTO, BLOCKSPARSE_PATH_BLAS, BLOCKSPARSE_PATH_TILE}) {
      for (const problem& shape : shapes) {
        for (int variant = 0; variant < 4; ++variant) {
          problem p = shape;
          p.transposed = variant % 2 == 1;
          p.accumulate = variant / 2 == 1;
          check_problem(p, isa, path, ++stream);
        }
      }
      for (int32_t n = 1; n <= 70; ++n) {  // every remainder of a tile's rows and columns
        const problem p = {"remainders", n % 14 + 1, n,          1,  1, 3, 3, 4,
                           1.0f,         n % 2 == 0, n % 3 == 0, kNo};
        check_problem(p, isa, path, ++stream);
      }
      check_alpha_zero(isa, path, 3, 40, 1);
      check_alpha_zero(isa, path, 200, 200, 200);
      check_large_products(isa, path);
      check_rows_apart(isa, path, 40, 50);
      check_rows_apart(isa, path, 130, 128);
    }
    check_block_sum(isa);
    check_long_block_sum(isa);
    check_blocks_beyond_caches(isa, 2064, 2064);
    check_blocks_beyond_caches(isa, 2064, 2068);
    check_blocks_beyond_caches(isa, 2064, 2080);
    check_blocks_beyond_caches(isa, 2060, 2064);
    check_small_blocks_beyond_caches<16, 16>(isa);
    check_small_blocks_beyond_caches<16, 20>(isa);
    check_small_blocks_beyond_caches<64, 64>(isa);
    check_small_blocks_beyond_caches<64, 68>(isa);
  }
  return report("outer_test");
}
