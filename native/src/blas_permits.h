// SPDX-License-Identifier: Apache-2.0
//
// How many threads may be inside OpenBLAS at once. In the build we link it has 128 buffers for
// packing, for all threads and all libraries of the process, and adds 512 when these are taken;
// then threads were seen to crash in it ("Bad memory unallocation"), and a product that gets none
// of the 640 ends the process.
#ifndef BLOCKSPARSE_SRC_BLAS_PERMITS_H
#define BLOCKSPARSE_SRC_BLAS_PERMITS_H

namespace blocksparse {

// Held around a call of OpenBLAS, and nothing else: a thread that holds one waits for none.
class blas_permit {
 public:
  blas_permit();  // waits for a free one, in turns with whoever else wants to run
  ~blas_permit();
  blas_permit(const blas_permit&) = delete;
  blas_permit& operator=(const blas_permit&) = delete;
};

}  // namespace blocksparse

#endif  // BLOCKSPARSE_SRC_BLAS_PERMITS_H
