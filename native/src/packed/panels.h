// SPDX-License-Identifier: Apache-2.0
//
// Weights that are only read, in the order in which whole-number products read them.
//
// Panels, groups and rounded rows are those of blocksparse.h, where an input is a row of a block
// and an output a column.
//
// The sum of a row's codes is kept beside them: it takes off what the offset of a code adds to a
// product. A product is exact as a whole number within a group, and groups are added as floats, the
// first one first.
#ifndef BLOCKSPARSE_SRC_PACKED_PANELS_H
#define BLOCKSPARSE_SRC_PACKED_PANELS_H

#include <cstdint>

namespace blocksparse {
namespace packed {

constexpr int32_t kOutputs = 16;  // of a panel
constexpr int32_t kInputs = 32;   // of a group

enum class weight_type { int8, q8_0, q4_0, mxfp4 };

constexpr bool has_bytes(weight_type type) {
  return type == weight_type::int8 || type == weight_type::q8_0;
}

constexpr int32_t scale_bytes(weight_type type) {
  return type == weight_type::int8 ? 0 : type == weight_type::mxfp4 ? kOutputs : 2 * kOutputs;
}

constexpr int32_t group_bytes(weight_type type) {
  return scale_bytes(type) + kOutputs * kInputs / (has_bytes(type) ? 1 : 2);
}

constexpr int32_t panels_of(int32_t outputs) {
  return outputs / kOutputs + (outputs % kOutputs == 0 ? 0 : 1);
}
constexpr int32_t groups_of(int32_t inputs) {
  return inputs / kInputs + (inputs % kInputs == 0 ? 0 : 1);
}

// The bytes of a packed block.
constexpr int64_t packed_bytes(weight_type type, int32_t inputs, int32_t outputs) {
  return int64_t{panels_of(outputs)} * groups_of(inputs) * group_bytes(type);
}

// Rows of int8 for products: row r has groups * 32 codes from codes + r * groups * 32 on, and
// `groups` scales and sums.
struct rounded_rows {
  int32_t groups;
  int8_t* codes;
  float* scales;
  int32_t* negated_sums;  // of the codes of each group
};

// Row rows[position[i]] of c, i < count, gets added row read[i] times the outputs
// [output_begin, output_end) of a block, one i after the other; output_begin is a multiple of 16.
struct panel_product {
  const uint8_t* panels;
  const float* output_scales;  // one of each output of INT8; else NULL
  int32_t output_begin, output_end;
  rounded_rows x;
  const int32_t* read;
  const int32_t* rows;
  const int32_t* position;
  int32_t count;
  float* c;
  int64_t ldc;
};

// The kernels of an instruction set. All give the same bits.
struct kernels {
  const char* name;
  int32_t isa;  // of blocksparse.h: the least of which these are a part

  // Rounds n numbers to row r: with m the largest magnitude of 32, or 2^-119 if that is more, code
  // rint(x * (127 / m)) and scale m / 127. Where one of 32 is NaN or infinite, the scale is NaN and
  // all codes are 0. Elements missing to whole groups are 0.
  void (*round_row)(const float* x, int32_t n, const rounded_rows& to, int32_t r);

  // Within a group, the product is a whole number; it is multiplied by the product of both scales
  // (of INT8 by the row's) and added to the groups before it, rounded once. INT8 is multiplied by
  // the scale of the output at last.
  void (*multiply)(weight_type type, const panel_product& product);
};

extern const kernels kPortable, kAvx2, kAvxVnni, kAvx512Vnni, kAmxInt8, kNeonDot, kNeonI8mm;

constexpr int32_t kMostKernels = 5;

// Whether Linux grants this process the registers of AMX, and they multiply as they should. For
// processors with AVX-512 VNNI and AMX-INT8 only.
bool may_use_amx();

// Puts those that this processor can run into `all`, the slowest first, and returns how many.
int32_t supported(const kernels* (&all)[kMostKernels]);

// The fastest of them that needs no more than the instruction set `isa`.
const kernels& fastest(int32_t isa);

}  // namespace packed
}  // namespace blocksparse

#endif  // BLOCKSPARSE_SRC_PACKED_PANELS_H
