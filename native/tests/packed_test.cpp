// SPDX-License-Identifier: Apache-2.0
// Products of rounded rows with packed panels. Their bits equal those of plain loops over the
// unpacked weights, for each type and instruction set, and their error against floats is bounded.
#include "pack.h"
#include "packed/panels.h"
#if defined(__x86_64__)
#include "amx_model.h"
#endif
#include "testing.h"

namespace {

using namespace testing;
using blocksparse::packed::fastest;
using blocksparse::packed::groups_of;
using blocksparse::packed::is_whole;
using blocksparse::packed::kernels;
using blocksparse::packed::kHeadGroups;
using blocksparse::packed::kInputs;
using blocksparse::packed::kMostKernels;
using blocksparse::packed::kPieceGroups;
using blocksparse::packed::kPortable;
using blocksparse::packed::pack_bfloat16;
using blocksparse::packed::pack_ggml;
using blocksparse::packed::pack_int8;
using blocksparse::packed::pack_k;
using blocksparse::packed::packed_bytes;
using blocksparse::packed::panel_product;
using blocksparse::packed::planes_of;
using blocksparse::packed::rounded_bytes;
using blocksparse::packed::rounded_rows;
using blocksparse::packed::row_format;
using blocksparse::packed::rows_at;
using blocksparse::packed::sum_of_group;
using blocksparse::packed::sum_of_half;
using blocksparse::packed::supported;
using blocksparse::packed::weight_type;

constexpr weight_type kTypes[] = {weight_type::bfloat16, weight_type::int8,   weight_type::q8_0,
                                  weight_type::q4_0,     weight_type::mxfp4,  weight_type::q4_k,
                                  weight_type::q6_k,     weight_type::q5_k,   weight_type::q2_k,
                                  weight_type::q5_1,     weight_type::iq4_nl, weight_type::iq4_xs};
const char* const kTypeNames[] = {"BFLOAT16", "INT8", "Q8_0", "Q4_0", "MXFP4",  "Q4_K",
                                  "Q6_K",     "Q5_K", "Q2_K", "Q5_1", "IQ4_NL", "IQ4_XS"};

// Returns whether the codes, scales and scales of scales of a type are packed from lists.
bool has_lists(weight_type type) {
  return type >= weight_type::q4_k && type != weight_type::iq4_nl;
}

// Returns whether weights have a minimum that is subtracted.
bool is_above_minimum(weight_type type) {
  return type == weight_type::q4_k || type == weight_type::q5_k || type == weight_type::q2_k ||
         type == weight_type::q5_1;
}

// Returns the inputs that share a scale.
int32_t inputs_of_scale(weight_type type) {
  return type == weight_type::q6_k || type == weight_type::q2_k ? kInputs / 2 : kInputs;
}

// The values of IQ4_NL by their codes.
constexpr int32_t kIq4[] = {-127, -104, -83, -65, -49, -35, -22, -10,
                            1,    13,   25,  38,  53,  69,  89,  113};

// Returns the formats of rows that weights of a type multiply.
std::vector<row_format> formats_of(weight_type type) {
  if (type == weight_type::int8) {
    return {row_format::one_byte, row_format::two_bytes};
  }
  return {type == weight_type::bfloat16 ? row_format::bfloat16 : row_format::groups};
}

std::string name_of(weight_type type, row_format format) {
  const std::string name = kTypeNames[static_cast<int32_t>(type)];
  return is_whole(format) ? name + " x " + std::to_string(planes_of(format)) : name;
}

float from_float16(int32_t half) {
  const int32_t exponent = half >> 10 & 31, rest = half & 1023;
  const double size =
      exponent == 0 ? std::ldexp(rest, -24) : std::ldexp(1024 + rest, exponent - 25);
  return static_cast<float>((half & 0x8000) != 0 ? -size : size);
}

float from_bfloat16(uint16_t number) {
  const uint32_t pattern = static_cast<uint32_t>(number) << 16;
  float x;
  std::memcpy(&x, &pattern, sizeof(x));
  return x;
}

// Returns a * b + c, rounded once. MinGW's std::fma rounds several times.
float fused(float a, float b, float c) {
#if defined(__MINGW32__)
  const double product = static_cast<double>(a) * static_cast<double>(b);  // exact
  const double sum = product + static_cast<double>(c);
  const double part = sum - product;
  const double lost = (product - (sum - part)) + (static_cast<double>(c) - part);
  // Halfway between two floats, the lost part decides.
  const float nearest = static_cast<float>(sum);
  const double away = static_cast<double>(nearest) - sum;
  const double other =
      static_cast<double>(std::nextafterf(nearest, away > 0 ? -HUGE_VALF : HUGE_VALF));
  if (lost != 0.0 && std::fabs(away) == std::fabs(other - sum)) {
    return (lost > 0.0) == (away > 0.0) ? nearest : static_cast<float>(other);
  }
  return nearest;
#else
  return std::fma(a, b, c);
#endif
}

// Unpacked weights: integers with their scales, or numbers.
struct weights {
  weight_type type;
  int32_t inputs, outputs;
  std::vector<int32_t> values;       // (outputs, inputs)
  std::vector<float> half_scales;    // (outputs, groups, 2); 1 for INT8
  std::vector<float> half_minima;    // in the same order: subtracted from each weight
  std::vector<float> output_scales;  // of INT8
  std::vector<uint8_t> packed;       // with no memory after the end
  std::vector<uint8_t> blocks;       // in ggml's format; where has_lists(), see pack_k
  std::vector<uint8_t> k_codes, k_scales;
  std::vector<uint16_t> k_heads;
  std::vector<int8_t> codes;      // for INT8: (inputs, outputs)
  std::vector<uint16_t> numbers;  // for BFLOAT16: (inputs, outputs)

  std::size_t at(int32_t output, int32_t input) const {
    return static_cast<std::size_t>(output) * static_cast<std::size_t>(inputs) +
           static_cast<std::size_t>(input);
  }

  weights(weight_type t, int32_t in, int32_t out, random_source& r)
      : type(t), inputs(in), outputs(out) {
    values.resize(at(out, 0));
    codes.resize(values.size());
    for (std::size_t i = 0; i < values.size() && t == weight_type::bfloat16; ++i) {
      // Magnitudes from 2^-8 to 2^8, of both signs.
      numbers.push_back(static_cast<uint16_t>((119 << 7) + r.below(17 << 7) + (r.below(2) << 15)));
    }
    for (int32_t output = 0; output < out && t != weight_type::bfloat16; ++output) {
      output_scales.push_back(t == weight_type::int8 ? (r.uniform() + 1.5f) / 64.0f : 1.0f);
      for (int32_t begin = 0; begin < in; begin += kInputs) {
        if (has_lists(t)) {
          add_group_of_lists(output, begin, r);
        } else {
          add_group(output, begin, r);
        }
      }
    }
    packed.resize(static_cast<std::size_t>(packed_bytes(t, in, out)), 0xee);
    pack();
  }

