// SPDX-License-Identifier: Apache-2.0
// Checks block_gemm_typed: the bits are those of block_gemm on tiles, with the weights widened
// before by plain arithmetic in double; and with a rounded, they meet the header's bound.
#include "stored_weights.h"
#include "testing.h"

namespace {

using namespace testing;

struct problem {
  const char* name;
  int32_t k, n, read_blocks, write_blocks, samples, reads;
};

struct operands {
  problem p;
  bool transposed, accumulate, with_bias;
  std::vector<gemm_pair> pairs;
  std::vector<int32_t> row_block, schedule;
  matrix a, bias, c;
  stored w;

  int32_t chunks() const { return schedule[1]; }
  int64_t columns() const { return transposed ? p.k : p.n; }
  int64_t block() const { return int64_t{p.k} * p.n; }

  blocksparse_blocks blocks(const void* data, int32_t type, const float* scales) const {
    return blocks_of(data, p.read_blocks, p.write_blocks, p.k, p.n, columns(), transposed, type,
                     scales);
  }

  int32_t run(int32_t isa, int32_t path, const blocksparse_part& part, bool round_a,
              const blocksparse_blocks& by, const matrix& to) const {
    const blocksparse_rows from = rows_of(a);
    const blocksparse_sums sums =
        with_bias ? sums_of(rows_of(to), bias) : sums_of(rows_of(to), accumulate);
    return blocksparse_block_gemm_f32(isa, path, &part, &from, round_a ? 1 : 0, &by, &sums, nullptr,
                                      0);
  }

  int32_t run_widened(int32_t isa, matrix& to) const {
    return run(isa, BLOCKSPARSE_PATH_TILE, all_of(schedule, p.n), false,
               blocks(w.widened.data(), BLOCKSPARSE_FLOAT32, nullptr), to);
  }

