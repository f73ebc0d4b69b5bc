// SPDX-License-Identifier: Apache-2.0
// Checks softmax and cross entropy against plain loops in double, and the error of the exponential.
#include <algorithm>

#include "testing.h"

namespace {

using namespace testing;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

int32_t softmax(int32_t isa, int32_t logarithm, const std::vector<int32_t>& schedule,
                int32_t blocks, const int32_t* valid, const float* scale, matrix& c) {
  return call_probabilities(isa, BLOCKSPARSE_SOFTMAX, logarithm,
                            {schedule.data(), length(schedule), 0, schedule[1], 0, c.size()}, valid,
                            blocks, scale, rows_of(c));
}

// A row (0, x) has the probabilities exp(x) / (1 + exp(x)) and so on. Below -17 the sum rounds to
// 1, and the second one is the exponential itself, whose error is visible alone. Above, the sum and
// the division add two roundings.
void check_exponential(int32_t isa) {
  context() = std::string("exponential, isa ") + blocksparse_isa_name(isa);
  constexpr int32_t kRows = 4096;
  std::vector<int32_t> rows(kRows), blocks(kRows, 0);
  for (int32_t i = 0; i < kRows; ++i) {
    rows[static_cast<std::size_t>(i)] = i;
  }
  const std::vector<int32_t> schedule = row_schedule(rows, blocks, kRows);
  double worst = 0.0, worst_quotient = 0.0;
  float x = 0.0f;
  while (x > -120.0f) {
    matrix c(kRows, 2);
    for (int32_t i = 0; i < kRows; ++i) {
      c.at(i, 0) = 0.0f;
      c.at(i, 1) = x;
      x -= 0x1.3p-12f;  // about 1.6 million points, none of them round
    }
    const matrix before = c;
    CHECK_STATUS(BLOCKSPARSE_OK, softmax(isa, 0, schedule, 1, nullptr, nullptr, c));
    for (int32_t i = 0; i < kRows; ++i) {
      const double e = std::exp(static_cast<double>(before.at(i, 1)));
      const double exact = e / (1.0 + e);
      const double error = std::fabs(static_cast<double>(c.at(i, 1)) - exact) / ulp(exact);
      double& place = before.at(i, 1) < -17.5f ? worst : worst_quotient;
      place = std::max(place, error);
    }
  }
  std::printf("%s: exp within %.2f ulp, e / (1 + e) within %.2f ulp\n", blocksparse_isa_name(isa),
              worst, worst_quotient);
  CHECK(worst <= 2.0);
  CHECK(worst_quotient <= 4.0);
}

constexpr double kHalfUlp = 0x1p-24;

// The softmax of a row in double, with bounds on the errors in floats, all relative to what is
// small: the difference of the largest element to 1, and each other element.
//
// An exponential is off by 2 ulp and by the effect of rounding c - max to a float, `rounding` of
// it; below the normal floats by half a denormal. Its sum adds an ulp.
struct exact_softmax {
  std::vector<double> distance, p;
  double most = -HUGE_VAL, rest = 0.0, log_sum, mean_rounding = 0.0, log_sum_slack;

  exact_softmax(const float* logits, int32_t n) {
    int32_t largest = 0;
    for (int32_t q = 0; q < n; ++q) {
      largest = logits[q] > logits[largest] ? q : largest;
    }
    most = static_cast<double>(logits[largest]);
    for (int32_t q = 0; q < n; ++q) {
      distance.push_back(most - static_cast<double>(logits[q]));
      p.push_back(std::exp(-distance.back()));
      rest += q == largest ? 0.0 : p.back();
    }
    log_sum = std::log1p(rest);
    for (int32_t q = 0; q < n; ++q) {
      p[static_cast<std::size_t>(q)] /= 1.0 + rest;
      mean_rounding += p[static_cast<std::size_t>(q)] * rounding(q);
    }
    log_sum_slack = (6 * kHalfUlp * rest + n * 0x1p-150) / (1.0 + rest) + mean_rounding;
  }

  double rounding(int32_t q) const {
    const double d = distance[static_cast<std::size_t>(q)];
    return d < HUGE_VAL ? kHalfUlp * d : 0.0;
  }

