// SPDX-License-Identifier: Apache-2.0
// What the library says of itself and of the OpenBLAS that it calls.
//
// usage: backend_test FILE_OF_OPENBLAS
#include <algorithm>
#include <cstdio>
#include <cstring>
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

}  // namespace

int main(int, char** argv) {
  const std::string build_id = text(blocksparse_build_id());
  check(build_id.size() == 16 && std::strspn(build_id.c_str(), "0123456789abcdef") == 16,
        "a build id of 16 hexadecimal digits", build_id);
  check(!text(blocksparse_version()).empty(), "a version", text(blocksparse_version()));
  check(text(blocksparse_openblas_config()).rfind("OpenBLAS 0.3.", 0) == 0, "OpenBLAS 0.3",
        text(blocksparse_openblas_config()));
  // Not another one, of the system's. Windows has a drive before it and other slashes in it.
  std::string file = text(blocksparse_openblas_file());
  std::replace(file.begin(), file.end(), '\\', '/');
  check(ends_with(file, argv[1]), "the OpenBLAS that it was built with", file);
  blocksparse_set_openblas_threads(1);
  check(blocksparse_openblas_threads() == 1, "one thread",
        std::to_string(blocksparse_openblas_threads()));
  std::printf("%s, build %s, on %s: %d failures\n", blocksparse_version(), build_id.c_str(),
              file.c_str(), failures);
  return failures == 0 ? 0 : 1;
}
