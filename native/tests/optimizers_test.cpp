// SPDX-License-Identifier: Apache-2.0
//
// Optimizer steps against the same formulas in double.
#include "testing.h"

namespace {

using namespace testing;

constexpr float kRate = 0.1f, kScale = 0.5f, kDecay = 0.01f, kEpsilon = 1e-3f, kBeta1 = 0.9f,
                kBeta2 = 0.99f;

double gradient_of(float g, float w) {
  return static_cast<double>(kScale) * static_cast<double>(g) +
         static_cast<double>(kDecay) * static_cast<double>(w);
}

bool close(float actual, double exact, double terms) {
  return std::fabs(static_cast<double>(actual) - exact) <= 6 * 0x1p-24 * terms;
}

void check_steps(int32_t isa, int32_t count) {
  random_source r(static_cast<uint64_t>(count));
  matrix g(1, count), w(1, count), s(1, count), m(1, count), v(1, count);
  g.fill([&] { return r.uniform(); });
  w.fill([&] { return r.uniform(); });
  s.fill([&] { return r.uniform() + 1.0f; });
  m.fill([&] { return r.uniform(); });
  v.fill([&] { return r.uniform() + 1.0f; });
  const double rate = static_cast<double>(kRate), epsilon = static_cast<double>(kEpsilon);

  context() = "norm, isa " + std::string(blocksparse_isa_name(isa)) + ", " + std::to_string(count);
  double squares_of_g = 0.0;
  for (int32_t i = 0; i < count; ++i) {
    squares_of_g += static_cast<double>(g.at(0, i)) * static_cast<double>(g.at(0, i));
  }
  const float norm = blocksparse_norm_f32(isa, count, g.data());
  CHECK(std::fabs(static_cast<double>(norm) - std::sqrt(squares_of_g)) <=
        (count + 2) * 0x1p-24 * std::sqrt(squares_of_g));

  context() = "sgd, isa " + std::string(blocksparse_isa_name(isa)) + ", " + std::to_string(count);
  matrix w1 = w;
  CHECK_STATUS(BLOCKSPARSE_OK, call_step(isa, {BLOCKSPARSE_SGD, kRate, kDecay, 0, 0, 0, 0}, kScale,
                                         0, g.data(), {w1.data(), nullptr, nullptr, count}));
  for (int32_t i = 0; i < count; ++i) {
    const double d = gradient_of(g.at(0, i), w.at(0, i));
    const double old = static_cast<double>(w.at(0, i));
    CHECK(close(w1.at(0, i), old - rate * d, std::fabs(old) + rate));
  }
  CHECK(w1.intact());

  context() = "adagrad, isa " + std::string(blocksparse_isa_name(isa));
  matrix w2 = w, s2 = s;
  CHECK_STATUS(BLOCKSPARSE_OK,
               call_step(isa, {BLOCKSPARSE_ADAGRAD, kRate, kDecay, 0, 0, 0, kEpsilon}, kScale, 0,
                         g.data(), {w2.data(), s2.data(), nullptr, count}));
  for (int32_t i = 0; i < count; ++i) {
    const double d = gradient_of(g.at(0, i), w.at(0, i));
    const double squares = static_cast<double>(s.at(0, i)) + d * d;
    const double old = static_cast<double>(w.at(0, i));
    CHECK(close(s2.at(0, i), squares, squares + 1.0));
    const double step = rate * d / (std::sqrt(squares) + epsilon);
    CHECK(close(w2.at(0, i), old - step, std::fabs(old) + 2 * rate));
  }
  CHECK(w2.intact() && s2.intact());

  for (const int64_t step : {int64_t{1}, int64_t{2}, int64_t{1000000}}) {
    context() =
        "adam, isa " + std::string(blocksparse_isa_name(isa)) + ", step " + std::to_string(step);
    matrix w3 = w, m3 = m, v3 = v;
    CHECK_STATUS(BLOCKSPARSE_OK,
                 call_step(isa, {BLOCKSPARSE_ADAM, kRate, kDecay, 0, kBeta1, kBeta2, kEpsilon},
                           kScale, step, g.data(), {w3.data(), m3.data(), v3.data(), count}));
    const double b1 = static_cast<double>(kBeta1), b2 = static_cast<double>(kBeta2);
    for (int32_t i = 0; i < count; ++i) {
      const double d = gradient_of(g.at(0, i), w.at(0, i));
      const double mean = b1 * static_cast<double>(m.at(0, i)) + (1 - b1) * d;
      const double square = b2 * static_cast<double>(v.at(0, i)) + (1 - b2) * d * d;
      CHECK(close(m3.at(0, i), mean, 2.0));
      CHECK(close(v3.at(0, i), square, 3.0));
      const double steps = static_cast<double>(step);
      const double mean_hat = mean / (1 - std::pow(b1, steps));
      const double square_hat = square / (1 - std::pow(b2, steps));
      const double old = static_cast<double>(w.at(0, i));
      const double change = rate * mean_hat / (std::sqrt(square_hat) + epsilon);
      // The rounding error of the mean, carried through, and a few roundings of the step.
      const double carried = rate / (1 - std::pow(b1, steps)) / (std::sqrt(square_hat) + epsilon);
      CHECK(close(w3.at(0, i), old - change, std::fabs(old) + 2 * std::fabs(change) + carried));
    }
    CHECK(w3.intact() && m3.intact() && v3.intact());
  }
}

// A norm whose square, or whose elements' squares, overflow or underflow.
void check_norms_far_from_one(int32_t isa) {
  for (const float size : {1e20f, std::numeric_limits<float>::max() / 128, 1e-30f,
                           std::numeric_limits<float>::denorm_min(), 0.0f}) {
    context() = "norm of elements of size " + std::to_string(size);
    matrix x(1, 10000, 3, 0.0f);
    for (const int32_t i : {0, 4095, 4096, 9999}) {  // the norm is twice the size
      x.at(0, i) = i % 2 == 0 ? size : -size;
    }
    const double expected = 2.0 * static_cast<double>(size);
    const double norm = static_cast<double>(blocksparse_norm_f32(isa, 10000, x.data()));
    CHECK(std::fabs(norm - expected) <= 2 * 0x1p-24 * expected);
    x.at(0, 5000) = quiet_nan();
    CHECK(std::isnan(blocksparse_norm_f32(isa, 10000, x.data())));
  }
  context() = "norm beyond all floats";
  matrix x(1, 50, 3, std::numeric_limits<float>::max());
  CHECK(blocksparse_norm_f32(isa, 50, x.data()) == std::numeric_limits<float>::max());
  x.at(0, 40) = std::numeric_limits<float>::infinity();
  CHECK(std::isinf(blocksparse_norm_f32(isa, 50, x.data())));
}

// Without any gradient so far, nothing moves, however small epsilon is.
void check_zero_gradients(int32_t isa) {
  for (const float epsilon : {1e-8f, 1e-44f, 0.0f}) {
    context() = "gradient 0, epsilon " + std::to_string(epsilon);
    matrix g(1, 40, 3, 0.0f), w(1, 40, 3, 7.0f), s = g, m = g, v = g;
    CHECK_STATUS(BLOCKSPARSE_OK, call_step(isa, {BLOCKSPARSE_ADAGRAD, 0.1f, 0.0f, 0, 0, 0, epsilon},
                                           1.0f, 0, g.data(), {w.data(), s.data(), nullptr, 40}));
    for (const int64_t step : {1, 100000}) {
      CHECK_STATUS(BLOCKSPARSE_OK,
                   call_step(isa, {BLOCKSPARSE_ADAM, 0.1f, 0.0f, 0, 0.9f, 0.999f, epsilon}, 1.0f,
                             step, g.data(), {w.data(), m.data(), v.data(), 40}));
    }
    for (int32_t i = 0; i < 40; ++i) {
      CHECK(w.at(0, i) == 7.0f && m.at(0, i) == 0.0f && v.at(0, i) == 0.0f);
    }
  }
}

// Gradients whose squares underflow cause no large step, whatever epsilon is, during them and
// later.
void check_lost_squares(int32_t isa) {
  for (const float size : {1e-24f, 8e-22f, 1e-21f, 3e-20f, 1e-18f}) {
    context() = "gradients of " + std::to_string(std::log10(size));
    matrix g(1, 40, 3, size), w(1, 40, 3, 0.0f), m(1, 40, 3, 0.0f), v = m;
    const double d = static_cast<double>(size);
    for (int64_t step = 1; step <= 60; ++step) {
      if (step > 40) {
        g.fill([] { return 0.0f; });
      }
      const matrix before = w;
      CHECK_STATUS(BLOCKSPARSE_OK,
                   call_step(isa, {BLOCKSPARSE_ADAM, 0.1f, 0.0f, 0, 0.9f, 0.999f, 1e-30f}, 1.0f,
                             step, g.data(), {w.data(), m.data(), v.data(), 40}));
      for (int32_t i = 0; i < 40; ++i) {
        const double moved = static_cast<double>(before.at(0, i)) - static_cast<double>(w.at(0, i));
        CHECK(moved >= 0 && moved <= 1.1 * 0.1 / std::sqrt(1 - 0.999));
        CHECK(step > 1 || d > 1e-22 || std::fabs(moved - 0.1 * d / 0x1p-75) <= 1e-5);
      }
    }
  }
}

void check_refusals(int32_t isa) {
  context() = "refusals";
  float x = 1.0f, y = 2.0f, z = 3.0f, u = 4.0f;
  const auto step = [&](int32_t set, int32_t rule, int64_t count, int64_t number, const float* g,
                        float* moment1, float* moment2, float* w) {
    return call_step(set, {rule, 1, 0, 0, 0.9f, 0.9f, 0}, 1, number, g,
                     {w, moment1, moment2, count});
  };
  for (const int32_t rule : {BLOCKSPARSE_SGD, BLOCKSPARSE_ADAGRAD, BLOCKSPARSE_ADAM}) {
    CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, step(isa, rule, -1, 1, &x, &y, &z, &u));
    CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, step(isa, rule, INT64_MAX, 1, &x, &y, &z, &u));
    CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, step(isa, rule, 1, 1, nullptr, &y, &z, &u));
    CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, step(isa, rule, 1, 1, &x, &y, &z, nullptr));
    CHECK_STATUS(BLOCKSPARSE_OK, step(isa, rule, 0, 1, nullptr, nullptr, nullptr, nullptr));
    CHECK_STATUS(BLOCKSPARSE_UNSUPPORTED_ISA, step(-1, rule, 1, 1, &x, &y, &z, &u));
  }
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, step(isa, -1, 1, 1, &x, &y, &z, &u));
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, step(isa, 3, 1, 1, &x, &y, &z, &u));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, step(isa, BLOCKSPARSE_ADAGRAD, 1, 1, &x, nullptr, &z, &u));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, step(isa, BLOCKSPARSE_ADAM, 1, 1, &x, nullptr, &z, &u));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, step(isa, BLOCKSPARSE_ADAM, 1, 1, &x, &y, nullptr, &u));
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, step(isa, BLOCKSPARSE_ADAM, 1, 0, &x, &y, &z, &u));
  CHECK(x == 1.0f && y == 2.0f && z == 3.0f && u == 4.0f);
}

