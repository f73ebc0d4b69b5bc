// SPDX-License-Identifier: Apache-2.0
//
// What the programs of this folder do with their arguments.
#ifndef BLOCKSPARSE_PEERS_ARGUMENTS_H_
#define BLOCKSPARSE_PEERS_ARGUMENTS_H_

#include <cstdio>
#include <cstdlib>
#include <string>

#include "ggml.h"

// Ends the program, with a reason for the one that reads its answers.
[[noreturn]] inline void fail(const std::string& reason) {
  std::printf("error %s\n", reason.c_str());
  std::exit(1);
}

// Returns the type of ggml that has a name.
inline ggml_type type_of(const std::string& name) {
  for (int t = 0; t < GGML_TYPE_COUNT; ++t) {
    const char* const known = ggml_type_name(static_cast<ggml_type>(t));
    if (known != nullptr && name == known) {
      return static_cast<ggml_type>(t);
    }
  }
  fail("type " + name + " is unknown");
}

#endif
