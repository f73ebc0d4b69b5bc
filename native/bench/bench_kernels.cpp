// SPDX-License-Identifier: Apache-2.0
//
// The kernels alone, without Java: each workload forward and both gradients, by each path, with the
// two physical limits measured in the same run.
//
//   bench_kernels [--threads N] [--isa NAME] [--runs N] [--type NAME] [--rounded] [WORKLOAD...]
//   bench_kernels [--threads N] [--isa NAME] [--runs N] --crossover
//
// With --type float16, bfloat16 or int8, weights are of that type: products alone, on tiles alone.
// With --rounded, they are bfloat16, and forward products round what they multiply them by.
//
// The second form is what the rule in tiles_or_blas.cpp was made from: square blocks of many sizes,
// with 1 to 128 rows (or pairs) for each in the mean.
//
// The limit is the larger of: bytes of the blocks touched / bandwidth, and 2 * multiply-adds /
// throughput of a large dense cblas_sgemm. Blocks of a gradient of W are only written, at the
// bandwidth of memset; other blocks are only read. Ratio = time / limit.
#include <cblas.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "blocksparse/blocksparse.h"

namespace {

double seconds() {
  using clock = std::chrono::steady_clock;
  return std::chrono::duration<double>(clock::now().time_since_epoch()).count();
}

// Runs function(thread) on that many threads. Returns the time until the last is done.
double timed(int threads, const std::function<void(int)>& function) {
  const double begin = seconds();
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) {
    others.emplace_back(function, t);
  }
  function(0);
  for (std::thread& other : others) {
    other.join();
  }
  return seconds() - begin;
}

// Returns the shortest of that many runs: other load on the machine can only add to a time.
double best_of(int runs, const std::function<double()>& run) {
  double best = run();  // touches memory
  for (int i = 0; i < runs; ++i) {
    best = std::min(best, run());
  }
  return best;
}

// Floats from blocksparse_allocate, with huge pages where they matter.
class floats {
 public:
  explicit floats(int64_t size) : size_(size), data_(allocate(size)) {}
  ~floats() { blocksparse_free(data_, size_ * 4); }
  floats(const floats&) = delete;
  floats& operator=(const floats&) = delete;

  float* data() const { return data_; }
  int64_t size() const { return size_; }

  // Small integers: no denormals, and sums that compare equal.
  void fill(uint32_t state) {
    for (int64_t i = 0; i < size_; ++i) {
      state = state * 1664525u + 1013904223u;
      data_[i] = static_cast<float>(static_cast<int32_t>(state >> 29) - 4);
    }
  }

 private:
  static float* allocate(int64_t size) {
    void* const memory = blocksparse_allocate(size * 4);
    if (memory == nullptr) {
      std::fprintf(stderr, "no memory for %lld floats\n", static_cast<long long>(size));
      std::exit(1);
    }
    return static_cast<float*>(memory);
  }

  int64_t size_;
  float* data_;
};

// ---------------------------------------------------------------------------------------- limits

struct limits {
  double read, write;  // bytes per second
  double flops;
};

limits measure_limits(int threads) {
  constexpr int64_t kPart = 64 << 20;  // floats per thread
  floats memory(kPart * threads);
  memory.fill(1);
  std::atomic<float> sink{0.0f};
  const double read = best_of(7, [&] {
    return timed(threads, [&](int t) {
      const float* const part = memory.data() + t * kPart;
      float sums[64] = {};
      for (int64_t i = 0; i < kPart; i += 64) {
        for (int64_t j = 0; j < 64; ++j) {
          sums[j] += part[i + j];
        }
      }
      // All sums are used; otherwise the compiler reads only the cache lines of those that are.
      sink = std::accumulate(sums, sums + 64, 0.0f);
    });
  });
  const double write = best_of(7, [&] {
    return timed(threads, [&](int t) {
      std::memset(memory.data() + t * kPart, t, static_cast<std::size_t>(kPart) * 4);
    });
  });
  constexpr int32_t kSize = 1536;
  floats a(kSize * kSize), b(kSize * kSize), c(int64_t{kSize} * kSize * threads);
  a.fill(2);
  b.fill(3);
  const double gemm = best_of(5, [&] {
    return timed(threads, [&](int t) {
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, kSize, kSize, kSize, 1.0f, a.data(),
                  kSize, b.data(), kSize, 0.0f, c.data() + int64_t{t} * kSize * kSize, kSize);
    });
  });
  return {4.0 * kPart * threads / read, 4.0 * kPart * threads / write,
          2.0 * kSize * kSize * kSize * threads / gemm};
}

