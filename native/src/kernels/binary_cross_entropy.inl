// SPDX-License-Identifier: Apache-2.0
//
// Sigmoids, their logarithms, and binary cross entropy, for one row. See all_kernels.inl. All of
// them use e = exp(-|z|), which cannot overflow, in forms without cancellation: the errors are
// relative, however near to 0 or to 1 a probability is. NaN stays in its element, and makes the
// loss NaN.

namespace {

// log(1 + e) for e in [0, 1]: 2 artanh(s) with s = e / (2 + e), which is s times a series in s^2.
// s^2 is at most 1/9, and a polynomial of degree 4 is within 2^-27.7 of it.
INLINE vec log1p_of_fraction(vec e) {
  const vec quotient = div(set1(2.0f), add(set1(2.0f), e));
  const vec s = mul(set1(0.5f), mul(e, quotient));
  const vec square = mul(s, s);
  vec p = set1(0x1.1ed7c4p-3f);
  p = fma(p, square, set1(0x1.1ebd0cp-3f));
  p = fma(p, square, set1(0x1.99d208p-3f));
  p = fma(p, square, set1(0x1.555502p-2f));
  p = fma(p, square, set1(1.0f));
  return mul(e, mul(quotient, p));
}

void sigmoid(const softmax_row& row, float factor) {
  float* const c = row.c;
  const vec scale = set1(factor);
  for_each_vector(row.valid, [=](int64_t i, auto m) {
    store(c + i, mul(scale, logistic(load(c + i, m)).value), m);
  });
  fill(row.n - row.valid, 0.0f, c + row.valid);
}

void log_sigmoid(const softmax_row& row, float offset) {
  float* const c = row.c;
  const vec shift = set1(offset);
  const vec lowest = set1(offset > -kInfinity ? -kLargestFloat : -kInfinity);
  for_each_vector(row.valid, [=](int64_t i, auto m) {
    const vec z = load(c + i, m);
    const vec result = sub(at_most(0.0f, z), log1p_of_fraction(exp_of_distance(z)));
    store(c + i, bounded(add(shift, result), z, lowest), m);
  });
  float* const rest = c + row.valid;
  fill(row.n - row.valid, -kInfinity, rest);
}

void negate(float* c, const binary_targets& at) {
  for (int32_t i = 0; i < at.count; ++i) {
    c[at.positives[i]] = -c[at.positives[i]];
  }
}

// The loss of a positive is that of a negative with the opposite logit, and its gradient the
// opposite one. The loss of a negative is max(z, 0) + log(1 + exp(-|z|)). The sum of the first
// parts of many logits may overflow, so it is computed in units of 2^32; what is lost there is
// negligible beside the second part.
float binary_cross_entropy(const softmax_row& row, const binary_targets& to) {
  float* const c = row.c;
  const vec zero = set1(0.0f);
  vec most = zero;
  compensated_sum large, small;
  negate(c, to);
  const vec weight = set1(to.weight);
  for_each_vector(row.valid, [&](int64_t i, auto m) {
    const vec z = select(m, load(c + i, m), set1(-kInfinity));  // whose loss is 0
    const vec e = exp_of_distance(z);
    most = max(z, most);
    large.add_vector(mul(set1(0x1p-32f), at_most(kLargestFloat, max(zero, z))));
    small.add_vector(log1p_of_fraction(e));
    store(c + i, mul(weight, logistic(z, e).value), m);
  });
  if (to.weight != 0.0f) {
    negate(c, to);
    fill(row.n - row.valid, 0.0f, c + row.valid);
  } else {
    fill(row.n, 0.0f, c);
  }
  const double loss = 0x1p32 * large.total() + small.total();
  return largest_lane(most) < kInfinity ? to_float(loss) : to_float(loss) + kInfinity;
}

}  // namespace
