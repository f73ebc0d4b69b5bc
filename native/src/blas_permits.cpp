// SPDX-License-Identifier: Apache-2.0
#include "blas_permits.h"

#include <atomic>

#if defined(_WIN32)
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>
#else
#include <sched.h>
#endif

namespace blocksparse {
namespace {

// As many as OpenBLAS is built for, and half of the buffers that it has from the start.
constexpr int kPermits = 64;
constexpr int kSpins = 100;

std::atomic<int> free_permits{kPermits};

bool try_take() {
  int free = free_permits.load(std::memory_order_relaxed);
  while (free > 0) {
    if (free_permits.compare_exchange_weak(free, free - 1, std::memory_order_acquire,
                                           std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

void let_others_run() {
#if defined(_WIN32)
  SwitchToThread();
#else
  sched_yield();
#endif
}

}  // namespace

blas_permit::blas_permit() {
  for (int spins = 0; !try_take(); ++spins) {
    if (spins >= kSpins) {
      let_others_run();
    }
  }
}

blas_permit::~blas_permit() { free_permits.fetch_add(1, std::memory_order_release); }

}  // namespace blocksparse