// ------------------------------------------------------------------------------------- workloads

struct workload {
  std::string name;
  int32_t batch, i_win, o_win, i_blocks, o_blocks, i_size, o_size;
};

const workload kWorkloads[] = {
    {"hsm-200", 5000, 1, 1, 1, 200, 512, 200},
    {"hsm-1000", 1024, 1, 1, 1, 1000, 256, 1000},
    {"window-64", 128, 8, 8, 64, 64, 64, 64},
    {"window-64-large", 512, 8, 8, 64, 64, 64, 64},
    {"window-128", 32, 8, 8, 64, 64, 128, 128},
    {"window-32", 128, 4, 4, 32, 32, 32, 32},
    {"experts", 1024, 1, 2, 1, 16, 512, 1024},
    {"dense", 5000, 1, 1, 1, 1, 512, 200},
    {"single", 1, 8, 8, 64, 64, 64, 64},
    {"window-16", 256, 4, 4, 64, 64, 16, 16},
    {"window-8", 256, 4, 4, 64, 64, 8, 8},
    {"embed-64", 256, 16, 1, 30000, 1, 1, 64},
    {"expert", 2048, 1, 1, 1, 1, 512, 1024},
    // Experts of a language model, with one row each and with 16 rows each.
    {"token", 8, 1, 4, 1, 32, 2048, 768},
    {"prompt", 64, 1, 8, 1, 32, 2048, 768},
    // hsm-1000 with rows of whole cache lines.
    {"hsm-960", 1024, 1, 1, 1, 1000, 256, 960},
    // The two kinds of blocks of ProductsBenchmark's zipf, about as frequent as in it.
    {"zipf-frequent", 3795, 1, 1, 1, 46, 512, 200},
    {"zipf-rare", 1205, 1, 1, 1, 153, 512, 200},
};

// Blocks of at least 16 MB together: beyond the caches of one processor.
std::vector<workload> crossover_workloads() {
  std::vector<workload> all;
  for (const int32_t size : {16, 32, 64, 128, 256, 512, 1024}) {
    for (const int32_t rows : {1, 2, 4, 8, 16, 32, 128}) {
      const int32_t blocks = std::max((4 << 20) / (size * size), 8);
      const std::string name =
          std::to_string(size) + "x" + std::to_string(size) + ", " + std::to_string(rows);
      all.push_back({name, rows * blocks, 1, 1, 1, blocks, size, size});
    }
  }
  return all;
}

using index_list = std::vector<int32_t>;

int32_t count_of(const index_list& list) { return static_cast<int32_t>(list.size()); }

index_list random_blocks(int32_t batch, int32_t window, int32_t blocks, uint32_t state) {
  index_list chosen;
  for (int32_t b = 0; b < batch; ++b) {
    const std::size_t from = chosen.size();
    while (chosen.size() < from + static_cast<std::size_t>(window)) {  // a sample repeats nothing
      state = state * 1664525u + 1013904223u;
      const int32_t block = static_cast<int32_t>((state >> 8) % static_cast<uint32_t>(blocks));
      if (std::find(chosen.begin() + static_cast<std::ptrdiff_t>(from), chosen.end(), block) ==
          chosen.end()) {
        chosen.push_back(block);
      }
    }
  }
  return chosen;
}

void append(index_list& to, std::initializer_list<const index_list*> parts) {
  for (const index_list* part : parts) {
    to.insert(to.end(), part->begin(), part->end());
  }
}