  void pack() {
    if (type == weight_type::bfloat16) {
      pack_bfloat16(numbers.data(), inputs, outputs, packed.data());
    } else if (type == weight_type::int8) {
      pack_int8(codes.data(), outputs, inputs, outputs, packed.data());
    } else if (has_lists(type)) {
      pack_k(type, k_codes.data(), k_scales.data(), k_heads.data(), inputs, outputs, packed.data());
    } else {
      pack_ggml(type, blocks.data(), inputs, outputs, packed.data());
    }
  }

  void add_group_of_lists(int32_t output, int32_t begin, random_source& r) {
    const bool is_float = type == weight_type::q5_1;
    if (begin % (kInputs * kHeadGroups) == 0) {
      for (int32_t i = 0; i < 2; ++i) {
        k_heads.push_back(static_cast<uint16_t>(r.below(0x7c00) | r.below(2) << 15));
      }
    }
    const float d = from_float16(k_heads[k_heads.size() - 2]);
    const float m = from_float16(k_heads.back());
    const int32_t parts = kInputs / inputs_of_scale(type);
    float found[2][2] = {};  // scales, minima
    for (int32_t which = 0; which < (is_above_minimum(type) ? 2 : 1); ++which) {
      for (int32_t part = 0; part < parts; ++part) {
        if (is_float) {
          const int32_t half = r.below(0x7c00) | r.below(2) << 15;
          k_scales.push_back(static_cast<uint8_t>(half));
          k_scales.push_back(static_cast<uint8_t>(half >> 8));
          found[which][part] = from_float16(half);
          continue;
        }
        const int32_t s = is_above_minimum(type) ? r.below(64)
                          : r.below(5) == 0      ? 127 - 255 * r.below(2)
                                                 : r.below(256) - 128;
        k_scales.push_back(static_cast<uint8_t>(s));
        found[which][part] = (which == 0 ? d : m) * static_cast<float>(s);  // exact
      }
    }
    for (int32_t half = 0; half < 2; ++half) {
      half_scales.push_back(found[0][parts == 1 ? 0 : half]);
      half_minima.push_back(found[1][parts == 1 ? 0 : half]);
    }
    const int32_t most = type == weight_type::q6_k                                ? 63
                         : type == weight_type::q5_k || type == weight_type::q5_1 ? 31
                         : type == weight_type::q2_k                              ? 3
                                                                                  : 15;
    for (int32_t i = begin; i < std::min(begin + kInputs, inputs); ++i) {
      const int32_t code = r.below(5) == 0 ? most * r.below(2) : r.below(most + 1);
      k_codes.push_back(static_cast<uint8_t>(code));
      values[at(output, i)] = type == weight_type::q6_k     ? code - 32
                              : type == weight_type::iq4_xs ? kIq4[code]
                                                            : code;
    }
  }

  void add_scale(float scale) {
    half_scales.insert(half_scales.end(), 2, scale);
    half_minima.insert(half_minima.end(), 2, 0.0f);
  }

  void add_group(int32_t output, int32_t begin, random_source& r) {
    const int32_t count = std::min(kInputs, inputs - begin);
    if (type == weight_type::mxfp4) {
      // All exponents but that of NaN, with denormal scales among them.
      const int32_t e = r.below(4) == 0 ? r.below(255) : 120 + r.below(9);
      blocks.push_back(static_cast<uint8_t>(e));
      add_scale(static_cast<float>(std::ldexp(1.0, e - 128)));
    } else if (type == weight_type::int8) {
      add_scale(1.0f);
    } else {
      const int32_t half = r.below(0x7c00) | r.below(2) << 15;
      blocks.push_back(static_cast<uint8_t>(half));
      blocks.push_back(static_cast<uint8_t>(half >> 8));
      add_scale(from_float16(half));
    }
    int32_t code[kInputs];
    for (int32_t i = 0; i < count; ++i) {
      const bool has_bytes = type == weight_type::int8 || type == weight_type::q8_0;
      code[i] = has_bytes ? r.below(256) - 128 : r.below(16);
      if (r.below(5) == 0) {
        code[i] = has_bytes ? (r.below(2) == 0 ? -128 : 127) : 15 * r.below(2);
      }
      static const int32_t kDoubled[] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
      values[at(output, begin + i)] = type == weight_type::mxfp4    ? kDoubled[code[i]]
                                      : type == weight_type::q4_0   ? code[i] - 8
                                      : type == weight_type::iq4_nl ? kIq4[code[i]]
                                                                    : code[i];
      codes[static_cast<std::size_t>(begin + i) * static_cast<std::size_t>(outputs) +
            static_cast<std::size_t>(output)] = static_cast<int8_t>(code[i]);
    }
    if (type == weight_type::q8_0) {
      for (const int32_t c : code) {
        blocks.push_back(static_cast<uint8_t>(c));
      }
    } else if (type != weight_type::int8) {
      for (int32_t i = 0; i < kInputs / 2; ++i) {
        blocks.push_back(static_cast<uint8_t>(code[i] | code[i + kInputs / 2] << 4));
      }
    }
  }
};

// Rounded rows, with no accessible memory around them.
struct rows {
  walled<int32_t> memory;
  rounded_rows view;

  rows(row_format format, int32_t count, int32_t inputs)
      : memory(static_cast<std::size_t>(rounded_bytes(format, count, groups_of(inputs)) / 4),
               0x63636363),
        view(rows_at(memory.data(), format, count, groups_of(inputs))) {}

  void round(const kernels& by, const matrix& x) {
    for (int32_t r = 0; r < x.rows(); ++r) {
      by.round_row(x.data() + r * x.ld(), x.size(), view, r);
    }
  }

