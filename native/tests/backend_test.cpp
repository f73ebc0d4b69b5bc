// SPDX-License-Identifier: Apache-2.0
// The library's report on itself, on the processor, and on the OpenBLAS that it calls.
//
// usage: backend_test FILE_OF_OPENBLAS
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <initializer_list>
#include <string>

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

// What Linux says of the first processor by this name, and a blank.
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

#endif

void check_rounded_words() {
  for (int32_t isa = BLOCKSPARSE_PORTABLE; isa <= BLOCKSPARSE_AVX512; ++isa) {
    const char* const words = blocksparse_rounded_words(isa);
    const bool supported = blocksparse_isa_supported(isa) == 1;
    check((words != nullptr) == supported, "words for what there is", text(words));
#if defined(__linux__) && defined(__x86_64__)
    const bool bf16 = isa == BLOCKSPARSE_AVX512 && supported && has_all({"avx512_bf16"});
    const bool amx = bf16 && has_all({"amx_tile", "amx_bf16"});
    const bool amd = linux_tells("vendor_id").find(" AuthenticAMD ") != std::string::npos;
    check((text(words).rfind("AVX512-BF16", 0) == 0) == (bf16 && !amx && amd),
          "AVX512-BF16 on AMD's", text(words));
#else
    const bool amx = false;
#endif
    check((text(words).rfind("AMX", 0) == 0) == amx, "AMX where it is", text(words));
  }
}

}  // namespace

int main(int, char** argv) {
  check(text(blocksparse_openblas_config()).rfind("OpenBLAS 0.3.", 0) == 0, "OpenBLAS 0.3",
        text(blocksparse_openblas_config()));
  // Not another one, of the system's. Windows has a drive before it and other slashes in it.
  std::string file = text(blocksparse_openblas_file());
  std::replace(file.begin(), file.end(), '\\', '/');
  check(ends_with(file, argv[1]), "the OpenBLAS that it was built with", file);
  blocksparse_set_openblas_threads(1);
  check(blocksparse_openblas_threads() == 1, "one thread",
        std::to_string(blocksparse_openblas_threads()));
  check_rounded_words();
  std::printf("on %s: %d failures\n", file.c_str(), failures);
  return failures == 0 ? 0 : 1;
}
