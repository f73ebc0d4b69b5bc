// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "blocksparse/blocksparse.h"

#if defined(__linux__)
#include <sys/mman.h>
#elif defined(_WIN32)
#include <malloc.h>
#endif

namespace {

constexpr std::size_t kAlignment = 64;                 // a cache line, and the widest register
constexpr std::size_t kHugeAlignment = 2u << 20;       // the size of a huge page
constexpr std::size_t kHugeFrom = 2 * kHugeAlignment;  // below this, half of it could be padding

constexpr std::size_t alignment_for(std::size_t bytes) {
  return bytes >= kHugeFrom ? kHugeAlignment : kAlignment;
}

#if defined(__linux__)

// The kernel zeroes pages, and provides physical memory only when they are touched, so that a large
// tensor is not written twice, and each part lies on the node that uses it first.
constexpr std::size_t mapped_bytes(std::size_t bytes) {
  return (bytes + kHugeAlignment - 1) / kHugeAlignment * kHugeAlignment;
}

void* map_huge(std::size_t bytes) {
  // Reserves one huge page too many, to cut an aligned piece out of it; the rest is freed at once.
  const std::size_t wanted = mapped_bytes(bytes);
  const std::size_t reserved = wanted + kHugeAlignment;
  void* const base =
      mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) {
    return nullptr;
  }
  char* const start = static_cast<char*>(base);
  const std::size_t head =
      (kHugeAlignment - reinterpret_cast<std::uintptr_t>(base) % kHugeAlignment) % kHugeAlignment;
  char* const memory = start + head;
  if (head != 0) {
    munmap(start, head);
  }
  if (const std::size_t tail = reserved - head - wanted; tail != 0) {
    munmap(memory + wanted, tail);
  }
  // This is only advice: a kernel without huge pages rejects it, without harm.
  madvise(memory, wanted, MADV_HUGEPAGE);
  return memory;
}

#endif

void* aligned_zeroed(std::size_t bytes) {
#if defined(_WIN32)
  void* const memory = _aligned_malloc(bytes, alignment_for(bytes));
#else
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment_for(bytes), bytes) != 0) {
    return nullptr;
  }
#endif
  return memory == nullptr ? nullptr : std::memset(memory, 0, bytes);
}

}  // namespace

void* blocksparse_allocate(int64_t bytes) {
  // The margin keeps the rounding above from overflowing where size_t is as wide as bytes.
  constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max() / 2 - 2 * kHugeAlignment;
  if (bytes <= 0 || static_cast<std::uint64_t>(bytes) > kMost) {
    return nullptr;
  }
  const std::size_t size = static_cast<std::size_t>(bytes);
#if defined(__linux__)
  if (size >= kHugeFrom) {
    return map_huge(size);
  }
#endif
  return aligned_zeroed(size);
}

void blocksparse_free(void* memory, int64_t bytes) {
  if (memory == nullptr) {
    return;
  }
#if defined(__linux__)
  const std::size_t size = static_cast<std::size_t>(bytes);
  if (size >= kHugeFrom) {
    munmap(memory, mapped_bytes(size));
    return;
  }
#endif
#if defined(_WIN32)
  _aligned_free(memory);
#else
  std::free(memory);
#endif
  static_cast<void>(bytes);  // passed on every system, needed on Linux only
}
