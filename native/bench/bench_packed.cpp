// SPDX-License-Identifier: Apache-2.0
//
// Rounded rows times packed panels, on one thread by its own CPU clock: the shortest of several
// passes over more blocks than caches hold. Prints Gop/s (two for each multiply-add) and GB/s of
// panels, beside the rate at which the thread only reads that memory.
//
// usage: bench_packed [NAME]    the kernels of that name, "avx2" for instance; else the fastest
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "packed/panels.h"

namespace {

using namespace blocksparse::packed;

constexpr int32_t kIn = 2048, kOut = 768;
constexpr int64_t kBytes = int64_t{256} << 20;
constexpr int32_t kMostRows = 256;

double seconds() {
#if defined(CLOCK_THREAD_CPUTIME_ID)
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
#else
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
#endif
}

template <typename Action>
double shortest(Action action) {
  double best = 1e9;
  const double begin = seconds();
  do {
    const double start = seconds();
    action();
    best = std::min(best, seconds() - start);
  } while (seconds() - begin < 0.2);
  return best;
}

uint64_t read(const uint8_t* p, int64_t bytes) {
  uint64_t sums[8] = {};
  for (int64_t at = 0; at < bytes; at += 64) {
    uint64_t line[8];
    std::memcpy(line, p + at, sizeof(line));
    for (int32_t i = 0; i < 8; ++i) {
      sums[i] += line[i];
    }
  }
  uint64_t sum = 0;
  for (const uint64_t s : sums) {
    sum += s;
  }
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  const kernels* all[blocksparse::packed::kMostKernels];
  const int32_t count = supported(all);
  const kernels* by = all[count - 1];
  for (int32_t i = 0; argc > 1 && i < count; ++i) {
    by = std::strcmp(all[i]->name, argv[1]) == 0 ? all[i] : by;
  }
  constexpr int64_t kHuge = 2 << 20;
  const std::unique_ptr<uint8_t[]> memory(new uint8_t[std::size_t{kBytes + 2 * kHuge}]);
  uint8_t* const panels = memory.get() + kHuge - reinterpret_cast<uintptr_t>(memory.get()) % kHuge;
#if defined(__linux__)
  madvise(panels, static_cast<std::size_t>(kBytes + kHuge) / kHuge * kHuge, MADV_HUGEPAGE);
#endif
  // Codes and scales of small numbers: their values do not affect the time.
  std::fill(panels, panels + kBytes, uint8_t{0x2c});
  volatile uint64_t sink = 0;
  const double gbs =
      static_cast<double>(kBytes) / 1e9 / shortest([&] { sink = read(panels, kBytes); });
  std::printf("%s, %d x %d; reading alone %.1f GB/s\n", by->name, kIn, kOut, gbs);

  std::vector<int32_t> chosen;
  for (int32_t r = 0; r < kMostRows; ++r) {
    chosen.push_back(r);
  }
  const int32_t groups = groups_of(kIn);
  const std::vector<float> x(kIn, 0.5f);
  std::vector<float> c(std::size_t{kMostRows} * kOut);
  const std::vector<float> output_scales(kOut, 1.0f);
  std::printf("%-16s %6s %9s %8s %8s %9s\n", "type", "rows", "us/block", "Gop/s", "GB/s",
              "of read");
  struct operands {
    const char* name;
    weight_type type;
    row_format format;
  };
  for (const operands& of : {operands{"BFLOAT16", weight_type::bfloat16, row_format::bfloat16},
                             operands{"INT8, 8 bits", weight_type::int8, row_format::one_byte},
                             operands{"INT8, 16 bits", weight_type::int8, row_format::two_bytes},
                             operands{"Q8_0", weight_type::q8_0, row_format::groups},
                             operands{"Q4_0", weight_type::q4_0, row_format::groups},
                             operands{"MXFP4", weight_type::mxfp4, row_format::groups},
                             operands{"Q4_K", weight_type::q4_k, row_format::groups},
                             operands{"Q6_K", weight_type::q6_k, row_format::groups},
                             operands{"Q5_K", weight_type::q5_k, row_format::groups},
                             operands{"Q2_K", weight_type::q2_k, row_format::groups},
                             operands{"Q5_1", weight_type::q5_1, row_format::groups},
                             operands{"IQ4_NL", weight_type::iq4_nl, row_format::groups},
                             operands{"IQ4_XS", weight_type::iq4_xs, row_format::groups}}) {
    std::vector<float> rounded(
        static_cast<std::size_t>(rounded_bytes(of.format, kMostRows, groups) / 4));
    const rounded_rows rows = rows_at(rounded.data(), of.format, kMostRows, groups);
    for (int32_t r = 0; r < kMostRows; ++r) {
      by->round_row(x.data(), kIn, rows, r);
    }
    const double rounding = shortest([&] {
      for (int32_t r = 0; r < kMostRows; ++r) {
        by->round_row(x.data(), kIn, rows, r);
      }
    });
    const int64_t block = packed_bytes(of.type, kIn, kOut);
    for (const int32_t n : {1, 2, 3, 4, 6, 8, 9, 12, 16, 64, 256}) {
      // Many rows are bound by computation: fewer blocks suffice.
      const int64_t blocks = std::max(int64_t{2}, kBytes / block / (n < 8 ? 1 : n));
      const double time = shortest([&] {
                            for (int64_t b = 0; b < blocks; ++b) {
                              by->multiply(of.type, {panels + b * block, output_scales.data(), 0,
                                                     kOut, rows, chosen.data(), chosen.data(),
                                                     chosen.data(), n, c.data(), kOut});
                            }
                          }) /
                          static_cast<double>(blocks);
      const double rate = static_cast<double>(block) / 1e9 / time;
      std::printf("%-16s %6d %9.1f %8.0f %8.1f %9.2f\n", of.name, n, 1e6 * time,
                  2e-9 * n * kIn * kOut / time, rate, rate / gbs);
    }
    std::printf("%-16s rounding a row %.2f us\n", of.name, 1e6 * rounding / kMostRows);
  }
}
