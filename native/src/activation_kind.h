// SPDX-License-Identifier: Apache-2.0
#ifndef BLOCKSPARSE_SRC_ACTIVATION_KIND_H
#define BLOCKSPARSE_SRC_ACTIVATION_KIND_H

#include <cstdint>

#include "blocksparse/blocksparse.h"
#include "kernels/kernel_table.h"

namespace blocksparse {

// A blocksparse_activation, taken apart.
struct activation_kind {
  elementwise_function function;
  bool gated;
};

// Returns false if there is no such activation.
inline bool parse_activation(int32_t activation, activation_kind* kind) {
  switch (activation) {
    case BLOCKSPARSE_IDENTITY:
      *kind = {elementwise_function::identity, false};
      return true;
    case BLOCKSPARSE_RELU:
      *kind = {elementwise_function::relu, false};
      return true;
    case BLOCKSPARSE_GELU:
      *kind = {elementwise_function::gelu, false};
      return true;
    case BLOCKSPARSE_GELU_TANH:
      *kind = {elementwise_function::gelu_tanh, false};
      return true;
    case BLOCKSPARSE_SILU:
      *kind = {elementwise_function::silu, false};
      return true;
    case BLOCKSPARSE_TANH:
      *kind = {elementwise_function::tanh, false};
      return true;
    case BLOCKSPARSE_SIGMOID:
      *kind = {elementwise_function::sigmoid, false};
      return true;
    case BLOCKSPARSE_SWIGLU:
      *kind = {elementwise_function::silu, true};
      return true;
    case BLOCKSPARSE_GEGLU:
      *kind = {elementwise_function::gelu, true};
      return true;
    case BLOCKSPARSE_SWIGLU_CLAMPED:
      *kind = {elementwise_function::clamped_silu, true};
      return true;
    case BLOCKSPARSE_GEGLU_TANH:
      *kind = {elementwise_function::gelu_tanh, true};
      return true;
    default:
      return false;
  }
}

}  // namespace blocksparse

#endif  // BLOCKSPARSE_SRC_ACTIVATION_KIND_H
