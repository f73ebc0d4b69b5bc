// SPDX-License-Identifier: Apache-2.0
// Sums of vectors, element by element and over their elements. See all_kernels.inl.

namespace {

void axpy(int64_t count, float alpha, const float* x, float* y) {
  const vec factor = set1(alpha);
  for_each_vector(count, [=](int64_t i, auto m) {
    store(y + i, fma(factor, load(x + i, m), load(y + i, m)), m);
  });
}

// A sum of squares in float: accurate unless they are so large or small that they need a double.
double sum_of_squares_near_one(int64_t count, const float* x) {
  vec squares = set1(0.0f);
  for_each_vector(count, [&](int64_t i, auto m) {
    const vec value = load(x + i, m);
    squares = fma(value, value, squares);
  });
  return sum_of_lanes_in_double(squares);
}

double sum_of_squares_of_any_size(int64_t count, const float* x) {
  double sum = 0.0;
  for (int64_t i = 0; i < count; ++i) {
    sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  }
  return sum;
}

// Sums in parts that are short enough for float sums to stay accurate.
double sum_of_squares(int64_t count, const float* x) {
  constexpr int64_t kPart = 4096;
  // Above this, the loss of squares below the smallest normal float is negligible.
  constexpr double kLeast = 0x1p-100;
  double sum = 0.0;
  for (int64_t begin = 0; begin < count; begin += kPart) {
    const int64_t length = count - begin < kPart ? count - begin : kPart;
    const double part = sum_of_squares_near_one(length, x + begin);
    const bool is_right = part >= kLeast && part < HUGE_VAL;
    sum += is_right ? part : sum_of_squares_of_any_size(length, x + begin);
  }
  return sum;
}

float largest_magnitude(const int32_t* rows, int32_t count, const float* x, int64_t ldx,
                        int32_t size) {
  vec most = set1(0.0f);
  for (int32_t r = 0; r < count; ++r) {
    const float* const row = x + rows[r] * ldx;
    for_each_vector(size, [&](int64_t i, auto m) {
      const vec value = load(row + i, m);
      const vec magnitude = max(value, sub(set1(0.0f), value));
      most = if_less(most, magnitude, magnitude, most);  // a NaN leaves it unchanged
    });
  }
  return largest_lane(most);
}

}  // namespace
