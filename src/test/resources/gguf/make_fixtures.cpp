// SPDX-License-Identifier: Apache-2.0
//
// Writes types.gguf and types.floats with ggml 0.21 (d99724f2): tensors of each type, quantized by
// ggml or of random bytes, and the floats that ggml's reference makes of them.
//
//   cmake -S ggml -B ggml/build -DGGML_NATIVE=OFF && cmake --build ggml/build --target ggml-base
//   g++ -std=c++17 -I ggml/include make_fixtures.cpp -L ggml/build/src -lggml-base -o make_fixtures
//   LD_LIBRARY_PATH=ggml/build/src ./make_fixtures
//
// types.floats has the floats of all tensors but the last two, in the order of types.gguf.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "ggml.h"
#include "gguf.h"

namespace {

// The engine gives the same numbers everywhere, as the standard defines it; it defines no
// distribution.
std::mt19937 engine(42);

float uniform() { return static_cast<float>(engine() >> 8) / (1 << 23) - 1; }

bool is_finite(const std::vector<float>& values) {
  for (float value : values) {
    if (!std::isfinite(value)) {
      return false;
    }
  }
  return true;
}

std::vector<float> to_floats(ggml_type type, const uint8_t* row, int64_t columns) {
  std::vector<float> floats(columns);
  if (type == GGML_TYPE_F32) {
    std::copy_n(reinterpret_cast<const float*>(row), columns, floats.begin());
  } else {
    ggml_get_type_traits(type)->to_float(row, floats.data(), columns);
  }
  return floats;
}

// Fills even rows with numbers by ggml's own conversion of floats, and odd ones with any bytes that
// represent finite numbers: all bits of a block matter somewhere.
void fill(ggml_tensor* tensor, FILE* floats) {
  const int64_t columns = tensor->ne[0];
  for (int64_t row = 0; row < ggml_nrows(tensor); ++row) {
    uint8_t* const to = static_cast<uint8_t*>(tensor->data) + row * tensor->nb[1];
    std::vector<float> values(columns);
    if (row % 2 == 0) {
      const float scale = std::ldexp(1.0f, static_cast<int>(row) - 4);
      for (float& value : values) {
        value = scale * uniform() * uniform();
      }
      ggml_quantize_chunk(tensor->type, values.data(), to, 0, 1, columns, nullptr);
      values = to_floats(tensor->type, to, columns);
    } else {
      const int64_t block = ggml_blck_size(tensor->type);
      const size_t bytes = ggml_type_size(tensor->type);
      for (int64_t i = 0; i < columns / block; ++i) {
        std::vector<float> of_block;
        do {
          for (size_t b = 0; b < bytes; ++b) {
            to[i * bytes + b] = static_cast<uint8_t>(engine() >> 24);
          }
          of_block = to_floats(tensor->type, to + i * bytes, block);
        } while (!is_finite(of_block));
        std::copy(of_block.begin(), of_block.end(), values.begin() + i * block);
      }
    }
    if (floats != nullptr) {
      std::fwrite(values.data(), sizeof(float), values.size(), floats);
    }
  }
}

template <typename T>
void set_array(gguf_context* file, const char* key, gguf_type type, std::vector<T> values) {
  gguf_set_arr_data(file, key, type, values.data(), values.size());
}

void set_metadata(gguf_context* file) {
  gguf_set_val_str(file, "general.architecture", "test");
  gguf_set_val_u8(file, "u8", UINT8_MAX);
  gguf_set_val_i8(file, "i8", INT8_MIN);
  gguf_set_val_u16(file, "u16", UINT16_MAX);
  gguf_set_val_i16(file, "i16", INT16_MIN);
  gguf_set_val_u32(file, "u32", UINT32_MAX);
  gguf_set_val_i32(file, "i32", INT32_MIN);
  gguf_set_val_u64(file, "u64", UINT64_MAX);
  gguf_set_val_i64(file, "i64", INT64_MIN);
  gguf_set_val_f32(file, "f32", 0.1f);
  gguf_set_val_f64(file, "f64", 0.1);
  gguf_set_val_bool(file, "yes", true);
  gguf_set_val_bool(file, "no", false);
  gguf_set_val_str(file, "empty", "");
  set_array<uint8_t>(file, "u8s", GGUF_TYPE_UINT8, {1, 255});
  set_array<int16_t>(file, "i16s", GGUF_TYPE_INT16, {1, -1});
  set_array<uint64_t>(file, "u64s", GGUF_TYPE_UINT64, {1, UINT64_MAX});
  set_array<float>(file, "f32s", GGUF_TYPE_FLOAT32, {1, 0.1f});
  set_array<double>(file, "f64s", GGUF_TYPE_FLOAT64, {0.1});
  set_array<int8_t>(file, "bools", GGUF_TYPE_BOOL, {0, 1, 1});
  set_array<int32_t>(file, "none", GGUF_TYPE_INT32, {});
  const char* tokens[] = {"a", "", "\xc3\xa9", "\xe6\x97\xa5\xe6\x9c\xac"};
  gguf_set_arr_str(file, "tokens", tokens, 4);
}

}  // namespace

int main() {
  ggml_context* const memory = ggml_init({1 << 20, nullptr, false});
  gguf_context* const file = gguf_init_empty();
  set_metadata(file);
  std::vector<ggml_tensor*> tensors;
  const ggml_type small[] = {GGML_TYPE_F32,  GGML_TYPE_F16,    GGML_TYPE_BF16, GGML_TYPE_Q8_0,
                             GGML_TYPE_Q4_0, GGML_TYPE_MXFP4,  GGML_TYPE_Q4_1, GGML_TYPE_Q5_0,
                             GGML_TYPE_Q5_1, GGML_TYPE_IQ4_NL};
  for (ggml_type type : small) {
    tensors.push_back(ggml_new_tensor_3d(memory, type, 64, 5, 3));
  }
  for (ggml_type type : {GGML_TYPE_Q4_K, GGML_TYPE_Q6_K, GGML_TYPE_Q5_K, GGML_TYPE_Q2_K,
                         GGML_TYPE_Q3_K, GGML_TYPE_IQ4_XS, GGML_TYPE_IQ3_S}) {
    tensors.push_back(ggml_new_tensor_3d(memory, type, 256, 3, 2));
  }
  const size_t widened = tensors.size();
  tensors.push_back(ggml_new_tensor_2d(memory, GGML_TYPE_TQ2_0, 256, 2));
  tensors.push_back(ggml_new_tensor_1d(memory, GGML_TYPE_I32, 3));
  FILE* const floats = std::fopen("types.floats", "wb");
  for (size_t i = 0; i < tensors.size(); ++i) {
    ggml_set_name(tensors[i], ggml_type_name(tensors[i]->type));
    if (tensors[i]->type == GGML_TYPE_I32) {
      std::fill_n(static_cast<int32_t*>(tensors[i]->data), 3, 7);
    } else {
      fill(tensors[i], i < widened ? floats : nullptr);
    }
    gguf_add_tensor(file, tensors[i]);
  }
  const bool written = gguf_write_to_file(file, "types.gguf", false);
  gguf_free(file);
  ggml_free(memory);
  return std::fclose(floats) == 0 && written ? 0 : 1;
}
