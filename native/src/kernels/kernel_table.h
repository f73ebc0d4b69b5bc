// SPDX-License-Identifier: Apache-2.0
// The kernels of an instruction set. Each kernels_<isa>.cpp fills one table; callers choose a table
// once per call and know nothing else about instruction sets.
#ifndef BLOCKSPARSE_SRC_KERNELS_KERNEL_TABLE_H
#define BLOCKSPARSE_SRC_KERNELS_KERNEL_TABLE_H

#include <cstdint>

namespace blocksparse {

// Rows of a product that are computed together, in the registers of one tile.
constexpr int32_t kTileRows = 6;

struct row_tile {
  const float* a[kTileRows];
  float* c[kTileRows];  // all different
  int32_t rows;
};

// The most tiles of a product that a kernel takes at once.
constexpr int32_t kMostTiles = 32;

// The types of read-only weights, in the order of blocksparse_element_type.
enum class element_type { float32, float16, bfloat16, int8 };

constexpr int64_t bytes_of(element_type type) {
  return type == element_type::float32 ? 4 : type == element_type::int8 ? 1 : 2;
}

// A block as a tile kernel walks through it.
struct block_view {
  const void* data;
  int64_t ld;  // in elements
  const float*
      scales;  // for int8, one for each of the elements that lie together: an element is q * scale
};

// The initial sums of a product.
enum class sums_begin { with_c, with_bias, with_zero };

// c[t] = (c[t], bias or 0) + a[t] * w for all rows of the tiles, where w is k x columns, widened to
// float as it is loaded.
struct gemm_work {
  const row_tile* tiles;
  int32_t tile_count;
  int32_t k, columns;
  element_type w_type;
  block_view w;
  bool w_transposed;
  sums_begin begin;
  const float* bias;
  block_view next;  // the block of the next work, of the same size; data NULL: none
};

// A row of c, and the product that is added to it: a row of a times a block.
struct row_and_block {
  const float* a;
  float* c;
  const float* w;
};

// The most pairs that a block is prefetched ahead.
constexpr int32_t kPairsAhead = 4;

// c += a * w for one pair after the other, where w is k x n.
struct gemm_pairs_work {
  const row_and_block* pairs;  // count, and kPairsAhead more whose blocks are only prefetched
  int32_t count;
  int32_t k, columns;
  int64_t ldw;
  bool w_transposed;
};

// o = (accumulate ? o : 0) + alpha * sum over the pairs of x[pair]^T * y[pair], where o is m x n.
struct outer_work {
  const float* const* x;
  const float* const* y;
  int32_t pairs;
  int32_t m, n;
  float alpha;
  bool accumulate;
  bool stream;  // writes past the caches: whole, aligned lines of o, nothing accumulated
  float* o;
  int64_t ldo;
  const float* next_o;  // the block written next, of the same size; NULL: none
};

// The most pairs of an outer_pairs_work.
constexpr int32_t kFewPairs = kTileRows;

// The largest block, in elements, for which a few pairs are taken all at once, down the rows of a
// tile's columns: it is in the first-level cache beside the next one. A larger block is only added
// to.
constexpr int64_t kFewPairsBlock = 4096;

// outer_work of at most kFewPairs pairs, for a block that the caches hold: pair i consists of the
// rows x_rows[i] and y_rows[i].
struct outer_pairs_work {
  const int32_t *x_rows, *y_rows;
  int32_t pairs;
  const float* x;
  int64_t ldx;
  const float* y;
  int64_t ldy;
  int32_t m, n;
  float alpha;
  bool accumulate, stream;
  float* o;
  int64_t ldo;
  const float* next_o;  // the block written next, of the same size; any block if there is none
};

// The most pairs of a descent_work.
constexpr int32_t kMostDescentPairs = 8;

// c[i] = (accumulate ? c[i] : 0) + w * y[i] for the pairs i, where w is m x n; then w += alpha *
// sum over them of x[i]^T * y[i].
struct descent_work {
  const float *x[kMostDescentPairs], *y[kMostDescentPairs];
  float* c[kMostDescentPairs];  // all different
  int32_t pairs;
  int32_t m, n;
  bool accumulate;
  float alpha;
  float* w;
  int64_t ldw;
  const float* next_w;  // the block read next, of the same size; any block if there is none
};

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

// The elements of a row whose target is 1; the others are 0.
struct binary_targets {
  const int32_t* positives;  // all different
  int32_t count;
  float weight;
};

// A function of each element of a row, or of each of its first half. With clamped_silu, the
// second half is clamped as well, and gets 1 added.
enum class elementwise_function {
  identity,
  relu,
  gelu,
  gelu_tanh,
  silu,
  tanh,
  sigmoid,
  clamped_silu
};

// The bound at which gpt-oss clamps both halves of a row.
constexpr float kClampedSiluLimit = 7.0f;

// a = gate * f(z), or gate * f(z) * second where there is a second half; from left to right.
struct activation_row {
  const float* z;
  const float* second;  // or NULL
  int32_t n;
  float gate;
  float* a;
};

struct activation_gradient_row {
  const float* z;
  const float* second;  // or NULL
  int32_t n;
  float gate;
  const float* grad_a;
  bool accumulate;  // whether results are added to what follows, or overwrite it
  float* grad_z;
  float* grad_second;  // where there is a second half
};

// c = scale * (sum over entries e of values[e] * a[indices[e]]), a row of n.
struct bag_work {
  const int32_t* indices;
  const float* values;  // NULL: 1 each
  int32_t count;
  int32_t known;  // entries from here on that may be read, to prefetch later ones; >= count
  element_type a_type;
  const void* a;
  int64_t lda;          // in elements
  const float* scales;  // for int8, one for each row of a: an element is q * scale
  int32_t n;
  float scale;
  float* c;
};

// The optimizers, in the order of blocksparse_rule.
enum class update_rule { sgd, adagrad, adam };

// One step on elements that lie together; the gradient is scale * g + decay * w, or scale * g if
// decay is 0. A rule ignores the fields of others.
struct step_work {
  update_rule rule;
  int64_t count;
  float rate, scale, decay;
  float beta1, beta2;
  float epsilon;
  const float* g;
  float *moment1, *moment2;  // Adagrad's squares; or Adam's means and squares
  float* w;
};

struct kernel_table {
  int32_t tile_columns;  // the columns of a register tile

