// SPDX-License-Identifier: Apache-2.0
#include "blas_permits.h"

#include <atomic>
#include <cstddef>
#include <mutex>

#include "blocksparse/blocksparse.h"

#if defined(_WIN32)
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>
#else
#include <sched.h>
#include <sys/mman.h>
#endif

#if defined(__ELF__)
// OpenBLAS exports these functions, but no header declares them: a buffer for packing, and its
// return. They are weak, as another library of that name may lack them.
extern "C" {
__attribute__((weak)) void* blas_memory_alloc(int position);
__attribute__((weak)) void blas_memory_free(void* buffer);
}
#endif

namespace blocksparse {
namespace {

// The number of threads that OpenBLAS is built for, which is half of its first buffers.
constexpr int kPermits = 64;
constexpr int kSpins = 100;

std::atomic<int> free_permits{kPermits};

// Takes a permit if one is free. Returns how many are then taken, or 0.
int try_take() {
  int free = free_permits.load(std::memory_order_relaxed);
  while (free > 0) {
    if (free_permits.compare_exchange_weak(free, free - 1, std::memory_order_acquire,
                                           std::memory_order_relaxed)) {
      return kPermits - free + 1;
    }
  }
  return 0;
}

void let_others_run() {
#if defined(_WIN32)
  SwitchToThread();
#else
  sched_yield();
#endif
}

// Memory that the rest of the process may allocate between a check and its use.
constexpr std::size_t kMargin = std::size_t{64} << 20;

// Returns whether there is memory for one more buffer now.
bool has_memory() {
  constexpr std::size_t kBytes = BLOCKSPARSE_BLAS_BUFFER_BYTES + kMargin;
#if defined(_WIN32)
  void* const memory = VirtualAlloc(nullptr, kBytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
  return memory != nullptr && VirtualFree(memory, 0, MEM_RELEASE) != 0;
#else
  void* const memory =
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory != MAP_FAILED && munmap(memory, kBytes) == 0;
#endif
}

// The number of buffers known to exist in OpenBLAS. It never frees one, and lends free ones before
// it allocates another: that many threads find a buffer.
std::atomic<int> known_buffers{0};
std::mutex making_buffers;

#if defined(__ELF__)
void* buffers[kPermits];

bool is_known(const void* buffer, int count) {
  for (int i = 0; i < count; ++i) {
    if (buffers[i] == buffer) {
      return true;
    }
  }
  return false;
}

// Borrows buffers until one comes that is not among `count` known ones, then returns all of them.
void find_buffer(int count) {
  void* borrowed[kPermits];
  int borrowed_count = 0;
  do {
    borrowed[borrowed_count] = blas_memory_alloc(0);
  } while (is_known(borrowed[borrowed_count++], count));
  buffers[count] = borrowed[borrowed_count - 1];
  while (borrowed_count > 0) {
    blas_memory_free(borrowed[--borrowed_count]);
  }
}
#endif

// Ensures that OpenBLAS has that many buffers. Returns whether it has.
bool has_buffers(int wanted) {
  if (known_buffers.load(std::memory_order_acquire) >= wanted) {
    return true;
  }
  const std::lock_guard<std::mutex> lock(making_buffers);
  for (int count = known_buffers.load(std::memory_order_relaxed); count < wanted; ++count) {
    if (!has_memory()) {
      return false;
    }
#if defined(__ELF__)
    if (blas_memory_alloc != nullptr && blas_memory_free != nullptr) {
      find_buffer(count);
    }
#endif
    // On other systems OpenBLAS allocates it as soon as the thread that asks here has entered it.
    known_buffers.store(count + 1, std::memory_order_release);
  }
  return true;
}

}  // namespace

blas_permit::blas_permit() {
  int taken = try_take();
  for (int spins = 0; taken == 0; taken = try_take()) {
    if (++spins > kSpins) {
      let_others_run();
    }
  }
  granted_ = has_buffers(taken);
}

blas_permit::~blas_permit() { free_permits.fetch_add(1, std::memory_order_release); }

}  // namespace blocksparse
