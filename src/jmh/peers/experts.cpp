// SPDX-License-Identifier: Apache-2.0
//
// A layer of SwiGLU experts in ggml, or with IK_LLAMA in ik_llama.cpp, for the benchmark of them.
// It makes the same numbers as MoeNumbers.java, and reads commands from its standard input:
//
//   experts TYPE PACKED EXPERTS TOP INPUTS HIDDEN    prints "ready" once the weights are made
//
//     tokens N                 prints the outputs of the first two tokens of N, or of the only one
//     time THREADS SECONDS     prints the nanoseconds of calls; but the first, none begins later
//
// TYPE is one of ggml's (q8_0). With PACKED 1 weights are laid out as this library would for its
// fastest kernels; it is an error if it has no such layout.
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "arguments.h"
#include "ggml-alloc.h"
#include "ggml-backend.h"
#include "ggml.h"
#if defined(IK_LLAMA)
#include "iqk/iqk_quantize.h"
#else
#include "ggml-cpu.h"
#endif

#if defined(IK_LLAMA)
// Attention is not built (CMakeLists.txt), and no graph of this program has any.
extern "C" void iqk_flash_attn_noalibi() { std::abort(); }
extern "C" void iqk_fa_work_buffer_size() { std::abort(); }
#endif

namespace {

constexpr int kRoutings = 16;
constexpr int kDistinct = 4;  // experts with weights of their own; the others are copies
constexpr int kCheckedTokens = 2;
constexpr int64_t kHuge = 2 << 20;

// ------------------------------------------------------------------------------------- numbers

// SplitMix64.
class generator {
 public:
  explicit generator(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    state_ += 0x9E3779B97F4A7C15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

  // Returns an approximately Gaussian number: a sum of four uniform numbers, exact in a double.
  float centred(double deviation) {
    double sum = 0;
    for (int i = 0; i < 4; ++i) {
      sum += static_cast<double>(next() >> 40) * 0x1p-24;
    }
    return static_cast<float>((sum - 2) * (std::sqrt(3.0) * deviation));
  }

 private:
  uint64_t state_;
};

std::vector<float> centred(uint64_t seed, std::size_t count, double deviation) {
  generator random(seed);
  std::vector<float> values(count);
  for (float& value : values) {
    value = random.centred(deviation);
  }
  return values;
}

struct shape {
  int64_t experts, top, inputs, hidden;
};

// Returns different experts for each token, (tokens, top).
std::vector<int32_t> routing(const shape& s, int number, int64_t tokens) {
  generator random(100 + static_cast<uint64_t>(number));
  std::vector<int32_t> chosen;
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t k = 0; k < s.top;) {
      const int32_t e =
          static_cast<int32_t>((random.next() >> 33) % static_cast<uint64_t>(s.experts));
      if (std::find(chosen.end() - k, chosen.end(), e) == chosen.end()) {
        chosen.push_back(e);
        ++k;
      }
    }
  }
  return chosen;
}

// ------------------------------------------------------------------------------------- weights

void quantize(ggml_type type, const float* from, void* to, int64_t rows, int64_t row_size) {
#if defined(IK_LLAMA)
  ggml_quantize_chunk(type, from, to, 0, rows, row_size, nullptr, nullptr);
#else
  ggml_quantize_chunk(type, from, to, 0, rows, row_size, nullptr);
#endif
}

// Returns weights (experts, outputs, inputs) in a type, before packing.
std::vector<uint8_t> quantized(const ggml_tensor* tensor, uint64_t seed) {
  const int64_t inputs = tensor->ne[0], outputs = tensor->ne[1];
  std::vector<uint8_t> bytes(ggml_nbytes(tensor));
  const std::size_t expert = bytes.size() / static_cast<std::size_t>(tensor->ne[2]);
  for (int64_t e = 0; e < tensor->ne[2]; ++e) {
    uint8_t* const to = bytes.data() + static_cast<std::size_t>(e) * expert;
    if (e >= kDistinct) {
      std::memcpy(to, bytes.data() + static_cast<std::size_t>(e % kDistinct) * expert, expert);
      continue;
    }
    const std::vector<float> values =
        centred(seed + static_cast<uint64_t>(e), static_cast<std::size_t>(inputs * outputs),
                1 / std::sqrt(static_cast<double>(inputs)));
    if (tensor->type == GGML_TYPE_F32) {
      std::memcpy(to, values.data(), expert);
    } else {
      quantize(tensor->type, values.data(), to, outputs, inputs);
    }
  }
  return bytes;
}

void advise_huge(void* begin, std::size_t size) {
  const uintptr_t from = (reinterpret_cast<uintptr_t>(begin) + kHuge - 1) / kHuge * kHuge;
  const uintptr_t to = (reinterpret_cast<uintptr_t>(begin) + size) / kHuge * kHuge;
  if (from < to) {
    madvise(reinterpret_cast<void*>(from), to - from, MADV_HUGEPAGE);
  }
}

