// SPDX-License-Identifier: Apache-2.0
// Permits for threads to enter OpenBLAS. Each thread needs one of its buffers for packing, and
// OpenBLAS ends the process when it has none to give: if memory is short, or if all are taken. The
// build that we link has 128 buffers, for all threads and all libraries of the process, and adds
// 512 when these are taken; then threads were seen to crash in it ("Bad memory unallocation").
#ifndef BLOCKSPARSE_SRC_BLAS_PERMITS_H
#define BLOCKSPARSE_SRC_BLAS_PERMITS_H

namespace blocksparse {

// Held while a thread may call OpenBLAS. A thread that holds a permit never waits for one.
class blas_permit {
 public:
  // Waits for one of a limited number of permits, and yields to other threads meanwhile.
  blas_permit();
  ~blas_permit();
  blas_permit(const blas_permit&) = delete;
  blas_permit& operator=(const blas_permit&) = delete;

  // Returns whether OpenBLAS has a buffer for this thread; if not, there is no memory for one.
  bool granted() const { return granted_; }

 private:
  bool granted_;
};

}  // namespace blocksparse

#endif  // BLOCKSPARSE_SRC_BLAS_PERMITS_H
