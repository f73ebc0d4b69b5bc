// SPDX-License-Identifier: Apache-2.0
//
// Sigmoids, their logarithms and binary cross entropy against the formulas in double.
#include <algorithm>

#include "testing.h"

namespace {

using namespace testing;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kMost = std::numeric_limits<float>::max();

double logistic(double z) { return 1.0 / (1.0 + std::exp(-z)); }

// log(1 + exp(z))
double softplus(double z) { return std::max(z, 0.0) + std::log1p(std::exp(-std::fabs(z))); }

int32_t sigmoid(int32_t isa, int32_t logarithm, const std::vector<int32_t>& schedule,
                int32_t blocks, const int32_t* valid, const float* scale, matrix& c) {
  return call_probabilities(isa, BLOCKSPARSE_LOGISTIC, logarithm,
                            {schedule.data(), length(schedule), 0, schedule[1], 0, c.size()}, valid,
                            blocks, scale, rows_of(c));
}

// The positives of each row.
struct lists {
  std::vector<int32_t> start = {0}, index;

  void add(const std::vector<int32_t>& of_row) {
    index.insert(index.end(), of_row.begin(), of_row.end());
    start.push_back(static_cast<int32_t>(index.size()));
  }

  bool has(int32_t row, int32_t q) const {
    const auto begin = index.begin() + start[static_cast<std::size_t>(row)];
    const auto end = index.begin() + start[static_cast<std::size_t>(row) + 1];
    return std::find(begin, end, q) != end;
  }
};

int32_t cross_entropy(int32_t isa, const std::vector<int32_t>& schedule, int32_t blocks,
                      const int32_t* valid, const lists& positives, const float* weights,
                      float* loss, matrix& c) {
  return call_cross_entropy(isa, BLOCKSPARSE_LOGISTIC,
                            {schedule.data(), length(schedule), 0, schedule[1], 0, c.size()}, valid,
                            blocks,
                            {positives.start.data(), positives.index.data(), weights, nullptr,
                             static_cast<int32_t>(positives.index.size()), 0.0f},
                            loss, rows_of(c));
}

// Checks all magnitudes, and with them the losses of single logits, positive and negative.
void check_errors(int32_t isa) {
  static const std::vector<float> all = float_sweep();
  const int32_t n = static_cast<int32_t>(all.size());
  const std::vector<int32_t> schedule = row_schedule({0}, {0});
  for (const int32_t logarithm : {0, 1}) {
    context() = std::string(logarithm == 1 ? "log sigmoid" : "sigmoid") + ", isa " +
                blocksparse_isa_name(isa);
    matrix c(1, n);
    std::copy(all.begin(), all.end(), c.data());
    CHECK_STATUS(BLOCKSPARSE_OK, sigmoid(isa, logarithm, schedule, 1, nullptr, nullptr, c));
    worst_error worst;
    for (int32_t i = 0; i < n; ++i) {
      const float z = all[static_cast<std::size_t>(i)];
      const double at = static_cast<double>(z);
      if (logarithm == 1) {
        worst.add(-softplus(-at), c.at(0, i), 6, 0x1p-148, z);
        CHECK(c.at(0, i) <= 0.0f);
      } else {
        worst.add(logistic(at), c.at(0, i), 4, 0, z);
      }
    }
    std::printf("%s: %s within %.2f ulp or 2^%.1f\n", blocksparse_isa_name(isa),
                logarithm == 1 ? "log sigmoid" : "sigmoid", worst.within_ulp,
                std::log2(worst.beyond));
  }
  context() = std::string("loss of one, isa ") + blocksparse_isa_name(isa);
  worst_error of_loss, of_gradient;
  for (std::size_t i = 0; i < all.size(); i += 7) {
    const bool there = i % 2 == 0;
    lists positives;
    positives.add(there ? std::vector<int32_t>{0} : std::vector<int32_t>{});
    matrix c(1, 1, 3, all[i]);
    float loss = quiet_nan();
    CHECK_STATUS(BLOCKSPARSE_OK,
                 cross_entropy(isa, schedule, 1, nullptr, positives, nullptr, &loss, c));
    const double z = static_cast<double>(all[i]);
    of_loss.add(softplus(there ? -z : z), loss, 6, 0x1p-148, all[i]);
    of_gradient.add(there ? -logistic(-z) : logistic(z), c.at(0, 0), 4, 0, all[i]);
  }
  std::printf("%s: loss within %.2f ulp or 2^%.1f, gradient within %.2f ulp\n",
              blocksparse_isa_name(isa), of_loss.within_ulp, std::log2(of_loss.beyond),
              of_gradient.within_ulp);
}

struct rows_case {
  int32_t n;
  int32_t blocks;
  bool with_valid, with_scale;
  float spread;
};

void check_rows(int32_t isa, const rows_case& k) {
  random_source r(static_cast<uint64_t>(k.n) + 77);
  constexpr int32_t kRows = 24;
  std::vector<int32_t> rows, blocks, valid;
  std::vector<float> scale;
  lists positives;
  for (int32_t b = 0; b < k.blocks; ++b) {
    valid.push_back(b == 0 ? k.n : 1 + r.below(k.n));
  }
  std::vector<int32_t> block_of(kRows, -1);
  for (int32_t i = 0; i < kRows; ++i) {
    std::vector<int32_t> of_row;
    if (i % 5 != 4) {  // no chunk names the others
      rows.push_back(i);
      blocks.push_back(r.below(k.blocks));
      block_of[static_cast<std::size_t>(i)] = blocks.back();
      const int32_t v = k.with_valid ? valid[static_cast<std::size_t>(blocks.back())] : k.n;
      for (int32_t q = r.below(3); q < v; q += 1 + r.below(i + 1)) {
        of_row.push_back(q);
      }
    }
    positives.add(i % 6 == 1 ? std::vector<int32_t>{} : of_row);
    scale.push_back(i == 7 ? 0.0f : r.uniform());
  }
  const std::vector<int32_t> schedule = row_schedule(rows, blocks, 5);
  matrix before(kRows, k.n);
  before.fill([&] { return r.uniform() * k.spread; });
  const int32_t* const valid_data = k.with_valid ? valid.data() : nullptr;
  const float* const scale_data = k.with_scale ? scale.data() : nullptr;
  for (const int32_t what : {0, 1, 2}) {  // probability, logarithm, cross entropy
    context() = std::string("rows, isa ") + blocksparse_isa_name(isa) + ", n " +
                std::to_string(k.n) + ", what " + std::to_string(what);
    matrix out = before;
    std::vector<float> loss(kRows, -7.0f);
    CHECK_STATUS(BLOCKSPARSE_OK,
                 what == 2 ? cross_entropy(isa, schedule, k.blocks, valid_data, positives,
                                           scale_data, loss.data(), out)
                           : sigmoid(isa, what, schedule, k.blocks, valid_data, scale_data, out));
    CHECK(out.intact());
    for (int32_t i = 0; i < kRows; ++i) {
      const std::size_t row = static_cast<std::size_t>(i);
      if (block_of[row] < 0) {
        CHECK(std::memcmp(&out.at(i, 0), &before.at(i, 0),
                          sizeof(float) * static_cast<std::size_t>(k.n)) == 0);
        CHECK(loss[row] == -7.0f);
        continue;
      }
      const int32_t v = k.with_valid ? valid[static_cast<std::size_t>(block_of[row])] : k.n;
      const double factor = k.with_scale ? static_cast<double>(scale[row]) : 1.0;
      double exact_loss = 0.0;
      for (int32_t q = 0; q < k.n; ++q) {
        const double actual = static_cast<double>(out.at(i, q));
        if (q >= v) {
          CHECK(what == 1 ? actual == -HUGE_VAL : actual == 0.0);
          continue;
        }
        const double z = static_cast<double>(before.at(i, q));
        if (what == 1) {
          const double offset = k.with_scale ? factor : 0.0;
          const double exact = offset - softplus(-z);
          CHECK(std::fabs(actual - exact) <=
                8 * 0x1p-23 * (softplus(-z) + std::fabs(offset)) + 0x1p-148);
        } else {
          const bool there = what == 2 && positives.has(i, q);
          const double exact = factor * (there ? -logistic(-z) : logistic(z));
          CHECK(std::fabs(actual - exact) <= 9 * ulp(exact));
          exact_loss += softplus(there ? -z : z);
        }
      }
      CHECK(what != 2 || std::fabs(static_cast<double>(loss[row]) - exact_loss) <=
                             8 * 0x1p-23 * exact_loss + v * 0x1p-149);
    }
  }
}

void check_special_rows(int32_t isa) {
  context() = std::string("special rows, isa ") + blocksparse_isa_name(isa);
  for (const int32_t n : {1, 2, 5, 16, 33}) {
    const std::vector<int32_t> schedule = row_schedule({0, 1, 2, 3, 4}, {0, 0, 0, 0, 0});
    for (int32_t place = 0; place < n; ++place) {
      matrix logits(5, n, 3, 0.25f);
      logits.at(0, place) = quiet_nan();
      logits.at(1, place) = kInfinity;
      logits.at(2, place) = -kInfinity;
      logits.at(3, place) = kMost;
      logits.at(4, place) = -kMost;
      const float offsets[] = {-1.0f, -1.0f, -1.0f, -1.0f, -kMost};
      matrix c = logits;
      CHECK_STATUS(BLOCKSPARSE_OK, sigmoid(isa, 1, schedule, 1, nullptr, offsets, c));
      CHECK(std::isnan(c.at(0, place)) && c.at(1, place) == -1.0f);
      CHECK(c.at(2, place) == -kInfinity && c.at(3, place) == -1.0f);
      CHECK(c.at(4, place) == -kMost);  // the sum overflows, but is not infinite
      const float large[] = {3e38f, 3e38f, 3e38f, 3e38f, kMost};
      matrix sum = logits;
      sum.at(2, 0) = -1e38f;
      CHECK_STATUS(BLOCKSPARSE_OK, sigmoid(isa, 1, schedule, 1, nullptr, large, sum));
      CHECK(std::isnan(sum.at(0, place)) && sum.at(1, place) == 3e38f);
      CHECK(sum.at(3, place) == 3e38f && sum.at(4, place) == 0.0f);
      CHECK(std::fabs(sum.at(2, 0) - 2e38f) <= 1e32f);
      CHECK(place == 0 || sum.at(2, place) == -kInfinity);
      const float impossible[] = {-kInfinity, -kInfinity, -kInfinity, -kInfinity, -kInfinity};
      matrix never = logits;
      CHECK_STATUS(BLOCKSPARSE_OK, sigmoid(isa, 1, schedule, 1, nullptr, impossible, never));
      matrix p = logits;
      CHECK_STATUS(BLOCKSPARSE_OK, sigmoid(isa, 0, schedule, 1, nullptr, nullptr, p));
      CHECK(std::isnan(p.at(0, place)) && p.at(1, place) == 1.0f && p.at(2, place) == 0.0f);
      CHECK(p.at(3, place) == 1.0f && p.at(4, place) == 0.0f);
      for (int32_t q = 0; q < n; ++q) {
        CHECK(q == place || (c.at(0, q) == c.at(1, q) && p.at(0, q) == p.at(1, q)));
        for (int32_t row = 0; row < 5; ++row) {
          CHECK((row == 0 && q == place) ? std::isnan(never.at(row, q))
                                         : never.at(row, q) == -kInfinity);
        }
      }
      for (const bool there : {false, true}) {
        lists positives;
        for (int32_t row = 0; row < 5; ++row) {
          positives.add(there ? std::vector<int32_t>{place} : std::vector<int32_t>{});
        }
        matrix g = logits;
        float loss[5];
        CHECK_STATUS(BLOCKSPARSE_OK,
                     cross_entropy(isa, schedule, 1, nullptr, positives, nullptr, loss, g));
        const double rest = (n - 1) * softplus(0.25);
        CHECK(std::isnan(loss[0]) && std::isnan(g.at(0, place)));
        const int32_t bad = there ? 2 : 1, good = there ? 1 : 2;
        CHECK(loss[bad] == kInfinity && g.at(bad, place) == (there ? -1.0f : 1.0f));
        CHECK(std::fabs(static_cast<double>(loss[good]) - rest) <= 1e-6 * rest);
        CHECK(g.at(good, place) == 0.0f);
        const int32_t far = there ? 4 : 3;
        CHECK(loss[far] == kMost && g.at(far, place) == (there ? -1.0f : 1.0f));
        CHECK(g.intact());
      }
    }
  }
  // Many huge logits, and among them a NaN of weight 0.
  const std::vector<int32_t> schedule = row_schedule({0, 1}, {0, 0});
  matrix c(2, 100, 3, kMost);
  c.at(1, 63) = quiet_nan();
  lists positives;
  positives.add({3, 98});
  positives.add({63});
  const float weights[] = {1.0f, 0.0f};
  float loss[2];
  CHECK_STATUS(BLOCKSPARSE_OK,
               cross_entropy(isa, schedule, 1, nullptr, positives, weights, loss, c));
  CHECK(loss[0] == kMost && std::isnan(loss[1]));
  for (int32_t q = 0; q < 100; ++q) {
    CHECK(c.at(0, q) == (q == 3 || q == 98 ? 0.0f : 1.0f) && c.at(1, q) == 0.0f);
  }
}

// Empty rows have a loss, too, and no positives. Their operand may be null.
void check_empty_rows(int32_t isa) {
  context() = std::string("empty rows, isa ") + blocksparse_isa_name(isa);
  const std::vector<int32_t> schedule = row_schedule({0, 1}, {0, 1}, 1);
  const int32_t none[] = {0, 0, 0}, one[] = {0, 1, 1}, index[] = {0}, valid[] = {0, 0},
                too_many[] = {1, 1};
  for (const int32_t logarithm : {0, 1}) {
    CHECK_STATUS(BLOCKSPARSE_OK, call_probabilities(isa, BLOCKSPARSE_LOGISTIC, logarithm,
                                                    {schedule.data(), length(schedule), 0, 2, 0, 0},
                                                    nullptr, 2, nullptr, rows_of(nullptr, 2, 0)));
  }
  float loss[] = {quiet_nan(), quiet_nan()};
  const auto call = [&](const int32_t* of, const int32_t* start, int32_t count) {
    return call_cross_entropy(
        isa, BLOCKSPARSE_LOGISTIC, {schedule.data(), length(schedule), 0, 2, 0, 0}, of, 2,
        {start, index, nullptr, nullptr, count, 0.0f}, loss, rows_of(nullptr, 2, 3));
  };
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, call(too_many, none, 0));
  CHECK_STATUS(BLOCKSPARSE_BAD_INDEX, call(nullptr, one, 1));
  CHECK(std::isnan(loss[0]) && std::isnan(loss[1]));
  CHECK_STATUS(BLOCKSPARSE_OK, call(nullptr, none, 0));
  CHECK(loss[0] == 0.0f && loss[1] == 0.0f);
  CHECK_STATUS(BLOCKSPARSE_OK, call(valid, none, 0));
}

