// SPDX-License-Identifier: Apache-2.0
//
// Softmax, log softmax and cross entropy for one row. See all_kernels.inl.
//
// Three passes read a row: largest element; exponentials and their sum; the result. Of the sum,
// which is 1 for the largest element and `rest` for the others, only `rest` is kept: with a small
// relative error, however close to 1 a probability is. The log probability of the largest element
// is -log(1 + rest), and its probability is 1 - rest / (1 + rest); elsewhere only numbers of one
// sign are added.
//
// The sum of a row has a fixed order: vector by vector with compensated summation, then over the
// lanes in double. So the error of a probability stems from its own exponential (at most 2 ulp) and
// two roundings, whatever n is. Exponentials below the normal floats are multiples of 2^-149, and
// so is a sum of them.
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

  INLINE double total() const {
    return sum_of_lanes_in_double(sum_) - sum_of_lanes_in_double(excess_);
  }

 private:
  vec sum_ = set1(0.0f);
  vec excess_ = set1(0.0f);  // the accumulated rounding error to subtract
};

// A sum over at most kMostVectors vectors of numbers in [0, 1]. It starts at 1 in each lane: as no
// summand is larger, each rounding error is exact (Fast2Sum), and only their sum is rounded.
class sum_of_fractions {
 public:
  static constexpr int32_t kMostVectors = 64;

  INLINE void add_vector(vec a) {
    const vec next = add(sum_, a);
    lost_ = add(lost_, sub(a, sub(next, sum_)));
    sum_ = next;
  }