  const int8_t* codes(int32_t row, int32_t plane = 0) const {
    return view.codes + row * view.stride() + plane * view.plane;
  }
  int32_t negated_sum(int32_t row, int32_t i) const {
    return view.negated_sums[row * view.sums_of_row() + i];
  }
  float scale(int32_t row, int32_t i = 0) const {
    return view.scales[row * view.scales_of_row() + i];
  }
};

bool same_bits(float a, float b) { return std::memcmp(&a, &b, sizeof(a)) == 0; }

// Plain loops that share no code with the kernels.
void check_rounding_of_groups(const kernels& by) {
  random_source r(7);
  for (const int32_t n : {1, 3, 31, 32, 33, 64, 100, 517}) {
    for (int32_t round = 0; round < 20; ++round) {
      context() = std::string("rounding, ") + by.name + ", n " + std::to_string(n);
      matrix x(3, n);
      const int32_t exponent = round == 0 ? -149 : round == 1 ? 127 : r.below(250) - 130;
      x.fill([&] {
        return static_cast<float>(std::ldexp(static_cast<double>(r.uniform()), exponent));
      });
      if (round == 2) {
        x.fill([] { return 0.0f; });
      }
      rows rounded(row_format::groups, 3, n);
      rounded.round(by, x);
      for (int32_t row = 0; row < 3; ++row) {
        for (int32_t g = 0; g < groups_of(n); ++g) {
          float m = 0x1p-119f;
          for (int32_t i = g * kInputs; i < std::min(n, (g + 1) * kInputs); ++i) {
            m = std::max(m, std::fabs(x.at(row, i)));
          }
          CHECK(rounded.scale(row, g) == m / 127.0f);
          int32_t sum = 0, half = 0;
          for (int32_t i = 0; i < kInputs; ++i) {
            const int32_t place = g * kInputs + i;
            const int32_t code = rounded.codes(row)[place];
            const float value = place < n ? x.at(row, place) : 0.0f;
            sum += code;
            half += i < kInputs / 2 ? code : 0;
            CHECK(code == static_cast<int32_t>(std::nearbyint(value * (127.0f / m))));
            // The bound is half a step, and the rounding errors of the factor and the product.
            const double back = static_cast<double>(code) * static_cast<double>(m) / 127.0;
            CHECK(std::fabs(back - static_cast<double>(value)) <=
                  static_cast<double>(m) * (0.5 / 127.0 + 2 * 0x1p-24));
          }
          CHECK(sum_of_group(rounded.negated_sum(row, g)) == -sum);
          CHECK(sum_of_half(rounded.negated_sum(row, g)) == -half);
        }
      }
    }
  }
  for (const float poison : {quiet_nan(), HUGE_VALF, -HUGE_VALF}) {
    for (int32_t place = 0; place < 70; ++place) {
      matrix x(1, 70, 3, 1.0f);
      x.at(0, place) = poison;
      rows rounded(row_format::groups, 1, 70);
      rounded.round(by, x);
      for (int32_t g = 0; g < 3; ++g) {
        CHECK(std::isnan(rounded.scale(0, g)) == (g == place / kInputs));
      }
      CHECK(rounded.codes(0)[place] == 0);
    }
  }
}

// Checks the rounding of whole rows in the same way.
void check_rounding_of_whole_rows(const kernels& by, row_format format) {
  const int32_t planes = planes_of(format);
  const float top = planes == 1 ? 127.0f : 32384.0f;
  random_source r(8);
  for (const int32_t n : {1, 3, 31, 32, 33, 63, 64, 65, 100, 511, 512, 513, 70000}) {
    for (int32_t round = 0; round < (n > 1000 ? 4 : 20); ++round) {
      context() = std::string("whole rows, ") + by.name + ", bytes " + std::to_string(planes) +
                  ", n " + std::to_string(n);
      matrix x(3, n);
      const int32_t exponent = round == 0 ? -149 : round == 1 ? 127 : r.below(250) - 130;
      x.fill([&] {
        return static_cast<float>(std::ldexp(static_cast<double>(r.uniform()), exponent));
      });
      if (round == 2) {
        x.fill([] { return 0.0f; });
      }
      if (round == 3) {  // halfway between high codes, and at both ends
        x.fill([&] { return static_cast<float>(254 * (r.below(255) - 127) + 127); });
        x.at(0, n - 1) = x.at(1, 0) = 32384.0f;
        x.at(2, n - 1) = -32384.0f;
      }
      rows rounded(format, 3, n);
      rounded.round(by, x);
      for (int32_t row = 0; row < 3; ++row) {
        float m = planes == 1 ? 0x1p-119f : 0x1p-111f;
        for (int32_t i = 0; i < n; ++i) {
          m = std::max(m, std::fabs(x.at(row, i)));
        }
        CHECK(rounded.scale(row) == m / top);
        std::vector<int32_t> sums(static_cast<std::size_t>(rounded.view.sums_of_row()), 0);
        for (int64_t i = 0; i < rounded.view.stride(); ++i) {
          const float value = i < n ? x.at(row, static_cast<int32_t>(i)) : 0.0f;
          const int32_t high = rounded.codes(row)[i];
          const int32_t low = planes == 1 ? 0 : rounded.codes(row, 1)[i];
          const float y = value * (top / m);
          if (planes == 1) {
            CHECK(high == static_cast<int32_t>(std::nearbyint(y)));
          } else {
            const float units = std::nearbyint(y * (1.0f / 254.0f));
            CHECK(high == static_cast<int32_t>(units) && std::abs(high) <= 127);
            CHECK(low == static_cast<int32_t>(std::nearbyint(y - 254.0f * units)));
          }
          const double code = planes == 1 ? high : 254.0 * high + low;
          const double back = code * static_cast<double>(m) / static_cast<double>(top);
          CHECK(std::fabs(back - static_cast<double>(value)) <=
                static_cast<double>(m) * (0.5 / static_cast<double>(top) + 2 * 0x1p-24));
          if (i < groups_of(n) * kInputs) {
            const auto piece = static_cast<std::size_t>(i / (kPieceGroups * kInputs) * planes);
            sums[piece] += high;
            sums[piece + static_cast<std::size_t>(planes - 1)] += planes == 1 ? 0 : low;
          }
        }
        for (std::size_t i = 0; i < sums.size(); ++i) {
          CHECK(rounded.negated_sum(row, static_cast<int32_t>(i)) == -sums[i]);
        }
      }
    }
  }
  for (const float poison : {quiet_nan(), HUGE_VALF, -HUGE_VALF}) {
    for (int32_t place = 0; place < 70; ++place) {
      matrix x(2, 70, 3, 1.0f);
      x.at(0, place) = poison;
      rows rounded(format, 2, 70);
      rounded.round(by, x);
      CHECK(std::isnan(rounded.scale(0)) && !std::isnan(rounded.scale(1)));
      for (int32_t plane = 0; plane < planes; ++plane) {
        CHECK(rounded.codes(0, plane)[place] == 0 && rounded.negated_sum(0, plane) == 0);
      }
    }
  }
}

// Checks rounding to the nearest, ties to even, by distances.
void check_rounding_to_bfloat16(const kernels& by) {
  random_source r(9);
  for (const int32_t n : {1, 2, 31, 32, 33, 64, 65, 517}) {
    context() = std::string("bfloat16, ") + by.name + ", n " + std::to_string(n);
    matrix x(3, n);
    x.fill([&] {
      // Every third number lies halfway between two.
      const uint32_t low = r.below(3) == 0 ? 0x8000 : static_cast<uint32_t>(r.below(0x10000));
      const uint32_t pattern = static_cast<uint32_t>(r.below(0x10000)) << 16 | low;
      float value;
      std::memcpy(&value, &pattern, sizeof(value));
      return value;
    });
    x.at(0, 0) = HUGE_VALF;
    x.at(1, 0) = std::numeric_limits<float>::max();
    const uint32_t low_nan = 0xff800001;
    std::memcpy(&x.at(2, 0), &low_nan, sizeof(low_nan));
    rows rounded(row_format::bfloat16, 3, n);
    rounded.round(by, x);
    for (int32_t row = 0; row < 3; ++row) {
      for (int32_t i = 0; i < groups_of(n) * kInputs; ++i) {
        uint16_t number;
        std::memcpy(&number, rounded.codes(row) + 2 * i, sizeof(number));
        const float value = i < n ? x.at(row, i) : 0.0f, back = from_bfloat16(number);
        if (std::isnan(value) || std::isinf(value) || i >= n) {
          CHECK(std::isnan(value) ? std::isnan(back) : same_bits(value, back));
          continue;
        }
        // Infinity stands for the number after the largest.
        const auto exact = [](uint16_t bits) {
          const double size = std::fabs(static_cast<double>(from_bfloat16(bits)));
          return std::isinf(size) ? 0x1p128 : size;
        };
        const double size = std::fabs(static_cast<double>(value));
        const double error = std::fabs(exact(number) - size);
        const auto next = static_cast<uint16_t>(number + 1);
        CHECK(std::signbit(value) == std::signbit(back));
        CHECK(exact(number) == 0x1p128 || error < std::fabs(exact(next) - size) ||
              (number % 2 == 0 && error <= std::fabs(exact(next) - size)));
        if ((number & 0x7fff) != 0) {
          const double before = std::fabs(exact(static_cast<uint16_t>(number - 1)) - size);
          CHECK(error < before || (number % 2 == 0 && error <= before));
        }
      }
    }
  }
}

// A row times an output of weights, as panels.h defines it, and a bound on its distance from the
// product of the unrounded numbers.
struct one_product {
  std::vector<float> parts;                            // added one after the other
  double exact = 0.0, slack = 0.0, order_slack = 0.0;  // order_slack: for BFLOAT16

