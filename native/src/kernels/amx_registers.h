// SPDX-License-Identifier: Apache-2.0
// The tile registers of AMX: permission to use them, and their layout. For files that are compiled
// for AMX only.
#ifndef BLOCKSPARSE_SRC_KERNELS_AMX_REGISTERS_H
#define BLOCKSPARSE_SRC_KERNELS_AMX_REGISTERS_H

#include <immintrin.h>

#include <cstdint>

#include "kernels/compiler_hints.h"

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

// Linux grants a process the registers on request, for good: from then on, signal frames may take 8
// KB more. It refuses if a thread has an alternate signal stack that is too small for them.
inline bool ask_for_registers() {
#if defined(__linux__)
  constexpr long kRequest = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, of asm/prctl.h
  return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
#else
  return false;
#endif
}

// Forces stores to memory. GCC does not know that an instruction reads that memory, or how much of
// it.
INLINE void publish(const void* memory) { __asm__ volatile("" : : "r"(memory) : "memory"); }

// The sizes of the registers, as the processor reads them.
struct register_layout {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  void set(int32_t number, int32_t its_rows, int32_t its_row_bytes) {
    rows[number] = static_cast<uint8_t>(its_rows);
    row_bytes[number] = static_cast<uint16_t>(its_row_bytes);
  }

  INLINE void apply() const {
    publish(this);
    _tile_loadconfig(this);
  }
};
static_assert(sizeof(register_layout) == 64, "as the processor reads it");

}  // namespace

#endif  // BLOCKSPARSE_SRC_KERNELS_AMX_REGISTERS_H
