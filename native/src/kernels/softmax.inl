// SPDX-License-Identifier: Apache-2.0
//
// Softmax, log softmax and cross entropy of one row. See all_kernels.inl.
//
// A row is passed over three times: largest element; exponentials and their sum; the result. The
// sum of a row is formed in an order of its own, the same on every call: vector by vector with a
// compensation for what rounding loses, then over the lanes in double. So the error of a
// probability stems from its own exponential (at most 2 ulp) and two roundings, whatever n is.
//
// NaN needs no branch. A NaN, or an infinite maximum, makes an exponential NaN, hence the sum,
// hence every element of the row.

namespace {

constexpr float kInfinity = __builtin_huge_valf();
constexpr float kLargestFloat = 0x1.fffffep127f;

// A sum over vectors whose error does not grow with their number (Kahan).
class compensated_sum {
 public:
  INLINE void add_vector(vec a) {
    const vec corrected = sub(a, excess_);
    const vec next = add(sum_, corrected);
    excess_ = sub(sub(next, sum_), corrected);
    sum_ = next;
  }

  INLINE double total() const { return sum_of_lanes_in_double(sum_); }

 private:
  vec sum_ = set1(0.0f);
  vec excess_ = set1(0.0f);  // what rounding has added too much so far
};

void fill(int32_t n, float value, float* c) {
  for_each_vector(n, [=](int64_t i, auto m) { store(c + i, set1(value), m); });
}

float largest(const float* c, int32_t n) {
  vec most = set1(-kInfinity);
  for_each_vector(
      n, [&](int64_t i, auto m) { most = max(most, select(m, load(c + i, m), set1(-kInfinity))); });
  return largest_lane(most);
}

// The sum of exp(c - most), after whatever `keep(i, exponentials, mask)` does with them.
template <typename Keep>
INLINE double sum_exponentials(const float* c, int32_t n, float most, const Keep& keep) {
  const vec shift = set1(most);
  compensated_sum sum;
  for_each_vector(n, [&](int64_t i, auto m) {
    const vec e = exp_nonpositive(sub(load(c + i, m), shift));
    keep(i, e, m);
    sum.add_vector(select(m, e, set1(0.0f)));
  });
  return sum.total();
}

double replace_by_exponentials(float* c, int32_t n, float most) {
  return sum_exponentials(c, n, most, [=](int64_t i, vec e, auto m) { store(c + i, e, m); });
}

void softmax(const softmax_row& row, float factor) {
  float* const c = row.c;
  const double sum = replace_by_exponentials(c, row.valid, largest(c, row.valid));
  const vec scale = set1(static_cast<float>(static_cast<double>(factor) / sum));
  for_each_vector(row.valid,
                  [=](int64_t i, auto m) { store(c + i, mul(load(c + i, m), scale), m); });
  fill(row.n - row.valid, 0.0f, c + row.valid);
}

// The log probability of a finite logit is at least `lowest`, though the exact one may be below all
// floats; that of a logit of -infinity is what it is: -infinity or NaN.
INLINE vec bounded(vec log_probability, vec logit, vec lowest) {
  return if_less(logit, lowest, log_probability, max(lowest, log_probability));
}

void log_softmax(const softmax_row& row, float offset) {
  float* const c = row.c;
  const float most = largest(c, row.valid);
  const double sum = sum_exponentials(c, row.valid, most, [](int64_t, vec, auto) {});
  const vec from = set1(most);
  const vec lowest = set1(offset > -kInfinity ? -kLargestFloat : -kInfinity);
  const vec shift = set1(static_cast<float>(static_cast<double>(offset) - log(sum)));
  for_each_vector(row.valid, [=](int64_t i, auto m) {
    const vec logit = load(c + i, m);
    store(c + i, bounded(add(sub(logit, from), shift), logit, lowest), m);
  });
  fill(row.n - row.valid, -kInfinity, c + row.valid);
}

// What smoothing gives to each element, but for its factor: the prior, or an even share.
class smoothing_shares {
 public:
  smoothing_shares(const float* prior, int32_t n)
      : prior_(prior), even_(1.0f / static_cast<float>(n)) {}

  template <typename Mask>
  INLINE vec load_shares(int64_t i, Mask m) const {
    return prior_ == nullptr ? set1(even_) : load(prior_ + i, m);
  }

  float operator[](int32_t i) const { return prior_ == nullptr ? even_ : prior_[i]; }

 private:
  const float* prior_;
  float even_;
};

// A loss that is finite stays finite as a float.
float to_float(double loss) {
  constexpr double kMost = static_cast<double>(kLargestFloat);
  return static_cast<float>(loss > kMost && loss < HUGE_VAL ? kMost : loss);
}

// With smoothing 0 (or 1) nothing is multiplied by a share of 0: a logit of -infinity elsewhere in
// the row must not make the loss NaN.
float cross_entropy(const softmax_row& row, const cross_entropy_target& to) {
  float* const c = row.c;
  const int32_t n = row.valid;
  const double smoothing = static_cast<double>(to.smoothing);
  const smoothing_shares shares(to.prior, n);
  const float most = largest(c, n);
  const double target_distance = static_cast<double>(most) - static_cast<double>(c[to.target]);
  // Finite logits may lie further apart than the largest float: a quarter of that is none, and
  // neither is a sum of such distances by shares.
  constexpr float kQuarter = 0.25f;
  compensated_sum share_sum, quarter_sum;
  vec farthest = set1(0.0f);
  if (to.smoothing > 0.0f) {
    const vec quarter = set1(kQuarter), from = set1(kQuarter * most);
    for_each_vector(n, [&](int64_t i, auto m) {
      const vec share = select(m, shares.load_shares(i, m), set1(0.0f));
      const vec distance = select(m, sub(from, mul(quarter, load(c + i, m))), set1(0.0f));
      share_sum.add_vector(share);
      // A logit of -infinity makes the loss infinite, unless its share is 0. (That of NaN is NaN
      // by the exponentials.) Compensation for an infinite sum would be NaN.
      const vec part = mul(share, distance), infinite = set1(kInfinity);
      quarter_sum.add_vector(if_less(part, infinite, part, set1(0.0f)));
      farthest = if_less(farthest, part, part, farthest);
    });
  }
  const double sum = replace_by_exponentials(c, n, most);
  const double log_sum = log(sum);
  double loss = to.smoothing < 1.0f ? (1.0 - smoothing) * (log_sum + target_distance) : 0.0;
  if (to.smoothing > 0.0f) {
    loss += smoothing *
            (log_sum * share_sum.total() + quarter_sum.total() / static_cast<double>(kQuarter) +
             static_cast<double>(largest_lane(farthest) < kInfinity ? 0.0f : kInfinity));
  }
  if (to.weight == 0.0f) {
    fill(row.n, 0.0f, c);
    return to_float(loss);
  }

  const float scale = static_cast<float>(1.0 / sum);
  const float target_gradient =
      c[to.target] * scale - ((1.0f - to.smoothing) + to.smoothing * shares[to.target]);
  const vec weight = set1(to.weight), factor = set1(scale), smooth = set1(to.smoothing);
  const bool smoothed = to.smoothing > 0.0f;
  for_each_vector(n, [&](int64_t i, auto m) {
    vec gradient = mul(load(c + i, m), factor);
    if (smoothed) {
      gradient = sub(gradient, mul(smooth, shares.load_shares(i, m)));
    }
    store(c + i, mul(weight, gradient), m);
  });
  c[to.target] = to.weight * target_gradient;
  fill(row.n - n, 0.0f, c + n);
  return to_float(loss);
}

}  // namespace