  one_product(const weights& w, const matrix& x, const rows& rounded, int32_t row, int32_t output) {
    if (rounded.view.format == row_format::bfloat16) {
      add_pairs(w, x, rounded, row, output);
    } else if (rounded.view.format == row_format::groups) {
      add_groups(w, x, rounded, row, output);
    } else {
      add_pieces(w, x, rounded, row, output);
    }
  }

  // Adds in the order of instructions that multiply pairs.
  void add_pairs(const weights& w, const matrix& x, const rows& rounded, int32_t row,
                 int32_t output) {
    float total = 0.0f;
    double sizes = 0.0;
    for (int32_t i = 0; i < (w.inputs + 1) / 2 * 2; ++i) {
      const int32_t k = i ^ 1;
      if (k >= w.inputs) {
        continue;
      }
      uint16_t number;
      std::memcpy(&number, rounded.codes(row) + 2 * k, sizeof(number));
      const float weight = from_bfloat16(
          w.numbers[static_cast<std::size_t>(k) * static_cast<std::size_t>(w.outputs) +
                    static_cast<std::size_t>(output)]);
      total = fused(from_bfloat16(number), weight, total);
      const double size =
          std::fabs(static_cast<double>(x.at(row, k)) * static_cast<double>(weight));
      exact += static_cast<double>(x.at(row, k)) * static_cast<double>(weight);
      slack += 0x1p-8 * size;
      sizes += (1 + 0x1p-8) * size;
    }
    order_slack = (w.inputs + 1) * 0x1p-24 * sizes;
    slack += order_slack;
    parts.push_back(total);
  }

  void add_groups(const weights& w, const matrix& x, const rows& rounded, int32_t row,
                  int32_t output) {
    const int32_t groups = rounded.view.groups;
    const int32_t part = inputs_of_scale(w.type);
    float total = 0.0f;
    // Adds an integer times scales, rounded; the scale may be subnormal.
    const auto add = [&](int32_t sum, float of_row, float of_weights) {
      total = fused(static_cast<float>(sum), of_row * of_weights, total);
      const double unit = std::fabs(static_cast<double>(of_row) * static_cast<double>(of_weights));
      slack += std::fabs(static_cast<double>(sum)) * (0x1p-150 + (2 * groups + 2) * 0x1p-24 * unit);
    };
    for (int32_t g = 0; g < groups; ++g) {
      const auto group = static_cast<std::size_t>(output * groups + g);
      const float of_row = rounded.scale(row, g);
      for (int32_t begin = g * kInputs; begin < (g + 1) * kInputs; begin += part) {
        const auto half = static_cast<std::size_t>(begin % kInputs / (kInputs / 2));
        const float of_weights = w.half_scales[2 * group + half];
        const float minimum = w.half_minima[2 * group + half];
        int32_t sum = 0, codes = 0;
        for (int32_t k = begin; k < std::min(w.inputs, begin + part); ++k) {
          const int32_t value = w.values[w.at(output, k)];
          sum += rounded.codes(row)[k] * value;
          codes += rounded.codes(row)[k];
          const double weight =
              value * static_cast<double>(of_weights) - static_cast<double>(minimum);
          exact += static_cast<double>(x.at(row, k)) * weight;
          // The bound is half a step for each input.
          slack += std::fabs(weight) * static_cast<double>(of_row) * (0.5 + 127 * 0x1p-23);
        }
        add(sum, of_row, of_weights);
        if (is_above_minimum(w.type)) {
          add(-codes, of_row, minimum);
        }
      }
    }
    parts.push_back(total);
  }

  void add_pieces(const weights& w, const matrix& x, const rows& rounded, int32_t row,
                  int32_t output) {
    const bool two = rounded.view.format == row_format::two_bytes;
    const float of_row = rounded.scale(row);
    const float of_output = w.output_scales[static_cast<std::size_t>(output)];
    const double unit = static_cast<double>(of_row) * static_cast<double>(of_output);
    for (int32_t begin = 0; begin < w.inputs; begin += kPieceGroups * kInputs) {
      int64_t high = 0, low = 0;
      for (int32_t k = begin; k < std::min(w.inputs, begin + kPieceGroups * kInputs); ++k) {
        const int32_t value = w.values[w.at(output, k)];
        high += rounded.codes(row)[k] * value;
        low += two ? rounded.codes(row, 1)[k] * value : 0;
        exact += static_cast<double>(x.at(row, k)) * value * static_cast<double>(of_output);
        slack += std::abs(value) * unit * (0.5 + (two ? 32384 : 127) * 0x1p-23);
      }
      CHECK(std::abs(high) < int64_t{1} << 31 && std::abs(low) < int64_t{1} << 31);
      const float whole = two ? fused(static_cast<float>(high), 254.0f, static_cast<float>(low))
                              : static_cast<float>(high);
      parts.push_back(whole * of_row * of_output);
      const double largest = std::fabs(static_cast<double>(high)) * (two ? 254.0 : 1.0) +
                             std::fabs(static_cast<double>(low));
      slack += 5 * 0x1p-24 * unit * largest;
    }
  }