// Rows sorted by block, cut into chunks as Java does; pairs of a chunk sorted by block.
index_list gemm_schedule(const index_list& read_idx, int32_t read_win, int32_t read_blocks,
                         const index_list& write_idx, int32_t write_win, int32_t write_blocks,
                         std::set<int64_t>* used) {
  index_list order(write_idx.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    order[i] = static_cast<int32_t>(i);
  }
  // Sorts the rows of one block by what they read first, so that the rows of a chunk share blocks
  // there, too.
  const auto key = [&](int32_t row) {
    return std::make_pair(
        write_idx[static_cast<std::size_t>(row)],
        read_win == 0 ? 0 : read_idx[static_cast<std::size_t>(row / write_win * read_win)]);
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t x, int32_t y) { return key(x) < key(y); });
  struct pair {
    int32_t block, write, read;
  };
  const auto rows_per_block = order.size() / static_cast<std::size_t>(write_blocks);
  const std::size_t most_rows = read_blocks > 1 && rows_per_block > BLOCKSPARSE_CHUNK_ROWS
                                    ? BLOCKSPARSE_SORTED_CHUNK_ROWS
                                    : BLOCKSPARSE_CHUNK_ROWS;
  index_list write_block, row_start{0}, segment_start{0}, read_block, pair_start{0}, pair_read,
      pair_write;
  // Chunks of a block have nearly equal sizes, as in GemmSchedule.java.
  std::size_t block_end = 0;
  std::size_t chunks_left = 0;
  for (std::size_t begin = 0; begin < order.size();) {
    const int32_t block = write_idx[static_cast<std::size_t>(order[begin])];
    if (begin == block_end) {
      while (block_end < order.size() &&
             write_idx[static_cast<std::size_t>(order[block_end])] == block) {
        ++block_end;
      }
      chunks_left = (block_end - begin - 1) / most_rows + 1;
    }
    const std::size_t chunk_end = begin + (block_end - begin) / chunks_left--;
    std::vector<pair> pairs;
    std::size_t end = begin;
    for (; end < chunk_end; ++end) {
      const int32_t sample = order[end] / write_win;
      for (int32_t i = 0; i < read_win; ++i) {
        const int32_t read = sample * read_win + i;
        pairs.push_back(
            {read_idx[static_cast<std::size_t>(read)], static_cast<int32_t>(end - begin), read});
      }
    }
    std::stable_sort(pairs.begin(), pairs.end(),
                     [](const pair& x, const pair& y) { return x.block < y.block; });
    write_block.push_back(block);
    row_start.push_back(static_cast<int32_t>(end));
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      if (i == 0 || pairs[i].block != pairs[i - 1].block) {
        if (i > 0) {
          pair_start.push_back(count_of(pair_read));
        }
        read_block.push_back(pairs[i].block);
        used->insert(int64_t{pairs[i].block} << 32 | block);
      }
      pair_read.push_back(pairs[i].read);
      pair_write.push_back(pairs[i].write);
    }
    pair_start.push_back(count_of(pair_read));
    segment_start.push_back(count_of(read_block));
    begin = end;
  }
  index_list packed{BLOCKSPARSE_GEMM_SCHEDULE, count_of(write_block), count_of(read_block),
                    count_of(order), count_of(pair_read)};
  append(packed, {&write_block, &row_start, &segment_start, &read_block, &pair_start, &order,
                  &pair_read, &pair_write});
  return packed;
}

