// SPDX-License-Identifier: Apache-2.0
//
// The highest rates of the processor, on one thread and on all; lines are "NAME THREADS RATE",
// in 10^9 a second:
//
//   read    bytes read from memory
//   fma     operations of multiply-adds of floats, two for each lane
//   bytes   operations of dot products of bytes (vpdpbusd), two for each product; none on
//           processors, or with compilers, without them
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace {

constexpr int64_t kHuge = 2 << 20;
constexpr int64_t kMemory = int64_t{256} << 20;  // of each thread: beyond the caches
constexpr int64_t kRounds = 10'000'000;
constexpr int kChains = 16;  // independent sums: as many as hide the latency of an instruction
constexpr int kTries = 7;

// Keeps a value from being optimized away.
std::atomic<int64_t> sink{0};

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The shortest of several times in which all threads do their work.
double shortest(int threads, const std::function<void(int)>& work) {
  double best = 1e9;
  for (int i = 0; i < kTries; ++i) {
    std::atomic<int> ready{0};
    std::atomic<bool> go{false};
    std::vector<std::thread> others;
    for (int t = 1; t < threads; ++t) {
      others.emplace_back([&, t] {
        ++ready;
        while (!go) {
        }
        work(t);
      });
    }
    while (ready < threads - 1) {
    }
    const double start = seconds();
    go = true;
    work(0);
    for (std::thread& other : others) {
      other.join();
    }
    best = std::min(best, seconds() - start);
  }
  return best;
}

void print(const char* name, int threads, double operations, const std::function<void(int)>& work) {
  std::printf("%s %d %.4g\n", name, threads, 1e-9 * threads * operations / shortest(threads, work));
}

#if defined(__AVX512F__)
using floats = __m512;
floats fma(floats a, floats b, floats c) { return _mm512_fmadd_ps(a, b, c); }
floats of(float x) { return _mm512_set1_ps(x); }
#elif defined(__AVX2__)
using floats = __m256;
floats fma(floats a, floats b, floats c) { return _mm256_fmadd_ps(a, b, c); }
floats of(float x) { return _mm256_set1_ps(x); }
#else
typedef float floats __attribute__((vector_size(16)));
floats fma(floats a, floats b, floats c) { return a * b + c; }
floats of(float x) { return floats{x, x, x, x}; }
#endif

void multiply_floats() {
  floats sums[kChains];
  std::fill(sums, sums + kChains, of(1));
  const floats a = of(0.5f), b = of(0.25f);
  for (int64_t i = 0; i < kRounds; ++i) {
    for (floats& sum : sums) {
      sum = fma(sum, a, b);
    }
  }
  floats all = of(0);
  for (const floats& sum : sums) {
    all = fma(sum, a, all);
  }
  float first;
  std::copy_n(reinterpret_cast<const float*>(&all), 1, &first);
  sink += static_cast<int64_t>(first);
}

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
#define HAS_BYTES
#if defined(__AVX512VNNI__)
using bytes = __m512i;
bytes dot(bytes sum, bytes a, bytes b) { return _mm512_dpbusd_epi32(sum, a, b); }
bytes of_bytes(int x) { return _mm512_set1_epi32(x); }
#else
using bytes = __m256i;
bytes dot(bytes sum, bytes a, bytes b) { return _mm256_dpbusd_avx_epi32(sum, a, b); }
bytes of_bytes(int x) { return _mm256_set1_epi32(x); }
#endif

void multiply_bytes() {
  bytes sums[kChains];
  std::fill(sums, sums + kChains, of_bytes(0));
  bytes a = of_bytes(0x01020304);
  const bytes b = of_bytes(0x01000100);
  for (int64_t i = 0; i < kRounds; ++i) {
    // Or the compiler multiplies once and adds.
    __asm__ volatile("" : "+x"(a));
    for (bytes& sum : sums) {
      sum = dot(sum, a, b);
    }
  }
  for (const bytes& sum : sums) {
    sink += reinterpret_cast<const int32_t*>(&sum)[0];
  }
}
#endif

}  // namespace

int main() {
  const int all = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const std::unique_ptr<uint8_t[]> memory(
      new uint8_t[static_cast<std::size_t>(all * kMemory + 2 * kHuge)]);
  uint8_t* const begin = memory.get() + kHuge - reinterpret_cast<uintptr_t>(memory.get()) % kHuge;
#if defined(__linux__)
  madvise(begin, static_cast<std::size_t>(all * kMemory), MADV_HUGEPAGE);
#endif
  std::fill(begin, begin + all * kMemory, uint8_t{1});
  std::vector<int> counts{1};
  if (all > 1) {
    counts.push_back(all);
  }
  for (const int threads : counts) {
    print("read", threads, static_cast<double>(kMemory), [&](int t) {
      const uint64_t* const part = reinterpret_cast<const uint64_t*>(begin + t * kMemory);
      uint64_t sums[32] = {};
      for (int64_t i = 0; i < kMemory / 8; i += 32) {
        for (int64_t j = 0; j < 32; ++j) {
          sums[j] += part[i + j];
        }
      }
      for (const uint64_t sum : sums) {
        sink += static_cast<int64_t>(sum);
      }
    });
    print("fma", threads, 2.0 * (sizeof(floats) / 4) * kChains * kRounds,
          [](int) { multiply_floats(); });
#if defined(HAS_BYTES)
    print("bytes", threads, 2.0 * sizeof(bytes) * kChains * kRounds, [](int) { multiply_bytes(); });
#endif
  }
  return 0;
}
