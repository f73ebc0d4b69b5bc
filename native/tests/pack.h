// SPDX-License-Identifier: Apache-2.0
// Panels of weights, in the layout that Java makes.
#ifndef BLOCKSPARSE_TESTS_PACK_H
#define BLOCKSPARSE_TESTS_PACK_H

#include "packed/panels.h"

namespace blocksparse {
namespace packed {

// Packs numbers of bfloat16, (inputs, outputs).
void pack_bfloat16(const uint16_t* numbers, int32_t inputs, int32_t outputs, uint8_t* packed);

// Packs codes of int8, (inputs, outputs) with ld between inputs. Whole groups and panels are padded
// with weights of 0.
void pack_int8(const int8_t* codes, int64_t ld, int32_t inputs, int32_t outputs, uint8_t* packed);

// Packs blocks of ggml as they lie in its files: for each output the blocks of its inputs, 32 each.
// The number of inputs is a multiple of 32.
//
//   Q8_0    float16 scale, 32 codes of int8
//   Q4_0    float16 scale, 16 bytes: input i in the low half of byte i, i + 16 in the high half
//   MXFP4   exponent, 16 bytes in the same order
//   IQ4_NL  as Q4_0
void pack_ggml(weight_type type, const uint8_t* blocks, int32_t inputs, int32_t outputs,
               uint8_t* packed);

// Packs weights of the other types.
//
//   codes    (outputs, inputs)
//   scales   (outputs, groups, n) bytes: s and t, or s of both halves, or both s and both t, or s;
//            of Q5_1 those of float16 d and m
//   heads    (outputs, heads, 2): d and m of float16, or d and anything; of Q5_1 anything
void pack_k(weight_type type, const uint8_t* codes, const uint8_t* scales, const uint16_t* heads,
            int32_t inputs, int32_t outputs, uint8_t* packed);

}  // namespace packed
}  // namespace blocksparse

#endif  // BLOCKSPARSE_TESTS_PACK_H