index_list outer_schedule(const workload& w, const index_list& input, const index_list& output) {
  std::vector<std::pair<int64_t, std::pair<int32_t, int32_t>>> pairs;
  for (int32_t b = 0; b < w.batch; ++b) {
    for (int32_t i = b * w.i_win; i < (b + 1) * w.i_win; ++i) {
      for (int32_t j = b * w.o_win; j < (b + 1) * w.o_win; ++j) {
        pairs.push_back({int64_t{input[static_cast<std::size_t>(i)]} * w.o_blocks +
                             output[static_cast<std::size_t>(j)],
                         {i, j}});
      }
    }
  }
  std::sort(pairs.begin(), pairs.end());
  index_list x_block, y_block, pair_start{0}, pair_x, pair_y;
  for (std::size_t p = 0; p < pairs.size(); ++p) {
    if (p == 0 || pairs[p].first != pairs[p - 1].first) {
      if (p > 0) {
        pair_start.push_back(static_cast<int32_t>(p));
      }
      x_block.push_back(static_cast<int32_t>(pairs[p].first / w.o_blocks));
      y_block.push_back(static_cast<int32_t>(pairs[p].first % w.o_blocks));
    }
    pair_x.push_back(pairs[p].second.first);
    pair_y.push_back(pairs[p].second.second);
  }
  pair_start.push_back(count_of(pair_x));
  index_list packed{BLOCKSPARSE_OUTER_SCHEDULE, count_of(x_block), count_of(pair_x)};
  append(packed, {&x_block, &y_block, &pair_start, &pair_x, &pair_y});
  return packed;
}

constexpr const char* kTypeNames[] = {"float32", "float16", "bfloat16", "int8"};

struct settings {
  int threads = 2;
  int32_t isa = BLOCKSPARSE_PORTABLE;
  int32_t type = BLOCKSPARSE_FLOAT32;
  bool rounded = false;
  int runs = 15;
};

void check(int32_t status) {
  if (status != BLOCKSPARSE_OK) {
    std::fprintf(stderr, "status %s\n", blocksparse_status_name(status));
    std::exit(1);
  }
}

// Cuts columns (or rows of a block) into bands when chunks are few, as Java does.
int32_t band_width(int32_t size, int32_t chunks) {
  const int32_t bands = std::max(1, std::min((32 + chunks - 1) / chunks, size / BLOCKSPARSE_BAND));
  const int32_t width = (size + bands - 1) / bands;
  return std::min(size, (width - 1) / BLOCKSPARSE_BAND * BLOCKSPARSE_BAND + BLOCKSPARSE_BAND);
}

// run(chunk_begin, chunk_end, band_begin, band_end, scratch)
using task_function = std::function<int32_t(int32_t, int32_t, int32_t, int32_t, float*, int64_t)>;

// Returns the seconds for all tasks, run `repeats` times without a pause in between.
double run_tasks(const settings& s, int32_t repeats, int32_t chunks, int32_t size,
                 int64_t scratch_length, std::vector<floats*>& scratch, const task_function& run) {
  const int32_t width = band_width(size, chunks);
  const int32_t bands = (size + width - 1) / width;
  const int32_t claim = std::max(1, chunks / (16 * s.threads));
  std::atomic<int32_t> next{0};
  const int32_t claims = (chunks + claim - 1) / claim * bands;
  const double time = timed(s.threads, [&](int t) {
    for (int32_t c; (c = next.fetch_add(1)) < claims * repeats;) {
      c %= claims;
      const int32_t begin = c / bands * claim;
      const int32_t band = c % bands * width;
      check(run(begin, std::min(begin + claim, chunks), band, std::min(band + width, size),
                scratch[static_cast<std::size_t>(t)]->data(), scratch_length));
    }
  });
  return time / repeats;
}

// Returns the blocks with their two sides exchanged.
blocksparse_blocks swapped(blocksparse_blocks blocks) {
  std::swap(blocks.in_stride, blocks.out_stride);
  std::swap(blocks.scales_in_stride, blocks.scales_out_stride);
  std::swap(blocks.in_blocks, blocks.out_blocks);
  std::swap(blocks.in_size, blocks.out_size);
  blocks.transposed = 1;
  return blocks;
}

