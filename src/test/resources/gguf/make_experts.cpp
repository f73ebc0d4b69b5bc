// SPDX-License-Identifier: Apache-2.0
//
// Writes experts-ARCHITECTURE.gguf with ggml 0.21 (d99724f2): block 1 of a small model with random
// weights, its metadata, and beside them the tensors "x", rows that the experts read, and
// "expected", what ggml makes of them. The graphs are those of llama.cpp of the same time: of
// build_moe_ffn and build_ffn, with the arguments that src/models/ARCHITECTURE.cpp gives them.
// llama.cpp itself is not linked: it has no function that takes one layer.
//
//   cmake -S ggml -B ggml/build -DGGML_NATIVE=OFF -DBUILD_SHARED_LIBS=OFF -DGGML_OPENMP=OFF
//   cmake --build ggml/build
//   g++ -std=c++17 -I ggml/include make_experts.cpp -L ggml/build/src -lggml -lggml-cpu -lggml-base
//       -lpthread -ldl -o make_experts && ./make_experts
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "ggml-cpu.h"
#include "ggml.h"
#include "gguf.h"

namespace {

constexpr int64_t kTokens = 7;
constexpr float kEpsilon = 1e-6f;

enum class gating { softmax = 1, sigmoid = 2, softmax_of_chosen = 3 };

struct model {
  std::string architecture;
  std::string variant;  // part of the file's name
  gating kind = gating::softmax;
  bool writes_kind = false;
  bool normalized = true;
  bool writes_normalized = false;
  float scale = 0;  // 0: none
  int64_t groups = 1, groups_used = 1;
  bool choice_bias = false;
  bool biases = false;
  bool shared = false, shared_gate = false;
  bool fused = false;  // gate and up in one tensor
  bool gelu = false, clamped = false;
  bool gemma = false;  // a router with its own norm, and a scale for each expert
  ggml_type type = GGML_TYPE_F32;
  int64_t inputs = 16, hidden = 12, shared_hidden = 20, experts = 8, used = 3;
};

// The engine gives the same numbers everywhere, as the standard defines it; it defines no
// distribution.
std::mt19937 engine;

float uniform() { return static_cast<float>(engine() >> 8) / (1 << 23) - 1; }

class layer {
 public:
  explicit layer(const model& m)
      : m_(m), memory_(ggml_init({16 << 20, nullptr, false})), file_(gguf_init_empty()) {}

  ~layer() {
    gguf_free(file_);
    ggml_free(memory_);
  }

  layer(const layer&) = delete;
  layer& operator=(const layer&) = delete;

  bool write() {
    metadata();
    ggml_tensor* x = rows();
    ggml_tensor* out = experts(x, logits(x));
    if (m_.shared) {
      out = ggml_add(memory_, out, shared(x));
    }
    ggml_cgraph* const graph = ggml_new_graph(memory_);
    ggml_build_forward_expand(graph, out);
    if (ggml_graph_compute_with_ctx(memory_, graph, 1) != GGML_STATUS_SUCCESS) {
      return false;
    }
    ggml_set_name(x, "x");
    ggml_set_name(out, "expected");
    gguf_add_tensor(file_, x);
    gguf_add_tensor(file_, out);
    const std::string name = "experts-" + m_.architecture + m_.variant + ".gguf";
    return gguf_write_to_file(file_, name.c_str(), false);
  }

 private:
  // Returns a tensor of the file: numbers around `mean`, up to `range` away.
  ggml_tensor* tensor(const std::string& name, ggml_type type, float mean, float range,
                      const std::vector<int64_t>& sizes) {
    ggml_tensor* const made =
        ggml_new_tensor(memory_, type, static_cast<int>(sizes.size()), sizes.data());
    const std::string full = (name.rfind("x", 0) == 0 ? "" : "blk.1.") + name;
    ggml_set_name(made, full.c_str());
    std::vector<float> values(static_cast<std::size_t>(ggml_nelements(made)));
    for (float& value : values) {
      value = mean + range * uniform();
    }
    ggml_quantize_chunk(type, values.data(), made->data, 0, ggml_nrows(made), sizes[0], nullptr);
    if (name.rfind("x", 0) != 0) {
      gguf_add_tensor(file_, made);
    }
    return made;
  }

