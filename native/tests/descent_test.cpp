// SPDX-License-Identifier: Apache-2.0
// block_descent compared with block_gemm followed by block_outer: the bits are equal. Other tests
// compare those two with plain loops.
#include "testing.h"

namespace {

using namespace testing;

constexpr int32_t kInBlocks = 2, kOutBlocks = 5;

struct problem {
  const char* name;
  int32_t m, n;
  int32_t most_pairs;  // per block
  bool accumulate;
  float size = 1.0f;      // of x
  bool repeats = false;   // whether rows of c get several products
  bool shuffled = false;  // whether the step has its pairs in another order
};

struct operands {
  std::vector<int32_t> gradient, step;
  matrix x, y, w, c, bias, scratch;
};

// Makes operands in which row r of c gets one product, with row r of y, or several; its samples
// choose blocks in turns.
operands make(const problem& p, random_source& r) {
  std::vector<int32_t> rows, blocks, x_block, y_block, pair_start{0}, pair_x, pair_y;
  std::vector<gemm_pair> pairs;
  int32_t count = 0;
  for (int32_t block = 0; block < kOutBlocks; ++block) {
    const int32_t read = block % kInBlocks;
    const int32_t of_block = block == 0 ? p.most_pairs : r.below(p.most_pairs + 1);
    if (of_block == 0) {
      continue;
    }
    x_block.push_back(read);
    y_block.push_back(block);
    const std::size_t begin = pair_y.size();
    for (int32_t i = 0; i < of_block; ++i, ++count) {
      const bool again = p.repeats && i > 0;
      if (!again) {
        rows.push_back(count);
        blocks.push_back(block);
      }
      pairs.push_back({count, again ? rows.back() : count, read});
      pair_x.push_back(r.below(7));
      pair_y.push_back(count);
    }
    if (p.shuffled) {
      std::reverse(pair_y.begin() + static_cast<std::ptrdiff_t>(begin), pair_y.end());
    }
    pair_start.push_back(count);
  }
  std::vector<int32_t> step{BLOCKSPARSE_OUTER_SCHEDULE, static_cast<int32_t>(x_block.size()),
                            count};
  for (const auto* part : {&x_block, &y_block, &pair_start, &pair_x, &pair_y}) {
    step.insert(step.end(), part->begin(), part->end());
  }
  operands o = {gemm_schedule(rows, blocks, pairs, 1000),
                step,
                matrix(7, p.m),
                matrix(count, p.n),
                matrix(int64_t{kInBlocks} * kOutBlocks * p.m, p.n),
                matrix(count, p.m),
                matrix(kOutBlocks, p.m),
                matrix(1, static_cast<int32_t>(most_scratch(p.m, p.n)))};
  o.x.fill([&] { return p.size * r.uniform(); });
  for (matrix* of : {&o.y, &o.w, &o.bias}) {
    of->fill([&] { return r.uniform(); });
  }
  if (p.accumulate) {
    o.c.fill([&] { return r.uniform(); });
  }
  return o;
}

struct call {
  blocksparse_part gradient, step;
  blocksparse_rows x, y;
  blocksparse_blocks w;
  blocksparse_sums c;
  matrix* scratch;

  call(const problem& p, operands& o, int32_t block)
      : gradient(part_of(o.gradient, block, block + 1, 0, p.m)),
        step(part_of(o.step, block, block + 1, 0, p.m)),
        x(rows_of(o.x)),
        y(rows_of(o.y)),
        w(blocks_of(o.w.data(), kInBlocks, kOutBlocks, p.m, p.n, o.w.ld())),
        c(sums_of(rows_of(o.c), p.accumulate)),
        scratch(&o.scratch) {}

  int32_t run(int32_t isa, int32_t path) const {
    return blocksparse_block_descent_f32(isa, path, &gradient, &step, &x, &y, -0.5f, &w, &c,
                                         scratch->data(), scratch->size());
  }

