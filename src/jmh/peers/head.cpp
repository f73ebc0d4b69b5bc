// SPDX-License-Identifier: Apache-2.0
//
// A dense layer in ggml, for the benchmark of exact searches in such layers:
//
//   head TYPE FEATURES OUTPUTS THREADS SECONDS
//
// multiplies one row by random weights of one of ggml's types (q8_0), and prints the median time
// of a product in nanoseconds.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "arguments.h"
#include "ggml-cpu.h"
#include "ggml.h"

namespace {

// Rows that repeat after some: their numbers do not matter.
void fill(ggml_tensor* w) {
  constexpr int64_t kDistinct = 64;
  const int64_t features = w->ne[0], outputs = w->ne[1];
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> row(static_cast<std::size_t>(features));
  for (int64_t i = 0; i < outputs; ++i) {
    char* const to = static_cast<char*>(w->data) + static_cast<std::size_t>(i) * w->nb[1];
    if (i >= kDistinct) {
      std::memcpy(to,
                  static_cast<char*>(w->data) + static_cast<std::size_t>(i % kDistinct) * w->nb[1],
                  w->nb[1]);
      continue;
    }
    std::generate(row.begin(), row.end(), [&] { return normal(random); });
    ggml_quantize_chunk(w->type, row.data(), to, 0, 1, features, nullptr);
  }
}

int64_t nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    fail("usage: head TYPE FEATURES OUTPUTS THREADS SECONDS");
  }
  ggml_cpu_init();
  const ggml_type type = type_of(argv[1]);
  const int64_t features = std::atoll(argv[2]), outputs = std::atoll(argv[3]);
  const int threads = std::atoi(argv[4]);
  if (features % ggml_blck_size(type) != 0) {
    fail("rows of " + std::string(argv[2]) + " are no whole blocks");
  }
  const std::size_t bytes = ggml_row_size(type, features) * static_cast<std::size_t>(outputs);
  ggml_context* const context = ggml_init(
      {bytes + static_cast<std::size_t>(8 * (features + outputs)) + (2 << 20), nullptr, false});
  ggml_tensor* const w = ggml_new_tensor_2d(context, type, features, outputs);
  ggml_tensor* const x = ggml_new_tensor_2d(context, GGML_TYPE_F32, features, 1);
  fill(w);
  std::fill_n(static_cast<float*>(x->data), features, 0.5f);
  ggml_cgraph* const graph = ggml_new_graph(context);
  ggml_build_forward_expand(graph, ggml_mul_mat(context, w, x));
  ggml_threadpool_params params = ggml_threadpool_params_default(threads);
  ggml_threadpool* const pool = ggml_threadpool_new(&params);
  ggml_cplan plan = ggml_graph_plan(graph, threads, pool);
  std::vector<uint8_t> work(plan.work_size);
  plan.work_data = work.data();
  std::vector<int64_t> times;
  for (const int64_t end = nanoseconds() + static_cast<int64_t>(std::atof(argv[5]) * 1e9);
       times.size() < 3 || nanoseconds() < end;) {
    const int64_t start = nanoseconds();
    ggml_graph_compute(graph, &plan);
    times.push_back(nanoseconds() - start);
  }
  std::sort(times.begin(), times.end());
  std::printf("%lld\n", static_cast<long long>(times[times.size() / 2]));
  ggml_threadpool_free(pool);
  ggml_free(context);
  return 0;
}