  void (*gemm)(const gemm_work& work);
  // gemm with a rounded to bfloat16, for blocks of bfloat16 that are not transposed.
  void (*gemm_rounded)(const gemm_work& work);
  void (*gemm_pairs)(const gemm_pairs_work& work);
  void (*outer)(const outer_work& work);
  void (*outer_pairs)(const outer_pairs_work& work);
  // Returns false, without having written anything, if there are too many rows to gain by it, or if
  // the bits would differ from those of gemm.
  bool (*descend)(const descent_work& work);
  void (*end_streams)();  // makes streamed stores visible to other threads before later stores

  void (*softmax)(const softmax_row& row, float factor);
  void (*log_softmax)(const softmax_row& row, float offset);
  // Returns the negative log likelihood.
  float (*cross_entropy)(const softmax_row& row, const cross_entropy_target& target);

  void (*sigmoid)(const softmax_row& row, float factor);
  void (*log_sigmoid)(const softmax_row& row, float offset);
  // Returns the loss.
  float (*binary_cross_entropy)(const softmax_row& row, const binary_targets& targets);

  void (*activate)(elementwise_function function, const activation_row& row);
  // Returns the gradient of the gate.
  float (*differentiate)(elementwise_function function, const activation_gradient_row& row);

  void (*axpy)(int64_t count, float alpha, const float* x, float* y);  // y += alpha * x
  double (*sum_of_squares)(int64_t count, const float* x);
  // Returns the largest magnitude in rows of x, `size` elements each, ignoring NaN; 0 if there is
  // none.
  float (*largest_magnitude)(const int32_t* rows, int32_t count, const float* x, int64_t ldx,
                             int32_t size);
  // rate and epsilon include Adam's corrections for the first steps.
  void (*step)(const step_work& work);

  // Returns whether the sums, before the scale, and the values of the entries are finite.
  bool (*bag_sum)(const bag_work& work);
  // scale: for int8
  float (*dot)(element_type x_type, int64_t count, const void* x, float scale, const float* y);
};

extern const kernel_table kPortableKernels;
extern const kernel_table kNeonKernels;
extern const kernel_table kAvx2Kernels;
extern const kernel_table kAvx512Kernels;

// The gemm_rounded of a processor with AVX512-BF16, and of one with AMX-BF16 as well; their other
// kernels are those for AVX-512.
void gemm_rounded_avx512_bf16(const gemm_work& work);
void gemm_rounded_amx(const gemm_work& work);

// Returns the kernels of a blocksparse_isa; NULL if this build has none or this processor lacks it.
const kernel_table* kernels_for(int32_t isa);

}  // namespace blocksparse

#endif  // BLOCKSPARSE_SRC_KERNELS_KERNEL_TABLE_H
