// SPDX-License-Identifier: Apache-2.0
//
// Products of long rows and blocks. With BLOCKSPARSE_TEST_LONG in the environment they have the
// maximum of 2^31 - 1 elements: counters of steps and rows must not overflow. Their memory is
// untouched zero pages.
#include "testing.h"

namespace {

using namespace testing;

#if defined(_WIN32)

void check_all(int32_t) { std::printf("skipped\n"); }

#else

const int32_t kLong =
    !BLOCKSPARSE_TESTS_SLOW && std::getenv("BLOCKSPARSE_TEST_LONG") ? INT32_MAX : 1 << 22;

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
      : memory_(static_cast<std::size_t>(kLong) * sizeof(Element), PROT_READ | PROT_WRITE) {
    data()[kLong - 1] = last;
  }

  Element* data() const { return reinterpret_cast<Element*>(memory_.begin()); }

 private:
  address_space memory_;
};

// The only row of a is read for each of that many rows.
std::vector<int32_t> one_row_for(int32_t rows) {
  std::vector<int32_t> written;
  std::vector<gemm_pair> pairs;
  for (int32_t r = 0; r < rows; ++r) {
    written.push_back(r);
    pairs.push_back({0, r, 0});
  }
  return gemm_schedule(written, std::vector<int32_t>(written.size()), pairs, 100);
}

// Checks that so many rows are written, all of them 1 + 2 * 3, by the last element.
void check_gemm(int32_t isa, int32_t rows, bool transposed) {
  context() = std::to_string(rows) + " rows" + (transposed ? ", transposed" : "");
  const zeros_but_the_last<float> a(2.0f), w(3.0f);
  const std::vector<int32_t> schedule = one_row_for(rows);
  const float bias = 1.0f;
  std::vector<float> c(static_cast<std::size_t>(rows));
  const blocksparse_part part = all_of(schedule, 1);
  const blocksparse_rows from = rows_of(a.data(), 1, kLong);
  const blocksparse_blocks by =
      blocks_of(w.data(), 1, 1, kLong, 1, transposed ? kLong : 1, transposed);
  const blocksparse_sums to = {rows_of(c.data(), rows, 1), rows_of(&bias, 1, 1), 0};
  CHECK_STATUS(BLOCKSPARSE_OK, blocksparse_block_gemm_f32(isa, BLOCKSPARSE_PATH_TILE, &part, &from,
                                                          0, &by, &to, nullptr, 0));
  CHECK(c == std::vector<float>(c.size(), 7.0f));
}

void check_all(int32_t isa) {
  check_gemm(isa, 1, false);
  check_gemm(isa, 9, true);  // more than are multiplied by dot products
}

#endif

}  // namespace

// All instruction sets have the same loops: one is enough, and slow enough.
int main() {
  check_all(instruction_sets().back());
  return report("long_rows");
}
