// SPDX-License-Identifier: Apache-2.0
//
// Checks of sizes and operands that all entry points share. None of them can overflow, whatever
// the caller passes.
#ifndef BLOCKSPARSE_SRC_CHECKS_H
#define BLOCKSPARSE_SRC_CHECKS_H

#include <cstdint>

#include "blocksparse/blocksparse.h"

namespace blocksparse {

// The most elements of an operand for which the distance in bytes between any two of them fits in a
// pointer difference.
constexpr int64_t kMostElements = INT64_MAX / 8;

// Returns the distance between the first and the last of `count` items that lie `stride` apart; -1
// if a size is negative or the distance is too large. The distance of one item, or none, is 0.
inline int64_t distance(int64_t count, int64_t stride) {
  if (count < 0 || stride < 0) {
    return -1;
  }
  if (count <= 1 || stride == 0) {
    return 0;
  }
  return count - 1 <= kMostElements / stride ? (count - 1) * stride : -1;
}

// Checks `rows` rows of `size` elements, `stride` apart and not overlapping.
inline blocksparse_status check_rows(const void* data, int64_t rows, int32_t size, int64_t stride) {
  if (size < 0 || stride < size || distance(rows, stride) < 0) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  return data == nullptr && rows > 0 && size > 0 ? BLOCKSPARSE_NULL_POINTER : BLOCKSPARSE_OK;
}

// Checks a grid of blocks, each of `rows` x `columns` elements, whose rows lie `ld` apart.
inline blocksparse_status check_blocks(const void* data, int32_t count1, int64_t stride1,
                                       int32_t count2, int64_t stride2, int32_t rows,
                                       int32_t columns, int64_t ld) {
  const int64_t across1 = distance(count1, stride1);
  const int64_t across2 = distance(count2, stride2);
  const int64_t within = distance(rows, ld);
  if (across1 < 0 || across2 < 0 || within < 0 || columns < 0 || ld < columns ||
      across1 > kMostElements - across2 || within > kMostElements - across2 - across1) {
    return BLOCKSPARSE_BAD_SIZE;
  }
  const bool empty = count1 == 0 || count2 == 0 || rows == 0 || columns == 0;
  return data == nullptr && !empty ? BLOCKSPARSE_NULL_POINTER : BLOCKSPARSE_OK;
}

inline blocksparse_status check_rows(const blocksparse_rows& rows, int32_t size) {
  return check_rows(rows.data, rows.count, size, rows.stride);
}

// Checks the elements of a grid and its scales.
inline blocksparse_status check_blocks(const blocksparse_blocks& w) {
  const bool swapped = w.transposed == 1;
  const int32_t rows = swapped ? w.out_size : w.in_size;
  const int32_t columns = swapped ? w.in_size : w.out_size;
  const blocksparse_status status = check_blocks(w.data, w.in_blocks, w.in_stride, w.out_blocks,
                                                 w.out_stride, rows, columns, w.ld);
  return status != BLOCKSPARSE_OK || w.type != BLOCKSPARSE_INT8
             ? status
             : check_blocks(w.scales, w.in_blocks, w.scales_in_stride, w.out_blocks,
                            w.scales_out_stride, rows > 0 ? 1 : 0, columns, columns);
}

template <typename... Operands>
bool any_null(const Operands*... operands) {
  return ((operands == nullptr) || ...);
}

// Returns whether [begin, end) is within [0, size).
inline bool is_range(int32_t begin, int32_t end, int32_t size) {
  return 0 <= begin && begin <= end && end <= size;
}

inline bool is_flag(int32_t value) { return value == 0 || value == 1; }

// Returns whether that many elements can lie together.
inline bool is_count(int64_t count) { return 0 <= count && count <= kMostElements; }

// Returns whether elements of this type, with or without scales, can lie at this address.
inline bool is_stored(int32_t type, const void* elements, const float* scales) {
  return type >= BLOCKSPARSE_FLOAT32 && type <= BLOCKSPARSE_INT8 &&
         (type == BLOCKSPARSE_INT8 || scales == nullptr) &&
         (type != BLOCKSPARSE_FLOAT32 ||
          reinterpret_cast<uintptr_t>(elements) % sizeof(float) == 0);
}

// Checks for scratch memory that holds at least one row of each size.
inline blocksparse_status check_scratch(const float* scratch, int64_t length, int32_t size1,
                                        int32_t size2) {
  const int64_t least = int64_t{size1} + size2;
  if (length < least) {
    return BLOCKSPARSE_SCRATCH_TOO_SMALL;
  }
  return scratch == nullptr && least > 0 ? BLOCKSPARSE_NULL_POINTER : BLOCKSPARSE_OK;
}

// Returns the first status that is not OK.
template <typename... Statuses>
blocksparse_status first_error(Statuses... statuses) {
  blocksparse_status first = BLOCKSPARSE_OK;
  static_cast<void>(((first = statuses, first != BLOCKSPARSE_OK) || ...));
  return first;
}

}  // namespace blocksparse

#endif  // BLOCKSPARSE_SRC_CHECKS_H
