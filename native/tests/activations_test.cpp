// SPDX-License-Identifier: Apache-2.0
//
// Activations and their gradients against the formulas in double, over the whole range of floats.
#include <algorithm>

#include "testing.h"

namespace {

using namespace testing;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

double phi(double z) { return std::exp(-0.5 * z * z) * 0.3989422804014327; }
double cumulative(double z) { return 0.5 * std::erfc(-z * 0.7071067811865476); }
double logistic(double z) { return 1.0 / (1.0 + std::exp(-z)); }
double inner(double z) { return z * (1.5957691216057308 + 0.07135481627260025 * z * z); }
double inner_slope(double z) { return 1.5957691216057308 + 0.21406444881780074 * z * z; }
bool is_gated(int32_t activation) { return activation >= BLOCKSPARSE_SWIGLU; }
double product_or_zero(double a, double b) { return a == 0.0 || b == 0.0 ? 0.0 : a * b; }

// A function as the header defines it, its derivative, and the error bound of each: that many ulp
// or an absolute error, whichever is larger. The absolute error is for slopes that change sign and
// for denormal results.
struct function_case {
  int32_t activation;
  const char* name;
  double (*value)(double z);
  double (*slope)(double z);
  double value_ulp, value_absolute, slope_ulp, slope_absolute;
};

const function_case kFunctions[] = {
    {BLOCKSPARSE_IDENTITY, "identity", [](double z) { return z; }, [](double) { return 1.0; }, 0, 0,
     0, 0},
    {BLOCKSPARSE_RELU, "relu", [](double z) { return z > 0 ? z : 0.0; },
     [](double z) { return z > 0 ? 1.0 : 0.0; }, 0, 0, 0, 0},
    {BLOCKSPARSE_GELU, "gelu", [](double z) { return product_or_zero(z, cumulative(z)); },
     [](double z) { return cumulative(z) + product_or_zero(z, phi(z)); }, 8, 0x1p-144, 6, 0x1p-23},
    {BLOCKSPARSE_GELU_TANH, "gelu_tanh",
     [](double z) { return product_or_zero(z, logistic(inner(z))); },
     [](double z) {
       const double s = logistic(inner(z)), rest = logistic(-inner(z));
       return s + product_or_zero(product_or_zero(z, s * rest), inner_slope(z));
     },
     6, 0x1p-24, 6, 0x1p-23},
    {BLOCKSPARSE_SILU, "silu", [](double z) { return product_or_zero(z, logistic(z)); },
     [](double z) { return logistic(z) + product_or_zero(z, logistic(z) * logistic(-z)); }, 4,
     0x1p-141, 6, 0x1p-23},
    {BLOCKSPARSE_TANH, "tanh", [](double z) { return std::tanh(z); },
     [](double z) { return 4.0 * logistic(2 * z) * logistic(-2 * z); }, 4, 0, 6, 0},
    {BLOCKSPARSE_SIGMOID, "sigmoid", logistic, [](double z) { return logistic(z) * logistic(-z); },
     4, 0, 6, 0},
    {BLOCKSPARSE_SWIGLU_CLAMPED, "clamped silu",
     [](double z) {
       const double g = std::min(z, 7.0);
       return product_or_zero(g, logistic(1.702 * g));
     },
     [](double z) {
       const double s = logistic(1.702 * z), rest = logistic(-1.702 * z);
       return z > 7.0 ? 0.0 : s + product_or_zero(1.702 * z, s * rest);
     },
     6, 0x1p-24, 6, 0x1p-23},
};

void check_errors(const function_case& f) {
  static const std::vector<float> z = float_sweep();
  const int32_t n = static_cast<int32_t>(z.size());
  const std::vector<float> ones(z.size(), 1.0f);
  // The second half is 0, to which the clamped function adds 1.
  const int32_t width = is_gated(f.activation) ? 2 * n : n;
  std::vector<float> halves = z;
  halves.resize(static_cast<std::size_t>(width));
  std::vector<double> exact(z.size()), exact_slope(z.size());
  for (std::size_t i = 0; i < z.size(); ++i) {
    exact[i] = f.value(static_cast<double>(z[i]));
    exact_slope[i] = f.slope(static_cast<double>(z[i]));
  }
  for (const int32_t isa : instruction_sets()) {
    context() = std::string(f.name) + ", isa " + blocksparse_isa_name(isa);
    std::vector<float> a(z.size()), slope(halves.size());
    CHECK_STATUS(BLOCKSPARSE_OK,
                 call_activation(isa, {nullptr, 0, 0, 1, 0, n},
                                 {rows_of(halves.data(), 1, width), nullptr, f.activation, n},
                                 rows_of(a.data(), 1, n)));
    CHECK_STATUS(BLOCKSPARSE_OK,
                 call_activation_gradient(
                     isa, {nullptr, 0, 0, 1, 0, n},
                     {rows_of(halves.data(), 1, width), nullptr, f.activation, n}, 1.0f,
                     rows_of(ones.data(), 1, n), 0, rows_of(slope.data(), 1, width), nullptr));
    worst_error of_value, of_slope;
    for (std::size_t i = 0; i < z.size(); ++i) {
      of_value.add(exact[i], a[i], f.value_ulp, f.value_absolute, z[i]);
      of_slope.add(exact_slope[i], slope[i], f.slope_ulp, f.slope_absolute, z[i]);
    }
    std::printf("%s: %s within %.2f ulp or 2^%.1f, slope within %.2f ulp or 2^%.1f\n",
                blocksparse_isa_name(isa), f.name, of_value.within_ulp, std::log2(of_value.beyond),
                of_slope.within_ulp, std::log2(of_slope.beyond));
  }
}

// Checks infinities and NaN against the formulas in floats: 0 times infinity is NaN.
void check_special_values(int32_t isa) {
  const float nan = quiet_nan();
  struct special {
    int32_t activation;
    float at_infinity, at_minus_infinity, slope_at_infinity, slope_at_minus_infinity;
  };
  for (const special& s :
       {special{BLOCKSPARSE_IDENTITY, kInfinity, -kInfinity, 1, 1},
        special{BLOCKSPARSE_RELU, kInfinity, 0, 1, 0},
        special{BLOCKSPARSE_GELU, kInfinity, nan, nan, nan},
        special{BLOCKSPARSE_GELU_TANH, kInfinity, nan, nan, nan},
        special{BLOCKSPARSE_SILU, kInfinity, nan, nan, nan}, special{BLOCKSPARSE_TANH, 1, -1, 0, 0},
        special{BLOCKSPARSE_SIGMOID, 1, 0, 0, 0}}) {
    context() =
        "special values of " + std::to_string(s.activation) + ", isa " + blocksparse_isa_name(isa);
    for (const int32_t n : {1, 3, 4, 16, 21}) {
      matrix z(3, n), a(3, n), ones(3, n, 3, 1.0f), slope(3, n);
      for (int32_t q = 0; q < n; ++q) {
        z.at(0, q) = kInfinity;
        z.at(1, q) = -kInfinity;
      }
      CHECK_STATUS(BLOCKSPARSE_OK,
                   call_activation(isa, {nullptr, 0, 0, 3, 0, n},
                                   {rows_of(z), nullptr, s.activation, n}, rows_of(a)));
      CHECK_STATUS(BLOCKSPARSE_OK,
                   call_activation_gradient(isa, {nullptr, 0, 0, 3, 0, n},
                                            {rows_of(z), nullptr, s.activation, n}, 1.0f,
                                            rows_of(ones), 0, rows_of(slope), nullptr));
      const auto same = [](float expected, float actual) {
        return std::isnan(expected) ? std::isnan(actual) : expected == actual;
      };
      for (int32_t q = 0; q < n; ++q) {
        CHECK(same(s.at_infinity, a.at(0, q)));
        CHECK(same(s.at_minus_infinity, a.at(1, q)));
        CHECK(std::isnan(a.at(2, q)));
        CHECK(same(s.slope_at_infinity, slope.at(0, q)));
        CHECK(same(s.slope_at_minus_infinity, slope.at(1, q)));
        CHECK(s.activation == BLOCKSPARSE_IDENTITY ? slope.at(2, q) == 1.0f
                                                   : std::isnan(slope.at(2, q)));
      }
      CHECK(a.intact() && slope.intact());
    }
  }
}

// Checks that -0 gives 0 on every instruction set.
void check_zeroes(int32_t isa) {
  context() = std::string("zeroes, isa ") + blocksparse_isa_name(isa);
  for (const int32_t n : {1, 3, 4, 16, 21}) {
    matrix z(1, n, 3, -0.0f), a(1, n);
    CHECK_STATUS(BLOCKSPARSE_OK,
                 call_activation(isa, {nullptr, 0, 0, 1, 0, n},
                                 {rows_of(z), nullptr, BLOCKSPARSE_RELU, n}, rows_of(a)));
    for (int32_t q = 0; q < n; ++q) {
      CHECK(a.at(0, q) == 0.0f && !std::signbit(a.at(0, q)));
    }
  }
}

// Checks the bounds at which gpt-oss clamps, and the slopes there; n crosses the vectors of all
// instruction sets.
void check_clamps(int32_t isa) {
  context() = std::string("clamps, isa ") + blocksparse_isa_name(isa);
  const float nan = quiet_nan();
  struct half {
    float x, first_slope, second, second_slope;
  };
  const half halves[] = {{-kInfinity, nan, -6, 0}, {-9, 0, -6, 0},       {-7, 0, -6, 1},
                         {-6.5f, 0, -5.5f, 1},     {0, 0.5f, 1, 1},      {7, 1, 8, 1},
                         {7.5f, 0, 8, 0},          {kInfinity, 0, 8, 0}, {nan, nan, nan, 1}};
  for (const int32_t n : {1, 3, 16, 21}) {
    for (const half& h : halves) {
      // z is 20 in the first row, clamped to 7, and h in the second one.
      matrix z(2, 2 * n, 3, 20.0f), a(2, n), ones(2, n, 3, 1.0f), grad_z(2, 2 * n);
      for (int32_t q = 0; q < n; ++q) {
        z.at(0, n + q) = h.x;
        z.at(1, q) = h.x;
        z.at(1, n + q) = 0.0f;
      }
      CHECK_STATUS(
          BLOCKSPARSE_OK,
          call_activation(isa, {nullptr, 0, 0, 2, 0, n},
                          {rows_of(z), nullptr, BLOCKSPARSE_SWIGLU_CLAMPED, n}, rows_of(a)));
      CHECK_STATUS(BLOCKSPARSE_OK,
                   call_activation_gradient(isa, {nullptr, 0, 0, 2, 0, n},
                                            {rows_of(z), nullptr, BLOCKSPARSE_SWIGLU_CLAMPED, n},
                                            1.0f, rows_of(ones), 0, rows_of(grad_z), nullptr));
      const float top = 7.0f * static_cast<float>(logistic(1.702 * 7));
      const auto near = [](float expected, float actual) {
        return std::isnan(expected)
                   ? std::isnan(actual)
                   : std::fabs(actual - expected) <= 1e-5f * (1.0f + std::fabs(expected));
      };
      for (int32_t q = 0; q < n; ++q) {
        CHECK(near(top * h.second, a.at(0, q)));
        CHECK(std::isnan(h.second) || grad_z.at(0, q) == 0.0f);  // z exceeds its bound
        CHECK(near(top * h.second_slope, grad_z.at(0, n + q)));
        CHECK(std::fabs(h.x) < 7          ? true
              : std::isnan(h.first_slope) ? std::isnan(grad_z.at(1, q))
                                          : std::fabs(grad_z.at(1, q) - h.first_slope) < 1e-3f);
      }
    }
  }
}

const function_case& function_of(int32_t activation) {
  const int32_t plain = activation == BLOCKSPARSE_SWIGLU           ? BLOCKSPARSE_SILU
                        : activation == BLOCKSPARSE_GEGLU          ? BLOCKSPARSE_GELU
                        : activation == BLOCKSPARSE_GEGLU_TANH     ? BLOCKSPARSE_GELU_TANH
                        : activation == BLOCKSPARSE_SWIGLU_CLAMPED ? BLOCKSPARSE_SIGMOID + 1
                                                                   : activation;
  return kFunctions[plain];
}

// Returns the factor from an element of the second half.
double second_of(int32_t activation, float x) {
  const double value = static_cast<double>(x);
  return activation == BLOCKSPARSE_SWIGLU_CLAMPED ? std::clamp(value, -7.0, 7.0) + 1.0 : value;
}

bool close(double expected, float actual, double magnitude) {
  return std::fabs(static_cast<double>(actual) - expected) <= 16 * 0x1p-24 * magnitude + 0x1p-22;
}

// Returns whether alpha times `written` was added to `before`; if nothing was written (NaN),
// whether nothing was added.
bool is_sum(float before, float alpha, float written, float sum) {
  if (std::isnan(written)) {
    return sum == before;
  }
  const double term = static_cast<double>(alpha) * static_cast<double>(written);
  return close(static_cast<double>(before) + term, sum, std::fabs(term) + 1.0);
}

// Checks factors whose product is no float although the gradient is one.
void check_factors(int32_t isa, int32_t activation, int32_t n) {
  const bool gated = is_gated(activation);
  const int32_t width = gated ? 2 * n : n;
  const function_case& f = function_of(activation);
  struct factors {
    float alpha, gate, gradient;
  };
  for (const factors& x : {factors{1e-30f, 1e-20f, 1e30f}, factors{-1e20f, 1e20f, 1e-30f},
                           factors{1e-20f, -3e-20f, 1e10f}, factors{3e38f, 3e38f, 0.0f}}) {
    context() = "factors of " + std::to_string(activation) + ", isa " + blocksparse_isa_name(isa) +
                ", n " + std::to_string(n) + ", alpha " + std::to_string(x.alpha);
    for (const int32_t accumulate : {0, 1}) {
      matrix z(2, width, 3, 0.75f), grad_a(2, n, 3, x.gradient);
      matrix grad_z(2, width, 3, accumulate == 1 ? 1e-25f : quiet_nan());
      if (gated) {
        z.at(0, width - 1) = -2.0f;
      }
      const float gates[] = {x.gate, 1.0f};
      float grad_gate[] = {0.0f, 0.0f};
      CHECK_STATUS(BLOCKSPARSE_OK, call_activation_gradient(isa, {nullptr, 0, 0, 2, 0, n},
                                                            {rows_of(z), gates, activation, n},
                                                            x.alpha, rows_of(grad_a), accumulate,
                                                            rows_of(grad_z), grad_gate));
      CHECK(grad_z.intact());
      const auto near = [](double expected, float actual, double size) {
        return std::fabs(static_cast<double>(actual) - expected) <= 16 * 0x1p-24 * size + 0x1p-149;
      };
      for (int32_t row = 0; row < 2; ++row) {
        const double before = accumulate == 1 ? static_cast<double>(1e-25f) : 0.0;
        const double g = static_cast<double>(x.alpha) * static_cast<double>(x.gradient);
        const double factor = g * static_cast<double>(gates[row]);
        double dot = 0.0, size = 0.0;
        for (int32_t q = 0; q < n; ++q) {
          const double second = gated ? second_of(activation, z.at(row, n + q)) : 1.0;
          const double by_first = factor * second * f.slope(0.75),
                       by_second = factor * f.value(0.75);
          CHECK(near(before + by_first, grad_z.at(row, q), before + std::fabs(by_first)));
          CHECK(!gated ||
                near(before + by_second, grad_z.at(row, n + q), before + std::fabs(by_second)));
          dot += g * f.value(0.75) * second;
          size += std::fabs(g * f.value(0.75) * second);
        }
        CHECK(near(dot, grad_gate[row], size * (n + 1)));
      }
    }
  }
}

// Checks rows of a schedule or a range, some columns, gates, halves, also in place; nothing else is
// written.
void check_rows(int32_t isa, int32_t activation, int32_t n, bool with_schedule, bool with_gate) {
  context() = "rows of " + std::to_string(activation) + ", isa " + blocksparse_isa_name(isa) +
              ", n " + std::to_string(n);
  random_source r(static_cast<uint64_t>(n) * 16 + static_cast<uint64_t>(activation));
  constexpr int32_t kRows = 9;
  const bool gated = is_gated(activation);
  const int32_t width = gated ? 2 * n : n;
  const function_case& f = function_of(activation);
  const std::vector<int32_t> rows = {7, 1, 4, 2}, blocks = {0, 0, 1, 1};
  const std::vector<int32_t> schedule = row_schedule(rows, blocks, 1);
  const int32_t* const plan = with_schedule ? schedule.data() : nullptr;
  const int64_t plan_length = with_schedule ? length(schedule) : 0;
  const int32_t begin = 1, end = 3;  // chunks of one row each, or rows
  const std::vector<int32_t> chosen =
      with_schedule ? std::vector<int32_t>{rows[1], rows[2]} : std::vector<int32_t>{1, 2};
  matrix z(kRows, width, 5), grad_a(kRows, n, 2);
  z.fill([&] { return 3.0f * r.uniform(); });
  grad_a.fill([&] { return r.uniform(); });
  std::vector<float> gates;
  for (int32_t i = 0; i < kRows; ++i) {
    gates.push_back(r.uniform());
  }
  const float* const gate = with_gate ? gates.data() : nullptr;
  for (const int32_t column : {0, n / 3}) {
    matrix a(kRows, n), grad_z(kRows, width), grad_in_place = grad_a;
    std::vector<float> grad_gate(kRows, quiet_nan());
    CHECK_STATUS(BLOCKSPARSE_OK, call_activation(isa, {plan, plan_length, begin, end, column, n},
                                                 {rows_of(z), gate, activation, n}, rows_of(a)));
    CHECK_STATUS(BLOCKSPARSE_OK, call_activation_gradient(
                                     isa, {plan, plan_length, begin, end, column, n},
                                     {rows_of(z), gate, activation, n}, 1.0f, rows_of(grad_a), 0,
                                     rows_of(grad_z), column == 0 ? grad_gate.data() : nullptr));
    CHECK(a.intact() && grad_z.intact());
    matrix before(kRows, width);
    before.fill([&] { return r.uniform(); });
    matrix added = before;
    std::vector<float> gate_added = gates;
    CHECK_STATUS(BLOCKSPARSE_OK, call_activation_gradient(
                                     isa, {plan, plan_length, begin, end, column, n},
                                     {rows_of(z), gate, activation, n}, -1.5f, rows_of(grad_a), 1,
                                     rows_of(added), column == 0 ? gate_added.data() : nullptr));
    CHECK(added.intact());
    for (int32_t row = 0; row < kRows; ++row) {
      const std::size_t at = static_cast<std::size_t>(row);
      for (int32_t q = 0; q < width; ++q) {
        CHECK(is_sum(before.at(row, q), -1.5f, grad_z.at(row, q), added.at(row, q)));
      }
      CHECK(is_sum(gates[at], -1.5f, grad_gate[at], gate_added[at]));
    }
    for (int32_t row = 0; row < kRows; ++row) {
      const bool named = std::find(chosen.begin(), chosen.end(), row) != chosen.end();
      const double g = with_gate ? static_cast<double>(gates[static_cast<std::size_t>(row)]) : 1.0;
      double dot = 0.0, size = 0.0;
      for (int32_t q = 0; q < n; ++q) {
        if (!named || q < column) {
          CHECK(std::isnan(a.at(row, q)) && std::isnan(grad_z.at(row, q)));
          CHECK(!gated || std::isnan(grad_z.at(row, n + q)));
          continue;
        }
        const double first = static_cast<double>(z.at(row, q));
        const double second = gated ? second_of(activation, z.at(row, n + q)) : 1.0;
        const double gradient = static_cast<double>(grad_a.at(row, q));
        CHECK(close(g * f.value(first) * second, a.at(row, q), 4.0));
        CHECK(close(g * gradient * second * f.slope(first), grad_z.at(row, q), 4.0));
        if (gated) {
          CHECK(close(g * gradient * f.value(first), grad_z.at(row, n + q), 4.0));
        }
        dot += gradient * f.value(first) * second;
        size += std::fabs(gradient * f.value(first) * second);
      }
      const float actual = grad_gate[static_cast<std::size_t>(row)];
      CHECK(named && column == 0 ? close(dot, actual, size * (n / 16 + 2)) : std::isnan(actual));
    }
    if (!gated) {
      matrix in_place = z;
      CHECK_STATUS(BLOCKSPARSE_OK,
                   call_activation(isa, {plan, plan_length, begin, end, column, n},
                                   {rows_of(in_place), gate, activation, n}, rows_of(in_place)));
      CHECK_STATUS(BLOCKSPARSE_OK, call_activation_gradient(
                                       isa, {plan, plan_length, begin, end, column, n},
                                       {rows_of(z), gate, activation, n}, 1.0f,
                                       rows_of(grad_in_place), 0, rows_of(grad_in_place), nullptr));
      CHECK(in_place.intact() && grad_in_place.intact());
      for (const int32_t row : chosen) {
        for (int32_t q = column; q < n; ++q) {
          CHECK(in_place.at(row, q) == a.at(row, q));
          CHECK(grad_in_place.at(row, q) == grad_z.at(row, q));
        }
      }
      matrix added_in_place = grad_a;
      CHECK_STATUS(
          BLOCKSPARSE_OK,
          call_activation_gradient(isa, {plan, plan_length, begin, end, column, n},
                                   {rows_of(z), gate, activation, n}, -1.5f,
                                   rows_of(added_in_place), 1, rows_of(added_in_place), nullptr));
      CHECK(added_in_place.intact());
      for (int32_t row = 0; row < kRows; ++row) {
        for (int32_t q = 0; q < n; ++q) {
          CHECK(is_sum(grad_a.at(row, q), -1.5f, grad_z.at(row, q), added_in_place.at(row, q)));
        }
      }
    }
  }
}

void check_refusals(int32_t isa) {
  context() = std::string("refusals, isa ") + blocksparse_isa_name(isa);
  const std::vector<int32_t> schedule = row_schedule({0, 1}, {0, 0});
  matrix z(2, 4, 0, 1.0f), a(2, 4, 0);
  std::vector<float> gates(2);
  const auto forward = [&](int32_t set, int32_t activation, const int32_t* plan, int32_t begin,
                           int32_t end, int32_t column, int32_t last, int32_t n, const float* from,
                           int64_t ldz, int64_t rows) {
    return call_activation(
        set, {plan, plan == nullptr ? 0 : length(schedule), begin, end, column, last},
        {rows_of(from, rows, ldz), nullptr, activation, n}, rows_of(a.data(), rows, 4));
  };
  const float* const from = z.data();
  CHECK_STATUS(BLOCKSPARSE_UNSUPPORTED_ISA,
               forward(-1, BLOCKSPARSE_RELU, nullptr, 0, 2, 0, 4, 4, from, 4, 2));
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, forward(isa, -1, nullptr, 0, 2, 0, 4, 4, from, 4, 2));
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT,
               forward(isa, BLOCKSPARSE_GEGLU_TANH + 1, nullptr, 0, 2, 0, 4, 4, from, 4, 2));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER,
               forward(isa, BLOCKSPARSE_RELU, nullptr, 0, 2, 0, 4, 4, nullptr, 4, 2));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE,
               forward(isa, BLOCKSPARSE_RELU, nullptr, 0, 3, 0, 4, 4, from, 4, 2));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE,
               forward(isa, BLOCKSPARSE_RELU, nullptr, -1, 2, 0, 4, 4, from, 4, 2));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE,
               forward(isa, BLOCKSPARSE_RELU, nullptr, 2, 1, 0, 4, 4, from, 4, 2));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE,
               forward(isa, BLOCKSPARSE_RELU, nullptr, 0, 2, 0, 5, 4, from, 4, 2));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE,
               forward(isa, BLOCKSPARSE_RELU, nullptr, 0, 2, 0, 4, 4, from, 3, 2));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE,
               forward(isa, BLOCKSPARSE_SWIGLU, nullptr, 0, 2, 0, 4, 4, from, 4, 2));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, forward(isa, BLOCKSPARSE_SWIGLU, nullptr, 0, 2, 0, 4,
                                             INT32_MAX / 2 + 1, from, INT64_MAX, 1));
  CHECK_STATUS(BLOCKSPARSE_BAD_SCHEDULE,
               forward(isa, BLOCKSPARSE_RELU, schedule.data(), 0, 2, 0, 4, 4, from, 4, 2));
  CHECK_STATUS(BLOCKSPARSE_BAD_INDEX,
               forward(isa, BLOCKSPARSE_RELU, schedule.data(), 0, 1, 0, 4, 4, from, 4, 1));
  CHECK_STATUS(
      BLOCKSPARSE_BAD_ARGUMENT,
      call_activation_gradient(isa, {nullptr, 0, 0, 2, 1, 4},
                               {rows_of(from, 2, 4), nullptr, BLOCKSPARSE_RELU, 4}, 1.0f,
                               rows_of(from, 2, 4), 0, rows_of(a.data(), 2, 4), gates.data()));
  for (const int32_t accumulate : {-1, 2}) {
    CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT,
                 call_activation_gradient(isa, {nullptr, 0, 0, 2, 0, 4},
                                          {rows_of(from, 2, 4), nullptr, BLOCKSPARSE_RELU, 4}, 1.0f,
                                          rows_of(from, 2, 4), accumulate, rows_of(a.data(), 2, 4),
                                          nullptr));
  }
  for (int32_t row = 0; row < 2; ++row) {
    for (int32_t q = 0; q < 4; ++q) {
      CHECK(std::isnan(a.at(row, q)));
    }
  }
  // Empty rows have a sum, too.
  gates = {quiet_nan(), quiet_nan()};
  CHECK_STATUS(
      BLOCKSPARSE_OK,
      call_activation_gradient(isa, {nullptr, 0, 0, 2, 0, 0},
                               {rows_of(nullptr, 2, 0), nullptr, BLOCKSPARSE_GEGLU, 0}, 1.0f,
                               rows_of(nullptr, 2, 0), 0, rows_of(nullptr, 2, 0), gates.data()));
  CHECK(gates[0] == 0.0f && gates[1] == 0.0f);
  gates = {2.0f, 3.0f};
  CHECK_STATUS(
      BLOCKSPARSE_OK,
      call_activation_gradient(isa, {nullptr, 0, 0, 2, 0, 0},
                               {rows_of(nullptr, 2, 0), nullptr, BLOCKSPARSE_GEGLU, 0}, 1.0f,
                               rows_of(nullptr, 2, 0), 1, rows_of(nullptr, 2, 0), gates.data()));
  CHECK(gates[0] == 2.0f && gates[1] == 3.0f);
}

}  // namespace

int main() {
  for (const function_case& f : kFunctions) {
    check_errors(f);
  }
  for (const int32_t isa : instruction_sets()) {
    check_special_values(isa);
    check_zeroes(isa);
    check_clamps(isa);
    for (int32_t activation = BLOCKSPARSE_IDENTITY; activation <= BLOCKSPARSE_GEGLU_TANH;
         ++activation) {
      for (const int32_t n : {1, 2, 7, 16, 17, 31, 64, 101}) {
        check_rows(isa, activation, n, false, false);
        check_rows(isa, activation, n, true, true);
        check_factors(isa, activation, n);
      }
    }
    check_refusals(isa);
  }
  return report("activations_test");
}