  float sum() const {
    float total = 0.0f;
    for (const float part : parts) {
      total += part;
    }
    return total;
  }
};

void check_product(const kernels& by, weight_type type, row_format format, int32_t inputs,
                   int32_t outputs, int32_t count, bool following = false) {
  context() = std::string("product, ") + by.name + ", " + name_of(type, format) + ", " +
              std::to_string(inputs) + " x " + std::to_string(outputs) + ", rows " +
              std::to_string(count);
  random_source r(static_cast<uint64_t>(inputs * 1000 + outputs * 10 + count));
  const weights w(type, inputs, outputs, r);
  walled<uint8_t> packed(w.packed.size(), 0);
  std::copy(w.packed.begin(), w.packed.end(), packed.data());
  walled<float> output_scales(w.output_scales.size(), 0.0f);
  std::copy(w.output_scales.begin(), w.output_scales.end(), output_scales.data());
  const int32_t all = following ? count : count + 3;
  matrix x(all, inputs);
  x.fill([&] { return r.uniform(); });
  rows rounded(format, all, inputs);
  rounded.round(kPortable, x);
  walled<int32_t> chosen(static_cast<std::size_t>(count), 0);
  std::vector<int32_t> positions;
  for (int32_t i = 0; i < count; ++i) {
    chosen.data()[i] = following ? i : r.below(all);
    positions.push_back(count - 1 - i / 2);  // each row but one is written twice
  }
  std::vector<int32_t> written;  // every second row, backwards
  for (int32_t i = 0; i < count; ++i) {
    written.push_back(2 * (count - 1 - i));
  }
  const int32_t begin = outputs > 40 && count % 2 == 0 ? 16 : 0;
  const int32_t end = outputs - (count % 3 == 0 && outputs > 20 ? 5 : 0);
  matrix c(2 * count, outputs);
  c.fill([&] { return r.uniform(); });
  matrix expected = c, far(2 * count, outputs);
  far.fill([] { return 0.0f; });
  by.multiply(type, {packed.data(), type == weight_type::int8 ? output_scales.data() : nullptr,
                     begin, end, rounded.view, chosen.data(), written.data(), positions.data(),
                     count, c.data(), c.ld()});
  CHECK(c.intact());
  for (int32_t i = 0; i < count; ++i) {
    const int32_t to = written[static_cast<std::size_t>(positions[static_cast<std::size_t>(i)])];
    for (int32_t output = begin; output < end; ++output) {
      const one_product product(w, x, rounded, chosen.data()[i], output);
      for (const float part : product.parts) {
        expected.at(to, output) += part;
      }
      far.at(to, output) += static_cast<float>(2.02 * product.order_slack) + 0x1p-20f;
      if (std::isfinite(product.sum())) {
        const double error = std::fabs(static_cast<double>(product.sum()) - product.exact);
        CHECK(error <= 1.01 * product.slack + 0x1p-149);
      }
    }
  }
  // Tiles add up in their own order.
  const bool same_order = type != weight_type::bfloat16 || std::strncmp(by.name, "amx", 3) != 0;
  for (int32_t row = 0; row < c.rows(); ++row) {
    for (int32_t output = 0; output < outputs; ++output) {
      CHECK(same_order
                ? same_bits(c.at(row, output), expected.at(row, output))
                : std::fabs(c.at(row, output) - expected.at(row, output)) <= far.at(row, output));
    }
  }
}

// The largest codes and weights, in as many inputs as a piece has, and more: sums still fit 32
// bits.
void check_largest_sums(const kernels& by, row_format format, int32_t count) {
  constexpr int32_t kPiece = kPieceGroups * kInputs;
  for (const int32_t inputs : {kPiece - 1, kPiece, kPiece + 1, 2 * kPiece + 33}) {
    context() = std::string("largest sums, ") + by.name + ", " +
                name_of(weight_type::int8, format) + ", " + std::to_string(inputs);
    std::vector<int8_t> codes(static_cast<std::size_t>(inputs) * 2);
    for (std::size_t i = 0; i < codes.size(); i += 2) {
      codes[i] = -128;
      codes[i + 1] = 127;
    }
    walled<uint8_t> packed(static_cast<std::size_t>(packed_bytes(weight_type::int8, inputs, 2)), 0);
    pack_int8(codes.data(), 2, inputs, 2, packed.data());
    matrix x(count, inputs);
    for (int32_t row = 0; row < count; ++row) {
      for (int32_t i = 0; i < inputs; ++i) {
        x.at(row, i) = row % 2 == 0 ? 1.0f : -1.0f;
      }
    }
    rows rounded(format, count, inputs);
    rounded.round(by, x);
    std::vector<int32_t> all;
    for (int32_t row = 0; row < count; ++row) {
      all.push_back(row);
    }
    const float scales[] = {1.0f, 1.0f};
    matrix c(count, 2);
    c.fill([] { return 0.0f; });
    by.multiply(weight_type::int8, {packed.data(), scales, 0, 2, rounded.view, all.data(),
                                    all.data(), all.data(), count, c.data(), c.ld()});
    for (int32_t row = 0; row < count; ++row) {
      const double sign = row % 2 == 0 ? 1.0 : -1.0;
      CHECK(std::fabs(static_cast<double>(c.at(row, 0)) / (-128.0 * sign * inputs) - 1.0) < 1e-6);
      CHECK(std::fabs(static_cast<double>(c.at(row, 1)) / (127.0 * sign * inputs) - 1.0) < 1e-6);
    }
  }
}

// A scale that is NaN or infinite, of weights or of a row, appears in the right outputs.
void check_special_scales(const kernels& by) {
  context() = std::string("special scales, ") + by.name;
  for (const weight_type type : kTypes) {
    if (type == weight_type::bfloat16 || type == weight_type::int8) {
      continue;  // without scales, or with scales that are stored separately
    }
    random_source r(1);
    weights w(type, 64, 20, r);
    if (type == weight_type::q5_1) {
      w.k_scales[4 * 7 + 3] = 0x7f;  // output 3, inputs from 32 on
      w.k_scales[4 * 7 + 2] = 0xff;
    } else if (has_lists(type)) {
      w.k_heads[2 * 3 + (is_above_minimum(type) ? 1 : 0)] = 0x7fff;  // output 3
    } else {
      const std::size_t block = w.blocks.size() / 40;
      w.blocks[block * 7] = 0xff;  // output 3, inputs from 32 on
      if (type != weight_type::mxfp4) {
        w.blocks[block * 7 + 1] = 0x7f;
      }
    }
    w.pack();
    matrix x(2, 64, 3, 0.5f);
    x.at(1, 40) = quiet_nan();
    rows rounded(row_format::groups, 2, 64);
    rounded.round(by, x);
    const int32_t both[] = {0, 1};
    matrix c(2, 20);
    c.fill([] { return 0.0f; });
    by.multiply(type, {w.packed.data(), nullptr, 0, 20, rounded.view, both, both, both, 2, c.data(),
                       c.ld()});
    for (int32_t output = 0; output < 20; ++output) {
      CHECK(std::isnan(c.at(0, output)) == (output == 3) && std::isnan(c.at(1, output)));
    }
  }
}

// Checks the fastest of this processor's kernels that an instruction set allows.
void check_choice(const kernels* const* all, int32_t count) {
  context() = "choice";
  CHECK(all[0] == &kPortable && &fastest(BLOCKSPARSE_PORTABLE) == &kPortable);
  CHECK(&fastest(BLOCKSPARSE_AVX512) == all[count - 1]);
  for (const int32_t isa : instruction_sets()) {
    const kernels& chosen = fastest(isa);
    CHECK(chosen.isa <= isa);
    CHECK(chosen.isa == isa || isa == BLOCKSPARSE_NEON || isa == BLOCKSPARSE_AVX512);
  }
}

// Returns the floats that rounded rows take.
std::size_t rounded_size(row_format format, int32_t count, int32_t inputs) {
  return static_cast<std::size_t>(rounded_bytes(format, count, groups_of(inputs)) / 4);
}

// Returns blocks that lie end to end, whatever their strides are.
blocksparse_blocks packed_blocks(const void* w, int32_t read_blocks, int32_t write_blocks,
                                 int32_t k, int32_t n, int32_t type, const float* scales) {
  return {const_cast<void*>(w), scales,       -1, -1, -1,   -1, -1,
          read_blocks,          write_blocks, k,  n,  type, 0};
}

int32_t call_round_rows(int32_t isa, int32_t format, int32_t row_begin, int32_t row_end, int32_t k,
                        const blocksparse_rows& a, void* to) {
  return blocksparse_round_rows_f32(isa, format, row_begin, row_end, k, &a, to);
}

int32_t call_packed_gemm(int32_t isa, const blocksparse_part& part, int32_t format, const void* a,
                         int64_t a_rows, const blocksparse_blocks& w, const blocksparse_sums& c) {
  return blocksparse_packed_gemm_f32(isa, &part, format, a, a_rows, &w, &c);
}

// Calls the C interface with rows of a schedule, repeats among them, in chunks and bands.
void check_schedule(int32_t isa, weight_type type, row_format format, bool accumulate) {
  context() = std::string("schedule, ") + blocksparse_isa_name(isa) + ", " + name_of(type, format);
  constexpr int32_t kIn = 70, kOut = 40, kRead = 2, kWrite = 3, kRows = 5;
  random_source r(3);
  std::vector<weights> blocks;
  const bool any_size = type == weight_type::bfloat16 || type == weight_type::int8;
  const int32_t in = any_size ? kIn : groups_of(kIn) * kInputs;
  const std::size_t block_bytes = static_cast<std::size_t>(packed_bytes(type, in, kOut));
  walled<uint8_t> w(kRead * kWrite * block_bytes, 0);
  walled<float> scales(type == weight_type::int8 ? kRead * kWrite * kOut : 0, 0.0f);
  for (std::size_t b = 0; b < kRead * kWrite; ++b) {
    blocks.emplace_back(type, in, kOut, r);
    std::copy(blocks[b].packed.begin(), blocks[b].packed.end(), w.data() + b * block_bytes);
    if (type == weight_type::int8) {
      std::copy(blocks[b].output_scales.begin(), blocks[b].output_scales.end(),
                scales.data() + b * kOut);
    }
  }
  matrix x(kRows, in), bias(kWrite, kOut), c(kRows, kOut);
  x.fill([&] { return r.uniform(); });
  bias.fill([&] { return r.uniform(); });
  if (accumulate) {
    c.fill([&] { return r.uniform(); });
  }
  matrix expected = c;
  const std::vector<gemm_pair> pairs = {{0, 0, 1}, {0, 0, 1}, {2, 0, 0}, {4, 2, 0},
                                        {1, 3, 0}, {3, 3, 1}, {4, 4, 1}};
  const std::vector<int32_t> block_of_row = {2, 0, 2, 2, 1};
  const std::vector<int32_t> plan = gemm_schedule({0, 1, 2, 3, 4}, block_of_row, pairs, 2);
  const int32_t of_rows = static_cast<int32_t>(format);
  walled<float> rounded(rounded_size(format, kRows, in), quiet_nan());
  for (int32_t row = 0; row < kRows; ++row) {
    CHECK_STATUS(BLOCKSPARSE_OK,
                 call_round_rows(isa, of_rows, row, row + 1, in, rows_of(x), rounded.data()));
  }
  const int32_t w_type = BLOCKSPARSE_BFLOAT16 + static_cast<int32_t>(type);
  const float* const scales_data = type == weight_type::int8 ? scales.data() : nullptr;
  const auto run = [&](int32_t begin, int32_t end, int32_t column_begin, int32_t column_end) {
    return call_packed_gemm(
        isa, {plan.data(), length(plan), begin, end, column_begin, column_end}, of_rows,
        rounded.data(), kRows,
        packed_blocks(w.data(), kRead, kWrite, in, kOut, w_type, scales_data),
        {rows_of(c), rows_of(accumulate ? nullptr : bias.data(), kWrite, bias.ld()),
         accumulate ? 1 : 0});
  };
  CHECK_STATUS(BLOCKSPARSE_OK, run(1, plan[1], 0, 16));
  CHECK_STATUS(BLOCKSPARSE_OK, run(0, 1, 0, 32));
  CHECK_STATUS(BLOCKSPARSE_OK, run(0, 1, 32, kOut));
  CHECK_STATUS(BLOCKSPARSE_OK, run(1, plan[1], 16, kOut));
  CHECK(c.intact());

  rows by_rows(format, kRows, in);
  by_rows.round(blocksparse::packed::fastest(BLOCKSPARSE_PORTABLE), x);
  const int32_t first[] = {0};
  for (int32_t row = 0; row < kRows; ++row) {
    const int32_t block = block_of_row[static_cast<std::size_t>(row)];
    for (int32_t q = 0; q < kOut && !accumulate; ++q) {
      expected.at(row, q) = bias.at(block, q);
    }
    for (int32_t read = 0; read < kRead; ++read) {
      const weights& used = blocks[static_cast<std::size_t>(read * kWrite + block)];
      for (const gemm_pair& pair : pairs) {
        if (pair.write_row == row && pair.read_block == read) {
          // For BFLOAT16, bits depend on the instruction set.
          blocksparse::packed::fastest(type == weight_type::bfloat16 ? isa : BLOCKSPARSE_PORTABLE)
              .multiply(type, {used.packed.data(), used.output_scales.data(), 0, kOut, by_rows.view,
                               &pair.read_row, first, first, 1, &expected.at(row, 0), 0});
        }
      }
    }
  }
  CHECK(c.same_bits(expected));

  // Invalid calls are rejected before anything is written.
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, run(0, 1, 8, kOut));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, run(0, 1, 0, 8));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, run(0, 1, 0, kOut + 8));
  CHECK_STATUS(BLOCKSPARSE_BAD_SCHEDULE, run(0, plan[1] + 1, 0, kOut));
  const auto call = [&](int32_t set, int32_t n, const void* at, int64_t a_rows, int32_t of_type,
                        const void* weights_at, int32_t read_blocks, const float* output_scales,
                        const float* start, int32_t adds) {
    return call_packed_gemm(
        set, {plan.data(), length(plan), 0, 1, 0, 0}, of_rows, at, a_rows,
        packed_blocks(weights_at, read_blocks, kWrite, in, n, of_type, output_scales),
        {rows_of(c), rows_of(start, kWrite, kOut), adds});
  };
  const float* const other = scales_data == nullptr ? bias.data() : nullptr;
  const void* const a = rounded.data();
  CHECK_STATUS(BLOCKSPARSE_OK,
               call(isa, kOut, a, kRows, w_type, w.data(), kRead, scales_data, nullptr, 0));
  CHECK_STATUS(BLOCKSPARSE_UNSUPPORTED_ISA,
               call(-1, kOut, a, kRows, w_type, w.data(), kRead, scales_data, nullptr, 0));
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, call(isa, kOut, a, kRows, BLOCKSPARSE_FLOAT16, w.data(),
                                              kRead, nullptr, nullptr, 0));
  const int32_t of_others = type == weight_type::bfloat16 ? BLOCKSPARSE_Q8_0 : BLOCKSPARSE_BFLOAT16;
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT,
               call(isa, kOut, a, kRows, of_others, w.data(), kRead, nullptr, nullptr, 0));
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, call(isa, kOut, a, kRows, BLOCKSPARSE_IQ4_XS + 1, w.data(),
                                              kRead, nullptr, nullptr, 0));
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT,
               call(isa, kOut, a, kRows, w_type, w.data(), kRead, scales_data, bias.data(), 1));
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT,
               call(isa, kOut, a, kRows, w_type, w.data(), kRead, scales_data, nullptr, 2));
  CHECK_STATUS(type == weight_type::int8 ? BLOCKSPARSE_NULL_POINTER : BLOCKSPARSE_BAD_ARGUMENT,
               call(isa, kOut, a, kRows, w_type, w.data(), kRead, other, nullptr, 0));
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, call(isa, kOut, static_cast<const char*>(a) + 2, kRows,
                                              w_type, w.data(), kRead, scales_data, nullptr, 0));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER,
               call(isa, kOut, nullptr, kRows, w_type, w.data(), kRead, scales_data, nullptr, 0));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER,
               call(isa, kOut, a, kRows, w_type, nullptr, kRead, scales_data, nullptr, 0));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE,
               call(isa, -1, a, kRows, w_type, w.data(), kRead, scales_data, nullptr, 0));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, call(isa, kOut, a, int64_t{1} << 31, w_type, w.data(), kRead,
                                          scales_data, nullptr, 0));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE,
               call(isa, kOut, a, kRows, w_type, w.data(), -1, scales_data, nullptr, 0));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, call(isa, INT32_MAX, a, kRows, w_type, w.data(), INT32_MAX,
                                          scales_data, nullptr, 0));
  CHECK(c.same_bits(expected));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE,
               call_round_rows(isa, of_rows, 0, kRows + 1, in, rows_of(x), rounded.data()));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE,
               call_round_rows(isa, of_rows, 0, kRows, in, rows_of(x.data(), kRows, in - 1),
                               rounded.data()));
  CHECK_STATUS(
      BLOCKSPARSE_NULL_POINTER,
      call_round_rows(isa, of_rows, 0, kRows, in, rows_of(nullptr, kRows, in), rounded.data()));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER,
               call_round_rows(isa, of_rows, 0, kRows, in, rows_of(x), nullptr));
  CHECK_STATUS(BLOCKSPARSE_UNSUPPORTED_ISA,
               call_round_rows(-1, of_rows, 0, kRows, in, rows_of(x), nullptr));
}

