// SPDX-License-Identifier: Apache-2.0
// Optimizer steps, element by element. See all_kernels.inl. Sums of squares never become infinite:
// they would stay infinite, and their weights would no longer move.

namespace {

// Calls body(i, m, weight, gradient) for each vector of the weights. Without decay, weights have no
// part in their gradients: 0 times an infinite weight would be NaN.
template <typename Body>
INLINE void for_each_gradient(const step_work& work, const Body& body) {
  const vec gs = set1(work.scale), ws = set1(work.decay);
  const float *const g = work.g, *const w = work.w;
  if (work.decay == 0.0f) {
    for_each_vector(work.count, [=](int64_t i, auto m) {
      body(i, m, load(w + i, m), mul(gs, load(g + i, m)));
    });
  } else {
    for_each_vector(work.count, [=](int64_t i, auto m) {
      const vec weight = load(w + i, m);
      body(i, m, weight, fma(ws, weight, mul(gs, load(g + i, m))));
    });
  }
}

void sgd(const step_work& work) {
  const vec step = set1(-work.rate);
  float* const w = work.w;
  for_each_gradient(work, [=](int64_t i, auto m, vec weight, vec gradient) {
    store(w + i, fma(step, gradient, weight), m);
  });
}

void adagrad(const step_work& work) {
  const vec step = set1(-work.rate), least = set1(work.epsilon);
  float *const s = work.moment1, *const w = work.w;
  for_each_gradient(work, [=](int64_t i, auto m, vec weight, vec gradient) {
    const vec squares = at_most(kLargestFloat, fma(gradient, gradient, load(s + i, m)));
    // At least the gradient's magnitude, even if its square overflows; NaN if the squares are, as
    // they are where the gradient is.
    const vec root = max(magnitude(gradient), sqrt(squares));
    store(s + i, squares, m);
    store(w + i, fma(step, div(gradient, add(root, least)), weight), m);
  });
}

// Eight times the root of the largest float. Means of squares saturate there, and means of larger
// gradients would move weights for many steps.
constexpr float kLargestMean = 0x1p67f;

void adam(const step_work& work) {
  const vec step = set1(-work.rate), least = set1(work.epsilon);
  const vec keep1 = set1(work.beta1), take1 = set1(1.0f - work.beta1);
  const vec keep2 = set1(work.beta2), take2 = set1(1.0f - work.beta2);
  float *const m = work.moment1, *const v = work.moment2, *const w = work.w;
  for_each_gradient(work, [=](int64_t i, auto part, vec weight, vec gradient) {
    const vec mean = fma(keep1, load(m + i, part), mul(take1, gradient));
    const vec square = fma(keep2, load(v + i, part), mul(mul(take2, gradient), gradient));
    store(m + i, max(set1(-kLargestMean), at_most(kLargestMean, mean)), part);
    store(v + i, at_most(kLargestFloat, square), part);
    store(w + i, fma(step, div(mean, add(sqrt(square), least)), weight), part);
  });
}

void step(const step_work& work) {
  switch (work.rule) {
    case update_rule::sgd:
      return sgd(work);
    case update_rule::adagrad:
      return adagrad(work);
    case update_rule::adam:
      return adam(work);
  }
}

}  // namespace