#if defined(IK_LLAMA)

void fill(ggml_context*, ggml_tensor* tensor, uint64_t seed, bool packed) {
  const std::vector<uint8_t> bytes = quantized(tensor, seed);
  tensor->data = std::aligned_alloc(kHuge, (bytes.size() + kHuge - 1) / kHuge * kHuge);
  advise_huge(tensor->data, bytes.size());
  std::memcpy(tensor->data, bytes.data(), bytes.size());
  if (packed) {
    const ggml_type before = tensor->type;
    iqk_repack_tensor(tensor);
    if (tensor->type == before) {
      fail("no packed layout");
    }
  }
}

#else

// Returns the buffer of a layout for which the processor has faster kernels, found as llama.cpp
// does.
ggml_backend_buffer_type_t packed_buffer(ggml_context* context, ggml_tensor* tensor) {
  const ggml_backend_reg_t registry = ggml_backend_cpu_reg();
  const ggml_backend_dev_t device = ggml_backend_reg_dev_get(registry, 0);
  const auto extra = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(
      ggml_backend_reg_get_proc_address(registry, "ggml_backend_dev_get_extra_bufts"));
  ggml_tensor* const x = ggml_new_tensor_3d(context, GGML_TYPE_F32, tensor->ne[0], 1, 1);
  ggml_tensor* const ids = ggml_new_tensor_2d(context, GGML_TYPE_I32, 1, 1);
  ggml_tensor* const product = ggml_mul_mat_id(context, tensor, x, ids);
  for (ggml_backend_buffer_type_t* type = extra(device); type != nullptr && *type != nullptr;
       ++type) {
    const ggml_backend_buffer_t empty = ggml_backend_buft_alloc_buffer(*type, 0);
    tensor->buffer = empty;
    const bool supported = ggml_backend_dev_supports_op(device, product);
    tensor->buffer = nullptr;
    ggml_backend_buffer_free(empty);
    if (supported) {
      return *type;
    }
  }
  fail("no packed layout");
}

void fill(ggml_context* context, ggml_tensor* tensor, uint64_t seed, bool packed) {
  const ggml_backend_buffer_type_t type =
      packed ? packed_buffer(context, tensor) : ggml_backend_cpu_buffer_type();
  const ggml_backend_buffer_t buffer =
      ggml_backend_buft_alloc_buffer(type, ggml_backend_buft_get_alloc_size(type, tensor));
  advise_huge(ggml_backend_buffer_get_base(buffer), ggml_backend_buffer_get_size(buffer));
  ggml_backend_tensor_alloc(buffer, tensor, ggml_backend_buffer_get_base(buffer));
  const std::vector<uint8_t> bytes = quantized(tensor, seed);
  ggml_backend_tensor_set(tensor, bytes.data(), 0, bytes.size());
}

#endif

struct weights {
  weights(const shape& s, ggml_type type, bool packed)
      : context(ggml_init({64 * ggml_tensor_overhead(), nullptr, true})),
        gate(ggml_new_tensor_3d(context, type, s.inputs, s.hidden, s.experts)),
        up(ggml_new_tensor_3d(context, type, s.inputs, s.hidden, s.experts)),
        down(ggml_new_tensor_3d(context, type, s.hidden, s.inputs, s.experts)) {
    fill(context, gate, 1000, packed);
    fill(context, up, 2000, packed);
    fill(context, down, 3000, packed);
  }

  ggml_context* context;
  ggml_tensor* gate;
  ggml_tensor* up;
  ggml_tensor* down;
};

// ------------------------------------------------------------------------------------- the layer