  ggml_tensor* weights(const std::string& name, ggml_type type, const std::vector<int64_t>& sizes) {
    return tensor(name + ".weight", type, 0, 2 / std::sqrt(static_cast<float>(sizes[0])), sizes);
  }

  ggml_tensor* bias(const std::string& name, const std::vector<int64_t>& sizes) {
    return tensor(name + ".bias", GGML_TYPE_F32, 0, 0.5f, sizes);
  }

  std::string key(const char* name) const { return m_.architecture + "." + name; }

  void set(const char* name, int64_t value) {
    gguf_set_val_u32(file_, key(name).c_str(), static_cast<uint32_t>(value));
  }

  void metadata() {
    gguf_set_val_str(file_, "general.architecture", m_.architecture.c_str());
    set("block_count", 2);
    set("embedding_length", m_.inputs);
    set("expert_count", m_.experts);
    set("expert_used_count", m_.used);
    set("expert_feed_forward_length", m_.hidden);
    if (m_.shared_gate) {
      set("expert_shared_feed_forward_length", m_.shared_hidden);
    } else if (m_.shared) {
      set("expert_shared_count", 1);
    }
    if (m_.groups > 1) {
      set("expert_group_count", m_.groups);
      set("expert_group_used_count", m_.groups_used);
    }
    if (m_.writes_kind) {
      set("expert_gating_func", static_cast<int64_t>(m_.kind));
    }
    if (m_.writes_normalized) {
      gguf_set_val_bool(file_, key("expert_weights_norm").c_str(), m_.normalized);
    }
    if (m_.scale != 0) {
      gguf_set_val_f32(file_, key("expert_weights_scale").c_str(), m_.scale);
    }
  }

  // Returns the rows that the experts read; for Gemma, attn_out with the norm before the experts.
  ggml_tensor* rows() {
    ggml_tensor* const random = tensor("x", GGML_TYPE_F32, 0, 2, {m_.inputs, kTokens});
    if (!m_.gemma) {
      return random;
    }
    normed_ = ggml_rms_norm(memory_, random, kEpsilon);
    return ggml_mul(memory_, normed_,
                    tensor("pre_ffw_norm_2.weight", GGML_TYPE_F32, 1, 0.5f, {m_.inputs}));
  }

  ggml_tensor* logits(ggml_tensor* x) {
    if (m_.gemma) {
      x = ggml_scale(memory_, normed_, 1 / std::sqrt(static_cast<float>(m_.inputs)));
      x = ggml_mul(memory_, x, tensor("ffn_gate_inp.scale", GGML_TYPE_F32, 3, 1, {m_.inputs}));
    }
    ggml_tensor* made =
        ggml_mul_mat(memory_, weights("ffn_gate_inp", GGML_TYPE_F32, {m_.inputs, m_.experts}), x);
    return m_.biases ? ggml_add(memory_, made, bias("ffn_gate_inp", {m_.experts})) : made;
  }

  ggml_tensor* choice(ggml_tensor* probabilities) {
    if (m_.choice_bias) {
      probabilities = ggml_add(memory_, probabilities, bias("exp_probs_b", {m_.experts}));
    }
    if (m_.groups == 1) {
      return probabilities;
    }
    const int64_t size = m_.experts / m_.groups;
    ggml_tensor* const by_group = ggml_reshape_3d(memory_, probabilities, size, m_.groups, kTokens);
    ggml_tensor* score = ggml_argsort_top_k(memory_, by_group, 2);
    score = ggml_get_rows(memory_, ggml_reshape_4d(memory_, by_group, 1, size, m_.groups, kTokens),
                          score);
    score = ggml_sum_rows(memory_, ggml_reshape_3d(memory_, score, 2, m_.groups, kTokens));
    score = ggml_reshape_2d(memory_, score, m_.groups, kTokens);
    ggml_tensor* const used = ggml_argsort_top_k(memory_, score, static_cast<int>(m_.groups_used));
    ggml_tensor* const kept = ggml_get_rows(memory_, by_group, used);
    ggml_tensor* const none = ggml_fill(memory_, by_group, -std::numeric_limits<float>::infinity());
    return ggml_reshape_2d(memory_, ggml_set_rows(memory_, none, kept, used), m_.experts, kTokens);
  }

