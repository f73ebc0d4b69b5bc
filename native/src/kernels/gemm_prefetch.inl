// SPDX-License-Identifier: Apache-2.0
//
// Fetches data into the caches while a product is computed. See all_kernels.inl.
//
// While a piece of W is multiplied, the next piece, of this block or of the next, is fetched into
// the second-level cache at an even rate: in each step a tile prefetches a line of it, or a row in
// its own columns. With few rows per block, memory is the bottleneck, and the hardware prefetcher
// helps little, as a tile reads short runs of many rows.

namespace {

// The cache lines of a row of a tile: 1, 2 or 4.
template <typename Element>
constexpr int32_t kTileLines =
    kTileColumns* static_cast<int32_t>(sizeof(Element)) > kLineBytes
        ? kTileColumns* static_cast<int32_t>(sizeof(Element)) / kLineBytes
        : 1;
template <typename Element>
constexpr int32_t kFetchVariants = kTileLines<Element> == 4 ? 3 : kTileLines<Element>;

// Prefetches what a tile writes: caches fetch a line before it is written, even if nothing of it is
// read.
INLINE void prefetch_for_writing(const row_tile& tile, int32_t column, int32_t width) {
  for (int32_t r = 0; r < tile.rows; ++r) {
    for (int32_t q = 0; q < width; q += kLineFloats) {
      __builtin_prefetch(tile.c[r] + column + q, 1, 3);
    }
  }
}

// Prefetches elements [begin, begin + count) of all rows of a. They may lie anywhere, so no
// hardware predicts them.
INLINE void prefetch_for_reading(const gemm_work& work, int32_t begin, int32_t count) {
  for (int32_t i = 0; i < work.tile_count; ++i) {
    const row_tile& tile = work.tiles[i];
    for (int32_t r = 0; r < tile.rows; ++r) {
      for (int32_t p = 0; p < count; p += kLineFloats) {
        __builtin_prefetch(tile.a[r] + begin + p, 0, 3);
      }
    }
  }
}

// The lines to prefetch while a piece is multiplied: equally many in each step of each tile, so
// that memory gets requests at an even rate.
template <typename Element>
class fetching {
 public:
  // Lines for the time in which that many tiles of that many columns are computed.
  fetching(int32_t tile_count, int32_t width)
      : width_lines_((width - 1) / (kLineBytes / kSize) + 1) {
    while (tile_count << log_ < width_lines_ && log_ + 1 < kFetchVariants<Element>) {
      ++log_;
    }
  }

  int32_t log() const { return log_; }
  int32_t lines() const { return 1 << log_; }
  int32_t tiles() const { return ((width_lines_ - 1) >> log_) + 1; }

  // Prefetches the rows of a block in those columns.
  void rows_of(const block_of<Element>& block) {
    begin = reinterpret_cast<const char*>(block.data);
    step = block.ld * kSize;
    tile_step = lines() * kLineBytes;
  }

  // Prefetches `steps` steps of lines that lie end to end.
  void lines_from(const Element* block, int32_t steps) {
    begin = reinterpret_cast<const char*>(block);
    step = lines() * kLineBytes;
    tile_step = steps * step;
  }

  // NULL: nothing to prefetch. Each step of a tile moves by `step` bytes; the next tile begins
  // `tile_step` bytes further.
  const char* begin = nullptr;
  int64_t step = 0;
  int64_t tile_step = 0;

 private:
  static constexpr int32_t kSize = static_cast<int32_t>(sizeof(Element));
  int32_t width_lines_;
  int32_t log_ = 0;
};

}  // namespace