class layer {
 public:
  layer(const shape& s, const weights& w, int64_t tokens) : s_(s), tokens_(tokens) {
    const int64_t pairs = tokens * s.top;
    const std::size_t floats =
        static_cast<std::size_t>(tokens * s.inputs * (s.top + 2) + pairs * (4 * s.hidden) +
                                 pairs * (2 * s.inputs) + 4 * pairs);
    context_ = ggml_init({4 * floats + (1 << 20) + ggml_graph_overhead(), nullptr, false});
    x_ = ggml_new_tensor_3d(context_, GGML_TYPE_F32, s.inputs, 1, tokens);
    ids_ = ggml_new_tensor_2d(context_, GGML_TYPE_I32, s.top, tokens);
    ggml_tensor* const gates = ggml_new_tensor_3d(context_, GGML_TYPE_F32, 1, s.top, tokens);
    const std::vector<float> x = centred(5, static_cast<std::size_t>(tokens * s.inputs), 1);
    std::memcpy(x_->data, x.data(), ggml_nbytes(x_));
    std::fill_n(static_cast<float*>(gates->data), pairs, 1.0f / static_cast<float>(s.top));
    for (int r = 0; r < kRoutings; ++r) {
      routings_.push_back(routing(s, r, tokens));
    }
#if defined(IK_LLAMA)
    ggml_tensor* const inside =
        ggml_moe_up_gate(context_, w.up, w.gate, x_, ids_, GGML_UNARY_OP_SILU);
    out_ = ggml_mul_multi_add(context_, ggml_mul_mat_id(context_, w.down, inside, ids_), gates);
#else
    ggml_tensor* const up = ggml_mul_mat_id(context_, w.up, x_, ids_);
    ggml_tensor* const gate = ggml_mul_mat_id(context_, w.gate, x_, ids_);
    ggml_tensor* const inside = ggml_swiglu_split(context_, gate, up);
    ggml_tensor* const outs =
        ggml_mul(context_, ggml_mul_mat_id(context_, w.down, inside, ids_), gates);
    for (int64_t k = 0; k < s.top; ++k) {
      ggml_tensor* const one = ggml_view_2d(context_, outs, s.inputs, tokens, outs->nb[2],
                                            static_cast<std::size_t>(k) * outs->nb[1]);
      out_ = k == 0 ? one : ggml_add(context_, out_, one);
    }
#endif
    graph_ = ggml_new_graph(context_);
    ggml_build_forward_expand(graph_, out_);
  }

  ~layer() { ggml_free(context_); }
  layer(const layer&) = delete;
  layer& operator=(const layer&) = delete;

  void run(int routing, int threads) {
    if (threads != threads_) {
      plan(threads);
    }
    std::memcpy(ids_->data, routings_[static_cast<std::size_t>(routing)].data(), ggml_nbytes(ids_));
    ggml_graph_compute(graph_, &plan_);
  }

  void print() const {
    const float* const out = static_cast<const float*>(out_->data);
    for (int64_t i = 0; i < s_.inputs * std::min<int64_t>(kCheckedTokens, tokens_); ++i) {
      std::printf("%.9g ", static_cast<double>(out[i]));
    }
    std::printf("\n");
  }

 private:
  void plan(int threads) {
    threads_ = threads;
#if defined(IK_LLAMA)
    plan_ = ggml_graph_plan(graph_, threads);
#else
    ggml_threadpool_params params = ggml_threadpool_params_default(threads);
    pool_.reset(ggml_threadpool_new(&params));
    plan_ = ggml_graph_plan(graph_, threads, pool_.get());
#endif
    work_.resize(plan_.work_size);
    plan_.work_data = work_.data();
  }

  shape s_;
  int64_t tokens_;
  int threads_ = 0;
  ggml_context* context_;
  ggml_tensor* x_;
  ggml_tensor* ids_;
  ggml_tensor* out_;
  ggml_cgraph* graph_;
  ggml_cplan plan_;
  std::vector<uint8_t> work_;
  std::vector<std::vector<int32_t>> routings_;
#if !defined(IK_LLAMA)
  struct free_pool {
    void operator()(ggml_threadpool* pool) const { ggml_threadpool_free(pool); }
  };
  std::unique_ptr<ggml_threadpool, free_pool> pool_;
#endif
};

int64_t nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void time(layer& l, int threads, double seconds) {
  std::vector<int64_t> times;
  const int64_t end = nanoseconds() + static_cast<int64_t>(seconds * 1e9);
  for (int r = 0; r == 0 || nanoseconds() < end; ++r) {
    const int64_t start = nanoseconds();
    l.run(r % kRoutings, threads);
    times.push_back(nanoseconds() - start);
  }
  for (const int64_t each : times) {
    std::printf("%lld ", static_cast<long long>(each));
  }
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    fail("usage: experts TYPE PACKED EXPERTS TOP INPUTS HIDDEN");
  }
#if !defined(IK_LLAMA)
  ggml_cpu_init();
#endif
  const shape s{std::atoll(argv[3]), std::atoll(argv[4]), std::atoll(argv[5]), std::atoll(argv[6])};
  const ggml_type type = type_of(argv[1]);
  if (s.inputs % ggml_blck_size(type) != 0 || s.hidden % ggml_blck_size(type) != 0) {
    fail("rows of " + std::string(argv[5]) + " or " + argv[6] + " are no whole blocks");
  }
  const weights w(s, type, std::string(argv[2]) == "1");
  std::printf("ready\n");
  std::fflush(stdout);
  std::unique_ptr<layer> current;
  std::string command;
  while (std::cin >> command) {
    if (command == "tokens") {
      int64_t tokens;
      std::cin >> tokens;
      current = std::make_unique<layer>(s, w, tokens);
      current->run(0, static_cast<int>(std::thread::hardware_concurrency()));
      current->print();
    } else {
      int threads;
      double seconds;
      std::cin >> threads >> seconds;
      time(*current, threads, seconds);
    }
    std::fflush(stdout);
  }
  return 0;
}
