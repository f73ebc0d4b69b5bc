// SPDX-License-Identifier: Apache-2.0
//
// Sums of vectors, element by element, and over their elements. See all_kernels.inl.

namespace {

void axpy(int64_t count, float alpha, const float* x, float* y) {
  const vec factor = set1(alpha);
  for_each_vector(count, [=](int64_t i, auto m) {
    store(y + i, fma(factor, load(x + i, m), load(y + i, m)), m);
  });
}

// In parts that are short enough for sums of floats to stay accurate.
double sum_of_squares(int64_t count, const float* x) {
  constexpr int64_t kPart = 4096;
  double sum = 0.0;
  for (int64_t begin = 0; begin < count; begin += kPart) {
    vec squares = set1(0.0f);
    for_each_vector(count - begin < kPart ? count - begin : kPart, [&](int64_t i, auto m) {
      const vec value = load(x + begin + i, m);
      squares = fma(value, value, squares);
    });
    float lanes[kWidth];
    store(lanes, squares);
    for (const float lane : lanes) {
      sum += static_cast<double>(lane);
    }
  }
  return sum;
}

}  // namespace
