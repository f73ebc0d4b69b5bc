// SPDX-License-Identifier: Apache-2.0
//
// Sums of bags, products with their rows, and steps by their sums, against the formulas in double.
#include "stored_weights.h"
#include "testing.h"

namespace {

using namespace testing;

constexpr float kNoLimit = std::numeric_limits<float>::infinity();

struct bag_list {
  walled<int32_t> offsets;
  walled<int32_t> indices;
  walled<float> values;

  int32_t count() const { return static_cast<int32_t>(offsets.size()) - 1; }
  int32_t entries() const { return static_cast<int32_t>(indices.size()); }
  std::size_t first(int32_t bag) const {
    return static_cast<std::size_t>(offsets[static_cast<std::size_t>(bag)]);
  }
  std::size_t last(int32_t bag) const { return first(bag + 1); }
};

// Returns bags of the given sizes with whole values. Each list ends at the end of its memory.
bag_list random_bags(random_source& r, const std::vector<int32_t>& sizes, int32_t table) {
  std::vector<int32_t> offsets{0}, indices;
  std::vector<float> values;
  for (const int32_t size : sizes) {
    for (int32_t i = 0; i < size; ++i) {
      indices.push_back(r.below(table));
      values.push_back(r.whole());
    }
    offsets.push_back(static_cast<int32_t>(indices.size()));
  }
  return {walled<int32_t>(offsets), walled<int32_t>(indices), walled<float>(values)};
}

double exact_sum(const bag_list& bags, bool weighted, int32_t bag, const matrix& a, int32_t q) {
  double sum = 0.0;
  for (std::size_t e = bags.first(bag); e < bags.last(bag); ++e) {
    sum += (weighted ? static_cast<double>(bags.values[e]) : 1.0) *
           static_cast<double>(a.at(bags.indices[e], q));
  }
  return sum;
}

double factor(int32_t reduction, double count) {
  return reduction == BLOCKSPARSE_BAG_SUM || count == 0.0 ? 1.0
         : reduction == BLOCKSPARSE_BAG_MEAN              ? 1.0 / count
                                                          : 1.0 / std::sqrt(count);
}

void check_sums(int32_t isa, int32_t n) {
  random_source r(static_cast<uint64_t>(n));
  const bag_list bags = random_bags(r, {3, 0, 1, 44, 2, 0, 7}, 11);
  matrix a(11, n);
  a.fill([&] { return r.whole(); });
  for (const bool weighted : {false, true}) {
    for (const int32_t reduction :
         {BLOCKSPARSE_BAG_SUM, BLOCKSPARSE_BAG_MEAN, BLOCKSPARSE_BAG_ROOT_MEAN}) {
      context() = "sum, isa " + std::string(blocksparse_isa_name(isa)) + ", n " +
                  std::to_string(n) + ", reduction " + std::to_string(reduction);
      matrix c(bags.count(), n);
      CHECK_STATUS(
          BLOCKSPARSE_OK,
          call_bag_sum(isa, reduction,
                       {bags.offsets.data(), bags.indices.data(),
                        weighted ? bags.values.data() : nullptr, bags.count(), bags.entries()},
                       0, 6, {a.data(), nullptr, a.rows(), a.ld(), n, BLOCKSPARSE_FLOAT32},
                       rows_of(c)));
      for (int32_t bag = 0; bag < 6; ++bag) {
        const double scale =
            factor(reduction, static_cast<double>(bags.last(bag) - bags.first(bag)));
        for (int32_t q = 0; q < n; ++q) {
          const double exact = scale * exact_sum(bags, weighted, bag, a, q);
          // Sums of integers are exact: only the factor and its product are rounded.
          CHECK(std::fabs(static_cast<double>(c.at(bag, q)) - exact) <=
                (reduction == BLOCKSPARSE_BAG_SUM ? 0.0 : 2.01 * 0x1p-24 * std::fabs(exact)));
        }
      }
      CHECK(n == 0 || std::isnan(c.at(6, 0)));  // not requested
      CHECK(c.intact());

      std::vector<float> dots(bags.indices.size(), -1.0f);
      matrix y(bags.count(), n);
      y.fill([&] { return r.whole(); });
      CHECK_STATUS(BLOCKSPARSE_OK,
                   call_bag_dot(isa, reduction,
                                {bags.offsets.data(), bags.indices.data(), nullptr, bags.count(),
                                 bags.entries()},
                                0, 6, {a.data(), nullptr, a.rows(), a.ld(), n, BLOCKSPARSE_FLOAT32},
                                rows_of(y), dots.data()));
      for (int32_t bag = 0; bag < 6; ++bag) {
        for (std::size_t e = bags.first(bag); e < bags.last(bag); ++e) {
          double exact = 0.0;
          for (int32_t q = 0; q < n; ++q) {
            exact +=
                static_cast<double>(a.at(bags.indices[e], q)) * static_cast<double>(y.at(bag, q));
          }
          exact *= factor(reduction, static_cast<double>(bags.last(bag) - bags.first(bag)));
          CHECK(std::fabs(static_cast<double>(dots[e]) - exact) <=
                (reduction == BLOCKSPARSE_BAG_SUM ? 0.0 : 2.01 * 0x1p-24 * std::fabs(exact)));
        }
      }
      CHECK(dots.back() == -1.0f);
    }
  }
}

// A step is a sum followed by the step of one row: the bits are those of the two functions.
void check_steps(int32_t isa, int32_t n, float decay, float max_norm) {
  random_source r(static_cast<uint64_t>(n) + 1000);
  const std::vector<int32_t> targets = {5, 0, 8, 1, 3, 7};
  const std::vector<int32_t> steps = {1, 2, 3, 1000, 5, 1};
  const bag_list bags = random_bags(r, {3, 0, 1, 44, 2, 7}, 11);
  matrix a(11, n), w(9, n, 0), s(9, n, 0), m(9, n, 0), v(9, n, 0), scratch(1, n);
  a.fill([&] { return r.uniform(); });
  w.fill([&] { return r.uniform(); });
  s.fill([&] { return r.uniform() + 1.0f; });
  m.fill([&] { return r.uniform(); });
  v.fill([&] { return r.uniform() + 1.0f; });
  context() = "steps, isa " + std::string(blocksparse_isa_name(isa)) + ", n " + std::to_string(n);
  matrix w1 = w, w2 = w, w3 = w, s2 = s, m3 = m, v3 = v;
  const auto step = [&](int32_t rule, const int32_t* numbers, float* moment1, float* moment2,
                        matrix& to) {
    return call_bag_step(
        isa, {rule, 0.1f, decay, max_norm, 0.9f, 0.99f, 1e-3f},
        {bags.offsets.data(), bags.indices.data(), bags.values.data(), 6, bags.entries()}, 1, 6,
        {a.data(), nullptr, a.rows(), a.ld(), n, BLOCKSPARSE_FLOAT32}, targets.data(), numbers,
        {to.data(), moment1, moment2, 9 * int64_t{n}}, scratch.data());
  };
  CHECK_STATUS(BLOCKSPARSE_OK, step(BLOCKSPARSE_SGD, nullptr, nullptr, nullptr, w1));
  CHECK_STATUS(BLOCKSPARSE_OK, step(BLOCKSPARSE_ADAGRAD, nullptr, s2.data(), nullptr, w2));
  CHECK_STATUS(BLOCKSPARSE_OK, step(BLOCKSPARSE_ADAM, steps.data(), m3.data(), v3.data(), w3));
  matrix g(6, n), e1 = w, e2 = w, e3 = w, es2 = s, em3 = m, ev3 = v;
  CHECK_STATUS(
      BLOCKSPARSE_OK,
      call_bag_sum(
          isa, BLOCKSPARSE_BAG_SUM,
          {bags.offsets.data(), bags.indices.data(), bags.values.data(), 6, bags.entries()}, 0, 6,
          {a.data(), nullptr, a.rows(), a.ld(), n, BLOCKSPARSE_FLOAT32}, rows_of(g)));
  for (int32_t bag = 1; bag < 6; ++bag) {
    const int32_t row = targets[static_cast<std::size_t>(bag)];
    const float* const gradient = g.data() + bag * g.ld();
    const float length = blocksparse_norm_f32(isa, n, gradient);
    const float scale = length > max_norm ? max_norm / length : 1.0f;
    const auto at = [&](matrix& x) { return x.data() + row * x.ld(); };
    const auto exact = [&](int32_t rule, float* moment1, float* moment2, float* to) {
      return call_step(isa, {rule, 0.1f, decay, 0, 0.9f, 0.99f, 1e-3f}, scale,
                       steps[static_cast<std::size_t>(bag)], gradient, {to, moment1, moment2, n});
    };
    CHECK_STATUS(BLOCKSPARSE_OK, exact(BLOCKSPARSE_SGD, nullptr, nullptr, at(e1)));
    CHECK_STATUS(BLOCKSPARSE_OK, exact(BLOCKSPARSE_ADAGRAD, at(es2), nullptr, at(e2)));
    CHECK_STATUS(BLOCKSPARSE_OK, exact(BLOCKSPARSE_ADAM, at(em3), at(ev3), at(e3)));
  }
  CHECK(w1.same_bits(e1));
  CHECK(w2.same_bits(e2) && s2.same_bits(es2));
  CHECK(w3.same_bits(e3) && m3.same_bits(em3) && v3.same_bits(ev3));
  CHECK(w1.intact() && w2.intact() && w3.intact() && scratch.intact());
}

void check_refusals(int32_t isa) {
  context() = "refusals";
  const std::vector<int32_t> offsets = {0, 1, 2}, falling = {1, 0, 2}, far = {0, 1, 3};
  const std::vector<int32_t> indices = {0, 1}, outside = {0, 2}, negative = {0, -1};
  const std::vector<int32_t> steps = {1, 0};
  matrix a(2, 4, 0, 1.0f), c(2, 4, 0, 7.0f), w(2, 4, 0, 7.0f), scratch(1, 4);
  const auto sum = [&](int32_t reduction, const int32_t* o, int32_t begin, int32_t end,
                       const int32_t* i, int32_t entries, int64_t lda) {
    return call_bag_sum(isa, reduction, {o, i, nullptr, 2, entries}, begin, end,
                        {a.data(), nullptr, 2, lda, 4, BLOCKSPARSE_FLOAT32},
                        rows_of(c.data(), 2, 4));
  };
  const int32_t* const o = offsets.data();
  const int32_t* const i = indices.data();
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, sum(3, o, 0, 2, i, 2, 4));
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, sum(-1, o, 0, 2, i, 2, 4));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, sum(0, o, 0, 3, i, 2, 4));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, sum(0, o, 0, 2, i, -1, 4));
  CHECK_STATUS(BLOCKSPARSE_BAD_SIZE, sum(0, o, 0, 2, i, 2, 3));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, sum(0, nullptr, 0, 2, i, 2, 4));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, sum(0, o, 0, 2, nullptr, 2, 4));
  CHECK_STATUS(BLOCKSPARSE_BAD_SCHEDULE, sum(0, falling.data(), 0, 2, i, 2, 4));
  CHECK_STATUS(BLOCKSPARSE_BAD_SCHEDULE, sum(0, far.data(), 1, 2, i, 2, 4));
  CHECK_STATUS(BLOCKSPARSE_BAD_INDEX, sum(0, o, 1, 2, outside.data(), 2, 4));
  CHECK_STATUS(BLOCKSPARSE_BAD_INDEX, sum(0, o, 1, 2, negative.data(), 2, 4));
  CHECK_STATUS(
      BLOCKSPARSE_UNSUPPORTED_ISA,
      call_bag_sum(-1, 0, {o, i, nullptr, 2, 2}, 0, 2,
                   {a.data(), nullptr, 2, 4, 4, BLOCKSPARSE_FLOAT32}, rows_of(c.data(), 2, 4)));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER,
               call_bag_dot(isa, 0, {o, i, nullptr, 2, 2}, 0, 2,
                            {a.data(), nullptr, 2, 4, 4, BLOCKSPARSE_FLOAT32},
                            rows_of(c.data(), 2, 4), nullptr));
  matrix m(2, 4, 0, 0.0f), v = m;
  const auto step = [&](int32_t rule, const int32_t* targets, const int32_t* numbers,
                        float max_norm, float* moment1, float* moment2, float* gradient) {
    return call_bag_step(isa, {rule, 0.1f, 0.0f, max_norm, 0.9f, 0.9f, 0.1f}, {o, i, nullptr, 2, 2},
                         1, 2, {a.data(), nullptr, 2, 4, 4, BLOCKSPARSE_FLOAT32}, targets, numbers,
                         {w.data(), moment1, moment2, 2 * int64_t{4}}, gradient);
  };
  const std::vector<int32_t> first = {1, 1};
  for (const int32_t rule : {BLOCKSPARSE_SGD, BLOCKSPARSE_ADAGRAD, BLOCKSPARSE_ADAM}) {
    const auto with = [&](const int32_t* targets, float max_norm, float* gradient) {
      return step(rule, targets, first.data(), max_norm, m.data(), v.data(), gradient);
    };
    CHECK_STATUS(BLOCKSPARSE_BAD_INDEX, with(outside.data(), kNoLimit, scratch.data()));
    CHECK_STATUS(BLOCKSPARSE_BAD_INDEX, with(negative.data(), kNoLimit, scratch.data()));
    CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, with(i, 0.0f, scratch.data()));
    CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, with(i, quiet_nan(), scratch.data()));
    CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, with(nullptr, kNoLimit, scratch.data()));
    CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, with(i, kNoLimit, nullptr));
  }
  const auto lacking = [&](int32_t rule, const int32_t* numbers, float* moment1, float* moment2) {
    return step(rule, i, numbers, kNoLimit, moment1, moment2, scratch.data());
  };
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, lacking(-1, first.data(), m.data(), v.data()));
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT, lacking(3, first.data(), m.data(), v.data()));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, lacking(BLOCKSPARSE_ADAGRAD, nullptr, nullptr, v.data()));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER,
               lacking(BLOCKSPARSE_ADAM, first.data(), nullptr, v.data()));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER,
               lacking(BLOCKSPARSE_ADAM, first.data(), m.data(), nullptr));
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER, lacking(BLOCKSPARSE_ADAM, nullptr, m.data(), v.data()));
  CHECK_STATUS(BLOCKSPARSE_BAD_ARGUMENT,
               lacking(BLOCKSPARSE_ADAM, steps.data(), m.data(), v.data()));
  for (int32_t q = 0; q < 4; ++q) {
    CHECK(c.at(0, q) == 7.0f && c.at(1, q) == 7.0f && w.at(0, q) == 7.0f && w.at(1, q) == 7.0f);
  }
  CHECK_STATUS(BLOCKSPARSE_OK, call_bag_sum(isa, 0, {o, nullptr, nullptr, 0, 0}, 0, 0,
                                            {nullptr, nullptr, 0, 4, 4, BLOCKSPARSE_FLOAT32},
                                            rows_of(nullptr, 0, 4)));
}

