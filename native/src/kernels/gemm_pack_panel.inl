// SPDX-License-Identifier: Apache-2.0
// Panels: the columns of W that a tile uses, copied or transposed into the first-level cache,
// contiguous and as floats. See all_kernels.inl.

namespace {

// Rows of a panel: with the rows of a that it is multiplied by, it fits in a first-level cache.
constexpr int32_t kPanelRows = 96;
constexpr int32_t kMostPanelRows = kPanelRows * 3 / 2;

// panel[p][q] = w[p][q] for p < steps and q < columns.
template <typename Element>
void copy_panel(const block_of<Element>& w, int32_t steps, int32_t columns, float* panel) {
  for (int32_t p = 0; p < steps; ++p) {
    for_each_vector(columns, [&](int64_t q, auto part) {
      store(panel + p * kTileColumns + q, w.widened(w.data + p * w.ld + q, q, part), part);
    });
  }
}

// panel[p][q] = w[q][p] for q < kWidth and p < steps, at most kWidth; `part` is the mask of the
// steps.
template <typename Element, typename Mask>
INLINE void transpose_square(const block_of<Element>& w, int32_t steps, Mask part, float* panel) {
  vec rows[kWidth];
  UNROLL
  for (int32_t i = 0; i < kWidth; ++i) {
    rows[i] = w.widened(w.data + i * w.ld, 0, part);
  }
  transpose(rows);
  UNROLL
  for (int32_t i = 0; i < kWidth; ++i) {
    if (i < steps) {
      store(panel + i * kTileColumns, rows[i]);
    }
  }
}

// GCC keeps all pointers and half of the rows in memory if a large square is inlined into a loop.
template <typename Element>
[[gnu::noinline]] void transpose_large_square(block_of<Element> w, float* panel) {
  transpose_square(w, kWidth, all{}, panel);
}

// panel[p][q] = w[q][p] for p < steps, at most kWidth, and q < columns.
template <typename Element>
void transpose_rest(const block_of<Element>& w, int32_t steps, int32_t columns, float* panel) {
  const mask part = first(steps);
  for (int32_t q = 0; q < columns; ++q) {
    float row[kWidth];
    store(row, w.widened_apart(w.data + q * w.ld, 0, part));
    for (int32_t p = 0; p < steps; ++p) {
      panel[p * kTileColumns + q] = row[p];
    }
  }
}

// panel[p][q] = w[q][p] for p < steps and q < columns.
template <typename Element>
void transpose_panel(const block_of<Element>& w, int32_t steps, int32_t columns, float* panel) {
  for (int32_t q = 0; q < columns; q += kWidth) {
    for (int32_t p = 0; p < steps; p += kWidth) {
      const block_of<Element> from = w.from(q, p);
      float* const to = panel + p * kTileColumns + q;
      const int32_t rest = least(steps - p, kWidth);
      if (q + kWidth <= columns && rest == kWidth) {
        if constexpr (kWidth > 4) {
          transpose_large_square(from, to);
        } else {
          transpose_square(from, kWidth, all{}, to);
        }
      } else if constexpr (!std::is_same_v<Element, float>) {
        transpose_rest(from, rest, least(columns - q, kWidth), to);
      } else if (q + kWidth <= columns) {
        transpose_square(from, rest, first(rest), to);
      } else {
        transpose_rest(from, rest, least(columns - q, kWidth), to);
      }
    }
  }
}

}  // namespace
