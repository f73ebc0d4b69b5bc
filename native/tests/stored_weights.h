// SPDX-License-Identifier: Apache-2.0
// Weights of every type, and the floats that they represent, by plain arithmetic in double.
#ifndef BLOCKSPARSE_TESTS_STORED_WEIGHTS_H
#define BLOCKSPARSE_TESTS_STORED_WEIGHTS_H

#include "testing.h"

namespace testing {

constexpr int32_t kTypes[] = {BLOCKSPARSE_FLOAT32, BLOCKSPARSE_FLOAT16, BLOCKSPARSE_BFLOAT16,
                              BLOCKSPARSE_INT8};
const char* const kTypeNames[] = {"float32", "float16", "bfloat16", "int8"};

inline std::size_t bytes_of(int32_t type) {
  return type == BLOCKSPARSE_FLOAT32 ? 4 : type == BLOCKSPARSE_INT8 ? 1 : 2;
}

inline float widened_float16(uint32_t bits) {
  const int exponent = static_cast<int>(bits >> 10 & 31);
  const double fraction = static_cast<double>(bits & 1023);
  const double sign = (bits >> 15) != 0 ? -1.0 : 1.0;
  if (exponent == 31) {
    return fraction != 0.0 ? quiet_nan()
                           : static_cast<float>(sign * std::numeric_limits<double>::infinity());
  }
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024.0 + fraction, exponent - 25);
  return static_cast<float>(sign * magnitude);
}

inline float widened_bfloat16(uint32_t bits) {
  const uint32_t whole = bits << 16;
  float value;
  std::memcpy(&value, &whole, sizeof(value));
  return value;
}

// Blocks of a type at an odd address (floats at a multiple of their size), with no byte after them,
// and their values as floats.
struct stored {
  int32_t type;
  std::vector<char> memory;
  std::vector<float> scales, widened;

  // Makes `rows` rows of `columns`; every `block_rows` of them have their own scales.
  stored(int32_t type_, int64_t rows, int32_t columns, int32_t block_rows, random_source& r)
      : type(type_) {
    const std::size_t count = static_cast<std::size_t>(rows * columns);
    memory.resize(offset() + count * bytes_of(type));
    widened.resize(count);
    const int64_t blocks = block_rows == 0 ? 0 : rows / block_rows;
    if (type == BLOCKSPARSE_INT8) {
      for (int64_t i = 0; i < blocks * columns; ++i) {
        scales.push_back(r.uniform() * 0.01f);
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t column = i % static_cast<std::size_t>(columns);
      const std::size_t block =
          i / static_cast<std::size_t>(columns) / static_cast<std::size_t>(block_rows);
      set(i, r, block * static_cast<std::size_t>(columns) + column);
    }
  }

  // Fills with small integers; for bfloat16.
  void fill_whole(random_source& r) {
    for (std::size_t i = 0; i < widened.size(); ++i) {
      widened[i] = r.whole();
      uint32_t bits;
      std::memcpy(&bits, &widened[i], sizeof(bits));
      const uint16_t upper = static_cast<uint16_t>(bits >> 16);
      std::memcpy(memory.data() + offset() + 2 * i, &upper, sizeof(upper));
    }
  }

  const void* data() const { return memory.data() + offset(); }
  const float* scale_data() const { return scales.empty() ? nullptr : scales.data(); }

 private:
  std::size_t offset() const { return type == BLOCKSPARSE_FLOAT32 ? sizeof(float) : 1; }

  void set(std::size_t i, random_source& r, std::size_t scale) {
    char* const at = memory.data() + offset() + i * bytes_of(type);
    const uint32_t random = r.next() >> 8;
    if (type == BLOCKSPARSE_FLOAT32) {
      widened[i] = r.uniform();
      std::memcpy(at, &widened[i], 4);
    } else if (type == BLOCKSPARSE_INT8) {
      const int8_t q = static_cast<int8_t>(random & 255);
      std::memcpy(at, &q, 1);
      widened[i] = static_cast<float>(q) * scales[scale];
    } else {
      // Finite numbers of any size, subnormal ones included; for bfloat16, such that products are
      // finite.
      const bool half = type == BLOCKSPARSE_FLOAT16;
      const uint16_t bits = static_cast<uint16_t>(
          half ? ((random >> 10 & 31) == 31 ? random & 0x83ff : random & 0xffff)
               : (random & 0x807f) | (random >> 7 & 15) % 12 << 11);
      std::memcpy(at, &bits, 2);
      widened[i] = half ? widened_float16(bits) : widened_bfloat16(bits);
    }
  }
};

}  // namespace testing

#endif  // BLOCKSPARSE_TESTS_STORED_WEIGHTS_H
