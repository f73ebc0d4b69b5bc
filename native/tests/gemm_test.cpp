// SPDX-License-Identifier: Apache-2.0
// Checks block_gemm against plain loops in double: integers bit by bit, random numbers within the
// bound k * 2^-24 * sum |a||w|.
#include "testing.h"

namespace {

using namespace testing;

struct problem {
  const char* name;
  int32_t k, n;
  int32_t read_blocks, write_blocks;
  int32_t samples, reads, writes;  // each sample reads `reads` rows and writes `writes`
  int32_t most;                    // rows per chunk
  bool transposed;
  bool accumulate;
  bool bias;
  bool repeats;  // whether samples may name a block twice
};

struct operands {
  std::vector<int32_t> schedule;
  matrix a, w, bias, c, scratch;
  bool without_scratch = false;

  blocksparse_blocks blocks(const problem& p) const {
    return blocks_of(w.data(), p.read_blocks, p.write_blocks, p.k, p.n, w.ld(), p.transposed);
  }

  int32_t run(const problem& p, int32_t isa, int32_t path, int32_t chunk_begin, int32_t chunk_end,
              int32_t column_begin, int32_t column_end) {
    const blocksparse_part part =
        part_of(schedule, chunk_begin, chunk_end, column_begin, column_end);
    const blocksparse_rows from = rows_of(a);
    const blocksparse_blocks by = blocks(p);
    const blocksparse_sums to =
        p.bias ? sums_of(rows_of(c), bias) : sums_of(rows_of(c), p.accumulate);
    return blocksparse_block_gemm_f32(isa, path, &part, &from, 0, &by, &to,
                                      without_scratch ? nullptr : scratch.data(),
                                      without_scratch ? 0 : scratch.size());
  }
};

struct made {
  operands o;
  std::vector<gemm_pair> pairs;
  std::vector<int32_t> rows, row_block;
};

// Makes operands whose rows are scattered: row s * writes + j of c, in a permuted order of samples.
made make(const problem& p, random_source& r, bool whole) {
  std::vector<int32_t> rows, row_block, input(static_cast<std::size_t>(p.samples * p.reads));
  std::vector<gemm_pair> pairs;
  for (int32_t s = 0; s < p.samples; ++s) {
    for (int32_t i = 0; i < p.reads; ++i) {
      input[static_cast<std::size_t>(s * p.reads + i)] =
          p.repeats ? r.below(p.read_blocks) : (s + i * 7) % p.read_blocks;
    }
    for (int32_t j = 0; j < p.writes; ++j) {
      const int32_t row = s * p.writes + j;
      rows.push_back(row);
      row_block.push_back(r.below(p.write_blocks));
      for (int32_t i = 0; i < p.reads; ++i) {
        pairs.push_back({s * p.reads + i, row, input[static_cast<std::size_t>(s * p.reads + i)]});
      }
    }
  }
  const auto value = [&] { return whole ? r.whole() : r.uniform(); };
  const int32_t w_rows = p.transposed ? p.n : p.k;
  const int32_t w_columns = p.transposed ? p.k : p.n;
  matrix w(int64_t{p.read_blocks} * p.write_blocks * w_rows, w_columns);
  w.fill(value);
  matrix a(int64_t{p.samples} * p.reads, p.k);
  a.fill(value);
  matrix bias(p.write_blocks, p.n);
  bias.fill(value);
  matrix c(int64_t{p.samples} * p.writes, p.n);
  if (p.accumulate) {
    c.fill(value);
  }
  const int64_t scratch = most_scratch(p.k, p.n);
  return {{gemm_schedule(rows, row_block, pairs, p.most), a, w, bias, c,
           matrix(1, static_cast<int32_t>(scratch))},
          pairs,
          rows,
          row_block};
}

// Compares rows [0, c.rows()) and columns [begin, end); all others must be unchanged.
void compare(const problem& p, const made& before, const matrix& c, int32_t begin, int32_t end,
             bool whole) {
  const operands& o = before.o;
  for (std::size_t i = 0; i < before.rows.size(); ++i) {
    const int32_t row = before.rows[i];
    const int32_t block = before.row_block[i];
    std::vector<gemm_pair> pairs;
    for (const gemm_pair& pair : before.pairs) {
      if (pair.write_row == row) {
        pairs.push_back(pair);
      }
    }
    for (int32_t q = 0; q < p.n; ++q) {
      const float old = o.c.at(row, q);
      const float actual = c.at(row, q);
      if (q < begin || q >= end) {
        CHECK(std::memcmp(&old, &actual, sizeof(float)) == 0);
        continue;
      }
      double sum = p.accumulate ? static_cast<double>(old)
                   : p.bias     ? static_cast<double>(o.bias.at(block, q))
                                : 0.0;
      double magnitude = std::fabs(sum);
      int terms = 1;
      for (const gemm_pair& pair : pairs) {
        const float* const a = o.a.data() + pair.read_row * o.a.ld();
        const blocksparse_blocks blocks = o.blocks(p);
        const float* const w =
            o.w.data() + pair.read_block * blocks.in_stride + block * blocks.out_stride;
        for (int32_t l = 0; l < p.k; ++l) {
          const double term =
              static_cast<double>(a[l]) *
              static_cast<double>(p.transposed ? w[q * o.w.ld() + l] : w[l * o.w.ld() + q]);
          sum += term;
          magnitude += std::fabs(term);
          ++terms;
        }
      }
      if (whole) {
        CHECK(static_cast<double>(actual) == sum);
      } else {
        CHECK(std::fabs(static_cast<double>(actual) - sum) <= terms * 0x1p-24 * magnitude);
      }
    }
  }
}

int32_t chunks_of(const operands& o) { return o.schedule[1]; }

// Scratch is optional where only tiles can run; elsewhere its lack is reported before anything is
// written.
void check_missing_scratch(const problem& p, int32_t isa, int32_t path, const made& before,
                           const matrix& expected) {
  operands none = before.o;
  none.scratch = matrix(0, 0, 0);
  none.without_scratch = true;
  const int32_t status = none.run(p, isa, path, 0, chunks_of(none), 0, p.n);
  if (blocksparse_gemm_scratch_f32(isa, path, BLOCKSPARSE_FLOAT32, p.k, p.n, p.transposed) == 0) {
    CHECK_STATUS(BLOCKSPARSE_OK, status);
    CHECK(none.c.same_bits(expected));
  } else if (p.k + p.n > 0) {
    CHECK_STATUS(BLOCKSPARSE_SCRATCH_TOO_SMALL, status);
    CHECK(none.c.same_bits(before.o.c));
  }
}

void check_problem(const problem& p, int32_t isa, int32_t path, uint64_t stream) {
  context() = std::string(p.name) + " k " + std::to_string(p.k) + " n " + std::to_string(p.n) +
              ", isa " + blocksparse_isa_name(isa) + ", path " + std::to_string(path) +
              (p.transposed ? ", transposed" : "") + (p.accumulate ? ", accumulate" : "") +
              (p.bias ? ", bias" : "");
  for (const bool whole : {true, false}) {
    if (BLOCKSPARSE_TESTS_SLOW && whole != (stream % 4 < 2)) {
      continue;  // transposed and not, for each
    }
    random_source r(stream);
    const made before = make(p, r, whole);
    operands o = before.o;
    CHECK_STATUS(BLOCKSPARSE_OK, o.run(p, isa, path, 0, chunks_of(o), 0, p.n));
    compare(p, before, o.c, 0, p.n, whole);
    CHECK(o.a.intact() && o.w.intact() && o.bias.intact() && o.c.intact() && o.scratch.intact());
    CHECK(o.a.same_bits(before.o.a) && o.w.same_bits(before.o.w));

    // Runs one chunk at a time, the last first: the bits are equal.
    operands single = before.o;
    for (int32_t c = chunks_of(o) - 1; c >= 0; --c) {
      CHECK_STATUS(BLOCKSPARSE_OK, single.run(p, isa, path, c, c + 1, 0, p.n));
    }
    CHECK(single.c.same_bits(o.c));

    // Computes some columns only: the others are unchanged.
    const int32_t begin = p.n / 3;
    const int32_t end = p.n - p.n / 4;
    operands columns = before.o;
    CHECK_STATUS(BLOCKSPARSE_OK, columns.run(p, isa, path, 0, chunks_of(o), begin, end));
    compare(p, before, columns.c, begin, end, whole);
    CHECK(columns.c.intact());
    for (int32_t row = 0; path == BLOCKSPARSE_PATH_TILE && row < o.c.rows(); ++row) {
      for (int32_t q = begin; q < end; ++q) {
        const float all = o.c.at(row, q), part = columns.c.at(row, q);
        CHECK(std::memcmp(&all, &part, sizeof(float)) == 0);
      }
    }

    // The least scratch memory that is allowed.
    operands least = before.o;
    least.scratch = matrix(1, p.k + p.n);
    CHECK_STATUS(BLOCKSPARSE_OK, least.run(p, isa, path, 0, chunks_of(o), 0, p.n));
    compare(p, before, least.c, 0, p.n, whole);
    CHECK(least.scratch.intact());

    check_missing_scratch(p, isa, path, before, o.c);
  }
}

void check_special_values(int32_t isa, int32_t path) {
  context() = std::string("special values, isa ") + blocksparse_isa_name(isa) + ", path " +
              std::to_string(path);
  // A zero does not hide a NaN or an infinity that it multiplies, and these touch no other row or
  // column.
  const problem p = {"special", 5, 37, 2, 1, 9, 1, 1, 100, false, false, false, false};
  random_source r(3);
  made m = make(p, r, true);
  operands& o = m.o;
  for (int32_t l = 0; l < p.k; ++l) {
    o.a.at(4, l) = 0.0f;
  }
  o.a.at(6, 2) = std::numeric_limits<float>::infinity();
  float* const w = o.w.data();  // block 0, which sample 4 reads
  w[1 * o.w.ld() + 20] = quiet_nan();
  CHECK_STATUS(BLOCKSPARSE_OK, o.run(p, isa, path, 0, chunks_of(o), 0, p.n));
  for (int32_t row = 0; row < 9; ++row) {
    for (int32_t q = 0; q < p.n; ++q) {
      const float v = o.c.at(row, q);
      const bool reads_nan = row % 2 == 0 && q == 20;
      if (reads_nan) {
        CHECK(std::isnan(v));
      } else if (row == 6) {
        const float factor = w[2 * o.w.ld() + q];
        CHECK(factor == 0.0f ? std::isnan(v) : std::isinf(v));
      } else {
        CHECK(std::isfinite(v));
      }
    }
  }
}

void check_dense_rows(int32_t isa, int32_t path) {
  // Rows at a constant distance, which BLAS reads in place; the first may be anywhere.
  for (const int32_t stride : {1, 2}) {
    context() = "dense rows, stride " + std::to_string(stride) + ", isa " +
                blocksparse_isa_name(isa) + ", path " + std::to_string(path);
    const int32_t k = 19, n = 70, rows = 23;
    std::vector<int32_t> list, blocks(rows, 0);
    std::vector<gemm_pair> pairs;
    for (int32_t i = 0; i < rows; ++i) {
      list.push_back(1 + i * stride);
      pairs.push_back({2 + i * stride, list.back(), 0});
    }
    problem p = {"dense", k, n, 1, 1, 0, 0, 0, 0, false, false, true, false};
    random_source r(17);
    const auto whole = [&] { return r.whole(); };
    const int32_t scratch = static_cast<int32_t>(most_scratch(k, n));
    made m = {{gemm_schedule(list, blocks, pairs, 10), matrix(2 + rows * stride, k), matrix(k, n),
               matrix(1, n), matrix(1 + rows * stride, n), matrix(1, scratch)},
              pairs,
              list,
              blocks};
    m.o.a.fill(whole);
    m.o.w.fill(whole);
    m.o.bias.fill(whole);
    operands o = m.o;
    CHECK_STATUS(BLOCKSPARSE_OK, o.run(p, isa, path, 0, chunks_of(o), 0, n));
    compare(p, m, o.c, 0, n, true);
    CHECK(std::isnan(o.c.at(0, 0)));  // no chunk writes row 0
    CHECK(o.c.intact());
  }
}

// Multiplies all chunks and columns, on tiles.
int32_t multiply(int32_t isa, const std::vector<int32_t>& schedule, int32_t columns,
                 const blocksparse_rows& a, const blocksparse_blocks& w,
                 const blocksparse_rows& c) {
  const blocksparse_part part = all_of(schedule, columns);
  const blocksparse_sums to = sums_of(c);
  return blocksparse_block_gemm_f32(isa, BLOCKSPARSE_PATH_TILE, &part, &a, 0, &w, &to, nullptr, 0);
}

// A segment without pairs between others, which Java never makes.
void check_empty_segments(int32_t isa) {
  context() = std::string("empty segments, isa ") + blocksparse_isa_name(isa);
  const std::vector<int32_t> schedule = {BLOCKSPARSE_GEMM_SCHEDULE,
                                         1,
                                         5,
                                         2,
                                         3,  // chunks, segments, rows, pairs
                                         0,  // write_block
                                         0,
                                         2,  // row_start
                                         0,
                                         5,  // segment_start
                                         0,
                                         1,
                                         2,
                                         3,
                                         4,  // read_block
                                         0,
                                         0,
                                         1,
                                         1,
                                         3,
                                         3,  // pair_start
                                         1,
                                         0,  // row
                                         0,
                                         1,
                                         0,  // pair_read
                                         1,
                                         0,
                                         1};  // pair_write
  const std::vector<float> a = {1, 10}, w = {1, 2, 3, 4, 5};
  std::vector<float> c(2);
  CHECK_STATUS(BLOCKSPARSE_OK,
               multiply(isa, schedule, 1, rows_of(a.data(), 2, 1),
                        blocks_of(w.data(), 5, 1, 1, 1, 1), rows_of(c.data(), 2, 1)));
  CHECK(c[0] == 2.0f + 4.0f && c[1] == 40.0f);
}

// A sample may select a block any number of times; the time grows linearly with that number: its
// square would take seconds here.
void check_very_many_repeats(int32_t isa) {
  context() = "very many repeats, isa " + std::string(blocksparse_isa_name(isa));
  constexpr int32_t kRepeats = 200000;
  std::vector<gemm_pair> pairs;
  for (int32_t i = 0; i < kRepeats; ++i) {
    pairs.push_back({i % 3, i / (kRepeats / 2), 0});
  }
  const std::vector<int32_t> schedule = gemm_schedule({0, 1}, {0, 0}, pairs, 1000);
  const std::vector<float> a = {1, 2, 3}, w = {1, -2, 3, 4, 5};
  for (const int32_t transposed : {0, 1}) {
    std::vector<float> c(2 * w.size());
    const int64_t ldw = transposed == 1 ? 1 : 5;
    CHECK_STATUS(BLOCKSPARSE_OK, multiply(isa, schedule, 5, rows_of(a.data(), 3, 1),
                                          blocks_of(w.data(), 1, 1, 1, 5, ldw, transposed == 1),
                                          rows_of(c.data(), 2, 5)));
    for (std::size_t q = 0; q < w.size(); ++q) {
      CHECK(c[q] == 199999.0f * w[q] && c[5 + q] == 200000.0f * w[q]);
    }
  }
}

// So many columns that the product of two counts of tiles exceeds 32 bits. There are a few rows,
// and enough for a panel to pay off.
void check_very_wide_blocks(int32_t isa) {
  const int32_t n = 4300000;
  for (const int32_t rows : {2, 17}) {
    context() = "very wide, isa " + std::string(blocksparse_isa_name(isa)) + ", rows " +
                std::to_string(rows);
    std::vector<int32_t> list(static_cast<std::size_t>(rows)), blocks(list.size(), 0);
    std::vector<gemm_pair> pairs;
    for (int32_t i = 0; i < rows; ++i) {
      list[static_cast<std::size_t>(i)] = i;
      pairs.push_back({i, i, 0});
    }
    const std::vector<int32_t> schedule = gemm_schedule(list, blocks, pairs, 1000);
    std::vector<float> a(list.size()), w(static_cast<std::size_t>(n)), c(w.size() * list.size());
    for (int32_t i = 0; i < rows; ++i) {
      a[static_cast<std::size_t>(i)] = static_cast<float>(i + 1);
    }
    for (int32_t q = 0; q < n; ++q) {
      w[static_cast<std::size_t>(q)] = static_cast<float>(q % 1000);
    }
    CHECK_STATUS(BLOCKSPARSE_OK,
                 multiply(isa, schedule, n, rows_of(a.data(), rows, 1),
                          blocks_of(w.data(), 1, 1, 1, n, n), rows_of(c.data(), rows, n)));
    int32_t wrong = 0;
    for (int32_t i = 0; i < rows; ++i) {
      for (int32_t q = 0; q < n; q += 61) {  // samples every stripe, in time for the sanitizers
        const std::size_t at = static_cast<std::size_t>(int64_t{i} * n + q);
        wrong += c[at] != static_cast<float>((i + 1) * (q % 1000)) ? 1 : 0;
      }
    }
    CHECK(wrong == 0);
  }
}

}  // namespace

