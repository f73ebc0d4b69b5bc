// SPDX-License-Identifier: Apache-2.0
#define BLOCKSPARSE_BYTES "packed/bytes_portable.h"
#include "packed/kernel.inl"

namespace blocksparse {
namespace packed {

const kernels kPortable = {kName, round_row, multiply};

}  // namespace packed
}  // namespace blocksparse
