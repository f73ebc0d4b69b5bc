// SPDX-License-Identifier: Apache-2.0
#include "pack.h"

#include <algorithm>
#include <cstring>

namespace blocksparse {
namespace packed {
namespace {

// Returns the begin of the group of an input and an output.
uint8_t* group_at(weight_type type, uint8_t* packed, int32_t inputs, int32_t input,
                  int32_t output) {
  const int64_t panel = output / kOutputs;
  const int32_t g = input / kInputs;
  return packed + panel * groups_bytes(type, groups_of(inputs)) + groups_bytes(type, g) +
         (g % kHeadGroups == 0 ? head_bytes(type) : 0);
}

void put_byte(uint8_t* codes, int32_t input, int32_t output, uint8_t code) {
  codes[input / 4 * 4 * kOutputs + output * 4 + input % 4] = code;
}

void put_half(uint8_t* codes, int32_t input, int32_t output, int32_t code) {
  uint8_t& both = codes[input / 8 * 4 * kOutputs + output * 4 + input % 4];
  const bool low = input / 4 % 2 == 0;
  both = static_cast<uint8_t>(low ? (both & 0xf0) | code : (both & 0x0f) | code << 4);
}

// Stores a code of 2, 4, 5 or 6 bits, where the bits are still 0.
void put_code(weight_type type, uint8_t* codes, int32_t i, int32_t lane, int32_t code) {
  const int32_t column = lane * 4 + i % 4;
  if (code_bits(type) == 2) {
    codes[i / 16 * 64 + column] |= static_cast<uint8_t>(code << i / 4 % 4 * 2);
    return;
  }
  put_half(codes, i, lane, code & 15);
  if (code_bits(type) == 6) {
    codes[256 + i / 16 * 64 + column] |= static_cast<uint8_t>(code >> 4 << i / 4 % 4 * 2);
  } else if (code_bits(type) == 5) {
    codes[256 + column] |= static_cast<uint8_t>(code >> 4 << i / 4);
  }
}

// Clears groups to weights of 0, whatever their scales are.
void clear(weight_type type, int32_t inputs, int32_t outputs, uint8_t* packed) {
  if (head_bytes(type) > 0 || type == weight_type::bfloat16 || type == weight_type::q5_1) {
    std::memset(packed, 0, static_cast<std::size_t>(packed_bytes(type, inputs, outputs)));
    return;
  }
  const int zero = has_bytes(type) ? 128 : type == weight_type::q4_0 ? 0x88 : 0;
  const int32_t groups = panels_of(outputs) * groups_of(inputs);
  for (int32_t g = 0; g < groups; ++g, packed += group_bytes(type)) {
    std::memset(packed, 0, static_cast<std::size_t>(scale_bytes(type)));
    std::memset(packed + scale_bytes(type), zero,
                static_cast<std::size_t>(group_bytes(type) - scale_bytes(type)));
  }
}

}  // namespace

void pack_bfloat16(const uint16_t* numbers, int32_t inputs, int32_t outputs, uint8_t* packed) {
  clear(weight_type::bfloat16, inputs, outputs, packed);
  for (int32_t input = 0; input < inputs; ++input) {
    for (int32_t output = 0; output < outputs; ++output, ++numbers) {
      uint8_t* const group = group_at(weight_type::bfloat16, packed, inputs, input, output);
      const int32_t i = input % kInputs;
      uint8_t* const at = group + i / 2 * 4 * kOutputs + output % kOutputs * 4 + i % 2 * 2;
      at[0] = static_cast<uint8_t>(*numbers);
      at[1] = static_cast<uint8_t>(*numbers >> 8);
    }
  }
}

void pack_int8(const int8_t* codes, int64_t ld, int32_t inputs, int32_t outputs, uint8_t* packed) {
  clear(weight_type::int8, inputs, outputs, packed);
  for (int32_t input = 0; input < inputs; ++input) {
    for (int32_t output = 0; output < outputs; ++output) {
      uint8_t* const group = group_at(weight_type::int8, packed, inputs, input, output);
      put_byte(group, input % kInputs, output % kOutputs,
               static_cast<uint8_t>(codes[input * ld + output] + 128));
    }
  }
}

void pack_ggml(weight_type type, const uint8_t* blocks, int32_t inputs, int32_t outputs,
               uint8_t* packed) {
  clear(type, inputs, outputs, packed);
  const int32_t scale_size = scale_bytes(type) / kOutputs;
  for (int32_t output = 0; output < outputs; ++output) {
    const int32_t lane = output % kOutputs;
    for (int32_t input = 0; input < inputs; input += kInputs) {
      uint8_t* const group = group_at(type, packed, inputs, input, output);
      std::memcpy(group + lane * scale_size, blocks, static_cast<std::size_t>(scale_size));
      blocks += scale_size;
      uint8_t* const codes = group + scale_bytes(type);
      if (type == weight_type::q8_0) {
        for (int32_t i = 0; i < kInputs; ++i) {
          put_byte(codes, i, lane, static_cast<uint8_t>(blocks[i] ^ 0x80));
        }
        blocks += kInputs;
      } else {
        for (int32_t i = 0; i < kInputs / 2; ++i) {
          put_half(codes, i, lane, blocks[i] & 15);
          put_half(codes, i + kInputs / 2, lane, blocks[i] >> 4);
        }
        blocks += kInputs / 2;
      }
    }
  }
}

void pack_k(weight_type type, const uint8_t* codes, const uint8_t* scales, const uint16_t* heads,
            int32_t inputs, int32_t outputs, uint8_t* packed) {
  clear(type, inputs, outputs, packed);
  for (int32_t output = 0; output < outputs; ++output) {
    const int32_t lane = output % kOutputs;
    for (int32_t input = 0; input < inputs; ++input) {
      uint8_t* const group = group_at(type, packed, inputs, input, output);
      uint8_t* const its_codes = group + scale_bytes(type);
      put_code(type, its_codes, input % kInputs, lane, *codes++);
      if (input % kInputs == 0) {
        const int32_t size = head_bytes(type) > 0 ? 1 : 2;
        for (int32_t byte = 0; byte < scale_bytes(type) / kOutputs; ++byte) {
          group[byte / size * size * kOutputs + lane * size + byte % size] = *scales++;
        }
      }
      if (input % (kInputs * kHeadGroups) == 0) {
        uint8_t* const head = group - head_bytes(type);
        for (int32_t n = 0; n < 2; ++n, ++heads) {
          for (int32_t byte = 0; byte < 2 && n * 2 * kOutputs < head_bytes(type); ++byte) {
            head[2 * (n * kOutputs + lane) + byte] = static_cast<uint8_t>(*heads >> 8 * byte);
          }
        }
      }
    }
  }
}

}  // namespace packed
}  // namespace blocksparse
