// SPDX-License-Identifier: Apache-2.0
//
// What an instruction set provides. Each kernels_<isa>.cpp fills one table; callers choose it once
// per call and know nothing else of instruction sets.
#ifndef BLOCKSPARSE_SRC_KERNELS_KERNEL_TABLE_H
#define BLOCKSPARSE_SRC_KERNELS_KERNEL_TABLE_H

#include <cstdint>

namespace blocksparse {

struct softmax_row {
  float* c;  // n elements, of which the first `valid` are logits
  int32_t n;
  int32_t valid;  // at least 1
};

struct cross_entropy_target {
  int32_t target;
  float weight;
  float smoothing;
  const float* prior;  // or NULL: 1 / valid each
};

struct kernel_table {
  void (*softmax)(const softmax_row& row, float factor);
  void (*log_softmax)(const softmax_row& row, float offset);
  // Returns the negative log likelihood.
  float (*cross_entropy)(const softmax_row& row, const cross_entropy_target& target);

  void (*axpy)(int64_t count, float alpha, const float* x, float* y);  // y += alpha * x
  void (*sgd)(int64_t count, float rate, float scale, float decay, const float* g, float* w);
  void (*adagrad)(int64_t count, float rate, float scale, float decay, float epsilon,
                  const float* g, float* s, float* w);
  // rate and epsilon with Adam's corrections for the first steps already in them.
  void (*adam)(int64_t count, float rate, float scale, float decay, float beta1, float beta2,
               float epsilon, const float* g, float* m, float* v, float* w);
};

extern const kernel_table kPortableKernels;
extern const kernel_table kNeonKernels;
extern const kernel_table kAvx2Kernels;
extern const kernel_table kAvx512Kernels;

// The kernels of a blocksparse_isa; NULL if this build has none or this processor lacks it.
const kernel_table* kernels_for(int32_t isa);

}  // namespace blocksparse

#endif  // BLOCKSPARSE_SRC_KERNELS_KERNEL_TABLE_H
