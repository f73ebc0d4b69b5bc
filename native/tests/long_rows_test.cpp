// SPDX-License-Identifier: Apache-2.0
//
// Products of rows and blocks of 2^31 - 1 elements, the most there can be: what counts steps and
// rows cannot go beyond them. Memory that is only read are pages of zeros, which take none; memory
// that is written is the same 64 MB again and again.
#include "testing.h"

namespace {

using namespace testing;

#if defined(_WIN32) || BLOCKSPARSE_TESTS_EMULATED

void check_all(int32_t) { std::printf("skipped\n"); }

#else

constexpr int32_t kLong = INT32_MAX;

class address_space {
 public:
  address_space(std::size_t bytes, int protection)
      : bytes_(bytes),
        begin_(mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE, -1, 0)) {
    if (begin_ == MAP_FAILED) {
      std::printf("skipped: the system gives no address space\n");
      std::exit(report("long_rows, in part"));
    }
  }
  address_space(const address_space&) = delete;
  address_space& operator=(const address_space&) = delete;
  ~address_space() { munmap(begin_, bytes_); }

  char* begin() const { return static_cast<char*>(begin_); }

 private:
  std::size_t bytes_;
  void* begin_;
};

template <typename Element>
class zeros_but_the_last {
 public:
  explicit zeros_but_the_last(Element last)
      : memory_(std::size_t{kLong} * sizeof(Element), PROT_READ | PROT_WRITE) {
    data()[kLong - 1] = last;
  }

  Element* data() const { return reinterpret_cast<Element*>(memory_.begin()); }

 private:
  address_space memory_;
};

// A row of kLong floats that are a part of it many times over, with no memory before them.
class repeated_row {
 public:
  repeated_row() : memory_(2 * kParts * kPart, PROT_NONE) {
    std::FILE* const file = std::tmpfile();
    if (file == nullptr || ftruncate(fileno(file), static_cast<off_t>(kPart)) != 0) {
      std::abort();
    }
    for (std::size_t i = 0; i < kParts; ++i) {
      if (mmap(begin() + i * kPart, kPart, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
               fileno(file), 0) == MAP_FAILED) {
        std::abort();
      }
    }
    std::fclose(file);
  }

  float* data() const { return reinterpret_cast<float*>(begin()); }

 private:
  static constexpr std::size_t kPart = std::size_t{64} << 20, kParts = 128;

  char* begin() const { return memory_.begin() + kParts * kPart; }

  address_space memory_;
};

// The only row of a is read for each of that many.
std::vector<int32_t> one_row_for(int32_t rows) {
  std::vector<int32_t> written;
  std::vector<gemm_pair> pairs;
  for (int32_t r = 0; r < rows; ++r) {
    written.push_back(r);
    pairs.push_back({0, r, 0});
  }
  return gemm_schedule(written, std::vector<int32_t>(written.size()), pairs, 100);
}

// That many rows are written, all of them 1 + 2 * 3 by the last element.
void check_gemm(int32_t isa, int32_t rows, bool transposed) {
  context() = std::to_string(rows) + " rows" + (transposed ? ", transposed" : "");
  const zeros_but_the_last<float> a(2.0f), w(3.0f);
  const std::vector<int32_t> schedule = one_row_for(rows);
  const float bias = 1.0f;
  std::vector<float> c(static_cast<std::size_t>(rows));
  CHECK_STATUS(BLOCKSPARSE_OK,
               blocksparse_block_gemm_f32(isa, BLOCKSPARSE_PATH_TILE, schedule.data(),
                                          length(schedule), 0, 1, 0, 1, kLong, 1, a.data(), 1,
                                          kLong, w.data(), 1, 1, 0, 0, transposed ? kLong : 1,
                                          transposed, &bias, 1, 0, c.data(), rows, 1, nullptr, 0));
  CHECK(c == std::vector<float>(c.size(), 7.0f));
}

void check_rounded(int32_t isa, int32_t rows) {
  context() = std::to_string(rows) + " rounded rows";
  constexpr uint16_t kThree = 0x4040;
  const zeros_but_the_last<float> a(2.0f);
  const zeros_but_the_last<uint16_t> w(kThree);
  const std::vector<int32_t> schedule = one_row_for(rows);
  const float bias = 1.0f;
  std::vector<float> c(static_cast<std::size_t>(rows));
  CHECK_STATUS(BLOCKSPARSE_OK, blocksparse_block_gemm_typed_f32(
                                   isa, schedule.data(), length(schedule), 0, 1, 0, 1, kLong, 1,
                                   a.data(), 1, kLong, 1, BLOCKSPARSE_BFLOAT16, w.data(), 1, 1, 0,
                                   0, 1, 0, nullptr, 0, 0, &bias, 1, 0, c.data(), rows, 1));
  CHECK(c == std::vector<float>(c.size(), 7.0f));
}

// A block of as many rows, as it is stored transposed.
void check_outer(int32_t isa) {
  context() = "outer product";
  const float x = 2.0f;
  const zeros_but_the_last<float> y(3.0f);
  const repeated_row o;
  const std::vector<int32_t> schedule = {BLOCKSPARSE_OUTER_SCHEDULE, 1, 1, 0, 0, 0, 1, 0, 0};
  CHECK_STATUS(BLOCKSPARSE_OK, blocksparse_block_outer_f32(
                                   isa, BLOCKSPARSE_PATH_TILE, schedule.data(), length(schedule), 0,
                                   1, 0, 1, 1, kLong, 1.0f, &x, 1, 1, y.data(), 1, kLong, 0,
                                   o.data(), 1, 1, 0, 0, 1, 1, nullptr, 0));
  CHECK(o.data()[kLong - 1] == 6.0f);
  CHECK(o.data()[kLong - 2] == 0.0f);
}

void check_all(int32_t isa) {
  check_gemm(isa, 1, false);
  check_gemm(isa, 9, true);  // more than are multiplied by dot products
  check_rounded(isa, 1);
  check_rounded(isa, 13);  // enough for AMX
  check_outer(isa);
}

#endif

}  // namespace

// Each instruction set has the same loops: one tells, and takes long enough.
int main() {
  check_all(instruction_sets().back());
  return report("long_rows");
}