// The first product of experts with its activation gives the bits of its three parts one by one.
void check_activation(int32_t isa, weight_type type, row_format format, int32_t activation,
                      int32_t n, bool biased) {
  context() = std::string("activation ") + std::to_string(activation) + ", " +
              blocksparse_isa_name(isa) + ", " + name_of(type, format) + ", n " + std::to_string(n);
  constexpr int32_t kIn = 64, kRead = 2, kWrite = 2, kRows = 5;
  const bool gated = activation >= BLOCKSPARSE_SWIGLU;
  const int32_t sums = gated ? 2 * n : n;
  random_source r(5);
  std::vector<gemm_pair> pairs = {{4, 0, 0}, {1, 0, 1}, {2, 1, 0}, {2, 1, 0}, {3, 3, 1}};
  std::vector<int32_t> block_of_row = {0, 0, 1, 1};
  // One block gets more rows than a tile between the products holds.
  const int32_t more = isa == instruction_sets().back() ? 200 : 3;
  for (int32_t row = 0; row < more; ++row) {
    block_of_row.push_back(1);
    pairs.push_back({r.below(kRows), 4 + row, 1});
  }
  const int32_t written = 4 + more;
  std::vector<int32_t> order;
  for (int32_t row = 0; row < written; ++row) {
    order.push_back(written - 1 - row);
  }
  const std::vector<int32_t> plan = gemm_schedule(order, block_of_row, pairs, 1000);
  const std::size_t block_bytes = static_cast<std::size_t>(packed_bytes(type, kIn, sums));
  walled<uint8_t> w(kRead * kWrite * block_bytes, 0);
  const bool scaled = type == weight_type::int8;
  walled<float> scales(scaled ? static_cast<std::size_t>(kRead * kWrite * sums) : std::size_t{0},
                       0.0f);
  for (std::size_t b = 0; b < kRead * kWrite; ++b) {
    weights block(type, kIn, sums, r);
    std::copy(block.packed.begin(), block.packed.end(), w.data() + b * block_bytes);
    if (scaled) {
      std::copy(block.output_scales.begin(), block.output_scales.end(),
                scales.data() + b * static_cast<std::size_t>(sums));
    }
  }
  matrix x(kRows, kIn), bias(kWrite, sums), z(written, sums), a(written, n);
  x.fill([&] { return r.uniform(); });
  bias.fill([&] { return r.uniform(); });
  walled<float> gate(static_cast<std::size_t>(written), 0.0f);
  for (int32_t row = 0; row < written; ++row) {
    gate.data()[row] = r.uniform();
  }
  const bool whole = is_whole(format);
  const int32_t of_rows = static_cast<int32_t>(format);
  const std::size_t written_size =
      whole ? static_cast<std::size_t>(written * n) : rounded_size(format, written, n);
  walled<float> rounded(rounded_size(format, kRows, kIn), quiet_nan());
  walled<float> expected(written_size, 0.25f), to(written_size, 0.25f);
  const int32_t w_type = BLOCKSPARSE_BFLOAT16 + static_cast<int32_t>(type);
  const float* const scales_data = scaled ? scales.data() : nullptr;
  const float* const bias_data = biased ? bias.data() : nullptr;
  CHECK_STATUS(BLOCKSPARSE_OK,
               call_round_rows(isa, of_rows, 0, kRows, kIn, rows_of(x), rounded.data()));
  CHECK_STATUS(BLOCKSPARSE_OK,
               call_packed_gemm(
                   isa, {plan.data(), length(plan), 0, plan[1], 0, sums}, of_rows, rounded.data(),
                   kRows, packed_blocks(w.data(), kRead, kWrite, kIn, sums, w_type, scales_data),
                   {rows_of(z), rows_of(bias_data, kWrite, bias.ld()), 0}));
  CHECK_STATUS(BLOCKSPARSE_OK,
               call_activation(isa, {nullptr, 0, 0, written, 0, n},
                               {rows_of(z), gate.data(), activation, n}, rows_of(a)));
  if (whole) {
    for (int32_t row = 0; row < written; ++row) {
      std::copy(&a.at(row, 0), &a.at(row, 0) + n, expected.data() + row * n);
    }
  } else {
    CHECK_STATUS(BLOCKSPARSE_OK,
                 call_round_rows(isa, of_rows, 0, written, n, rows_of(a), expected.data()));
  }
  const auto run = [&](int32_t function, int32_t begin, int32_t end, int32_t column_begin,
                       int32_t column_end, const void* from, void* rows_to) {
    const blocksparse_part part = part_of(plan, begin, end, column_begin, column_end);
    const blocksparse_blocks blocks =
        packed_blocks(w.data(), kRead, kWrite, kIn, sums, w_type, scales_data);
    const blocksparse_rows start = rows_of(bias_data, kWrite, bias.ld());
    return blocksparse_packed_activation_f32(isa, &part, of_rows, from, kRows, &blocks, &start,
                                             function, gate.data(), rows_to, written);
  };
  const int32_t middle = n > 32 ? 32 : 0;
  CHECK_STATUS(BLOCKSPARSE_OK, run(activation, 1, plan[1], 0, middle, rounded.data(), to.data()));
  CHECK_STATUS(BLOCKSPARSE_OK, run(activation, 0, 1, 0, n, rounded.data(), to.data()));
  CHECK_STATUS(BLOCKSPARSE_OK, run(activation, 1, plan[1], middle, n, rounded.data(), to.data()));
  for (std::size_t i = 0; i < written_size; ++i) {
    CHECK(same_bits(to[i], expected[i]));
  }
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT,
               run(BLOCKSPARSE_GEGLU_TANH + 1, 0, 1, 0, n, rounded.data(), to.data()));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, run(activation, 0, 1, 16, n, rounded.data(), to.data()));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, run(activation, 0, 1, 0, n + 32, rounded.data(), to.data()));
  CHECK_STATUS(BLOCKSPARSE_BAD_SCHEDULE,
               run(activation, 0, plan[1] + 1, 0, n, rounded.data(), to.data()));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, run(activation, 0, 1, 0, n, nullptr, to.data()));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, run(activation, 0, 1, 0, n, rounded.data(), nullptr));
}