  int32_t run_apart(int32_t isa, int32_t path) const {
    blocksparse_blocks transposed = w;
    std::swap(transposed.in_size, transposed.out_size);
    transposed.transposed = 1;
    const int32_t status = blocksparse_block_gemm_f32(isa, path, &gradient, &y, 0, &transposed, &c,
                                                      scratch->data(), scratch->size());
    return status != BLOCKSPARSE_OK
               ? status
               : blocksparse_block_outer_f32(isa, path, &step, -0.5f, &x, &y, 1, &w,
                                             scratch->data(), scratch->size());
  }
};

void check_problem(const problem& p, int32_t isa, int32_t path, uint64_t stream) {
  context() = std::string(p.name) + " m " + std::to_string(p.m) + " n " + std::to_string(p.n) +
              " pairs " + std::to_string(p.most_pairs) + ", isa " + blocksparse_isa_name(isa) +
              ", path " + std::to_string(path);
  random_source r(stream);
  const operands before = make(p, r);
  operands at_once = before, apart = before;
  for (int32_t block = 0; block < before.step[1]; ++block) {
    CHECK_STATUS(BLOCKSPARSE_OK, call(p, at_once, block).run(isa, path));
    CHECK_STATUS(BLOCKSPARSE_OK, call(p, apart, block).run_apart(isa, path));
  }
  CHECK(at_once.w.same_bits(apart.w) && at_once.c.same_bits(apart.c));
  CHECK(!at_once.w.same_bits(before.w) && at_once.w.intact() && at_once.c.intact());
  CHECK(at_once.x.same_bits(before.x) && at_once.y.same_bits(before.y));

  // All blocks in one call, and rows of c that begin with a bias.
  operands together = before;
  call all(p, together, 0);
  all.gradient.end = together.gradient[1];
  all.step.end = together.step[1];
  CHECK_STATUS(BLOCKSPARSE_OK, all.run(isa, path));
  CHECK(path != BLOCKSPARSE_PATH_TILE || together.w.same_bits(apart.w));
  operands biased = before, biased_apart = before;
  for (operands* o : {&biased, &biased_apart}) {
    call one(p, *o, 0);
    one.c = sums_of(rows_of(o->c), o->bias);
    CHECK_STATUS(BLOCKSPARSE_OK, o == &biased ? one.run(isa, path) : one.run_apart(isa, path));
  }
  CHECK(biased.c.same_bits(biased_apart.c) && biased.w.same_bits(biased_apart.w));
}

void check_refusals(int32_t isa) {
  const problem p = {"refusals", 70, 90, 3, true};
  random_source r(1);
  const operands before = make(p, r);
  const auto refused = [&](int32_t status, const std::function<void(call*, operands*)>& spoil) {
    operands o = before;
    call one(p, o, 0);
    spoil(&one, &o);
    CHECK_STATUS(status, one.run(isa, BLOCKSPARSE_PATH_TILE));
    CHECK(o.w.same_bits(before.w) && o.c.same_bits(before.c));
  };
  refused(BLOCKSPARSE_BAD_ARGUMENT, [](call* c, operands*) { c->w.transposed = 1; });
  refused(BLOCKSPARSE_BAD_ARGUMENT, [](call* c, operands*) { c->w.type = BLOCKSPARSE_FLOAT16; });
  refused(BLOCKSPARSE_BAD_ARGUMENT, [](call* c, operands*) { c->c.accumulate = 2; });
  refused(BLOCKSPARSE_BAD_SIZE, [](call* c, operands*) { c->w.ld = 89; });
  refused(BLOCKSPARSE_BAD_SIZE, [](call* c, operands*) { c->gradient.column_end = 71; });
  refused(BLOCKSPARSE_BAD_SIZE, [](call* c, operands*) { c->y.stride = 1; });
  refused(BLOCKSPARSE_NULL_POINTER, [](call* c, operands*) { c->c.rows.data = nullptr; });
  refused(BLOCKSPARSE_BAD_SCHEDULE, [](call* c, operands*) { c->gradient.end = 1000; });
  refused(BLOCKSPARSE_BAD_INDEX, [](call* c, operands*) { c->y.count = 0; });
  refused(BLOCKSPARSE_BAD_INDEX, [](call* c, operands*) { c->c.rows.count = 0; });
  operands o = before;
  const call one(p, o, 0);
  CHECK_STATUS(BLOCKSPARSE_NULL_POINTER,
               blocksparse_block_descent_f32(isa, BLOCKSPARSE_PATH_TILE, &one.gradient, nullptr,
                                             &one.x, &one.y, 1.0f, &one.w, &one.c, nullptr, 0));
  CHECK_STATUS(BLOCKSPARSE_UNSUPPORTED_ISA, one.run(99, BLOCKSPARSE_PATH_TILE));
}

}  // namespace

int main() {
  blocksparse_set_openblas_threads(1);
  uint64_t stream = 0;
  for (const int32_t isa : instruction_sets()) {
    for (const int32_t path :
         {BLOCKSPARSE_PATH_AUTO, BLOCKSPARSE_PATH_BLAS, BLOCKSPARSE_PATH_TILE}) {
      for (int32_t pairs = 1; pairs <= 10; ++pairs) {
        for (const bool accumulate : {false, true}) {
          check_problem({"few pairs", 67, 131, pairs, accumulate}, isa, path, ++stream);
        }
      }
      for (int32_t n = 60; n <= 80; ++n) {  // every remainder of vectors and of rows
        check_problem({"remainders", n + 5, n, n % 8 + 1, n % 2 == 0}, isa, path, ++stream);
      }
      check_problem({"a row", 1, 5000, 3, true}, isa, path, ++stream);
      check_problem({"narrow", 300, 20, 2, true}, isa, path, ++stream);
      check_problem({"small", 16, 64, 3, true}, isa, path, ++stream);
      check_problem({"large sums", 70, 90, 3, true, 0x1p127f}, isa, path, ++stream);
      check_problem({"rows with several", 70, 90, 4, true, 1.0f, true}, isa, path, ++stream);
      check_problem({"another order", 70, 90, 4, true, 1.0f, false, true}, isa, path, ++stream);
    }
    check_refusals(isa);
  }
  return report("descent_test");
}
