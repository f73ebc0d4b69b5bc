// SPDX-License-Identifier: Apache-2.0
//
// Activations and their gradients, for one row. See all_kernels.inl.
//
// Each function is computed from an exponential that cannot overflow, in a form without
// cancellation: so their errors are a few ulp everywhere. Slopes that change sign (of GELU and
// SiLU) have an absolute error near their zero. NaN needs no branch: it propagates through every
// operand.

namespace {

INLINE vec magnitude(vec x) { return max(x, sub(set1(0.0f), x)); }

INLINE vec at_most(float most, vec x) {
  return sub(set1(0.0f), max(set1(-most), sub(set1(0.0f), x)));
}

// The value and the derivative of a function at one point.
struct with_slope {
  vec value, slope;
};

struct identity_function {
  INLINE static with_slope at(vec z) { return {z, set1(1.0f)}; }
};

struct relu_function {
  INLINE static with_slope at(vec z) {
    // The added 0 turns -0 into 0, whichever zero the instruction set's max returns.
    const vec value = add(max(set1(0.0f), z), set1(0.0f));
    return {value, if_less(set1(0.0f), z, set1(1.0f), value)};  // 0 or NaN for z <= 0 or NaN
  }
};

// The logistic function of x and that of -x: its complement to 1, without cancellation.
struct logistic_pair {
  vec value, rest;
};

INLINE vec exp_of_distance(vec x) { return exp_nonpositive(sub(set1(0.0f), magnitude(x))); }

// Given exp(-|x|).
INLINE logistic_pair logistic(vec x, vec e) {
  const vec zero = set1(0.0f), one = set1(1.0f);
  const vec large = div(one, add(one, e));
  const vec small = mul(e, large);
  return {if_less(x, zero, small, large), if_less(x, zero, large, small)};
}

INLINE logistic_pair logistic(vec x) { return logistic(x, exp_of_distance(x)); }

struct sigmoid_function {
  INLINE static with_slope at(vec z) {
    const logistic_pair s = logistic(z);
    return {s.value, mul(s.value, s.rest)};
  }
};

struct silu_function {
  INLINE static with_slope at(vec z) {
    const logistic_pair s = logistic(z);
    return {mul(z, s.value), mul(s.value, fma(z, s.rest, set1(1.0f)))};
  }
};

// z / (1 + exp(-1.702 z)), for z up to a limit.
struct clamped_silu_function {
  INLINE static with_slope at(vec z) {
    constexpr float kSteepness = 1.702f;
    const vec g = at_most(kClampedSiluLimit, z);
    // Below -64 the logistic function is 0; the argument must not become infinite there.
    const logistic_pair s = logistic(mul(set1(kSteepness), max(set1(-64.0f), g)));
    const vec slope = fma(g, mul(mul(s.value, s.rest), set1(kSteepness)), s.value);
    return {mul(g, s.value), if_less(set1(kClampedSiluLimit), z, set1(0.0f), slope)};
  }
};

// With e = exp(-2 |z|) and t = e - 1, tanh(|z|) = -t / (2 + t), and the slope is 4 e / (2 + t)^2. t
// is formed on its own, since e has lost its last places where |z| is small.
struct tanh_function {
  INLINE static with_slope at(vec z) {
    const vec zero = set1(0.0f), one = set1(1.0f);
    const reduced_argument x = reduce_argument(mul(set1(-2.0f), magnitude(z)));
    const vec expm1 = expm1_of_reduced(x.r);
    const vec power = scale_by_power(one, x.n);
    const vec t = fma(power, expm1, sub(power, one));
    const vec inverse = div(one, add(set1(2.0f), t));
    const vec size = mul(t, inverse);  // with its sign
    const vec root = mul(set1(2.0f), inverse);
    return {if_less(z, zero, size, sub(zero, size)),
            mul(mul(exp_of_reduced(expm1, x.n), root), root)};
  }
};

// z / 2 * (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) (Hendrycks and Gimpel, 2016), which is z
// times the logistic function of twice that argument.
struct gelu_tanh_function {
  INLINE static with_slope at(vec z) {
    constexpr float kFirst = 1.5957691216f, kThird = 0.071354816273f;
    // Beyond 16 the logistic function is 0 or 1; the square must not become infinite there.
    const vec size = at_most(16.0f, magnitude(z));
    const vec near = if_less(z, set1(0.0f), sub(set1(0.0f), size), size);
    const vec square = mul(near, near);
    const logistic_pair s = logistic(mul(near, fma(square, set1(kThird), set1(kFirst))));
    const vec inner = fma(square, set1(3.0f * kThird), set1(kFirst));
    return {mul(z, s.value), fma(z, mul(mul(s.value, s.rest), inner), s.value)};
  }
};

// z times the normal distribution's Phi(z), and Phi(z) + z phi(z).
//
// With t = |z| and E = exp(-t^2 / 2), Phi(-t) = E Q(t), where Q(t) = erfcx(t / sqrt(2)) / 2 falls
// slowly; for w = 3.2 / (t + 3.2), Q(t) / w is a polynomial in u, which is w brought to [-1, 1]
// (fitted to a relative error of 1.1e-8 for t in [0, 14.6]). The square is computed in two parts,
// the first exact, as E would amplify its rounding error 100 times.
struct gelu_function {
  INLINE static with_slope at(vec z) {
    const vec zero = set1(0.0f), one = set1(1.0f);
    const vec t = magnitude(z);
    const vec near = at_most(14.5f, t);  // beyond that, E is 0
    const vec high = mul(round(mul(near, set1(256.0f))), set1(0x1p-8f));
    const vec low = sub(near, high);
    const reduced_argument x = reduce_argument(mul(set1(-0.5f), mul(high, high)));
    const vec rest = mul(set1(-0.5f), mul(low, add(near, high)));  // at most 0.03
    const vec e = exp_of_reduced(expm1_of_reduced(add(x.r, rest)), x.n);
    const vec w = div(set1(3.2f), add(near, set1(3.2f)));
    const vec u = fma(w, set1(2.4383561643f), set1(-1.4383561643f));
    vec p = set1(-0x1.a3f62cp-18f);
    p = fma(p, u, set1(-0x1.00f7acp-17f));
    p = fma(p, u, set1(0x1.58725cp-14f));
    p = fma(p, u, set1(0x1.07f2c8p-14f));
    p = fma(p, u, set1(-0x1.f851cap-11f));
    p = fma(p, u, set1(-0x1.544d2cp-10f));
    p = fma(p, u, set1(0x1.8c636ap-7f));
    p = fma(p, u, set1(0x1.069e9cp-4f));
    p = fma(p, u, set1(0x1.4e1e4cp-3f));
    p = fma(p, u, set1(0x1.0d142ep-2f));
    const vec q = mul(p, w);
    const vec below = mul(e, q);
    const vec slope = mul(e, fma(t, set1(-0.3989422804f), q));
    return {mul(z, if_less(z, zero, below, sub(one, below))),
            if_less(z, zero, slope, sub(one, slope))};
  }
};

// The factor from the second half of a row for most functions: the element itself.
struct plain_second {
  INLINE static with_slope at(vec x) { return {x, set1(1.0f)}; }
};

// The factor from the second half of a row for clamped_silu_function.
struct clamped_second {
  INLINE static with_slope at(vec x) {
    const vec zero = set1(0.0f), one = set1(1.0f);
    const vec u = at_most(kClampedSiluLimit, max(set1(-kClampedSiluLimit), x));
    const vec beyond = sub(magnitude(x), set1(kClampedSiluLimit));
    return {add(u, one), if_less(zero, beyond, zero, one)};
  }
};

template <typename Function, typename Second = plain_second>
INLINE void activate_as(const activation_row& row) {
  const vec gate = set1(row.gate);
  if (row.second == nullptr) {
    for_each_vector(row.n, [&](int64_t i, auto m) {
      store(row.a + i, mul(gate, Function::at(load(row.z + i, m)).value), m);
    });
  } else {
    for_each_vector(row.n, [&](int64_t i, auto m) {
      const vec gated = mul(gate, Function::at(load(row.z + i, m)).value);
      store(row.a + i, mul(gated, Second::at(load(row.second + i, m)).value), m);
    });
  }
}

template <typename Function, typename Second = plain_second>
INLINE float differentiate_as(const activation_gradient_row& row) {
  const vec gate = set1(row.gate);
  vec dots = set1(0.0f);  // masked loads yield 0, and so do their products
  const auto put = [&](float* to, vec factor, vec value, auto m) {
    store(to, row.accumulate ? fma(factor, value, load(to, m)) : mul(factor, value), m);
  };
  if (row.second == nullptr) {
    for_each_vector(row.n, [&](int64_t i, auto m) {
      const with_slope f = Function::at(load(row.z + i, m));
      const vec g = load(row.grad_a + i, m);
      put(row.grad_z + i, mul(gate, g), f.slope, m);
      dots = fma(g, f.value, dots);
    });
  } else {
    for_each_vector(row.n, [&](int64_t i, auto m) {
      const with_slope f = Function::at(load(row.z + i, m));
      const with_slope second = Second::at(load(row.second + i, m));
      const vec g = load(row.grad_a + i, m);
      const vec scaled = mul(gate, g);
      put(row.grad_z + i, mul(scaled, second.value), f.slope, m);
      put(row.grad_second + i, mul(scaled, second.slope), f.value, m);
      dots = fma(mul(g, f.value), second.value, dots);
    });
  }
  return static_cast<float>(sum_of_lanes_in_double(dots));
}

void activate(elementwise_function function, const activation_row& row) {
  switch (function) {
    case elementwise_function::identity:
      return activate_as<identity_function>(row);
    case elementwise_function::relu:
      return activate_as<relu_function>(row);
    case elementwise_function::gelu:
      return activate_as<gelu_function>(row);
    case elementwise_function::gelu_tanh:
      return activate_as<gelu_tanh_function>(row);
    case elementwise_function::silu:
      return activate_as<silu_function>(row);
    case elementwise_function::tanh:
      return activate_as<tanh_function>(row);
    case elementwise_function::sigmoid:
      return activate_as<sigmoid_function>(row);
    case elementwise_function::clamped_silu:
      return activate_as<clamped_silu_function, clamped_second>(row);
  }
}

float differentiate(elementwise_function function, const activation_gradient_row& row) {
  switch (function) {
    case elementwise_function::identity:
      return differentiate_as<identity_function>(row);
    case elementwise_function::relu:
      return differentiate_as<relu_function>(row);
    case elementwise_function::gelu:
      return differentiate_as<gelu_function>(row);
    case elementwise_function::gelu_tanh:
      return differentiate_as<gelu_tanh_function>(row);
    case elementwise_function::silu:
      return differentiate_as<silu_function>(row);
    case elementwise_function::tanh:
      return differentiate_as<tanh_function>(row);
    case elementwise_function::sigmoid:
      return differentiate_as<sigmoid_function>(row);
    case elementwise_function::clamped_silu:
      return differentiate_as<clamped_silu_function, clamped_second>(row);
  }
  return 0.0f;
}

}  // namespace
