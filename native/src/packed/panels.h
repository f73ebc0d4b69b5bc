// SPDX-License-Identifier: Apache-2.0
//
// Read-only weights, in the order in which products read them.
//
// Panels, groups and rounded rows are those of blocksparse.h, where an input is a row of a block
// and an output a column.
//
// Sums of a row's codes are stored with them: they correct a product for the offset of codes. With
// rows of groups, a product is an exact integer within a group, and groups are added as floats, the
// first one first. With whole rows, it is exact within a piece of the inputs.
#ifndef BLOCKSPARSE_SRC_PACKED_PANELS_H
#define BLOCKSPARSE_SRC_PACKED_PANELS_H

#include <cstdint>

namespace blocksparse {
namespace packed {

constexpr int32_t kOutputs = 16;    // columns of a panel
constexpr int32_t kInputs = 32;     // rows of a group
constexpr int32_t kHeadGroups = 8;  // groups that share a head

// Groups of a piece of the inputs: products of whole rows, and all intermediate results, fit 32
// bits. 127 * 255 * 2^16 does.
constexpr int32_t kPieceGroups = 2048;

// A number of a row in two bytes is this times the high code, plus the low one.
constexpr int32_t kHighUnit = 254;

enum class weight_type {
  bfloat16,
  int8,
  q8_0,
  q4_0,
  mxfp4,
  q4_k,
  q6_k,
  q5_k,
  q2_k,
  q5_1,
  iq4_nl,
  iq4_xs
};

constexpr bool has_bytes(weight_type type) {
  return type == weight_type::int8 || type == weight_type::q8_0;
}

// Returns the parts of a group that have their own scales.
constexpr int32_t parts_of(weight_type type) {
  return type == weight_type::q6_k || type == weight_type::q2_k ? 2 : 1;
}

// Returns whether weights are codes times a scale, minus a minimum.
constexpr bool has_minimum(weight_type type) {
  return type == weight_type::q4_k || type == weight_type::q5_k || type == weight_type::q2_k ||
         type == weight_type::q5_1;
}

// Returns the bytes of the scales before every eight groups, in float16: the scales of a group are
// multiples of them.
constexpr int32_t head_bytes(weight_type type) {
  return type == weight_type::q6_k || type == weight_type::iq4_xs ? 2 * kOutputs
         : has_minimum(type) && type != weight_type::q5_1         ? 4 * kOutputs
                                                                  : 0;
}

constexpr int32_t scale_bytes(weight_type type) {
  if (type == weight_type::bfloat16 || type == weight_type::int8) {
    return 0;
  }
  const int32_t size = head_bytes(type) > 0 || type == weight_type::mxfp4 ? 1 : 2;
  return parts_of(type) * (has_minimum(type) ? 2 : 1) * size * kOutputs;
}

constexpr int32_t code_bits(weight_type type) {
  return type == weight_type::bfloat16                            ? 16
         : has_bytes(type)                                        ? 8
         : type == weight_type::q6_k                              ? 6
         : type == weight_type::q5_k || type == weight_type::q5_1 ? 5
         : type == weight_type::q2_k                              ? 2
                                                                  : 4;
}

constexpr int32_t group_bytes(weight_type type) {
  return scale_bytes(type) + kOutputs * kInputs * code_bits(type) / 8;
}

constexpr int32_t panels_of(int32_t outputs) {
  return outputs / kOutputs + (outputs % kOutputs == 0 ? 0 : 1);
}
constexpr int32_t groups_of(int32_t inputs) {
  return inputs / kInputs + (inputs % kInputs == 0 ? 0 : 1);
}

// Returns the bytes from the beginning of a panel to its group g, or to the head before that.
constexpr int64_t groups_bytes(weight_type type, int32_t g) {
  const int32_t heads = g / kHeadGroups + (g % kHeadGroups == 0 ? 0 : 1);
  return int64_t{g} * group_bytes(type) + int64_t{heads} * head_bytes(type);
}

// Returns the bytes of a packed block.
constexpr int64_t packed_bytes(weight_type type, int32_t inputs, int32_t outputs) {
  return panels_of(outputs) * groups_bytes(type, groups_of(inputs));
}

// The scales of int8 rows: one for each group of 32 numbers, or one for a whole row, whose numbers
// have one code each or two. Rows of bfloat16 have no scales.
enum class row_format { groups, one_byte, two_bytes, bfloat16 };

// Returns whether all numbers of a row share a scale.
constexpr bool is_whole(row_format format) {
  return format == row_format::one_byte || format == row_format::two_bytes;
}

// Returns whether products with weights of a type read such rows.
constexpr bool takes(weight_type type, row_format format) {
  return (type == weight_type::int8) == is_whole(format) &&
         (type == weight_type::bfloat16) == (format == row_format::bfloat16);
}

constexpr int32_t planes_of(row_format format) { return format == row_format::two_bytes ? 2 : 1; }

constexpr int32_t pieces_of(int32_t groups) {
  return groups / kPieceGroups + (groups % kPieceGroups == 0 ? 0 : 1);
}

// Returns the bytes from one row's codes to the next. Whole rows and those of bfloat16 have an odd
// number of 64 bytes, so that 16 rows at a time lie in different sets of a cache.
constexpr int64_t row_bytes(row_format format, int32_t groups) {
  return format == row_format::groups ? int64_t{groups} * kInputs
         : is_whole(format)           ? (int64_t{groups} * kInputs + 63) / 64 / 2 * 128 + 64
                                      : int64_t{groups | 1} * kInputs * 2;
}

// The rows of a product. The codes of row r start at codes + r * stride, with zeros up to the
// stride, or to the end of the last group of bfloat16; the low codes of two bytes are `plane` bytes
// further.
struct rounded_rows {
  row_format format;
  int32_t groups;
  int8_t* codes;
  int64_t plane;
  float* scales;  // scales_of_row() for each row
  // sums_of_row(): for each group, see two_sums; or for each piece, high codes and low codes.
  int32_t* negated_sums;