// Squares that overflow do not stop an element for ever.
void check_huge_gradients(int32_t isa) {
  context() = "huge gradients, isa " + std::string(blocksparse_isa_name(isa));
  for (const float huge : {1e20f, -1e20f, 3e38f, -3e38f}) {
    matrix g(1, 21, 3, huge), w(1, 21, 3, 0.0f), s(1, 21, 3, 0.0f);
    CHECK_STATUS(BLOCKSPARSE_OK, call_step(isa, {BLOCKSPARSE_ADAGRAD, 0.5f, 0, 0, 0, 0, 1e-8f}, 1,
                                           0, g.data(), {w.data(), s.data(), nullptr, 21}));
    matrix m(1, 21, 3, 0.0f), v(1, 21, 3, 0.0f), w2(1, 21, 3, 0.0f);
    CHECK_STATUS(BLOCKSPARSE_OK, call_step(isa, {BLOCKSPARSE_ADAM, 0.5f, 0, 0, 0.9f, 0.999f, 1e-8f},
                                           1, 1, g.data(), {w2.data(), m.data(), v.data(), 21}));
    for (int32_t i = 0; i < 21; ++i) {
      CHECK(s.at(0, i) == std::numeric_limits<float>::max());
      CHECK(w.at(0, i) == (huge > 0 ? -0.5f : 0.5f));
      CHECK(std::isfinite(m.at(0, i)) && std::isfinite(v.at(0, i)) && std::isfinite(w2.at(0, i)));
    }
    if (std::fabs(huge) < 5e20f) {
      CHECK(std::fabs(std::fabs(w2.at(0, 0)) - 0.5f) < 1e-5f);
    }
  }
}

