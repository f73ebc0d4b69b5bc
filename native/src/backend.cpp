// SPDX-License-Identifier: Apache-2.0
#include <cblas.h>

#include "blocksparse/blocksparse.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#endif

const char* blocksparse_openblas_config(void) { return openblas_get_config(); }

const char* blocksparse_openblas_core(void) { return openblas_get_corename(); }

#if defined(_WIN32)

namespace {

constexpr int kLongestPath = 32768;  // the limit of Windows itself, in UTF-16 units

// The system copies the name; it must stay in place after the call that asked for it.
struct LibraryFile {
  char name[kLongestPath] = "";
  LibraryFile() {
    wchar_t wide[kLongestPath];
    // Imports are bound by the base name of a module: this is the module that we call.
    const HMODULE library = GetModuleHandleW(L"libopenblas.dll");
    const DWORD length = library == nullptr ? 0 : GetModuleFileNameW(library, wide, kLongestPath);
    if (length == 0 || length == kLongestPath ||
        WideCharToMultiByte(CP_UTF8, 0, wide, -1, name, kLongestPath, nullptr, nullptr) == 0) {
      name[0] = '\0';
    }
  }
};

}  // namespace

const char* blocksparse_openblas_file(void) {
  static const LibraryFile file;
  return file.name[0] == '\0' ? nullptr : file.name;
}

#else

const char* blocksparse_openblas_file(void) {
  Dl_info library;
  const void* const function = reinterpret_cast<const void*>(&openblas_get_config);
  return dladdr(function, &library) == 0 ? nullptr : library.dli_fname;
}

#endif

int32_t blocksparse_openblas_threads(void) { return openblas_get_num_threads(); }

void blocksparse_set_openblas_threads(int32_t threads) { openblas_set_num_threads(threads); }
