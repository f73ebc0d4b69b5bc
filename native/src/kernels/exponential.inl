// SPDX-License-Identifier: Apache-2.0
//
// The exponential function, element by element, for the softmax and the activations. See
// all_kernels.inl.

namespace {

// The decomposition x = n ln 2 + r with an integer n and |r| <= ln(2) / 2.
struct reduced_argument {
  vec n, r;
};

// Reduces x <= 0. ln 2 is split in two parts, the first so short that its product with n is exact.
INLINE reduced_argument reduce_argument(vec x) {
  x = max(set1(-105.0f), x);  // exp(-105) rounds to 0; NaN stays
  const vec n = round(mul(x, set1(0x1.715476p0f)));
  return {n, fma(n, set1(0x1.bd0106p-13f), fma(n, set1(-0x1.63p-1f), x))};
}

// Returns exp(r) - 1 by the polynomial of Cephes' expf; r may be a few hundredths larger than
// above.
INLINE vec expm1_of_reduced(vec r) {
  vec p = set1(1.9875691500e-4f);
  p = fma(p, r, set1(1.3981999507e-3f));
  p = fma(p, r, set1(8.3334519073e-3f));
  p = fma(p, r, set1(4.1665795894e-2f));
  p = fma(p, r, set1(1.6666665459e-1f));
  p = fma(p, r, set1(5.0000001201e-1f));
  return fma(p, mul(r, r), r);
}

INLINE vec exp_of_reduced(vec expm1, vec n) { return scale_by_power(add(expm1, set1(1.0f)), n); }

// Returns exp(x) for x <= 0 with an error of at most 2 ulp: 0 for -infinity, denormal results
// included.
INLINE vec exp_nonpositive(vec x) {
  const reduced_argument reduced = reduce_argument(x);
  return exp_of_reduced(expm1_of_reduced(reduced.r), reduced.n);
}

}  // namespace