void check_refusals(int32_t isa) {
  context() = std::string("refusals, isa ") + blocksparse_isa_name(isa);
  const std::vector<int32_t> schedule = row_schedule({0, 1}, {0, 1}, 1);
  matrix c(2, 3, 3, 1.0f);
  const matrix before = c;
  const int32_t zero_valid[] = {0, 3}, two_valid[] = {2, 3};
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, sigmoid(isa, 0, schedule, 2, zero_valid, nullptr, c));
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, sigmoid(isa, -1, schedule, 2, nullptr, nullptr, c));
  CHECK_STATUS(BLOCKSPARSE_BAD_INDEX,
               sigmoid(isa, 0, row_schedule({2}, {0}), 2, nullptr, nullptr, c));
  CHECK_STATUS(BLOCKSPARSE_UNSUPPORTED_ISA, sigmoid(99, 0, schedule, 2, nullptr, nullptr, c));
  float loss[2];
  const auto refused = [&](int32_t status, const std::vector<int32_t>& start,
                           const std::vector<int32_t>& index, const int32_t* valid = nullptr) {
    CHECK_STATUS(status, cross_entropy(isa, schedule, 2, valid, {start, index}, nullptr, loss, c));
  };
  refused(BLOCKSPARSE_BAD_INDEX, {0, 1, 1}, {3});
  refused(BLOCKSPARSE_BAD_INDEX, {0, 1, 1}, {-1});
  refused(BLOCKSPARSE_BAD_INDEX, {0, 1, 1}, {INT32_MAX});
  refused(BLOCKSPARSE_BAD_INDEX, {0, 2, 2}, {1, 1});
  refused(BLOCKSPARSE_BAD_INDEX, {0, 2, 2}, {2, 0});
  refused(BLOCKSPARSE_BAD_INDEX, {0, 1, 1}, {2}, two_valid);
  refused(BLOCKSPARSE_BAD_SIZE, {0, 2, 2}, {1});
  refused(BLOCKSPARSE_BAD_SIZE, {-1, 1, 1}, {1});
  refused(BLOCKSPARSE_BAD_SIZE, {1, 0, 1}, {1});
  const auto call = [&](const int32_t* start, const int32_t* index, int32_t count, float* to) {
    return call_cross_entropy(isa, BLOCKSPARSE_LOGISTIC,
                              {schedule.data(), length(schedule), 0, 2, 0, 3}, nullptr, 2,
                              {start, index, nullptr, nullptr, count, 0.0f}, to, rows_of(c));
  };
  const int32_t none[] = {0, 0, 0}, one[] = {0};
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, call(nullptr, one, 1, loss));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, call(none, nullptr, 1, loss));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, call(none, one, 1, nullptr));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, call(none, one, -1, loss));
  CHECK(c.same_bits(before));
  // The first chunk is valid and is run; the second is rejected and stays unchanged.
  refused(BLOCKSPARSE_BAD_INDEX, {0, 1, 2}, {2, 3});
  CHECK(c.at(0, 0) != 1.0f && c.at(1, 0) == 1.0f);
  CHECK_STATUS(BLOCKSPARSE_OK, call(none, nullptr, 0, loss));
}

}  // namespace

int main() {
  for (const int32_t isa : instruction_sets()) {
    check_errors(isa);
    for (const int32_t n : {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 64, 100, 1000, 5003}) {
      check_rows(isa, {n, 1, false, false, 2.0f});
      check_rows(isa, {n, 3, true, true, 30.0f});
      check_rows(isa, {n, 2, true, false, 1e4f});
    }
    check_special_rows(isa);
    check_empty_rows(isa);
    check_refusals(isa);
  }
  return report("binary_cross_entropy_test");
}
