// SPDX-License-Identifier: Apache-2.0
//
// Which threads may enter OpenBLAS. Each needs one of its buffers for packing, and OpenBLAS ends
// the process where it gets none: if memory is short, or if all are taken. In the build we link it
// has 128 buffers, for all threads and all libraries of the process, and adds 512 when these are
// taken; then threads were seen to crash in it ("Bad memory unallocation").
#ifndef BLOCKSPARSE_SRC_BLAS_PERMITS_H
#define BLOCKSPARSE_SRC_BLAS_PERMITS_H

namespace blocksparse {

// Held while a thread may call OpenBLAS: a thread that holds one waits for none.
class blas_permit {
 public:
  // Waits for one of a limited number, in turns with whoever else wants to run.
  blas_permit();
  ~blas_permit();
  blas_permit(const blas_permit&) = delete;
  blas_permit& operator=(const blas_permit&) = delete;

  // Whether OpenBLAS has a buffer for this thread; if not, there is no memory for one.
  bool granted() const { return granted_; }

 private:
  bool granted_;
};

}  // namespace blocksparse

#endif  // BLOCKSPARSE_SRC_BLAS_PERMITS_H