  INLINE double total() const {
    typedef double wide __attribute__((vector_size(kWidth * sizeof(double))));
    const wide parts = __builtin_convertvector(sum_, wide) + __builtin_convertvector(lost_, wide);
    double sums[4] = {-kWidth, 0.0, 0.0, 0.0};
    UNROLL
    for (int32_t i = 0; i < kWidth; ++i) {
      sums[i % 4] += parts[i];
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
  }

 private:
  vec sum_ = set1(1.0f);
  vec lost_ = set1(0.0f);
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

// Returns the sum of n fractions; fractions(i, mask) is a vector of them.
template <typename Fractions>
INLINE double sum_fractions(int32_t n, const Fractions& fractions) {
  constexpr int32_t kBlock = sum_of_fractions::kMostVectors * kWidth;
  double total = 0.0;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    sum_of_fractions sum;
    const int32_t count = static_cast<int32_t>(n - begin < kBlock ? n - begin : kBlock);
    for_each_vector(count, [&](int64_t i, auto m) {
      sum.add_vector(select(m, fractions(begin + i, m), set1(0.0f)));
    });
    total += sum.total();
  }
  return total;
}

// Returns the rest, with a small relative error, of exponentials that sum to 1 and `rest`. Rounding
// the errors of 64 additions, each up to 2^-24, makes an error of at most 2^-43 for each element.
// Where that would matter, all elements but the largest are summed alone, as their sum is less than
// 1.
template <typename Fractions>
INLINE double accurate_rest(double rest, int32_t n, const Fractions& fractions) {
  const double least = 0x1p-19 * static_cast<double>(n);
  if (!(rest < (least < 0.5 ? least : 0.5))) {
    return rest;
  }
  const vec one = set1(1.0f), zero = set1(0.0f);
  compensated_sum sum;
  for_each_vector(n, [&](int64_t i, auto m) {
    const vec e = select(m, fractions(i, m), zero);
    sum.add_vector(if_less(e, one, e, zero));
  });
  return sum.total();
}

// Returns their sum without the largest, off by at most 2^-43 for each element.
double replace_by_exponentials(float* c, int32_t n, float most) {
  const vec shift = set1(most);
  const double sum = sum_fractions(n, [=](int64_t i, auto m) {
    const vec e = exp_nonpositive(sub(load(c + i, m), shift));
    store(c + i, e, m);
    return e;
  });
  return sum - 1.0;
}

// Returns log(1 + rest), with a relative error of at most 2^-31. (The library's log1p is slower.)
INLINE double log_of_one_and(double rest) {
  return rest < 0x1p-10 ? rest * (1.0 - rest * (0.5 - rest * (1.0 / 3.0))) : log(1.0 + rest);
}

void softmax(const softmax_row& row, float factor) {
  float* const c = row.c;
  const double rest = replace_by_exponentials(c, row.valid, largest(c, row.valid));
  const vec scale = set1(static_cast<float>(static_cast<double>(factor) / (1.0 + rest)));
  for_each_vector(row.valid,
                  [=](int64_t i, auto m) { store(c + i, mul(load(c + i, m), scale), m); });
  fill(row.n - row.valid, 0.0f, c + row.valid);
}

// Bounds the log probability of a finite logit by `lowest`, as the exact one may be below all
// floats. That of a logit of -infinity stays -infinity or NaN.
INLINE vec bounded(vec log_probability, vec logit, vec lowest) {
  return if_less(logit, lowest, log_probability, max(lowest, log_probability));
}

void log_softmax(const softmax_row& row, float offset) {
  float* const c = row.c;
  const float most = largest(c, row.valid);
  const vec from = set1(most);
  const auto exponentials = [=](int64_t i, auto m) {
    return exp_nonpositive(sub(load(c + i, m), from));
  };
  const double sum = sum_fractions(row.valid, exponentials);
  const double rest = accurate_rest(sum - 1.0, row.valid, exponentials);
  const vec lowest = set1(offset > -kInfinity ? -kLargestFloat : -kInfinity);
  const vec shift = set1(static_cast<float>(static_cast<double>(offset) - log_of_one_and(rest)));
  for_each_vector(row.valid, [=](int64_t i, auto m) {
    const vec logit = load(c + i, m);
    store(c + i, bounded(add(sub(logit, from), shift), logit, lowest), m);
  });
  fill(row.n - row.valid, -kInfinity, c + row.valid);
}

// The share of each element in smoothing, before its factor: the prior, or an even share.
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

// A finite loss stays finite as a float.
float to_float(double loss) {
  constexpr double kMost = static_cast<double>(kLargestFloat);
  return static_cast<float>(loss > kMost && loss < HUGE_VAL ? kMost : loss);
}

// Without smoothing (or with only smoothing) nothing is multiplied by a share of 0: a logit of
// -infinity elsewhere in the row must not make the loss NaN.
float cross_entropy(const softmax_row& row, const cross_entropy_target& to) {
  float* const c = row.c;
  const int32_t n = row.valid;
  const double smoothing = static_cast<double>(to.smoothing);
  const smoothing_shares shares(to.prior, n);
  const float most = largest(c, n);
  const double target_distance = static_cast<double>(most) - static_cast<double>(c[to.target]);
  // Distances between finite logits may overflow; a quarter of a distance does not, and neither
  // does a sum of quarters by shares.
  constexpr float kQuarter = 0.25f;
  compensated_sum share_sum, quarter_sum;
  vec farthest = set1(0.0f);
  if (to.smoothing > 0.0f) {
    const vec quarter = set1(kQuarter), from = set1(kQuarter * most);
    for_each_vector(n, [&](int64_t i, auto m) {
      const vec share = select(m, shares.load_shares(i, m), set1(0.0f));
      const vec distance = select(m, sub(from, mul(quarter, load(c + i, m))), set1(0.0f));
      share_sum.add_vector(share);
      // A logit of -infinity makes the loss infinite, unless its share is 0. (NaN propagates
      // through the exponentials.) The compensation of an infinite sum would be NaN.
      const vec part = mul(share, distance), infinite = set1(kInfinity);
      quarter_sum.add_vector(if_less(part, infinite, part, set1(0.0f)));
      farthest = if_less(farthest, part, part, farthest);
    });
  }
  const double rest = accurate_rest(replace_by_exponentials(c, n, most), n,
                                    [=](int64_t i, auto m) { return load(c + i, m); });
  const double log_sum = log_of_one_and(rest);
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

  const double inverse = 1.0 / (1.0 + rest);
  // The sum without the target: the target has an exponential of 1, or is less than half of the
  // sum.
  const double others = (1.0 - static_cast<double>(c[to.target])) + rest;
  const double target_gradient =
      smoothing * (1.0 - static_cast<double>(shares[to.target])) - others * inverse;
  const vec weight = set1(to.weight), factor = set1(static_cast<float>(inverse)),
            smooth = set1(to.smoothing);
  const bool smoothed = to.smoothing > 0.0f;
  for_each_vector(n, [&](int64_t i, auto m) {
    vec gradient = mul(load(c + i, m), factor);
    if (smoothed) {
      gradient = sub(gradient, mul(smooth, shares.load_shares(i, m)));
    }
    store(c + i, mul(weight, gradient), m);
  });
  c[to.target] = to.weight * static_cast<float>(target_gradient);
  fill(row.n - n, 0.0f, c + n);
  return to_float(loss);
}

}  // namespace