// Checks numbers of rows of every residue modulo the tiles, and at and around multiples of the
// kernels' pieces.
void check_kernels(const kernels& by) {
  check_rounding_of_groups(by);
  check_rounding_to_bfloat16(by);
  for (const weight_type type : kTypes) {
    const bool whole = type == weight_type::int8;
    const bool any_size = whole || type == weight_type::bfloat16;
    for (const row_format format : formats_of(type)) {
      for (const int32_t groups : {1, 2, 3, 9}) {
        for (const int32_t outputs : {1, 15, 16, 17, 32, 33, 48, 95}) {
          for (int32_t rows = 1; rows <= 14; ++rows) {
            check_product(by, type, format, groups * kInputs - (any_size ? rows % 5 * 3 : 0),
                          outputs, rows);
          }
        }
      }
      for (int32_t rows = 2; rows <= 50; ++rows) {
        check_product(by, type, format, 3 * kInputs, 47, rows);
        check_product(by, type, format, 2 * kInputs, 33, rows, true);
      }
      for (const int32_t rows : {63, 64, 65, 95, 96, 97, 191, 192, 193}) {
        check_product(by, type, format, 2 * kInputs, 17, rows, rows % 3 != 1);
      }
      for (const int32_t inputs : {511, 512, 513}) {
        check_product(by, type, format, any_size ? inputs : groups_of(inputs) * kInputs, 47, 33,
                      true);
      }
      if (whole) {
        check_rounding_of_whole_rows(by, format);
        check_largest_sums(by, format, 3);
        check_largest_sums(by, format, 35);
      }
    }
  }
  check_special_scales(by);
  std::printf("%s\n", by.name);
}

