// SPDX-License-Identifier: Apache-2.0
// Checks products of a sparse row with a chunk of sparse weights against the formula, and invalid
// calls.
#include <cstring>

#include "testing.h"

namespace {

using namespace testing;

// Weights of features for chunks, as dense tables that are mostly 0.
struct problem {
  int32_t features, chunks, n;
  std::vector<float> dense;  // (chunks, features, n)
  std::vector<int32_t> begins{0}, chunk_of, starts{0};
  std::vector<uint8_t> columns;
  std::vector<float> w;

  float& at(int32_t chunk, int32_t feature, int32_t q) {
    return dense[static_cast<std::size_t>((chunk * features + feature) * n + q)];
  }

  problem(random_source& r, int32_t features_, int32_t chunks_, int32_t n_)
      : features(features_), chunks(chunks_), n(n_) {
    dense.resize(static_cast<std::size_t>(features * chunks * n));
    for (int32_t f = 0; f < features; ++f) {
      for (int32_t c = 0; c < chunks; ++c) {
        const std::size_t before = w.size();
        for (int32_t q = 0; q < n && r.below(3) == 0; q += 1 + r.below(3)) {
          at(c, f, q) = r.whole();
          columns.push_back(static_cast<uint8_t>(q));
          w.push_back(at(c, f, q));
        }
        if (w.size() > before) {
          chunk_of.push_back(c);
          starts.push_back(static_cast<int32_t>(w.size()));
        }
      }
      begins.push_back(static_cast<int32_t>(chunk_of.size()));
    }
  }
};

// Returns the bytes of integers of few bits, which all types represent exactly.
std::vector<unsigned char> stored(const std::vector<float>& w, int32_t type) {
  std::vector<unsigned char> bytes;
  for (const float value : w) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const uint32_t magnitude = bits & 0x7fffffffu;
    const uint32_t half = magnitude == 0 ? 0 : (magnitude >> 13) - (112u << 10);
    const uint32_t narrow = type == BLOCKSPARSE_BFLOAT16 ? bits >> 16 : (bits >> 31 << 15) | half;
    const uint32_t all = type == BLOCKSPARSE_FLOAT32 ? bits : narrow;
    for (int32_t i = 0; i < (type == BLOCKSPARSE_FLOAT32 ? 4 : 2); ++i) {
      bytes.push_back(static_cast<unsigned char>(all >> (8 * i)));
    }
  }
  return bytes;
}

// Calls with a sparse row of that many entries; memory behind the structs and the offsets is
// inaccessible.
int32_t call_sparse_chunk(const int32_t* indices, const float* values, int32_t count,
                          const blocksparse_sparse_weights& w, int32_t chunk, const float* bias,
                          int32_t n, float* c) {
  const walled<int32_t> offsets(std::vector<int32_t>{0, count});
  const walled<blocksparse_bags> bags(1, {offsets.data(), indices, values, 1, count});
  const walled<blocksparse_sparse_weights> weights(1, w);
  return blocksparse_sparse_chunk_f32(bags.data(), 0, weights.data(), chunk, bias, n, c);
}

void check_products(int32_t features, int32_t chunks, int32_t n, int32_t count, int32_t type) {
  context() = "products, features " + std::to_string(features) + ", chunks " +
              std::to_string(chunks) + ", n " + std::to_string(n) + ", entries " +
              std::to_string(count) + ", type " + std::to_string(type);
  random_source r(static_cast<uint64_t>(features + n));
  problem p(r, features, chunks, n);
  const walled<int32_t> begins(p.begins), chunk_of(p.chunk_of), starts(p.starts);
  const walled<uint8_t> columns(p.columns);
  const walled<unsigned char> w(stored(p.w, type));
  walled<float> bias(static_cast<std::size_t>(n), 0.0f),
      values(static_cast<std::size_t>(count), 0.0f);
  walled<int32_t> indices(static_cast<std::size_t>(count), 0);
  for (std::size_t q = 0; q < bias.size(); ++q) {
    bias.data()[q] = r.whole();
  }
  for (std::size_t e = 0; e < values.size(); ++e) {
    indices.data()[e] = r.below(features);
    values.data()[e] = r.whole();
  }
  for (const bool weighted : {false, true}) {
    for (int32_t chunk = 0; chunk <= chunks; ++chunk) {
      matrix c(1, n);
      CHECK_STATUS(BLOCKSPARSE_OK,
                   call_sparse_chunk(indices.data(), weighted ? values.data() : nullptr, count,
                                     {begins.data(), chunk_of.data(), starts.data(), columns.data(),
                                      w.data(), features, static_cast<int32_t>(p.chunk_of.size()),
                                      static_cast<int32_t>(p.w.size()), type},
                                     chunk, bias.data(), n, c.data()));
      for (int32_t q = 0; q < n; ++q) {
        float expected = bias[static_cast<std::size_t>(q)];
        for (std::size_t e = 0; e < values.size() && chunk < chunks; ++e) {
          expected += (weighted ? values[e] : 1.0f) * p.at(chunk, indices[e], q);
        }
        CHECK(c.at(0, q) == expected);
      }
      CHECK(c.intact());
    }
  }
}