  int64_t stride() const { return row_bytes(format, groups); }
  int32_t scales_of_row() const {
    return format == row_format::groups ? groups : is_whole(format) ? 1 : 0;
  }
  int32_t sums_of_row() const {
    return format == row_format::groups ? groups
           : is_whole(format)           ? pieces_of(groups) * planes_of(format)
                                        : 0;
  }

  // Returns some groups of row r from one on, as a row that is not whole.
  rounded_rows part(int64_t r, int32_t first_group, int32_t count) const {
    rounded_rows row = {format, count, codes + r * stride(), 0, nullptr, nullptr};
    if (format == row_format::groups) {
      row.codes += first_group * kInputs;
      row.scales = scales + r * groups + first_group;
      row.negated_sums = negated_sums + r * groups + first_group;
    } else {
      row.codes += int64_t{first_group} * kInputs * 2;
    }
    return row;
  }
};

// Combines the sum of the codes of a group, and that of the first half of them, in one number.
constexpr int32_t two_sums(int32_t group, int32_t half) { return group * 65536 + (half & 0xffff); }
constexpr int32_t sum_of_half(int32_t sums) { return static_cast<int16_t>(sums & 0xffff); }
constexpr int32_t sum_of_group(int32_t sums) { return sums >> 16; }

// Returns rounded rows at a multiple of four bytes: codes, then scales, then sums.
inline rounded_rows rows_at(void* memory, row_format format, int64_t count, int32_t groups) {
  rounded_rows rows = {format, groups, static_cast<int8_t*>(memory), 0, nullptr, nullptr};
  if (memory != nullptr) {
    rows.plane = count * rows.stride();
    void* const scales = rows.codes + planes_of(format) * rows.plane;
    rows.scales = static_cast<float*>(scales);
    void* const sums = rows.scales + count * rows.scales_of_row();
    rows.negated_sums = static_cast<int32_t*>(sums);
  }
  return rows;
}

// Returns their bytes.
constexpr int64_t rounded_bytes(row_format format, int64_t count, int32_t groups) {
  const int64_t rest = format == row_format::groups ? 2 * int64_t{groups}
                       : is_whole(format)           ? 1 + pieces_of(groups) * planes_of(format)
                                                    : 0;
  return count * (planes_of(format) * row_bytes(format, groups) + 4 * rest);
}

// For i < count, one after the other: row read[i] times the outputs [output_begin, output_end) of a
// block is added to row rows[position[i]] of c. output_begin is a multiple of 16.
struct panel_product {
  const uint8_t* panels;
  const float* output_scales;  // one for each output of INT8; otherwise NULL
  int32_t output_begin, output_end;
  rounded_rows x;
  const int32_t* read;
  const int32_t* rows;
  const int32_t* position;
  int32_t count;
  float* c;
  int64_t ldc;
};

// The kernels of an instruction set. All give the same bits, except for rows of bfloat16.
struct kernels {
  const char* name;
  int32_t isa;  // a value of blocksparse.h: the least instruction set that includes these

  // Rounds n numbers to row r. With m the largest magnitude of the numbers that share a scale, or
  // 2^-119 (2^-111 for two bytes) if that is more:
  //
  //   one code    rint(x * (127 / m)), scale m / 127
  //   two codes   y = x * (32384 / m), high = rint(y * (1 / 254.0f)), low = rint(y - 254 * high),
  //               scale m / 32384
  //
  // Where one of them is NaN or infinite, the scale is NaN and all codes are 0. Numbers of bfloat16
  // are rounded to the nearest, of two the even one. Elements missing to a whole row are 0.
  void (*round_row)(const float* x, int32_t n, const rounded_rows& to, int32_t r);

  // Rows of groups: for the numbers of a group that share a scale, the product is a whole number;
  // it is multiplied by the product of both scales and added to those before it, rounded once. So
  // is, where weights have a minimum, the negated sum of the part's codes, whose scale is m * t.
  //
  // Whole rows: within a piece, the product is a whole number as a float; or two, high * 254 + low
  // rounded once. It is multiplied by the scale of the row, then by that of the output, and added
  // to c, the first piece first.
  //
  // Rows of bfloat16: the products are summed as floats, and the sum is added to c. It does not
  // depend on the other rows, unless tiles multiply some of them.
  void (*multiply)(weight_type type, const panel_product& product);
};

extern const kernels kPortable, kAvx2, kAvxVnni, kAvx512Vnni, kAvx512Bf16, kAmx, kNeonDot,
    kNeonI8mm;

constexpr int32_t kMostKernels = 6;

// Returns whether Linux grants this process the registers of AMX, and they multiply correctly. For
// processors with AVX-512 VNNI, AMX-INT8 and AMX-BF16 only.
bool may_use_amx();

// Puts the kernels that this processor can run into `all`, the slowest first, and returns their
// number.
int32_t supported(const kernels* (&all)[kMostKernels]);

// Returns the fastest of them that need no more than the instruction set `isa`.
const kernels& fastest(int32_t isa);

}  // namespace packed
}  // namespace blocksparse

#endif  // BLOCKSPARSE_SRC_PACKED_PANELS_H
