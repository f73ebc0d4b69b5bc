// SPDX-License-Identifier: Apache-2.0
//
// The types of stored weights. They are widened to float as they are loaded; nothing is computed
// in these types.
#ifndef BLOCKSPARSE_SRC_KERNELS_ELEMENT_TYPES_H
#define BLOCKSPARSE_SRC_KERNELS_ELEMENT_TYPES_H

#include <cstdint>
#include <cstring>

#include "kernels/compiler_hints.h"

namespace blocksparse {

// Bytes, so that elements may lie at any address.
struct float16 {
  unsigned char bytes[2];
};
struct bfloat16 {
  unsigned char bytes[2];
};

}  // namespace blocksparse

namespace {

// Returns the first `count` bytes at p, at most 8, followed by zeros; reads no more.
[[maybe_unused]] INLINE uint64_t first_bytes(const void* p, int32_t count) {
  const char* from = static_cast<const char*>(p);
  uint64_t bytes = 0;
  if (count >= 8) {
    std::memcpy(&bytes, from, 8);
    return bytes;
  }
  int32_t shift = 0;
  if ((count & 4) != 0) {
    uint32_t part;
    std::memcpy(&part, from, 4);
    bytes = part;
    from += 4;
    shift = 32;
  }
  if ((count & 2) != 0) {
    uint16_t part;
    std::memcpy(&part, from, 2);
    bytes |= uint64_t{part} << shift;
    from += 2;
    shift += 16;
  }
  if ((count & 1) != 0) {
    bytes |= uint64_t{static_cast<unsigned char>(*from)} << shift;
  }
  return bytes;
}

}  // namespace

#endif  // BLOCKSPARSE_SRC_KERNELS_ELEMENT_TYPES_H