  // All types but floats run on tiles, whatever the path.
  int32_t run_typed(int32_t isa, int32_t chunk_begin, int32_t chunk_end, int32_t column_begin,
                    int32_t column_end, matrix& to, bool round_a = false) const {
    return run(isa, w.type == BLOCKSPARSE_FLOAT32 ? BLOCKSPARSE_PATH_TILE : BLOCKSPARSE_PATH_BLAS,
               part_of(schedule, chunk_begin, chunk_end, column_begin, column_end), round_a,
               blocks(w.data(), w.type, w.scale_data()), to);
  }
};

// Multiplies all columns of the first chunk, on any path, with nothing added.
int32_t multiply(int32_t isa, const std::vector<int32_t>& schedule, const matrix& a, bool round_a,
                 const blocksparse_blocks& w, const matrix& c) {
  const blocksparse_part part = part_of(schedule, 0, 1, 0, w.out_size);
  const blocksparse_rows from = rows_of(a);
  const blocksparse_sums to = sums_of(rows_of(c));
  return blocksparse_block_gemm_f32(isa, BLOCKSPARSE_PATH_AUTO, &part, &from, round_a ? 1 : 0, &w,
                                    &to, nullptr, 0);
}

operands make(const problem& p, int32_t type, bool transposed, bool accumulate, bool with_bias,
              random_source& r) {
  std::vector<int32_t> rows, row_block;
  std::vector<gemm_pair> pairs;
  for (int32_t s = 0; s < p.samples; ++s) {
    rows.push_back(s);
    row_block.push_back(r.below(p.write_blocks));
    for (int32_t i = 0; i < p.reads; ++i) {
      pairs.push_back({s * p.reads + i, s, r.below(p.read_blocks)});
    }
  }
  const int32_t w_rows = transposed ? p.n : p.k;
  operands o = {p,
                transposed,
                accumulate,
                with_bias,
                pairs,
                row_block,
                gemm_schedule(rows, row_block, pairs, 100),
                matrix(int64_t{p.samples} * p.reads, p.k),
                matrix(p.write_blocks, p.n),
                matrix(p.samples, p.n),
                stored(type, int64_t{p.read_blocks} * p.write_blocks * w_rows,
                       transposed ? p.k : p.n, w_rows, r)};
  const auto value = [&] { return r.uniform(); };
  o.a.fill(value);
  o.bias.fill(value);
  if (accumulate) {
    o.c.fill(value);
  }
  return o;
}

std::string words(const problem& p, int32_t isa, int32_t type, bool transposed, bool accumulate,
                  bool bias) {
  return std::string(p.name) + " k " + std::to_string(p.k) + " n " + std::to_string(p.n) +
         " samples " + std::to_string(p.samples) + ", isa " + blocksparse_isa_name(isa) + ", " +
         kTypeNames[type] + (transposed ? ", transposed" : "") +
         (accumulate ? ", accumulate" : "") + (bias ? ", bias" : "");
}

// Chunk by chunk, and in some of the columns, the bits are those of one call.
void check_parts(const operands& o, int32_t isa, bool round_a, const matrix& expected) {
  matrix single = o.c, part = o.c;
  for (int32_t c = o.chunks() - 1; c >= 0; --c) {
    CHECK_STATUS(BLOCKSPARSE_OK, o.run_typed(isa, c, c + 1, 0, o.p.n, single, round_a));
  }
  CHECK(single.same_bits(expected));

  const int32_t begin = o.p.n / 3, end = o.p.n - o.p.n / 4;
  CHECK_STATUS(BLOCKSPARSE_OK, o.run_typed(isa, 0, o.chunks(), begin, end, part, round_a));
  for (int64_t row = 0; row < part.rows(); ++row) {
    for (int32_t q = 0; q < o.p.n; ++q) {
      const float wanted = (q < begin || q >= end ? o.c : expected).at(row, q);
      const float found = part.at(row, q);
      CHECK(std::memcmp(&wanted, &found, sizeof(float)) == 0);
    }
  }
}

void check_problem(const problem& p, int32_t isa, int32_t type, int variant, uint64_t stream) {
  const bool transposed = variant % 2 == 1, accumulate = variant / 2 == 1, bias = variant / 2 == 2;
  context() = words(p, isa, type, transposed, accumulate, bias);
  random_source r(stream);
  const operands o = make(p, type, transposed, accumulate, bias, r);
  matrix expected = o.c, actual = o.c;
  CHECK_STATUS(BLOCKSPARSE_OK, o.run_widened(isa, expected));
  CHECK_STATUS(BLOCKSPARSE_OK, o.run_typed(isa, 0, o.chunks(), 0, p.n, actual));
  CHECK(actual.same_bits(expected));
  CHECK(actual.intact());
  check_parts(o, isa, false, expected);
}

// Rounds to 8 binary digits, ties to even, in the range of normal floats.
float rounded_to_bfloat16(float x) {
  if (!std::isfinite(x)) {
    return x;
  }
  int exponent;
  const double fraction = std::frexp(static_cast<double>(x), &exponent);
  const double rounded = std::ldexp(std::nearbyint(std::ldexp(fraction, 8)), exponent - 8);
  const float infinity = std::numeric_limits<float>::infinity();
  return std::fabs(rounded) < 0x1p128 ? static_cast<float>(rounded)
         : x < 0.0f                   ? -infinity
                                      : infinity;
}

// Integers whose sums are exact give the bits of a product with a rounded before.
void check_rounded_exactly(const problem& p, int32_t isa, int variant, uint64_t stream) {
  const bool accumulate = variant == 1, bias = variant == 2;
  context() = words(p, isa, BLOCKSPARSE_BFLOAT16, false, accumulate, bias) + ", rounded, whole";
  random_source r(stream);
  operands o = make(p, BLOCKSPARSE_BFLOAT16, false, accumulate, bias, r);
  o.w.fill_whole(r);
  o.bias.fill([&] { return r.whole(); });
  if (accumulate) {
    o.c.fill([&] { return r.whole(); });
  }
  o.a.fill([&] { return static_cast<float>(r.below(1201) - 600); });
  operands before = o;
  for (int64_t row = 0; row < o.a.rows(); ++row) {
    for (int32_t q = 0; q < p.k; ++q) {
      before.a.at(row, q) = rounded_to_bfloat16(o.a.at(row, q));
    }
  }
  matrix expected = o.c, actual = o.c;
  CHECK_STATUS(BLOCKSPARSE_OK, before.run_widened(isa, expected));
  CHECK_STATUS(BLOCKSPARSE_OK, o.run_typed(isa, 0, o.chunks(), 0, p.n, actual, true));
  CHECK(actual.same_bits(expected));
  CHECK(actual.intact());
  check_parts(o, isa, true, expected);
}

// Numbers of all sizes stay within the header's bound, computed from the unrounded a.
void check_rounded_bound(const problem& p, int32_t isa, int variant, uint64_t stream) {
  const bool accumulate = variant == 1, bias = variant == 2;
  context() = words(p, isa, BLOCKSPARSE_BFLOAT16, false, accumulate, bias) + ", rounded";
  random_source r(stream);
  operands o = make(p, BLOCKSPARSE_BFLOAT16, false, accumulate, bias, r);
  o.a.fill([&] { return std::ldexp(r.uniform(), r.below(8) == 0 ? -r.below(150) : 0); });
  matrix actual = o.c;
  CHECK_STATUS(BLOCKSPARSE_OK, o.run_typed(isa, 0, o.chunks(), 0, p.n, actual, true));
  CHECK(actual.intact());
  check_parts(o, isa, true, actual);
  for (int32_t row = 0; row < p.samples; ++row) {
    const int32_t write_block = o.row_block[static_cast<std::size_t>(row)];
    for (int32_t q = 0; q < p.n; ++q) {
      const double start = accumulate ? o.c.at(row, q) : bias ? o.bias.at(write_block, q) : 0.0f;
      double sum = start, magnitude = 0.0, least = 0.0;
      for (int32_t i = 0; i < p.reads; ++i) {
        const gemm_pair& pair = o.pairs[static_cast<std::size_t>(row * p.reads + i)];
        const int64_t block = (int64_t{pair.read_block} * p.write_blocks + write_block) * o.block();
        for (int32_t t = 0; t < p.k; ++t) {
          const double x = o.a.at(pair.read_row, t);
          const double w = o.w.widened[static_cast<std::size_t>(block + int64_t{t} * p.n + q)];
          sum += x * w;
          magnitude += std::fabs(x * w);
          least += 2.0 + std::fabs(x) + std::fabs(w);
        }
      }
      const double allowed = 0x1p-8 * magnitude +
                             1.01 * p.k * p.reads * 0x1p-24 * (std::fabs(start) + magnitude) +
                             0x1p-126 * least;
      CHECK(std::fabs(actual.at(row, q) - sum) <= allowed);
    }
  }
}

// Checks the rounding of numbers by a block that is 1, with the given number of rows at once.
void check_rounding(int32_t isa, int32_t rows) {
  context() =
      std::string("rounding, isa ") + blocksparse_isa_name(isa) + ", rows " + std::to_string(rows);
  std::vector<float> values = float_sweep();
  for (const uint32_t bits : {0x3f808000u, 0x3f808001u, 0x3f818000u, 0x3f817fffu, 0xbf808000u,
                              0x7f7f7fffu, 0x7f7f8000u, 0xff7f7fffu, 0xff7f8000u, 0x7f800000u,
                              0xff800000u, 0x7f800001u, 0x7fc00000u, 0x7fffffffu, 0xffffffffu}) {
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    values.push_back(value);
  }
  std::vector<int32_t> list, blocks(static_cast<std::size_t>(rows), 0);
  std::vector<gemm_pair> pairs;
  for (int32_t i = 0; i < rows; ++i) {
    list.push_back(i);
    pairs.push_back({i, i, 0});
  }
  const std::vector<int32_t> schedule = gemm_schedule(list, blocks, pairs, rows);
  const uint16_t one = 0x3f80;
  matrix a(rows, 1), c(rows, 1);
  for (std::size_t from = 0; from < values.size(); from += static_cast<std::size_t>(rows)) {
    std::size_t next = from;
    a.fill([&] { return next < values.size() ? values[next++] : 0.0f; });
    CHECK_STATUS(BLOCKSPARSE_OK,
                 multiply(isa, schedule, a, true,
                          blocks_of(&one, 1, 1, 1, 1, 1, false, BLOCKSPARSE_BFLOAT16), c));
    for (int32_t i = 0; i < rows; ++i) {
      const float x = a.at(i, 0), found = c.at(i, 0), wanted = rounded_to_bfloat16(x);
      if (std::fabs(x) < 0x1p-126f) {
        CHECK(std::fabs(found - x) <= 0x1p-126f);
      } else {
        CHECK(std::isnan(x) ? std::isnan(found) : found == wanted);
      }
    }
  }
}

// Checks every number of 16 bits, and every one of 8 bits with a scale of 1, through each kind of
// kernel: for few rows, for many, and for a transposed block.
void check_every_value(int32_t isa, int32_t type) {
  const int32_t count = type == BLOCKSPARSE_INT8 ? 256 : 65536;
  const int32_t size = type == BLOCKSPARSE_INT8 ? 16 : 256;
  std::vector<char> w(static_cast<std::size_t>(count) * bytes_of(type));
  for (int32_t i = 0; i < count; ++i) {
    std::memcpy(w.data() + static_cast<std::size_t>(i) * bytes_of(type), &i, bytes_of(type));
  }
  const std::vector<float> ones(static_cast<std::size_t>(size), 1.0f);
  const float* const scales = type == BLOCKSPARSE_INT8 ? ones.data() : nullptr;
  // A row of a with a single 1 selects row p of the block, unless others are not finite.
  for (const bool transposed : {false, true}) {
    for (const int32_t rows : {1, 7, 60}) {
      context() = std::string("every value of ") + kTypeNames[type] + ", isa " +
                  blocksparse_isa_name(isa) + ", rows " + std::to_string(rows) +
                  (transposed ? ", transposed" : "");
      for (int32_t p = 0; p < size; ++p) {
        // One block for each row of the square: k is 1, or n is 1.
        std::vector<int32_t> list, blocks(static_cast<std::size_t>(rows), 0);
        std::vector<gemm_pair> pairs;
        for (int32_t i = 0; i < rows; ++i) {
          list.push_back(i);
          pairs.push_back({i, i, 0});
        }
        const std::vector<int32_t> schedule = gemm_schedule(list, blocks, pairs, 100);
        matrix a(rows, 1), c(rows, size);
        a.fill([] { return 1.0f; });
        const char* const from = w.data() + static_cast<std::size_t>(p * size) * bytes_of(type);
        const blocksparse_blocks block =
            blocks_of(from, 1, 1, 1, size, transposed ? 1 : size, transposed, type, scales);
        CHECK_STATUS(BLOCKSPARSE_OK, multiply(isa, schedule, a, false, block, c));
        for (int32_t q = 0; q < size; ++q) {
          const uint32_t bits = static_cast<uint32_t>(p * size + q);
          const float wanted = type == BLOCKSPARSE_FLOAT16 ? widened_float16(bits)
                               : type == BLOCKSPARSE_BFLOAT16
                                   ? widened_bfloat16(bits)
                                   : static_cast<float>(static_cast<int8_t>(bits));
          for (int32_t i = 0; i < rows; ++i) {
            const float found = c.at(i, q);
            CHECK(std::isnan(wanted) ? std::isnan(found) : found == wanted);
          }
        }
      }
    }
  }
}

// An infinity in the last row of W reaches each sum: padding of a vector, a pair of rows or a tile
// must not multiply it by 0.
void check_infinite_weights(int32_t isa, int32_t type, int32_t k, int32_t n, int32_t rows,
                            bool round_a) {
  context() = "infinite weights, k " + std::to_string(k) + " n " + std::to_string(n) + ", rows " +
              std::to_string(rows) + ", isa " + blocksparse_isa_name(isa) + ", " +
              kTypeNames[type] + (round_a ? ", rounded" : "");
  const bool half = type == BLOCKSPARSE_FLOAT16;
  const uint16_t one = half ? 0x3c00 : 0x3f80, infinity = half ? 0x7c00 : 0x7f80;
  std::vector<uint16_t> w(static_cast<std::size_t>(k * n), one);
  std::fill(w.end() - n, w.end(), infinity);
  std::vector<int32_t> list, blocks(static_cast<std::size_t>(rows), 0);
  std::vector<gemm_pair> pairs;
  for (int32_t i = 0; i < rows; ++i) {
    list.push_back(i);
    pairs.push_back({i, i, 0});
  }
  const std::vector<int32_t> schedule = gemm_schedule(list, blocks, pairs, rows);
  const matrix a(rows, k, 3, 1.0f);
  matrix c(rows, n);
  CHECK_STATUS(BLOCKSPARSE_OK, multiply(isa, schedule, a, round_a,
                                        blocks_of(w.data(), 1, 1, k, n, n, false, type), c));
  for (int32_t i = 0; i < rows; ++i) {
    for (int32_t q = 0; q < n; ++q) {
      CHECK(c.at(i, q) == std::numeric_limits<float>::infinity());
    }
  }
}

void check_refusals() {
  context() = "refusals";
  random_source r(5);
  const problem p = {"refused", 4, 6, 1, 1, 2, 1};
  for (const int32_t type : kTypes) {
    const operands o = make(p, type, false, false, false, r);
    const auto run = [&](int32_t isa, int32_t as, int64_t ldw, const void* w, const float* scales,
                         int64_t scales_stride, int32_t round_a = 0, int32_t transposed = 0) {
      const matrix c = o.c;
      const blocksparse_part part = all_of(o.schedule, p.n);
      const blocksparse_rows a = rows_of(o.a);
      blocksparse_blocks blocks = blocks_of(w, 1, 1, p.k, p.n, ldw, transposed == 1, as, scales);
      blocks.scales_in_stride = scales_stride;
      const blocksparse_sums to = sums_of(rows_of(c));
      const int32_t status = blocksparse_block_gemm_f32(isa, BLOCKSPARSE_PATH_AUTO, &part, &a,
                                                        round_a, &blocks, &to, nullptr, 0);
      CHECK(status == BLOCKSPARSE_OK || c.same_bits(o.c));
      return status;
    };
    const void* const w = o.w.data();
    const float* const scales = o.w.scale_data();
    CHECK_STATUS(BLOCKSPARSE_OK, run(0, type, 6, w, scales, 0));
    CHECK_STATUS(BLOCKSPARSE_UNSUPPORTED_ISA, run(-1, type, 6, w, scales, 0));
    CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, run(0, -1, 6, w, scales, 0));
    CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, run(0, 4, 6, w, scales, 0));
    CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, run(0, type, 5, w, scales, 0));
    CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, run(0, type, 6, nullptr, scales, 0));
    CHECK_STATUS(type == BLOCKSPARSE_BFLOAT16 ? BLOCKSPARSE_OK : BLOCKSPARSE_BAD_ARGUMENT,
                 run(0, type, 6, w, scales, 0, 1));
    CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, run(0, type, 6, w, scales, 0, 1, 1));
    CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, run(0, type, 6, w, scales, 0, 2));
    if (type == BLOCKSPARSE_FLOAT32) {
      const void* const askew = static_cast<const char*>(w) + 1;
      CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, run(0, type, 6, askew, scales, 0));
    }
    if (type == BLOCKSPARSE_INT8) {
      CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, run(0, type, 6, w, nullptr, 0));
      CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, run(0, type, 6, w, scales, -1));
    } else {
      CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, run(0, type, 6, w, o.bias.data(), 0));
    }
  }
}

}  // namespace

