// SPDX-License-Identifier: Apache-2.0
//
// libFuzzer target: whatever schedule and sizes a caller passes, no memory is touched outside the
// operands. The first bytes of the input are the sizes, the rest is the schedule. Operands are
// allocated exactly as large as the sizes say, so that AddressSanitizer sees one element too many.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "blocksparse/blocksparse.h"

namespace {

class input {
 public:
  input(const uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  // A byte as a signed number: mostly small sizes, some negative ones.
  int32_t next() {
    if (size_ == 0) {
      return 0;
    }
    --size_;
    return static_cast<int8_t>(*data_++);
  }

  // The rest as an array, one byte per element but for those that must be large.
  std::vector<int32_t> rest(int32_t magic) {
    std::vector<int32_t> list{magic};
    while (size_ > 0) {
      const int32_t value = next();
      list.push_back(value == -128 ? INT32_MAX : value == -127 ? INT32_MIN : value);
    }
    return list;
  }

 private:
  const uint8_t* data_;
  std::size_t size_;
};

int64_t positive(int64_t value) { return value > 0 ? value : 0; }

std::vector<float> operand(int64_t rows, int64_t stride, int64_t size) {
  const int64_t elements = rows > 0 ? (rows - 1) * positive(stride) + positive(size) : 0;
  return std::vector<float>(static_cast<std::size_t>(elements), 1.0f);
}

int32_t last_isa() {
  int32_t isa = 0;
  for (int32_t i = 0; blocksparse_isa_name(i) != nullptr; ++i) {
    isa = blocksparse_isa_supported(i) == 1 ? i : isa;
  }
  return isa;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  input in(data, size);
  const int32_t kind = in.next(), options = in.next(), begin = in.next(), end = in.next(),
                part_begin = in.next(), part_end = in.next(), size1 = in.next(), size2 = in.next(),
                rows1 = in.next(), rows2 = in.next(), blocks1 = in.next(), blocks2 = in.next(),
                padding = in.next() & 3;
  const bool transposed = (options & 1) != 0;
  const int32_t accumulate = options >> 1 & 1;
  const int32_t path = (options >> 2) % 3;
  const int32_t isa = (options & 64) != 0 ? BLOCKSPARSE_PORTABLE : last_isa();
  const int64_t ld1 = size1 + padding, ld2 = size2 + padding;
  const int64_t block_rows = transposed ? size2 : size1;
  const int64_t block_ld = transposed ? ld1 : ld2;
  const int64_t stride2 = positive(block_rows) * positive(block_ld);
  const int64_t stride1 = stride2 * positive(blocks2);
  std::vector<float> x = operand(rows1, ld1, size1), y = operand(rows2, ld2, size2),
                     w(static_cast<std::size_t>(stride1 * positive(blocks1)), 1.0f),
                     scratch(static_cast<std::size_t>(positive(size1) + positive(size2)));
  const int64_t scratch_length = static_cast<int64_t>(scratch.size());
  if (kind % 3 == 0) {
    const std::vector<int32_t> plan = in.rest(BLOCKSPARSE_GEMM_SCHEDULE);
    blocksparse_block_gemm_f32(
        isa, path, plan.data(), static_cast<int64_t>(plan.size()), begin, end, part_begin, part_end,
        size1, size2, x.data(), rows1, ld1, w.data(), blocks1, blocks2, stride1, stride2, block_ld,
        transposed, nullptr, 0, accumulate, y.data(), rows2, ld2, scratch.data(), scratch_length);
  } else if (kind % 3 == 1 || kind % 3 == -1) {
    const std::vector<int32_t> plan = in.rest(BLOCKSPARSE_OUTER_SCHEDULE);
    blocksparse_block_outer_f32(
        isa, path, plan.data(), static_cast<int64_t>(plan.size()), begin, end, part_begin, part_end,
        size1, size2, 0.5f, x.data(), rows1, ld1, y.data(), rows2, ld2, accumulate, w.data(),
        blocks1, blocks2, stride1, stride2, block_ld, transposed, scratch.data(), scratch_length);
  } else {
    const std::vector<int32_t> plan = in.rest(BLOCKSPARSE_GEMM_SCHEDULE);
    const int64_t plan_length = static_cast<int64_t>(plan.size());
    std::vector<int32_t> valid(static_cast<std::size_t>(positive(blocks2)), part_begin);
    std::vector<int32_t> target(static_cast<std::size_t>(positive(rows2)), part_end);
    std::vector<float> nll(target.size());
    std::vector<float> sums = operand(blocks2, ld2, size2);
    blocksparse_block_softmax_f32(isa, accumulate, plan.data(), plan_length, begin, end, size2,
                                  blocks2, valid.data(), nullptr, y.data(), rows2, ld2);
    blocksparse_block_cross_entropy_f32(isa, plan.data(), plan_length, begin, end, size2, blocks2,
                                        valid.data(), target.data(), nullptr, 0.1f, nullptr,
                                        nll.data(), y.data(), rows2, ld2);
    blocksparse_block_sum_f32(isa, plan.data(), plan_length, begin, end, size2, 1.0f, y.data(),
                              rows2, ld2, sums.data(), blocks2, ld2);
  }
  return 0;
}