// A sum that overflows in one column does not make its mean infinite, wherever that column is.
void check_one_column_beyond_floats(int32_t isa, int32_t n) {
  context() = "one column beyond floats, isa " + std::string(blocksparse_isa_name(isa)) + ", n " +
              std::to_string(n);
  constexpr float kHuge = 3e38f;
  const std::vector<int32_t> offsets = {0, 4}, indices = {0, 0, 0, 0};
  for (int32_t huge = 0; huge < n; ++huge) {
    matrix a(1, n, 3, 2.0f), c(1, n);
    a.at(0, huge) = kHuge;
    CHECK_STATUS(
        BLOCKSPARSE_OK,
        call_bag_sum(isa, BLOCKSPARSE_BAG_MEAN, {offsets.data(), indices.data(), nullptr, 1, 4}, 0,
                     1, {a.data(), nullptr, 1, a.ld(), n, BLOCKSPARSE_FLOAT32}, rows_of(c)));
    for (int32_t q = 0; q < n; ++q) {
      CHECK(c.at(0, q) == (q == huge ? kHuge : 2.0f));
    }
  }
}

// Sums and products that overflow although the result, after the factor, does not.
void check_beyond_floats(int32_t isa, int32_t n) {
  context() =
      "beyond floats, isa " + std::string(blocksparse_isa_name(isa)) + ", n " + std::to_string(n);
  constexpr float kHuge = 3e38f;
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<int32_t> offsets = {0, 4, 6, 7, 9}, indices = {0, 0, 0, 0, 0, 1, 0, 0, 2};
  const std::vector<float> ones(indices.size(), 1.0f);
  matrix a(3, n, 3, kHuge), y(4, n, 3, 0.0f);
  for (int32_t q = 0; q < n; ++q) {
    a.at(1, q) = 2.0f;
  }
  a.at(2, n - 1) = infinity;
  for (int32_t r = 0; r < 4; ++r) {
    y.at(r, 0) = n == 1 ? 1.5f : 1.0f;
    y.at(r, n - 1) = n == 1 ? 1.5f : 0.5f;
  }
  for (const float* const values : {static_cast<const float*>(nullptr), ones.data()}) {
    for (const int32_t reduction : {BLOCKSPARSE_BAG_MEAN, BLOCKSPARSE_BAG_ROOT_MEAN}) {
      matrix c(4, n);
      CHECK_STATUS(
          BLOCKSPARSE_OK,
          call_bag_sum(isa, reduction, {offsets.data(), indices.data(), values, 4, 9}, 0, 4,
                       {a.data(), nullptr, 3, a.ld(), n, BLOCKSPARSE_FLOAT32}, rows_of(c)));
      const bool mean = reduction == BLOCKSPARSE_BAG_MEAN;
      for (int32_t q = 0; q < n; ++q) {
        CHECK(c.at(0, q) == (mean ? kHuge : infinity));
        const double half = static_cast<double>(kHuge) * factor(reduction, 2.0);
        CHECK(std::fabs(static_cast<double>(c.at(1, q)) - half) <= 0x1p-22 * half);
        CHECK(c.at(2, q) == kHuge);
        CHECK(c.at(3, q) == (q == n - 1 || !mean ? infinity : kHuge));
      }
      CHECK(c.intact());
    }
  }
  std::vector<float> dots(indices.size());
  CHECK_STATUS(BLOCKSPARSE_OK, call_bag_dot(isa, BLOCKSPARSE_BAG_MEAN,
                                            {offsets.data(), indices.data(), nullptr, 4, 9}, 0, 4,
                                            {a.data(), nullptr, 3, a.ld(), n, BLOCKSPARSE_FLOAT32},
                                            rows_of(y), dots.data()));
  const double exact = 1.5 * static_cast<double>(kHuge);
  CHECK(std::fabs(static_cast<double>(dots[0]) - exact / 4) <= 0x1p-22 * exact);
  CHECK(std::fabs(static_cast<double>(dots[4]) - exact / 2) <= 0x1p-22 * exact);
  CHECK(dots[5] == 1.5f);
  CHECK(dots[6] == infinity);  // alone in its bag
  CHECK(dots[8] == infinity);
}