  // The difference of an element to 1, and its error bound.
  double others(int32_t target) const {
    double sum = 0.0;
    for (std::size_t q = 0; q < p.size(); ++q) {
      sum += static_cast<int32_t>(q) == target ? 0.0 : p[q];
    }
    return sum;
  }
  double others_slack(int32_t target) const {
    double sum = static_cast<double>(p.size()) * 0x1p-150;
    for (std::size_t q = 0; q < p.size(); ++q) {
      const int32_t at = static_cast<int32_t>(q);
      sum += at == target ? 0.0
                          : p[q] * (6 * kHalfUlp + rounding(at) + rounding(target) + mean_rounding);
    }
    return sum;
  }
};

struct rows_case {
  int32_t n;
  int32_t blocks;
  bool with_valid, with_scale;
  float spread;
};

void check_rows(int32_t isa, const rows_case& k) {
  random_source r(static_cast<uint64_t>(k.n) + 1000);
  constexpr int32_t kRows = 24;
  std::vector<int32_t> rows, blocks, valid;
  for (int32_t i = 0; i < kRows; ++i) {
    if (i % 5 != 4) {  // no chunk names the others
      rows.push_back(i);
      blocks.push_back(r.below(k.blocks));
    }
  }
  for (int32_t b = 0; b < k.blocks; ++b) {
    valid.push_back(b == 0 ? k.n : 1 + r.below(k.n));
  }
  const std::vector<int32_t> schedule = row_schedule(rows, blocks, 5);
  matrix c(kRows, k.n);
  c.fill([&] { return r.uniform() * k.spread; });
  const matrix before = c;
  std::vector<float> scale;
  for (int32_t i = 0; i < kRows; ++i) {
    scale.push_back(r.uniform());
  }
  for (const int32_t logarithm : {0, 1}) {
    context() = std::string("rows, isa ") + blocksparse_isa_name(isa) + ", n " +
                std::to_string(k.n) + ", logarithm " + std::to_string(logarithm);
    matrix out = before;
    CHECK_STATUS(BLOCKSPARSE_OK,
                 softmax(isa, logarithm, schedule, k.blocks, k.with_valid ? valid.data() : nullptr,
                         k.with_scale ? scale.data() : nullptr, out));
    CHECK(out.intact());
    for (int32_t i = 0; i < kRows; ++i) {
      const auto place = std::find(rows.begin(), rows.end(), i);
      if (place == rows.end()) {
        CHECK(std::memcmp(&out.at(i, 0), before.data() + i * before.ld(),
                          sizeof(float) * static_cast<std::size_t>(k.n)) == 0);
        continue;
      }
      const std::size_t block =
          static_cast<std::size_t>(blocks[static_cast<std::size_t>(place - rows.begin())]);
      const int32_t v = k.with_valid ? valid[block] : k.n;
      const exact_softmax row(before.data() + i * before.ld(), v);
      const double factor = static_cast<double>(scale[static_cast<std::size_t>(i)]);
      for (int32_t q = 0; q < k.n; ++q) {
        const double actual = static_cast<double>(out.at(i, q));
        if (q >= v) {
          CHECK(logarithm == 1 ? actual == -HUGE_VAL : actual == 0.0);
          continue;
        }
        const double distance = row.distance[static_cast<std::size_t>(q)];
        if (logarithm == 0) {
          // The bound is 4 ulp, plus the effect on the exponential of rounding c - max to float.
          const double exact = (k.with_scale ? factor : 1.0) * row.p[static_cast<std::size_t>(q)];
          const double slack = 4 * ulp(exact) + std::fabs(exact) * row.rounding(q);
          CHECK(std::fabs(actual - exact) <= slack);
        } else {
          const double offset = k.with_scale ? factor : 0.0;
          const double exact = offset - distance - row.log_sum;
          const double slack =
              2 * kHalfUlp * (distance + row.log_sum + std::fabs(offset)) + row.log_sum_slack;
          CHECK(std::fabs(actual - exact) <= slack);
        }
      }
    }
  }
}

// Rows in which one element is likelier than all others by a distance, all of them or only one: its
// log probability, its loss and the gradient are near 0, and nevertheless right to 4 ulp. Distances
// are whole, so that nothing else is rounded.
void check_near_certain(int32_t isa, int32_t n) {
  const int32_t rows = 2 * n;  // each place is the largest, in turn the only one and one of two
  std::vector<int32_t> numbers, blocks(static_cast<std::size_t>(rows), 0), target;
  for (int32_t i = 0; i < rows; ++i) {
    numbers.push_back(i);
    target.push_back(i % n);
  }
  const std::vector<int32_t> schedule = row_schedule(numbers, blocks, rows);
  for (int32_t distance = 1; distance <= 100; distance += distance < 20 ? 1 : 8) {
    context() = std::string("near certain, isa ") + blocksparse_isa_name(isa) + ", n " +
                std::to_string(n) + ", distance " + std::to_string(distance);
    matrix before(rows, n, 3, 3.0f - static_cast<float>(distance));
    for (int32_t i = 0; i < rows; ++i) {
      for (int32_t q = 0; i >= n && q < n; ++q) {
        before.at(i, q) = (q + 1) % n == i % n ? before.at(i, q) : -kInfinity;
      }
      before.at(i, i % n) = 3.0f;
    }
    matrix logs = before, gradients = before;
    std::vector<float> nll(static_cast<std::size_t>(rows));
    const std::vector<float> offset(static_cast<std::size_t>(rows), -0x1p-30f);
    matrix composed = before;
    CHECK_STATUS(BLOCKSPARSE_OK, softmax(isa, 1, schedule, 1, nullptr, nullptr, logs));
    CHECK_STATUS(BLOCKSPARSE_OK, softmax(isa, 1, schedule, 1, nullptr, offset.data(), composed));
    CHECK_STATUS(BLOCKSPARSE_OK,
                 call_cross_entropy(isa, BLOCKSPARSE_SOFTMAX,
                                    {schedule.data(), length(schedule), 0, 1, 0, n}, nullptr, 1,
                                    {nullptr, target.data(), nullptr, nullptr, 0, 0.0f}, nll.data(),
                                    rows_of(gradients)));
    for (int32_t i = 0; i < rows; ++i) {
      const double others = i < n ? n - 1 : n > 1 ? 1 : 0;
      const double rest = others * std::exp(-static_cast<double>(distance));
      const auto close = [&](float actual, double exact) {
        const double slack = 4 * ulp(exact) + others * 0x1p-150;
        return std::fabs(static_cast<double>(actual) - exact) <= slack;
      };
      CHECK(close(logs.at(i, i % n), -std::log1p(rest)));
      CHECK(close(composed.at(i, i % n), -std::log1p(rest) - 0x1p-30));
      CHECK(close(nll[static_cast<std::size_t>(i)], std::log1p(rest)));
      CHECK(close(gradients.at(i, i % n), -rest / (1.0 + rest)));
      if (n > 1) {
        const int32_t other = (i + n - 1) % n;
        CHECK(close(logs.at(i, other), -distance - std::log1p(rest)));
        CHECK(close(gradients.at(i, other), rest / others / (1.0 + rest)));
      }
    }
  }
}

void check_special_rows(int32_t isa) {
  context() = std::string("special rows, isa ") + blocksparse_isa_name(isa);
  for (const int32_t n : {1, 2, 5, 16, 33}) {
    const std::vector<int32_t> schedule = row_schedule({0, 1, 2, 3, 4}, {0, 0, 0, 0, 0});
    for (const int32_t logarithm : {0, 1}) {
      for (int32_t place = 0; place < n; ++place) {
        matrix c(5, n, 3, 0.25f);
        c.at(0, place) = quiet_nan();
        c.at(1, place) = kInfinity;
        c.at(2, place) = -kInfinity;
        for (int32_t q = 0; q < n; ++q) {
          c.at(3, q) = -kInfinity;
          c.at(4, q) = q == place ? 3e38f : -3e38f;
        }
        CHECK_STATUS(BLOCKSPARSE_OK, softmax(isa, logarithm, schedule, 1, nullptr, nullptr, c));
        for (int32_t q = 0; q < n; ++q) {
          CHECK(std::isnan(c.at(0, q)));
          CHECK(std::isnan(c.at(1, q)));
          CHECK(std::isnan(c.at(3, q)));
          if (n == 1) {
            CHECK(std::isnan(c.at(2, q)));
          } else if (q == place) {
            CHECK(logarithm == 1 ? c.at(2, q) == -kInfinity : c.at(2, q) == 0.0f);
          } else {
            CHECK(std::isfinite(c.at(2, q)));
          }
          if (q == place) {
            CHECK(c.at(4, q) == (logarithm == 1 ? 0.0f : 1.0f));
          } else {
            CHECK(c.at(4, q) == (logarithm == 1 ? -std::numeric_limits<float>::max() : 0.0f));
          }
        }
        CHECK(c.intact());
      }
    }
  }
}

// Finite logits of any size have finite log probabilities and losses.
void check_huge_logits(int32_t isa) {
  constexpr float kMost = std::numeric_limits<float>::max();
  for (const float size : {1.7e38f, 3e38f, kMost}) {
    for (const float offset : {0.0f, -1e38f, -kMost}) {
      context() = std::string("huge logits, isa ") + blocksparse_isa_name(isa) + ", size " +
                  std::to_string(size) + ", offset " + std::to_string(offset);
      const std::vector<int32_t> schedule = row_schedule({0}, {0});
      matrix c(1, 37, 3, -size);
      c.at(0, 3) = c.at(0, 36) = size;
      c.at(0, 5) = 0.0f;
      c.at(0, 20) = -kInfinity;
      const matrix before = c;
      CHECK_STATUS(BLOCKSPARSE_OK, softmax(isa, 1, schedule, 1, nullptr, &offset, c));
      for (int32_t q = 0; q < 37; ++q) {
        const double exact = static_cast<double>(before.at(0, q)) - static_cast<double>(size) -
                             std::log(2.0) + static_cast<double>(offset);
        const double nearest = std::max(exact, -static_cast<double>(kMost));
        if (q == 20) {
          CHECK(c.at(0, q) == -kInfinity);
        } else {
          CHECK(std::fabs(static_cast<double>(c.at(0, q)) - nearest) <=
                2 * 0x1p-24 * std::fabs(nearest));
        }
      }
      c = before;
      const float impossible = -kInfinity;
      CHECK_STATUS(BLOCKSPARSE_OK, softmax(isa, 1, schedule, 1, nullptr, &impossible, c));
      for (int32_t q = 0; q < 37; ++q) {
        CHECK(c.at(0, q) == -kInfinity);
      }
      c = before;
      const float large = 3.2e38f;
      CHECK_STATUS(BLOCKSPARSE_OK, softmax(isa, 1, schedule, 1, nullptr, &large, c));
      CHECK(c.at(0, 36) == large && c.at(0, 20) == -kInfinity);
      c.fill([=] { return -size; });
      CHECK_STATUS(BLOCKSPARSE_OK, softmax(isa, 1, schedule, 1, nullptr, &large, c));
      for (int32_t q = 0; q < 37; ++q) {
        CHECK(c.at(0, q) == large);  // so large that log(37) does not change it
      }
      for (const int32_t target : {0, 20, 36}) {
        float nll = 0.0f;
        c = before;
        CHECK_STATUS(
            BLOCKSPARSE_OK,
            call_cross_entropy(isa, BLOCKSPARSE_SOFTMAX,
                               {schedule.data(), length(schedule), 0, 1, 0, 37}, nullptr, 1,
                               {nullptr, &target, nullptr, nullptr, 0, 0.0f}, &nll, rows_of(c)));
        const double exact = std::min(2.0 * static_cast<double>(size), static_cast<double>(kMost));
        if (target == 20) {
          CHECK(nll == kInfinity);
        } else if (target == 36) {
          CHECK(std::fabs(static_cast<double>(nll) - std::log(2.0)) <= 0x1p-23);
        } else {
          CHECK(std::fabs(static_cast<double>(nll) - exact) <= 0x1p-23 * exact);
        }
        CHECK(c.at(0, 3) == 0.5f && std::isfinite(c.at(0, target)));
      }
    }
  }
}

void check_cross_entropy(int32_t isa, int32_t n, float spread, float smoothing, bool with_prior,
                         bool with_weights) {
  context() = std::string("cross entropy, isa ") + blocksparse_isa_name(isa) + ", n " +
              std::to_string(n) + ", smoothing " + std::to_string(smoothing);
  random_source r(static_cast<uint64_t>(n) * 3 + 7);
  constexpr int32_t kRows = 12;
  std::vector<int32_t> rows, blocks, target(kRows), valid = {n, (n + 1) / 2};
  std::vector<float> weights(kRows), nll(kRows, -7.0f), prior(static_cast<std::size_t>(n));
  for (int32_t i = 0; i < kRows; ++i) {
    const std::size_t at = static_cast<std::size_t>(i);
    target[at] = -1;  // also of the row that no chunk names
    weights[at] = i % 4 == 1 ? 0.0f : r.uniform();
    if (i != 5) {
      rows.push_back(i);
      blocks.push_back(i % 2);
      target[at] = r.below(valid[static_cast<std::size_t>(i % 2)]);
    }
  }
  for (float& p : prior) {
    p = (r.uniform() + 1.0f) / static_cast<float>(n);
  }
  matrix c(kRows, n);
  c.fill([&] { return r.uniform() * spread; });
  if (with_weights) {
    c.at(9, 0) = quiet_nan();  // a row of weight 0
  }
  const matrix before = c;
  const std::vector<int32_t> schedule = row_schedule(rows, blocks, 3);
  CHECK_STATUS(
      BLOCKSPARSE_OK,
      call_cross_entropy(isa, BLOCKSPARSE_SOFTMAX,
                         {schedule.data(), length(schedule), 0, schedule[1], 0, n}, valid.data(), 2,
                         {nullptr, target.data(), with_weights ? weights.data() : nullptr,
                          with_prior ? prior.data() : nullptr, 0, smoothing},
                         nll.data(), rows_of(c)));
  CHECK(c.intact());
  CHECK(nll[5] == -7.0f);
  for (std::size_t place = 0; place < rows.size(); ++place) {
    const int32_t i = rows[place];
    const std::size_t at = static_cast<std::size_t>(i);
    const int32_t v = valid[static_cast<std::size_t>(blocks[place])];
    const exact_softmax row(before.data() + i * before.ld(), v);
    double loss = 0.0, slack = 0.0;
    const double weight = with_weights ? static_cast<double>(weights[at]) : 1.0;
    for (int32_t q = 0; q < n; ++q) {
      const double actual = static_cast<double>(c.at(i, q));
      if (q >= v || weight == 0.0) {
        CHECK(actual == 0.0);
      }
      if (q >= v) {
        continue;
      }
      const double s = static_cast<double>(smoothing);
      const double share =
          with_prior ? static_cast<double>(prior[static_cast<std::size_t>(q)]) : 1.0 / v;
      const double t = (q == target[at] ? 1.0 - s : 0.0) + s * share;
      const double distance = row.distance[static_cast<std::size_t>(q)];
      if (t > 0.0) {
        loss += t * (row.log_sum + distance);
        slack += t * (4 * kHalfUlp * (row.log_sum + distance) + row.log_sum_slack);
      }
      const double p = row.p[static_cast<std::size_t>(q)];
      if (weight != 0.0 && q != target[at]) {
        // A subnormal probability is rounded twice, and multiplied once.
        const double error = row.rounding(q) + row.mean_rounding + 8 * kHalfUlp;
        CHECK(std::fabs(actual - weight * (p - t)) <=
              std::fabs(weight) * (p * error + 6 * kHalfUlp * t + 0x1p-149) + 0x1p-150);
      } else if (weight != 0.0) {
        const double smoothed = s * (1.0 - share), lacking = row.others(q);
        CHECK(std::fabs(actual - weight * (smoothed - lacking)) <=
              std::fabs(weight) *
                  (row.others_slack(q) + 2 * kHalfUlp * (std::fabs(smoothed) + lacking)));
      }
    }
    if (i == 9 && with_weights) {
      CHECK(std::isnan(nll[at]));
    } else {
      CHECK(std::fabs(static_cast<double>(nll[at]) - loss) <= slack);
    }
  }
}

// A class with a logit of -infinity has no loss, unless it is the target.
void check_impossible_classes(int32_t isa) {
  context() = std::string("impossible classes, isa ") + blocksparse_isa_name(isa);
  const std::vector<int32_t> schedule = row_schedule({0, 1}, {0, 0});
  matrix c(2, 3, 3, 1.0f);
  c.at(0, 2) = -kInfinity;
  c.at(1, 2) = -kInfinity;
  const int32_t target[] = {0, 2};
  float nll[2];
  CHECK_STATUS(BLOCKSPARSE_OK,
               call_cross_entropy(isa, BLOCKSPARSE_SOFTMAX,
                                  {schedule.data(), length(schedule), 0, 1, 0, 3}, nullptr, 1,
                                  {nullptr, target, nullptr, nullptr, 0, 0.0f}, nll, rows_of(c)));
  CHECK(std::fabs(nll[0] - 0.6931472f) < 1e-6f);
  CHECK(c.at(0, 0) == -0.5f && c.at(0, 1) == 0.5f && c.at(0, 2) == 0.0f);
  CHECK(nll[1] == kInfinity);
  CHECK(c.at(1, 0) == 0.5f && c.at(1, 1) == 0.5f && c.at(1, 2) == -1.0f);
}

// Finite logits that lie further apart than the largest float, with smoothing: the loss is finite
// nevertheless, and right as long as a float can hold it.
void check_spread_logits(int32_t isa) {
  const float kMost = std::numeric_limits<float>::max();
  const std::vector<int32_t> schedule = row_schedule({0}, {0});
  for (const float size : {1e38f, 2e38f, kMost}) {
    for (const int32_t n : {2, 3, 17, 64, 333}) {
      context() = std::string("spread logits, isa ") + blocksparse_isa_name(isa) + ", n " +
                  std::to_string(n) + ", size " + std::to_string(size);
      // Half of the logits, but not the first one, are as far from it as possible.
      matrix c(1, n, n, size);
      for (int32_t q = 1; q < n; q += 2) {
        c.at(0, q) = -size;
      }
      const double far = n / 2, distance = 2.0 * static_cast<double>(size);
      for (const float smoothing : {0.1f, 1.0f}) {
        matrix row = c;
        const int32_t target = 0;
        float nll = 0.0f;
        CHECK_STATUS(BLOCKSPARSE_OK,
                     call_cross_entropy(isa, BLOCKSPARSE_SOFTMAX,
                                        {schedule.data(), length(schedule), 0, 1, 0, n}, nullptr, 1,
                                        {nullptr, &target, nullptr, nullptr, 0, smoothing}, &nll,
                                        rows_of(row)));
        const double exact =
            std::log(n - far) + static_cast<double>(smoothing) * far / n * distance;
        const double held = std::min(exact, static_cast<double>(kMost));
        CHECK(std::fabs(static_cast<double>(nll) - held) <= 6 * 0x1p-24 * held);
        CHECK(std::isfinite(row.at(0, 0)) && std::isfinite(row.at(0, 1)));
      }
    }
  }
}

// Empty rows, whose operand may be null: nothing is written, and no target is valid.
void check_empty_rows(int32_t isa) {
  context() = std::string("empty rows, isa ") + blocksparse_isa_name(isa);
  const std::vector<int32_t> schedule = row_schedule({0, 1}, {0, 1}, 1);
  const int32_t valid[] = {0, 0}, too_many[] = {0, 1}, target[] = {0, 0};
  for (const int32_t logarithm : {0, 1}) {
    const auto call = [&](const int32_t* of) {
      return call_probabilities(isa, BLOCKSPARSE_SOFTMAX, logarithm,
                                {schedule.data(), length(schedule), 0, 2, 0, 0}, of, 2, nullptr,
                                rows_of(nullptr, 2, 3));
    };
    CHECK_STATUS(BLOCKSPARSE_OK, call(nullptr));
    CHECK_STATUS(BLOCKSPARSE_OK, call(valid));
    CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, call(too_many));
  }
  float nll[] = {quiet_nan(), quiet_nan()};
  CHECK_STATUS(
      BLOCKSPARSE_BAD_INDEX,
      call_cross_entropy(isa, BLOCKSPARSE_SOFTMAX, {schedule.data(), length(schedule), 0, 2, 0, 0},
                         nullptr, 2, {nullptr, target, nullptr, nullptr, 0, 0.0f}, nll,
                         rows_of(nullptr, 2, 3)));
  CHECK(std::isnan(nll[0]) && std::isnan(nll[1]));
}