void bench(const workload& w, const settings& s, const limits& limit) {
  const index_list input = random_blocks(w.batch, w.i_win, w.i_blocks, 7);
  const index_list output = random_blocks(w.batch, w.o_win, w.o_blocks, 9);
  std::set<int64_t> used, used_backward;
  const index_list forward =
      gemm_schedule(input, w.i_win, w.i_blocks, output, w.o_win, w.o_blocks, &used);
  const index_list backward =
      gemm_schedule(output, w.o_win, w.o_blocks, input, w.i_win, w.i_blocks, &used_backward);
  const index_list outer = outer_schedule(w, input, output);
  const int64_t block = int64_t{w.i_size} * w.o_size;
  floats weights(block * w.i_blocks * w.o_blocks), h(int64_t{w.batch} * w.i_win * w.i_size),
      o(int64_t{w.batch} * w.o_win * w.o_size);
  weights.fill(1);
  h.fill(2);
  o.fill(3);
  const int64_t scratch_length =
      blocksparse_outer_scratch_f32(s.isa, BLOCKSPARSE_PATH_BLAS, w.i_size, w.o_size);
  std::vector<floats*> scratch;
  for (int t = 0; t < s.threads; ++t) {
    scratch.push_back(new floats(scratch_length));
  }
  const bool narrow = s.type != BLOCKSPARSE_FLOAT32;
  const double element = !narrow ? 4.0 : s.type == BLOCKSPARSE_INT8 ? 1.0 : 2.0;
  const double bytes = element * static_cast<double>(block) * static_cast<double>(used.size());
  // Weights of 16 bits are all 0, and those of 8 bits small numbers: none is slower than another.
  floats stored(narrow ? weights.size() / 2 + 1 : 1),
      scales(int64_t{w.i_blocks} * w.o_blocks * w.o_size);
  std::memset(stored.data(), s.type == BLOCKSPARSE_INT8 ? 1 : 0,
              static_cast<std::size_t>(stored.size()) * 4);
  scales.fill(4);
  const double products = static_cast<double>(w.batch) * w.i_win * w.o_win;
  const double compute = 2.0 * products * static_cast<double>(block) / limit.flops;
  struct operation {
    const char* name;
    double memory;
    int32_t chunks, size;
    std::function<task_function(int32_t path)> task;
  };
  const int64_t row = w.o_size;
  const blocksparse_blocks blocks = {narrow ? stored.data() : weights.data(),
                                     s.type == BLOCKSPARSE_INT8 ? scales.data() : nullptr,
                                     block * w.o_blocks,
                                     block,
                                     row,
                                     row * w.o_blocks,
                                     row,
                                     w.i_blocks,
                                     w.o_blocks,
                                     w.i_size,
                                     w.o_size,
                                     s.type,
                                     0};
  const auto gemm = [&](const index_list& schedule, bool back) {
    return [&, back](int32_t path) -> task_function {
      return [&, back, path](int32_t begin, int32_t end, int32_t band, int32_t band_end,
                             float* memory, int64_t memory_length) {
        const blocksparse_part part = {schedule.data(), count_of(schedule), begin, end, band,
                                       band_end};
        const blocksparse_rows of_h = {h.data(), w.batch * w.i_win, w.i_size},
                               of_o = {o.data(), w.batch * w.o_win, w.o_size};
        const blocksparse_blocks all = back ? swapped(blocks) : blocks;
        const blocksparse_sums to = {back ? of_h : of_o, {nullptr, 0, 0}, 0};
        return blocksparse_block_gemm_f32(s.isa, path, &part, back ? &of_o : &of_h,
                                          s.rounded && !back, &all, &to, memory, memory_length);
      };
    };
  };
  const auto outer_task = [&](int32_t path) -> task_function {
    return [&, path](int32_t begin, int32_t end, int32_t band, int32_t band_end, float* memory,
                     int64_t memory_length) {
      const blocksparse_part part = {outer.data(), count_of(outer), begin, end, band, band_end};
      const blocksparse_rows of_h = {h.data(), w.batch * w.i_win, w.i_size},
                             of_o = {o.data(), w.batch * w.o_win, w.o_size};
      return blocksparse_block_outer_f32(s.isa, path, &part, 1.0f, &of_h, &of_o, 0, &blocks, memory,
                                         memory_length);
    };
  };
  const operation operations[] = {
      {"forward", bytes / limit.read, forward[1], w.o_size, gemm(forward, false)},
      {"gradient h", bytes / limit.read, backward[1], w.i_size, gemm(backward, true)},
      {"gradient W", bytes / limit.write, outer[1], w.i_size, outer_task},
  };
  for (const operation& op : operations) {
    if (narrow && op.name == operations[2].name) {
      continue;
    }
    const double best = std::max(op.memory, compute);
    std::printf("%-16s %-11s %9.3f %9.3f", w.name.c_str(), op.name, op.memory * 1e3, compute * 1e3);
    for (const int32_t path :
         {BLOCKSPARSE_PATH_BLAS, BLOCKSPARSE_PATH_TILE, BLOCKSPARSE_PATH_AUTO}) {
      if (narrow && path != BLOCKSPARSE_PATH_TILE) {
        std::printf("  %9s %5s", "-", "-");
        continue;
      }
      // Between runs of a gradient, h and o hold large numbers: refilled, to keep them finite.
      h.fill(2);
      o.fill(3);
      const task_function task = op.task(path);
      // Small problems are repeated, so that the start of a thread is not measured.
      const int32_t repeats = static_cast<int32_t>(1.0 + 3e-3 / best);
      const double time = best_of(s.runs, [&] {
        return run_tasks(s, repeats, op.chunks, op.size, scratch_length, scratch, task);
      });
      std::printf("  %9.3f %5.2f", time * 1e3, time / best);
    }
    std::printf("\n");
    std::fflush(stdout);
  }
  for (floats* memory : scratch) {
    delete memory;
  }
}

}  // namespace