  // [1, used, tokens]
  ggml_tensor* gates(ggml_tensor* probabilities, ggml_tensor* chosen) {
    ggml_tensor* made = ggml_get_rows(
        memory_, ggml_reshape_3d(memory_, probabilities, 1, m_.experts, kTokens), chosen);
    made = ggml_reshape_2d(memory_, made, m_.used, kTokens);
    if (m_.kind == gating::softmax_of_chosen) {
      made = ggml_soft_max(memory_, made);
    } else if (m_.normalized) {
      ggml_tensor* const sum = ggml_clamp(memory_, ggml_sum_rows(memory_, made), 6.103515625e-5f,
                                          std::numeric_limits<float>::infinity());
      made = ggml_div(memory_, made, sum);
    }
    made = m_.scale == 0 ? made : ggml_scale(memory_, made, m_.scale);
    return ggml_reshape_3d(memory_, made, 1, m_.used, kTokens);
  }

  ggml_tensor* product(const std::string& name, int64_t in, int64_t out, ggml_tensor* x,
                       ggml_tensor* chosen) {
    ggml_tensor* const w = weights(name, m_.type, {in, out, m_.experts});
    ggml_tensor* const made = ggml_mul_mat_id(memory_, w, x, chosen);
    return m_.biases ? ggml_add_id(memory_, made, bias(name, {out, m_.experts}), chosen) : made;
  }

  ggml_tensor* experts(ggml_tensor* x, ggml_tensor* logits) {
    ggml_tensor* const probabilities = m_.kind == gating::softmax   ? ggml_soft_max(memory_, logits)
                                       : m_.kind == gating::sigmoid ? ggml_sigmoid(memory_, logits)
                                                                    : logits;
    ggml_tensor* const chosen =
        ggml_argsort_top_k(memory_, choice(probabilities), static_cast<int>(m_.used));
    ggml_tensor* const weights = gates(probabilities, chosen);
    x = ggml_reshape_3d(memory_, x, m_.inputs, 1, kTokens);
    const int64_t n = m_.hidden;
    ggml_tensor *gate, *up;
    if (m_.fused) {
      ggml_tensor* const both = product("ffn_gate_up_exps", m_.inputs, 2 * n, x, chosen);
      gate = ggml_view_3d(memory_, both, n, m_.used, kTokens, both->nb[1], both->nb[2], 0);
      up = ggml_view_3d(memory_, both, n, m_.used, kTokens, both->nb[1], both->nb[2],
                        static_cast<std::size_t>(n) * both->nb[0]);
    } else {
      up = product("ffn_up_exps", m_.inputs, n, x, chosen);
      gate = product("ffn_gate_exps", m_.inputs, n, x, chosen);
    }
    ggml_tensor* const a = m_.gelu      ? ggml_geglu_split(memory_, gate, up)
                           : m_.clamped ? ggml_swiglu_oai(memory_, gate, up, 1.702f, 7.0f)
                                        : ggml_swiglu_split(memory_, gate, up);
    ggml_tensor* down = product("ffn_down_exps", n, m_.inputs, a, chosen);
    if (m_.gemma) {
      ggml_tensor* scale = tensor("ffn_down_exps.scale", GGML_TYPE_F32, 1, 0.5f, {m_.experts});
      scale = ggml_reshape_3d(memory_, scale, 1, m_.experts, 1);
      scale = ggml_repeat_4d(memory_, scale, 1, m_.experts, kTokens, 1);
      down = ggml_mul(memory_, down, ggml_get_rows(memory_, scale, chosen));
    }
    down = ggml_mul(memory_, down, weights);
    ggml_tensor* sum = nullptr;
    for (int64_t i = 0; i < m_.used; ++i) {
      ggml_tensor* const one = ggml_view_2d(memory_, down, m_.inputs, kTokens, down->nb[2],
                                            static_cast<std::size_t>(i) * down->nb[1]);
      sum = sum == nullptr ? one : ggml_add(memory_, sum, one);
    }
    return ggml_cont(memory_, sum);
  }