// A NaN in the state or in the gradient stays visible.
void check_nan(int32_t isa) {
  context() = "NaN, isa " + std::string(blocksparse_isa_name(isa));
  constexpr int32_t kCount = 21;
  for (int32_t place = 0; place < kCount; ++place) {
    for (const bool in_state : {false, true}) {
      matrix g(1, kCount, 3, 1.0f), s(1, kCount, 3, 2.0f), w(1, kCount, 3, 3.0f);
      matrix m = s, v = s, w2 = w;
      (in_state ? s : g).at(0, place) = quiet_nan();
      CHECK_STATUS(BLOCKSPARSE_OK, call_step(isa, {BLOCKSPARSE_ADAGRAD, 0.5f, 0, 0, 0, 0, 1e-8f}, 1,
                                             0, g.data(), {w.data(), s.data(), nullptr, kCount}));
      (in_state ? v : g).at(0, place) = quiet_nan();
      CHECK_STATUS(BLOCKSPARSE_OK,
                   call_step(isa, {BLOCKSPARSE_ADAM, 0.5f, 0, 0, 0.9f, 0.999f, 1e-8f}, 1, 1,
                             g.data(), {w2.data(), m.data(), v.data(), kCount}));
      for (int32_t i = 0; i < kCount; ++i) {
        const bool expected = i == place;
        CHECK(std::isnan(s.at(0, i)) == expected && std::isnan(w.at(0, i)) == expected);
        CHECK(std::isnan(v.at(0, i)) == expected && std::isnan(w2.at(0, i)) == expected);
        CHECK(std::isnan(m.at(0, i)) == (expected && !in_state));
      }
    }
  }
}