// Checks the status of sum and dot for a table of a type at an address with scales.
void check_table(int32_t isa, blocksparse_status expected, int32_t type, const void* a,
                 const float* scales) {
  const int32_t offsets[] = {0, 1}, index = 1;
  float c[] = {7.0f, 7.0f}, dot = 7.0f;
  CHECK_STATUS(expected, call_bag_sum(isa, 0, {offsets, &index, nullptr, 1, 1}, 0, 1,
                                      {a, scales, 2, 2, 2, type}, rows_of(c, 1, 2)));
  CHECK_STATUS(expected, call_bag_dot(isa, 0, {offsets, &index, nullptr, 1, 1}, 0, 1,
                                      {a, scales, 2, 2, 2, type}, rows_of(c, 1, 2), &dot));
  CHECK((expected == BLOCKSPARSE_OK) == (c[0] != 7.0f && c[1] != 7.0f && dot != 7.0f));
}

void check_types(int32_t isa) {
  context() = "types";
  const float a[5] = {}, scales[2] = {};
  const char* const bytes = reinterpret_cast<const char*>(a);
  check_table(isa, BLOCKSPARSE_OK, BLOCKSPARSE_FLOAT32, a, nullptr);
  check_table(isa, BLOCKSPARSE_OK, BLOCKSPARSE_FLOAT16, bytes + 1, nullptr);
  check_table(isa, BLOCKSPARSE_OK, BLOCKSPARSE_BFLOAT16, bytes + 1, nullptr);
  check_table(isa, BLOCKSPARSE_OK, BLOCKSPARSE_INT8, bytes + 1, scales);
  check_table(isa, BLOCKSPARSE_BAD_ARGUMENT, -1, a, nullptr);
  check_table(isa, BLOCKSPARSE_BAD_ARGUMENT, 4, a, nullptr);
  check_table(isa, BLOCKSPARSE_BAD_ARGUMENT, BLOCKSPARSE_FLOAT32, bytes + 1, nullptr);
  check_table(isa, BLOCKSPARSE_BAD_ARGUMENT, BLOCKSPARSE_FLOAT16, a, scales);
  check_table(isa, BLOCKSPARSE_NULL_POINTER, BLOCKSPARSE_FLOAT16, nullptr, nullptr);
  check_table(isa, BLOCKSPARSE_NULL_POINTER, BLOCKSPARSE_INT8, a, nullptr);
}