void check_refusals() {
  context() = "refusals";
  const std::vector<int32_t> indices{0, 1}, outside{0, 2}, negative{-1, 0};
  const std::vector<int32_t> begins{0, 1, 2}, falling{0, 1, 0}, far{0, 1, 3};
  const std::vector<int32_t> chunks{0, 0}, starts{0, 1, 2}, far_starts{0, 1, 3};
  const std::vector<uint8_t> columns{0, 255};
  const std::vector<float> w{1.0f, 2.0f}, bias{0.0f};
  matrix c(1, 1, 0, 7.0f);
  const auto call = [&](const int32_t* i, int32_t count, const int32_t* b, int32_t features,
                        const int32_t* s, int32_t type, int32_t w_count, int32_t n) {
    return call_sparse_chunk(
        i, nullptr, count,
        {b, chunks.data(), s, columns.data(), w.data(), features, 2, w_count, type}, 0, bias.data(),
        n, c.data());
  };
  const int32_t* const i = indices.data();
  const int32_t* const b = begins.data();
  const int32_t* const s = starts.data();
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, call(i, -1, b, 2, s, BLOCKSPARSE_FLOAT32, 2, 1));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, call(i, 2, b, 2, s, BLOCKSPARSE_FLOAT32, 2, 257));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, call(i, 2, b, 2, s, BLOCKSPARSE_FLOAT32, -1, 1));
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, call(i, 2, b, 2, s, BLOCKSPARSE_INT8, 2, 1));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, call(nullptr, 2, b, 2, s, BLOCKSPARSE_FLOAT32, 2, 1));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, call(i, 2, nullptr, 2, s, BLOCKSPARSE_FLOAT32, 2, 1));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, call(i, 2, b, 2, nullptr, BLOCKSPARSE_FLOAT32, 2, 1));
  const auto index = [&](const int32_t* wrong) {
    return call(wrong, 2, b, 2, s, BLOCKSPARSE_FLOAT32, 2, 1);
  };
  CHECK_STATUS(BLOCKSPARSE_BAD_INDEX, index(outside.data()));
  CHECK_STATUS(BLOCKSPARSE_BAD_INDEX, index(negative.data()));
  CHECK_STATUS(BLOCKSPARSE_BAD_SCHEDULE,
               call(i, 2, falling.data(), 2, s, BLOCKSPARSE_FLOAT32, 2, 1));
  CHECK_STATUS(BLOCKSPARSE_BAD_SCHEDULE, call(i, 2, far.data(), 2, s, BLOCKSPARSE_FLOAT32, 2, 1));
  CHECK_STATUS(BLOCKSPARSE_BAD_SCHEDULE,
               call(i, 2, b, 2, far_starts.data(), BLOCKSPARSE_FLOAT32, 2, 1));
  CHECK(c.at(0, 0) == 7.0f);
  // A column that the chunk does not have is not written.
  CHECK_STATUS(BLOCKSPARSE_OK, call(i, 2, b, 2, s, BLOCKSPARSE_FLOAT32, 2, 1));
  CHECK(c.at(0, 0) == 1.0f);
  CHECK(c.intact());
}

}  // namespace

int main() {
  for (const int32_t type : {BLOCKSPARSE_FLOAT32, BLOCKSPARSE_FLOAT16, BLOCKSPARSE_BFLOAT16}) {
    for (const int32_t n : {1, 5, 16, 256}) {
      check_products(11, 4, n, 7, type);
      check_products(1, 1, n, 7, type);
      check_products(30, 40, n, 150, type);  // more entries than are looked up together
    }
  }
  check_refusals();
  return report("sparse_chunk_test");
}