#if defined(__x86_64__)

// Checks AMX, which few processors have, by a model of its instructions.
void check_modeled_amx() {
  context() = "modeled AMX";
  CHECK(amx_model::tiles_are_exact());
  check_kernels(amx_model::kKernels);
  CHECK(amx_model::faults() == 0);
  amx_model::break_products();
  CHECK(!amx_model::tiles_are_exact());
}

#endif

}  // namespace

int main() {
  const kernels* all[kMostKernels];
  const int32_t count = supported(all);
  check_choice(all, count);
  for (int32_t i = 0; i < count; ++i) {
    check_kernels(*all[i]);
  }
#if defined(__x86_64__)
  if (std::find(all, all + count, &blocksparse::packed::kAvx512Vnni) != all + count) {
    check_modeled_amx();
  }
#endif
  for (const int32_t isa : instruction_sets()) {
    CHECK(std::strcmp(blocksparse_packed_name(isa), blocksparse::packed::fastest(isa).name) == 0);
    for (const weight_type type : kTypes) {
      for (const row_format format : formats_of(type)) {
        check_schedule(isa, type, format, false);
        check_schedule(isa, type, format, true);
        for (const int32_t activation : {BLOCKSPARSE_IDENTITY, BLOCKSPARSE_RELU, BLOCKSPARSE_SILU,
                                         BLOCKSPARSE_GELU, BLOCKSPARSE_SWIGLU, BLOCKSPARSE_GEGLU,
                                         BLOCKSPARSE_SWIGLU_CLAMPED, BLOCKSPARSE_GEGLU_TANH}) {
          for (const int32_t n : {1, 24, 32, 50, 330}) {
            check_activation(isa, type, format, activation, n, n != 50);
          }
        }
      }
    }
  }
  CHECK(blocksparse_packed_name(-1) == nullptr);
  return report("packed_test");
}
