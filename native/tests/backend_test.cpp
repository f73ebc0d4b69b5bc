// SPDX-License-Identifier: Apache-2.0
// The library's report on itself, on the processor, and on the OpenBLAS that it calls.
//
// usage: backend_test FILE_OF_OPENBLAS
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <string>

#if defined(__linux__) && defined(__x86_64__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "blocksparse/blocksparse.h"

namespace {

int failures = 0;

void check(bool ok, const char* what, const std::string& found) {
  if (!ok) {
    std::printf("%s: %s\n", what, found.c_str());
    ++failures;
  }
}

std::string text(const char* string) { return string == nullptr ? "(null)" : string; }

bool ends_with(const std::string& whole, const std::string& end) {
  return whole.size() >= end.size() && whole.substr(whole.size() - end.size()) == end;
}

#if defined(__linux__) && defined(__x86_64__)

// Returns the line of /proc/cpuinfo with this name for the first processor, and a blank.
std::string linux_tells(const char* name) {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line) && line.rfind(name, 0) != 0) {
  }
  return line + ' ';
}

bool has_all(std::initializer_list<const char*> flags) {
  const std::string line = linux_tells("flags");
  return std::all_of(flags.begin(), flags.end(), [&](const char* flag) {
    return line.find(std::string(" ") + flag + ' ') != std::string::npos;
  });
}

// Returns whether Linux provides the tile registers of AMX.
bool has_tile_registers() {
  constexpr long kSupported = 0x1021, kTileData = 18;  // ARCH_GET_XCOMP_SUPP, of asm/prctl.h
  uint64_t states = 0;
  return syscall(SYS_arch_prctl, kSupported, &states) == 0 && (states >> kTileData & 1) == 1;
}

bool is_amd() { return linux_tells("vendor_id").find(" AuthenticAMD ") != std::string::npos; }

const char* const kAvx512Bf16 = "avx512-bf16 for BFLOAT16, avx512-vnni for other types";
const char* const kAmx = "amx for INT8 and BFLOAT16, avx512-vnni for other types";

// Checks the kernels for packed weights, the fastest last, against the flags that Linux lists for
// them.
bool lists_flags_of(const std::string& packed, int32_t isa) {
  const bool avx512 = isa == BLOCKSPARSE_AVX512;
  return packed == kAmx ? avx512 && has_all({"avx512_vnni", "amx_tile", "amx_int8", "amx_bf16"}) &&
                              has_tile_registers()
         : packed == kAvx512Bf16   ? avx512 && has_all({"avx512_vnni", "avx512_bf16"}) && is_amd()
         : packed == "avx512-vnni" ? avx512 && has_all({"avx512_vnni"})
         : packed == "avx-vnni"    ? isa >= BLOCKSPARSE_AVX2 && has_all({"avx_vnni"})
                                   : isa >= BLOCKSPARSE_AVX2 && packed == "avx2";
}

#endif

// Linux may be too old to list all features: we expect what it lists, or better.
void check_best_kernels() {
  for (int32_t isa = BLOCKSPARSE_PORTABLE; isa <= BLOCKSPARSE_AVX512; ++isa) {
    const bool supported = blocksparse_isa_supported(isa) == 1;
    const std::string words = text(blocksparse_rounded_words(isa));
    const std::string packed = text(blocksparse_packed_name(isa));
    check((words != "(null)") == supported, "words for what there is", words);
    check((packed != "(null)") == supported, "names for what there is", packed);
#if defined(__linux__) && defined(__x86_64__)
    const bool bf16 = isa == BLOCKSPARSE_AVX512 && supported && has_all({"avx512_bf16"});
    const bool amx = bf16 && has_all({"amx_tile", "amx_bf16"});
    check(words.rfind("AMX", 0) == 0 || !amx, "AMX where it is", words);
    check(words.rfind("AVX512-BF16", 0) == 0 || !bf16 || amx || !is_amd(), "AVX512-BF16 on AMD's",
          words);
    const char* const names[] = {"avx2", "avx-vnni", "avx512-vnni", kAvx512Bf16, kAmx};
    const auto* const found = std::find(std::begin(names), std::end(names), packed);
    for (const auto* better = found == std::end(names) ? names : found + 1;
         supported && better != std::end(names); ++better) {
      check(!lists_flags_of(*better, isa), *better, packed);
    }
#else
    check(words.rfind("AMX", 0) != 0, "no AMX", words);
#endif
  }
}

}  // namespace

int main(int, char** argv) {
  check(text(blocksparse_openblas_config()).rfind("OpenBLAS 0.3.", 0) == 0, "OpenBLAS 0.3",
        text(blocksparse_openblas_config()));
  // Expects our own OpenBLAS and not the system's. On Windows, a drive precedes the path, and its
  // slashes differ.
  std::string file = text(blocksparse_openblas_file());
  std::replace(file.begin(), file.end(), '\\', '/');
  check(ends_with(file, argv[1]), "the OpenBLAS that it was built with", file);
  blocksparse_set_openblas_threads(1);
  check(blocksparse_openblas_threads() == 1, "one thread",
        std::to_string(blocksparse_openblas_threads()));
  check_best_kernels();
  std::printf("on %s: %d failures\n", file.c_str(), failures);
  return failures == 0 ? 0 : 1;
}