int main() {
  blocksparse_set_openblas_threads(1);
  const bool kNo = false, kYes = true;
  const problem shapes[] = {
      {"one row", 7, 5, 3, 3, 1, 1, 1, 8, kNo, kNo, kNo, kNo},
      {"window", 16, 64, 4, 5, 6, 3, 2, 4, kNo, kNo, kNo, kNo},
      {"repeats", 9, 33, 2, 2, 11, 5, 3, 100, kNo, kNo, kNo, kYes},
      {"primes", 31, 101, 3, 2, 13, 2, 2, 5, kNo, kNo, kNo, kYes},
      {"n is 1", 50, 1, 2, 3, 5, 2, 2, 3, kNo, kNo, kNo, kYes},
      {"k is 1", 1, 130, 2, 2, 7, 2, 1, 3, kNo, kNo, kNo, kYes},
      {"k is 0", 0, 20, 2, 2, 4, 2, 2, 3, kNo, kNo, kNo, kNo},
      {"n is 0", 8, 0, 2, 2, 4, 2, 2, 3, kNo, kNo, kNo, kNo},
      {"nothing read", 8, 12, 2, 2, 4, 0, 2, 3, kNo, kNo, kNo, kNo},
      {"nothing written", 8, 12, 2, 2, 4, 2, 0, 3, kNo, kNo, kNo, kNo},
      {"small blocks", 16, 16, 9, 4, 30, 4, 3, 100, kNo, kNo, kNo, kNo},
      {"small blocks, repeats", 11, 21, 9, 4, 30, 4, 3, 10, kNo, kNo, kNo, kYes},
      {"medium blocks", 64, 64, 9, 4, 30, 4, 3, 100, kNo, kNo, kNo, kNo},
      {"medium blocks, repeats", 53, 77, 9, 4, 30, 4, 3, 10, kNo, kNo, kNo, kYes},
      {"short blocks", 1, 64, 50, 2, 30, 9, 1, 1000, kNo, kNo, kNo, kNo},
      {"long", 333, 200, 1, 2, 40, 1, 1, 1000, kNo, kNo, kNo, kNo},
      {"wide", 40, 515, 2, 1, 9, 1, 1, 1000, kNo, kNo, kNo, kNo},
      {"wide, few rows", 37, 2100, 2, 3, 5, 1, 1, 1000, kNo, kNo, kNo, kNo},
      {"wide, three rows", 21, 300, 1, 1, 3, 1, 1, 1000, kNo, kNo, kNo, kNo},
      {"many rows", 12, 40, 1, 1, 300, 1, 1, 1000, kNo, kNo, kNo, kYes},
      {"many repeats", 6, 20, 1, 1, 3, 250, 1, 1000, kNo, kNo, kNo, kYes},
  };
  uint64_t stream = 0;
  for (const int32_t isa : instruction_sets()) {
    check_very_wide_blocks(isa);
    check_very_many_repeats(isa);
    for (const int32_t path :
         {BLOCKSPARSE_PATH_AUTO, BLOCKSPARSE_PATH_BLAS, BLOCKSPARSE_PATH_TILE}) {
      for (const problem& shape : shapes) {
        for (int variant = 0; variant < 6; ++variant) {
          if (BLOCKSPARSE_TESTS_SLOW && path == BLOCKSPARSE_PATH_AUTO && variant > 0) {
            break;  // AUTO takes one of the other two
          }
          problem p = shape;
          p.transposed = variant % 2 == 1;
          p.accumulate = variant / 2 == 1;
          p.bias = variant / 2 == 2;
          check_problem(p, isa, path, ++stream);
        }
      }
      for (int32_t n = 1; n <= 70; ++n) {  // every remainder of a tile's rows and columns
        const problem p = {"remainders", 1 + n % 5,  n,          1,          2,  n % 14 + 1, 1, 1,
                           1000,         n % 2 == 0, n % 3 == 0, n % 3 == 1, kNo};
        check_problem(p, isa, path, ++stream);
      }
      check_special_values(isa, path);
      check_dense_rows(isa, path);
    }
    check_empty_segments(isa);
  }
  return report("gemm_test");
}