void check_refusals(int32_t isa) {
  context() = std::string("refusals, isa ") + blocksparse_isa_name(isa);
  const std::vector<int32_t> schedule = row_schedule({0, 1}, {0, 1}, 1);
  matrix c(2, 3, 3, 1.0f);
  const matrix before = c;
  const int32_t zero_valid[] = {0, 3}, large_valid[] = {4, 3}, late_valid[] = {3, 0};
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, softmax(isa, 0, schedule, 2, zero_valid, nullptr, c));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, softmax(isa, 0, schedule, 2, large_valid, nullptr, c));
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, softmax(isa, 2, schedule, 2, nullptr, nullptr, c));
  CHECK_STATUS(BLOCKSPARSE_BAD_INDEX,
               softmax(isa, 0, row_schedule({2}, {0}), 2, nullptr, nullptr, c));
  CHECK_STATUS(BLOCKSPARSE_BAD_INDEX,
               softmax(isa, 0, row_schedule({0}, {2}), 2, nullptr, nullptr, c));
  CHECK_STATUS(BLOCKSPARSE_UNSUPPORTED_ISA, softmax(99, 0, schedule, 2, nullptr, nullptr, c));
  CHECK(c.same_bits(before));
  // The first chunk is valid and is run; the second is rejected and stays unchanged.
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, softmax(isa, 0, schedule, 2, late_valid, nullptr, c));
  CHECK(c.at(0, 0) != 1.0f && c.at(1, 0) == 1.0f);
  const auto cross_entropy = [&](const int32_t* target, float smoothing, float* nll) {
    return call_cross_entropy(isa, BLOCKSPARSE_SOFTMAX,
                              {schedule.data(), length(schedule), 0, 2, 0, 3}, nullptr, 2,
                              {nullptr, target, nullptr, nullptr, 0, smoothing}, nll, rows_of(c));
  };
  c = before;
  float nll[2];
  const int32_t high[] = {3, 0}, low[] = {-1, 0}, good[] = {0, 0};
  CHECK_STATUS(BLOCKSPARSE_BAD_INDEX, cross_entropy(high, 0.0f, nll));
  CHECK_STATUS(BLOCKSPARSE_BAD_INDEX, cross_entropy(low, 0.0f, nll));
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, cross_entropy(good, -0.1f, nll));
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, cross_entropy(good, 1.1f, nll));
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, cross_entropy(good, quiet_nan(), nll));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, cross_entropy(nullptr, 0.0f, nll));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, cross_entropy(good, 0.0f, nullptr));
  CHECK(c.same_bits(before));
}

}  // namespace

int main() {
  for (const int32_t isa : instruction_sets()) {
    check_exponential(isa);
    for (const int32_t n : {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 64, 100, 1000, 5003}) {
      check_rows(isa, {n, 1, false, false, 2.0f});
      check_rows(isa, {n, 3, true, false, 30.0f});
      check_rows(isa, {n, 3, false, true, 1e4f});
      check_rows(isa, {n, 2, true, true, 0.01f});
    }
    for (const int32_t n : {1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 33, 47, 64, 100, 333}) {
      check_near_certain(isa, n);
    }
    check_special_rows(isa);
    check_huge_logits(isa);
    for (const int32_t n : {1, 2, 9, 16, 40, 333}) {
      for (const float smoothing : {0.0f, 0.1f, 1.0f}) {
        for (const float spread : {1.0f, 8.0f, 50.0f}) {
          check_cross_entropy(isa, n, spread, smoothing, false, false);
          check_cross_entropy(isa, n, spread, smoothing, true, true);
        }
      }
    }
    check_impossible_classes(isa);
    check_spread_logits(isa);
    check_empty_rows(isa);
    check_refusals(isa);
  }
  return report("softmax_test");
}
