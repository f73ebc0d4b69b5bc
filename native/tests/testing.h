// SPDX-License-Identifier: Apache-2.0
// The common part of kernel tests: checks that report where they failed, random data from a seed
// that can be set, operands between guard bands, and schedules made from lists of pairs.
#ifndef BLOCKSPARSE_TESTS_TESTING_H
#define BLOCKSPARSE_TESTS_TESTING_H

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#if !defined(_WIN32)
#include <sys/mman.h>
#include <unistd.h>
#endif

#include "blocksparse/blocksparse.h"

namespace testing {

// ---------------------------------------------------------------------------------------- checks

inline int& failures() {
  static int count = 0;
  return count;
}

// The case at hand, for messages.
inline std::string& context() {
  static std::string text;
  return text;
}

inline void fail(const char* file, int line, const std::string& what) {
  if (++failures() <= 20) {
    std::printf("%s:%d: %s\n    in %s\n", file, line, what.c_str(), context().c_str());
  }
}

#define CHECK(condition)                             \
  do {                                               \
    if (!(condition)) {                              \
      testing::fail(__FILE__, __LINE__, #condition); \
    }                                                \
  } while (false)

#define CHECK_STATUS(expected, call)                                                             \
  do {                                                                                           \
    const int32_t status_ = (call);                                                              \
    if (status_ != (expected)) {                                                                 \
      testing::fail(__FILE__, __LINE__,                                                          \
                    std::string("expected ") + blocksparse_status_name(expected) + " but was " + \
                        blocksparse_status_name(status_));                                       \
    }                                                                                            \
  } while (false)

inline int report(const char* name) {
  std::printf("%s: %d failures\n", name, failures());
  return failures() == 0 ? 0 : 1;
}

// ------------------------------------------------------------------------------- errors of floats

// Returns the units in the last place of a float near `exact`, denormal ones included.
inline double ulp(double exact) {
  const int exponent = std::max(std::ilogb(exact == 0.0 ? 0x1p-149 : exact), -126);
  return std::ldexp(1.0, exponent - 23);
}

// Returns every float at a stride through the bit patterns, all magnitudes from denormal to huge,
// and a dense grid where functions made of exponentials bend.
inline std::vector<float> float_sweep() {
  const uint64_t stride = BLOCKSPARSE_TESTS_SLOW ? 64007 : 4001;
  const float grid = BLOCKSPARSE_TESTS_SLOW ? 0x1.3p-11f : 0x1.3p-14f;
  std::vector<float> values;
  for (uint64_t bits = 0; bits <= 0xffffffffu; bits += stride) {
    const uint32_t pattern = static_cast<uint32_t>(bits);
    float value;
    std::memcpy(&value, &pattern, sizeof(value));
    if (std::isfinite(value)) {
      values.push_back(value);
    }
  }
  for (float z = -18.0f; z < 18.0f; z += grid) {
    values.push_back(z);
  }
  for (const float z : {0x1p-149f, 0x1p-126f, std::numeric_limits<float>::max()}) {
    values.insert(values.end(), {z, -z});
  }
  return values;
}

// The largest error of a function that is allowed that many ulp, or an absolute error.
struct worst_error {
  double within_ulp = 0.0, beyond = 0.0;  // in ulp where the bound is in ulp; otherwise absolute

  void add(double exact, float actual, double most_ulp, double most_absolute, float z) {
    const double error = std::fabs(static_cast<double>(actual) - exact), unit = ulp(exact);
    if (!(error <= std::max(most_ulp * unit, most_absolute))) {
      fail(__FILE__, __LINE__,
           "at " + std::to_string(z) + ": expected " + std::to_string(exact) + " but was " +
               std::to_string(actual) + ", off by " + std::to_string(error / unit) + " ulp");
    }
    if (error <= most_ulp * unit) {
      within_ulp = std::max(within_ulp, error / unit);
    } else {
      beyond = std::max(beyond, error);
    }
  }
};

// ------------------------------------------------------------------------------------ random data

class random_source {
 public:
  explicit random_source(uint64_t stream) : state_(seed() * 0x9e3779b97f4a7c15u + stream * 2 + 1) {}

  // Set BLOCKSPARSE_TEST_SEED to repeat a run.
  static uint64_t seed() {
    static const uint64_t value = [] {
      const char* const text = std::getenv("BLOCKSPARSE_TEST_SEED");
      const uint64_t chosen = text != nullptr ? std::strtoull(text, nullptr, 10) : 20240607;
      std::printf("seed %llu\n", static_cast<unsigned long long>(chosen));
      return chosen;
    }();
    return value;
  }

  uint32_t next() {  // xorshift64*
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return static_cast<uint32_t>((state_ * 0x2545f4914f6cdd1du) >> 32);
  }

  int32_t below(int32_t limit) {
    return static_cast<int32_t>(next() % static_cast<uint32_t>(limit));
  }

  float uniform() { return static_cast<float>(next() >> 8) * 0x1p-23f - 1.0f; }

  // Returns a small integer: sums of products of a few thousand such are exact in float.
  float whole() { return static_cast<float>(below(9) - 4); }

 private:
  uint64_t state_;
};

// --------------------------------------------------------------------------------------- operands

// Returns the scratch for products on any path.
inline int64_t most_scratch(int32_t size1, int32_t size2) {
  return blocksparse_outer_scratch_f32(BLOCKSPARSE_PORTABLE, BLOCKSPARSE_PATH_BLAS, size1, size2);
}

inline float quiet_nan() { return std::numeric_limits<float>::quiet_NaN(); }

// Elements that end where memory ends: an access beyond them ends the test. On Windows there is no
// such wall.
template <typename Element>
class walled {
 public:
  walled(std::size_t count, Element value) : count_(count) {
    allocate();
    std::fill(data_, data_ + count_, value);
  }
  explicit walled(const std::vector<Element>& elements) : count_(elements.size()) {
    allocate();
    std::copy(elements.begin(), elements.end(), data_);
  }
  walled(const walled& other) : count_(other.count_) {
    allocate();
    std::copy(other.data_, other.data_ + count_, data_);
  }
  walled& operator=(walled other) {
    std::swap(count_, other.count_);
    std::swap(data_, other.data_);
    std::swap(pages_, other.pages_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~walled() {
#if defined(_WIN32)
    std::free(pages_);
#else
    munmap(pages_, bytes_);
#endif
  }

  Element* data() { return data_; }
  const Element* data() const { return data_; }
  std::size_t size() const { return count_; }
  Element operator[](std::size_t i) const { return data_[i]; }

 private:
  void allocate() {
    const std::size_t wanted = count_ * sizeof(Element);
#if defined(_WIN32)
    const std::size_t usable = wanted;
    bytes_ = usable;
    pages_ = std::malloc(bytes_ + 1);
    const bool missing = pages_ == nullptr;
#else
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t usable = (wanted / page + 1) * page;
    bytes_ = usable + page;
    pages_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    const bool missing =
        pages_ == MAP_FAILED || mprotect(static_cast<char*>(pages_) + usable, page, PROT_NONE) != 0;
#endif
    if (missing) {
      std::abort();
    }
    data_ = reinterpret_cast<Element*>(static_cast<char*>(pages_) + (usable - wanted));
  }

  std::size_t count_;
  Element* data_ = nullptr;
  void* pages_ = nullptr;
  std::size_t bytes_ = 0;
};

// `rows` rows of `size` elements, ld apart, with guard bands before and between them that intact()
// checks, and no memory after the last element. Elements are NaN until written.
class matrix {
 public:
  matrix(int64_t rows, int32_t size, int32_t padding = 3, float initial = quiet_nan())
      : rows_(rows),
        size_(size),
        ld_(size + padding),
        data_(static_cast<std::size_t>(rows > 0 ? (rows - 1) * ld_ + size + kGuard : kGuard),
              kMark) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int32_t q = 0; q < size; ++q) {
        at(r, q) = initial;
      }
    }
  }

  float* data() { return data_.data() + kGuard; }
  const float* data() const { return data_.data() + kGuard; }
  int64_t rows() const { return rows_; }
  int32_t size() const { return size_; }
  int64_t ld() const { return ld_; }
  float& at(int64_t r, int32_t q) { return data()[r * ld_ + q]; }
  float at(int64_t r, int32_t q) const { return data()[r * ld_ + q]; }

  matrix& fill(const std::function<float()>& value) {
    for (int64_t r = 0; r < rows_; ++r) {
      for (int32_t q = 0; q < size_; ++q) {
        at(r, q) = value();
      }
    }
    return *this;
  }

  bool intact() const {
    for (std::size_t i = 0; i < data_.size(); ++i) {
      const int64_t place = static_cast<int64_t>(i) - kGuard;
      const bool inside = place >= 0 && place < rows_ * ld_ && place % ld_ < size_;
      if (!inside && data_[i] != kMark) {
        return false;
      }
    }
    return true;
  }

  bool same_bits(const matrix& other) const {
    return data_.size() == other.data_.size() &&
           std::memcmp(data_.data(), other.data_.data(), data_.size() * sizeof(float)) == 0;
  }

 private:
  static constexpr int64_t kGuard = 40;
  static constexpr float kMark = -12345.0f;
  int64_t rows_;
  int32_t size_;
  int64_t ld_;
  walled<float> data_;
};

// -------------------------------------------------------------------------------------- schedules

struct gemm_pair {
  int32_t read_row, write_row, read_block;
};

// Returns a GEMM schedule, given the block that each row is written for, and the pairs.
// Rows of one block are cut into chunks of at most `most` rows.
inline std::vector<int32_t> gemm_schedule(const std::vector<int32_t>& written_rows,
                                          const std::vector<int32_t>& write_block_of_row,
                                          const std::vector<gemm_pair>& pairs, int32_t most) {
  std::map<int32_t, std::vector<int32_t>> rows_of_block;
  for (std::size_t i = 0; i < written_rows.size(); ++i) {
    rows_of_block[write_block_of_row[i]].push_back(written_rows[i]);
  }
  std::vector<int32_t> write_block, row_start{0}, segment_start{0}, read_block, pair_start{0}, row,
      pair_read, pair_write;
  const auto size = [](const std::vector<int32_t>& v) { return static_cast<int32_t>(v.size()); };
  for (const auto& [block, rows] : rows_of_block) {
    for (int32_t from = 0; from < size(rows); from += most) {
      const int32_t to = from + most < size(rows) ? from + most : size(rows);
      write_block.push_back(block);
      std::map<int32_t, std::map<int32_t, std::vector<int32_t>>> reads;  // block, position, rows
      for (int32_t position = 0; position < to - from; ++position) {
        row.push_back(rows[static_cast<std::size_t>(from + position)]);
        for (const gemm_pair& pair : pairs) {
          if (pair.write_row == row.back()) {
            reads[pair.read_block][position].push_back(pair.read_row);
          }
        }
      }
      for (const auto& [read, positions] : reads) {
        read_block.push_back(read);
        for (const auto& [position, read_rows] : positions) {
          for (const int32_t r : read_rows) {
            pair_read.push_back(r);
            pair_write.push_back(position);
          }
        }
        pair_start.push_back(size(pair_read));
      }
      row_start.push_back(size(row));
      segment_start.push_back(size(read_block));
    }
  }
  std::vector<int32_t> packed{BLOCKSPARSE_GEMM_SCHEDULE, size(write_block), size(read_block),
                              size(row), size(pair_read)};
  for (const auto* part : {&write_block, &row_start, &segment_start, &read_block, &pair_start, &row,
                           &pair_read, &pair_write}) {
    packed.insert(packed.end(), part->begin(), part->end());
  }
  return packed;
}

// Returns a schedule with one chunk per block for its rows 0, 1, ... and nothing to read.
inline std::vector<int32_t> row_schedule(const std::vector<int32_t>& rows,
                                         const std::vector<int32_t>& blocks, int32_t most = 1000) {
  return gemm_schedule(rows, blocks, {}, most);
}

inline int64_t length(const std::vector<int32_t>& schedule) {
  return static_cast<int64_t>(schedule.size());
}

// ----------------------------------------------------------------------- operands of the interface

inline blocksparse_part part_of(const std::vector<int32_t>& schedule, int32_t begin, int32_t end,
                                int32_t column_begin, int32_t column_end) {
  return {schedule.data(), length(schedule), begin, end, column_begin, column_end};
}

// Returns all chunks or blocks of a schedule.
inline blocksparse_part all_of(const std::vector<int32_t>& schedule, int32_t columns) {
  return part_of(schedule, 0, schedule[1], 0, columns);
}

inline blocksparse_rows rows_of(const float* data, int64_t count, int64_t stride) {
  return {const_cast<float*>(data), count, stride};
}

inline blocksparse_rows rows_of(const matrix& rows) {
  return rows_of(rows.data(), rows.rows(), rows.ld());
}

// Returns blocks, and their scales, that lie one after the other.
inline blocksparse_blocks blocks_of(const void* data, int32_t in_blocks, int32_t out_blocks,
                                    int32_t in_size, int32_t out_size, int64_t ld,
                                    bool transposed = false, int32_t type = BLOCKSPARSE_FLOAT32,
                                    const float* scales = nullptr) {
  const int64_t block = ld * (transposed ? out_size : in_size);
  const int64_t columns = transposed ? in_size : out_size;
  return {const_cast<void*>(data),
          scales,
          block * out_blocks,
          block,
          ld,
          columns * out_blocks,
          columns,
          in_blocks,
          out_blocks,
          in_size,
          out_size,
          type,
          transposed ? 1 : 0};
}

inline blocksparse_sums sums_of(const blocksparse_rows& rows, bool accumulate = false) {
  return {rows, {nullptr, 0, 0}, accumulate ? 1 : 0};
}

// Returns rows that begin with a bias.
inline blocksparse_sums sums_of(const blocksparse_rows& rows, const matrix& bias) {
  return {rows, rows_of(bias), 0};
}

// Functions of the interface, with their operands by reference.

inline int32_t call_probabilities(int32_t isa, int32_t link, int32_t logarithm,
                                  const blocksparse_part& part, const int32_t* valid,
                                  int32_t write_blocks, const float* scale,
                                  const blocksparse_rows& c) {
  return blocksparse_block_probabilities_f32(isa, link, logarithm, &part, valid, write_blocks,
                                             scale, &c);
}

inline int32_t call_cross_entropy(int32_t isa, int32_t link, const blocksparse_part& part,
                                  const int32_t* valid, int32_t write_blocks,
                                  const blocksparse_targets& targets, float* loss,
                                  const blocksparse_rows& c) {
  return blocksparse_block_cross_entropy_f32(isa, link, &part, valid, write_blocks, &targets, loss,
                                             &c);
}

inline int32_t call_activation(int32_t isa, const blocksparse_part& part,
                               const blocksparse_activation_input& input,
                               const blocksparse_rows& a) {
  return blocksparse_activation_f32(isa, &part, &input, &a);
}

inline int32_t call_activation_gradient(int32_t isa, const blocksparse_part& part,
                                        const blocksparse_activation_input& input, float alpha,
                                        const blocksparse_rows& grad_a, int32_t accumulate,
                                        const blocksparse_rows& grad_z, float* grad_gate) {
  return blocksparse_activation_gradient_f32(isa, &part, &input, alpha, &grad_a, accumulate,
                                             &grad_z, grad_gate);
}

inline int32_t call_bag_sum(int32_t isa, int32_t reduction, const blocksparse_bags& bags,
                            int32_t begin, int32_t end, const blocksparse_table& a,
                            const blocksparse_rows& c) {
  return blocksparse_bag_sum_f32(isa, reduction, &bags, begin, end, &a, &c);
}

inline int32_t call_bag_dot(int32_t isa, int32_t reduction, const blocksparse_bags& bags,
                            int32_t begin, int32_t end, const blocksparse_table& a,
                            const blocksparse_rows& y, float* dots) {
  return blocksparse_bag_dot_f32(isa, reduction, &bags, begin, end, &a, &y, dots);
}

inline int32_t call_bag_step(int32_t isa, const blocksparse_optimizer& optimizer,
                             const blocksparse_bags& bags, int32_t begin, int32_t end,
                             const blocksparse_table& a, const int32_t* targets,
                             const int32_t* steps, const blocksparse_parameters& w,
                             float* scratch) {
  return blocksparse_bag_step_f32(isa, &optimizer, &bags, begin, end, &a, targets, steps, &w,
                                  scratch);
}

inline int32_t call_step(int32_t isa, const blocksparse_optimizer& optimizer, float scale,
                         int64_t step, const float* g, const blocksparse_parameters& w) {
  return blocksparse_step_f32(isa, &optimizer, scale, step, g, &w);
}

// ------------------------------------------------------------------------------- instruction sets

// Returns the instruction sets that this processor can execute. BLOCKSPARSE_TEST_ISA names one that
// must be among them, so that a run cannot pass by skipping it.
inline std::vector<int32_t> instruction_sets() {
  std::vector<int32_t> supported;
  const char* const wanted = std::getenv("BLOCKSPARSE_TEST_ISA");
  bool found = wanted == nullptr;
  for (int32_t isa = 0; blocksparse_isa_name(isa) != nullptr; ++isa) {
    if (blocksparse_isa_supported(isa) == 1) {
      supported.push_back(isa);
      found = found || std::strcmp(wanted, blocksparse_isa_name(isa)) == 0;
    }
  }
  if (!found) {
    fail(__FILE__, __LINE__, std::string("this processor lacks ") + wanted);
  }
  return supported;
}

}  // namespace testing

#endif  // BLOCKSPARSE_TESTS_TESTING_H