// Rows of every type give the same bits as their floats.
void check_stored(int32_t isa, int32_t type, int32_t n) {
  random_source r(static_cast<uint64_t>(4 * n + type));
  const bag_list bags = random_bags(r, {3, 0, 1, 44, 2, 0, 7}, 11);
  const stored a(type, 11 * n, 1, n, r);  // with a scale for each row
  const std::vector<float>& floats = a.widened;
  matrix y(bags.count(), n);
  y.fill([&] { return r.uniform(); });
  for (const bool weighted : {false, true}) {
    context() = std::string(kTypeNames[type]) + ", isa " + blocksparse_isa_name(isa) + ", n " +
                std::to_string(n) + (weighted ? ", weighted" : "");
    const float* const values = weighted ? bags.values.data() : nullptr;
    matrix expected(bags.count(), n), actual(bags.count(), n);
    std::vector<float> wanted(bags.indices.size()), found(bags.indices.size(), -1.0f);
    const auto run = [&](int32_t as, const void* table, const float* scales, matrix& c,
                         std::vector<float>& dots) {
      CHECK_STATUS(BLOCKSPARSE_OK,
                   call_bag_sum(isa, BLOCKSPARSE_BAG_ROOT_MEAN,
                                {bags.offsets.data(), bags.indices.data(), values, bags.count(),
                                 bags.entries()},
                                0, bags.count(), {table, scales, 11, n, n, as}, rows_of(c)));
      CHECK_STATUS(BLOCKSPARSE_OK, call_bag_dot(isa, BLOCKSPARSE_BAG_ROOT_MEAN,
                                                {bags.offsets.data(), bags.indices.data(), nullptr,
                                                 bags.count(), bags.entries()},
                                                0, bags.count(), {table, scales, 11, n, n, as},
                                                rows_of(y), dots.data()));
    };
    run(BLOCKSPARSE_FLOAT32, floats.data(), nullptr, expected, wanted);
    run(type, a.data(), a.scale_data(), actual, found);
    CHECK(actual.same_bits(expected) && actual.intact());
    CHECK(std::memcmp(wanted.data(), found.data(), wanted.size() * sizeof(float)) == 0);
  }
}

}  // namespace

int main() {
  for (const int32_t isa : instruction_sets()) {
    for (const int32_t n : {0, 1, 3, 4, 7, 16, 17, 31, 64, 65, 100, 128, 131, 300}) {
      check_sums(isa, n);
      check_steps(isa, n, 0.0f, kNoLimit);
      check_steps(isa, n, 0.01f, 0.5f);
    }
    for (const int32_t n : {1, 2, 5, 16, 63, 64, 65, 131}) {
      check_beyond_floats(isa, n);
      check_one_column_beyond_floats(isa, n);
    }
    for (const int32_t type : kTypes) {
      for (const int32_t n : {0, 1, 2, 3, 4, 5, 6, 7, 8, 13, 17, 31, 64, 67, 101, 128, 131, 300}) {
        check_stored(isa, type, n);
      }
    }
    check_types(isa);
    check_refusals(isa);
  }
  return report("bag_test");
}
