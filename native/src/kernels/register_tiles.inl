// SPDX-License-Identifier: Apache-2.0
// The common part of tile kernels: how columns are cut into tiles, and the choice of the function
// for a tile size. See all_kernels.inl.

namespace {

constexpr int32_t kTileColumns = kTileVectors * kWidth;
static_assert(BLOCKSPARSE_BAND % kTileColumns == 0, "bands are whole tiles");
constexpr int32_t kLineFloats = 16;  // the floats of a cache line
constexpr int32_t kLineBytes = 64;

INLINE int32_t least(int32_t a, int32_t b) { return a < b ? a : b; }

// Returns the steps of k in a piece, of pieces of equal size: a multiple of `unit`, and at most
// `most`, which is a multiple as well.
INLINE int32_t steps_of_piece(int32_t k, int32_t most, int32_t unit) {
  const int32_t pieces = (k - 1) / most + 1;
  return ((k - 1) / pieces / unit + 1) * unit;
}

// Columns cut into tiles of nearly equal width, in whole vectors: 13 vectors are 4 + 3 + 3 + 3, as
// a tile of one vector has too few sums to keep the multipliers busy.
class column_tiles {
 public:
  explicit column_tiles(int32_t columns)
      : columns_(columns),
        count_(((columns - 1) / kWidth) / kTileVectors + 1),
        vectors_(((columns - 1) / kWidth + 1) / count_),
        wider_(((columns - 1) / kWidth + 1) % count_) {}

  int32_t count() const { return count_; }

  // Returns the first column of tile i, or the end of the last tile.
  int32_t begin(int32_t i) const {
    return i < count_ ? (vectors_ * i + least(i, wider_)) * kWidth : columns_;
  }

  int32_t width(int32_t i) const { return begin(i + 1) - begin(i); }

 private:
  int32_t columns_;
  int32_t count_;
  int32_t vectors_;  // of each tile
  int32_t wider_;    // the number of tiles at the start that have one more
};

// A block whose elements have a known type; see block_view.
template <typename Element>
struct block_of {
  const Element* data;
  int64_t ld;
  const float* scales;

  explicit block_of(const block_view& w)
      : data(static_cast<const Element*>(w.data)), ld(w.ld), scales(w.scales) {}
  block_of(const Element* data_, int64_t ld_, const float* scales_)
      : data(data_), ld(ld_), scales(scales_) {}

  static constexpr bool kHasScales = std::is_same_v<Element, int8_t>;

  // Returns elements [at, at + kWidth) of a row as floats, rounded once where they have scales;
  // `column` is the place of the first in the row.
  template <typename Mask>
  INLINE vec widened(const Element* at, int64_t column, Mask m) const {
    if constexpr (kHasScales) {
      return mul(load(at, m), load(scales + column, m));
    } else {
      return load(at, m);
    }
  }

  // widened(), not inlined, for rare uses. Without masked loads of these elements, it is many
  // instructions.
  [[gnu::noinline]] vec widened_apart(const Element* at, int64_t column, mask m) const {
    return widened(at, column, m);
  }

  // Returns the block from a row and a column of it on.
  INLINE block_of from(int64_t row, int64_t column) const {
    return {data + row * ld + column, ld, kHasScales ? scales + column : nullptr};
  }
};

// Loads vector v of a tile's row. The last vector may be partial.
template <bool Partial, int32_t Vectors>
INLINE vec load_part(const float* p, int32_t v, mask last) {
  return Partial && v == Vectors - 1 ? load(p + v * kWidth, last) : load(p + v * kWidth);
}

template <bool Partial, int32_t Vectors, typename Element>
INLINE vec widened_part(const block_of<Element>& w, const Element* row, int32_t v, mask last) {
  return Partial && v == Vectors - 1 ? w.widened(row + v * kWidth, v * kWidth, last)
                                     : w.widened(row + v * kWidth, v * kWidth, all{});
}

template <bool Partial, int32_t Vectors>
INLINE void store_part(float* p, int32_t v, vec a, mask last) {
  if (Partial && v == Vectors - 1) {
    store(p + v * kWidth, a, last);
  } else {
    store(p + v * kWidth, a);
  }
}

// The functions Tile<rows, vectors, partial, variant>::run for all sizes and variants.
template <typename Task, int32_t Variants>
struct tile_table {
  void (*run[kTileRows * kTileVectors * 2 * Variants])(const Task&);

  // Runs the tile with these numbers of rows and columns.
  INLINE void operator()(const Task& task, int32_t rows, int32_t columns, int32_t variant) const {
    const int32_t vectors = (columns - 1) / kWidth + 1;
    const int32_t partial = columns % kWidth != 0 ? 1 : 0;
    const int32_t size = (rows - 1) * kTileVectors + vectors - 1;
    run[(size * 2 + partial) * Variants + variant](task);
  }
};

template <typename Task, template <int32_t, int32_t, bool, int32_t> class Tile, int32_t Variants,
          int32_t... Index>
constexpr tile_table<Task, Variants> make_tile_table(std::integer_sequence<int32_t, Index...>) {
  return {
      {Tile<Index / (2 * Variants * kTileVectors) + 1, Index / (2 * Variants) % kTileVectors + 1,
            Index / Variants % 2 == 1, Index % Variants>::run...}};
}

template <typename Task, template <int32_t, int32_t, bool, int32_t> class Tile, int32_t Variants>
constexpr tile_table<Task, Variants> kTiles = make_tile_table<Task, Tile, Variants>(
    std::make_integer_sequence<int32_t, kTileRows * kTileVectors * 2 * Variants>{});

// Returns the mask of the last vector of a row of that many columns.
INLINE mask last_mask(int32_t columns) { return first((columns - 1) % kWidth + 1); }

}  // namespace