int main(int argc, char** argv) {
  blocksparse_set_openblas_threads(1);
  settings s;
  for (int32_t isa = 0; blocksparse_isa_name(isa) != nullptr; ++isa) {
    s.isa = blocksparse_isa_supported(isa) == 1 ? isa : s.isa;
  }
  std::vector<std::string> names;
  std::vector<workload> workloads(std::begin(kWorkloads), std::end(kWorkloads));
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const bool has_value = i + 1 < argc;
    if (argument == "--threads" && has_value) {
      s.threads = std::atoi(argv[++i]);
    } else if (argument == "--runs" && has_value) {
      s.runs = std::atoi(argv[++i]);
    } else if (argument == "--crossover") {
      workloads = crossover_workloads();
    } else if (argument == "--isa" && has_value) {
      ++i;
      for (int32_t isa = 0; blocksparse_isa_name(isa) != nullptr; ++isa) {
        s.isa = std::strcmp(argv[i], blocksparse_isa_name(isa)) == 0 ? isa : s.isa;
      }
    } else if (argument == "--type" && has_value) {
      ++i;
      for (int32_t type = 0; type <= BLOCKSPARSE_INT8; ++type) {
        s.type = std::strcmp(argv[i], kTypeNames[type]) == 0 ? type : s.type;
      }
    } else if (argument == "--rounded") {
      s.type = BLOCKSPARSE_BFLOAT16;
      s.rounded = true;
    } else {
      names.push_back(argument);
    }
  }
  const limits limit = measure_limits(s.threads);
  std::printf(
      "%d threads, isa %s, weights %s%s, OpenBLAS core %s; read %.1f GB/s, write %.1f GB/s, %.0f "
      "Gflop/s\n",
      s.threads, blocksparse_isa_name(s.isa), kTypeNames[s.type], s.rounded ? ", rounded" : "",
      blocksparse_openblas_core(), limit.read * 1e-9, limit.write * 1e-9, limit.flops * 1e-9);
  std::printf("%-16s %-11s %9s %9s  %9s %5s  %9s %5s  %9s %5s\n", "workload", "operation",
              "memory ms", "compute", "BLAS ms", "ratio", "tile ms", "ratio", "auto ms", "ratio");
  for (const workload& w : workloads) {
    if (names.empty() || std::find(names.begin(), names.end(), w.name) != names.end()) {
      bench(w, s, limit);
    }
  }
  return 0;
}