// Without decay, an infinite weight stays, by any rule and at any place; the others make the same
// steps as without it.
void check_infinite_weights(int32_t isa, int32_t count) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const int32_t rule : {BLOCKSPARSE_SGD, BLOCKSPARSE_ADAGRAD, BLOCKSPARSE_ADAM}) {
    for (int32_t place = 0; place < count; ++place) {
      context() = "infinite weight " + std::to_string(place) + " of " + std::to_string(count) +
                  ", rule " + std::to_string(rule) + ", isa " + blocksparse_isa_name(isa);
      random_source r(7);
      matrix g(1, count), moment1(1, count, 3, 2.0f), moment2(1, count, 3, 2.0f);
      matrix w(1, count, 3, 3.0f);
      g.fill([&] { return r.uniform(); });
      matrix first = moment1, second = moment2, expected = w;
      const auto step = [&](matrix& m1, matrix& m2, matrix& to) {
        CHECK_STATUS(BLOCKSPARSE_OK,
                     call_step(isa, {rule, 0.5f, 0.0f, 0, 0.9f, 0.99f, 1e-8f}, 0.25f, 2, g.data(),
                               {to.data(), m1.data(), m2.data(), count}));
      };
      step(first, second, expected);
      expected.at(0, place) = w.at(0, place) = place % 2 == 0 ? -infinity : infinity;
      step(moment1, moment2, w);
      CHECK(w.same_bits(expected) && w.intact());
      CHECK(moment1.same_bits(first) && moment2.same_bits(second));
    }
  }
}

}  // namespace

int main() {
  for (const int32_t isa : instruction_sets()) {
    for (const int32_t count : {0, 1, 3, 4, 8, 15, 16, 17, 33, 1000, 4096, 4097, 10000}) {
      check_steps(isa, count);
    }
    check_norms_far_from_one(isa);
    check_zero_gradients(isa);
    check_lost_squares(isa);
    check_huge_gradients(isa);
    check_nan(isa);
    for (int32_t count = 1; count <= 40; ++count) {
      check_infinite_weights(isa, count);
    }
    check_refusals(isa);
  }
  return report("optimizers_test");
}
