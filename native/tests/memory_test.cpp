// SPDX-License-Identifier: Apache-2.0
// Checks blocksparse_allocate: alignment, zeroes, rejection of impossible sizes, and memory that is
// writable from end to end.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <limits>

#include "blocksparse/blocksparse.h"

namespace {

int failures = 0;

void check(bool ok, const char* what, long long bytes) {
  if (!ok) {
    std::printf("%s, at %lld bytes\n", what, bytes);
    ++failures;
  }
}

bool is_zeroed(const unsigned char* memory, std::int64_t bytes) {
  for (std::int64_t i = 0; i < bytes; ++i) {
    if (memory[i] != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace

int main() {
  constexpr std::int64_t kMega = 1 << 20;
  for (const std::int64_t bytes : {std::int64_t{1}, std::int64_t{63}, std::int64_t{4096},
                                   4 * kMega - 1, 4 * kMega, 4 * kMega + 1, 9 * kMega + 12345}) {
    // Runs twice, leaving other contents behind: the second allocation must be zeroed as well.
    for (int round = 0; round < 2; ++round) {
      auto* const memory = static_cast<unsigned char*>(blocksparse_allocate(bytes));
      check(memory != nullptr, "no memory", bytes);
      if (memory == nullptr) {
        continue;
      }
      const auto address = reinterpret_cast<std::uintptr_t>(memory);
      check(address % 64 == 0, "not aligned to 64", bytes);
      check(bytes < 4 * kMega || address % (2u << 20) == 0, "not aligned to 2 MB", bytes);
      check(is_zeroed(memory, bytes), "not zeroed", bytes);
      std::memset(memory, 0xff, static_cast<std::size_t>(bytes));
      blocksparse_free(memory, bytes);
    }
  }
  for (const std::int64_t bytes :
       {std::int64_t{0}, std::int64_t{-1}, std::numeric_limits<std::int64_t>::min(),
        std::numeric_limits<std::int64_t>::max(), std::int64_t{1} << 60}) {
    check(blocksparse_allocate(bytes) == nullptr, "memory that cannot be", bytes);
  }
  blocksparse_free(nullptr, 64);
  std::printf("%d failures, OpenBLAS %s\n", failures, blocksparse_openblas_core());
  return failures == 0 ? 0 : 1;
}