int main() {
  const problem shapes[] = {
      {"one row", 7, 5, 3, 3, 1, 1},
      {"window", 16, 64, 4, 5, 6, 3},
      {"primes", 31, 101, 3, 2, 13, 2},
      {"n is 1", 50, 1, 2, 3, 5, 2},
      {"k is 1", 1, 130, 2, 2, 7, 2},
      {"k is 0", 0, 20, 2, 2, 4, 2},
      {"n is 0", 8, 0, 2, 2, 4, 2},
      {"long", 333, 200, 1, 2, 40, 1},
      {"wide", 40, 515, 2, 1, 9, 1},
      {"many rows", 150, 70, 1, 1, 130, 1},
      {"colliding", 40, 1024, 1, 1, 60, 1},
      {"wide, many rows", 41, 515, 2, 1, 150, 1},
      {"wide, few rows", 37, 2100, 2, 3, 5, 1},
      {"wide, three rows", 21, 700, 1, 1, 3, 1},
      {"small blocks", 16, 16, 24, 2, 40, 3},
      {"small blocks, longer rows", 40, 24, 24, 2, 40, 3},
  };
  uint64_t stream = 0;
  for (const int32_t isa : instruction_sets()) {
    for (const int32_t type : kTypes) {
      for (const problem& shape : shapes) {
        for (int variant = 0; variant < 6; ++variant) {
          if (BLOCKSPARSE_TESTS_SLOW && variant % 3 != type % 3) {
            continue;  // two of each type, one of them transposed
          }
          check_problem(shape, isa, type, variant, ++stream);
        }
      }
      for (int32_t n = 1; n <= 70; ++n) {  // every remainder of a tile's rows and columns
        for (int variant = 0; variant < 2; ++variant) {
          const problem p = {"remainders", 1 + n % 37, n, 1, 2, n % 14 + 1, 1};
          check_problem(p, isa, type, variant, ++stream);
        }
      }
      if (type != BLOCKSPARSE_FLOAT32) {
        check_every_value(isa, type);
      }
    }
    for (int variant = 0; variant < 3; ++variant) {
      for (const problem& shape : shapes) {
        check_rounded_exactly(shape, isa, variant, ++stream);
        check_rounded_bound(shape, isa, variant, ++stream);
      }
      for (int32_t n = 1; n <= 70; ++n) {
        if (BLOCKSPARSE_TESTS_SLOW && n % 3 != variant) {
          continue;
        }
        for (const int32_t samples : {n % 14 + 1, n % 14 + 20}) {
          const problem p = {"remainders", 1 + n % 37, n, 1, 1, samples, 1};
          check_rounded_exactly(p, isa, variant, ++stream);
          check_rounded_bound(p, isa, variant, ++stream);
        }
      }
    }
    for (int32_t k = 1; k <= 35; ++k) {
      for (const int32_t rows : {1, 7, 60}) {
        check_infinite_weights(isa, BLOCKSPARSE_FLOAT16, k, 3 * k, rows, false);
        check_infinite_weights(isa, BLOCKSPARSE_BFLOAT16, k, 3 * k, rows, false);
        check_infinite_weights(isa, BLOCKSPARSE_BFLOAT16, k, 3 * k, rows, true);
      }
    }
    check_rounding(isa, 6);
    check_rounding(isa, 96);
  }
  check_refusals();
  return report("typed_gemm_test");
}