  ggml_tensor* shared(ggml_tensor* x) {
    ggml_tensor* const gate =
        ggml_mul_mat(memory_, weights("ffn_gate_shexp", m_.type, {m_.inputs, m_.shared_hidden}), x);
    ggml_tensor* const up =
        ggml_mul_mat(memory_, weights("ffn_up_shexp", m_.type, {m_.inputs, m_.shared_hidden}), x);
    ggml_tensor* const out =
        ggml_mul_mat(memory_, weights("ffn_down_shexp", m_.type, {m_.shared_hidden, m_.inputs}),
                     ggml_swiglu_split(memory_, gate, up));
    if (!m_.shared_gate) {
      return out;
    }
    ggml_tensor* const logit =
        ggml_mul_mat(memory_, weights("ffn_gate_inp_shexp", GGML_TYPE_F32, {m_.inputs}), x);
    return ggml_mul(memory_, out, ggml_div(memory_, ggml_silu(memory_, logit), logit));
  }

  const model m_;
  ggml_context* const memory_;
  gguf_context* const file_;
  ggml_tensor* normed_ = nullptr;
};

std::vector<model> models() {
  std::vector<model> all;
  model mixtral;
  mixtral.architecture = "llama";
  all.push_back(mixtral);

  model qwen2;
  qwen2.architecture = "qwen2moe";
  qwen2.normalized = false;
  qwen2.shared = qwen2.shared_gate = true;
  all.push_back(qwen2);

  model qwen3;
  qwen3.architecture = "qwen3moe";
  all.push_back(qwen3);
  qwen3.variant = "-q8_0";
  qwen3.type = GGML_TYPE_Q8_0;
  qwen3.inputs = qwen3.hidden = 32;
  all.push_back(qwen3);

  model olmoe;
  olmoe.architecture = "olmoe";
  olmoe.normalized = false;
  all.push_back(olmoe);

  model gpt_oss;
  gpt_oss.architecture = "gpt-oss";
  gpt_oss.kind = gating::softmax_of_chosen;
  gpt_oss.biases = gpt_oss.clamped = true;
  all.push_back(gpt_oss);

  model deepseek2;
  deepseek2.architecture = "deepseek2";
  deepseek2.variant = "-v2";
  deepseek2.normalized = false;
  deepseek2.scale = 16;
  deepseek2.groups = 4;
  deepseek2.groups_used = 2;
  deepseek2.shared = true;
  all.push_back(deepseek2);

  model deepseek3 = deepseek2;
  deepseek3.variant = "-v3";
  deepseek3.kind = gating::sigmoid;
  deepseek3.normalized = deepseek3.writes_normalized = deepseek3.writes_kind = true;
  deepseek3.choice_bias = true;
  deepseek3.scale = 2.5f;
  all.push_back(deepseek3);

  model glm;
  glm.architecture = "glm4moe";
  glm.kind = gating::sigmoid;
  glm.writes_normalized = glm.choice_bias = glm.shared = true;
  glm.scale = 1.5f;
  all.push_back(glm);

  model gemma;
  gemma.architecture = "gemma4";
  gemma.gelu = gemma.fused = gemma.gemma = true;
  all.push_back(gemma);
  return all;
}

}  // namespace

int main() {
  uint32_t seed = 0;
  for (const model& m : models()) {
    engine.seed(++seed);
    if (!layer(m).write()) {
      return 1;
    }
  }
  return 0;
}
