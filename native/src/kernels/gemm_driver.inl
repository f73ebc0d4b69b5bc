// SPDX-License-Identifier: Apache-2.0
//
// The loops around the tiles of a product. See all_kernels.inl.
//
// W is taken in pieces that stay in the second-level cache while all tiles use them. Where W is
// transposed, the columns of a tile lie apart. For few rows, each element of c is then a dot
// product. For many, a panel of W is transposed into the first-level cache, which costs about as
// much as multiplying four rows, and multiplied in that form.
//
// For readers of BLIS: MR = kTileRows, NR = kTileColumns, KC x NC = a piece_size (rows x columns);
// MC is the number of rows in a chunk, which Java makes: BLOCKSPARSE_CHUNK_ROWS or a little more.
// Packing, of B alone, is in gemm_pack_panel.inl, and most products skip it.

namespace {

// Rows and columns of W in a piece. Two pieces of 128 KB fit in small caches. For a few row tiles,
// a piece is short and as wide as the block, so that memory is read in one run, unless the block is
// too wide for that. For many tiles, a piece is long and narrow, since they load and store their
// sums once for each piece.
struct piece_size {
  int32_t rows, columns;
};
constexpr piece_size kPieceOfFewTiles = {64, 512};
constexpr piece_size kPieceOfWideBlocks = {128, 256};
constexpr piece_size kPieceOfManyTiles = {512, 128};
constexpr piece_size kPieceOfPanels = {kPanelRows, 512};
constexpr int32_t kManyTiles = 8;

// Rows that lie a multiple of this apart compete for the same few sets of the first-level cache.
constexpr int64_t kCollidingFloats = 1024;

// Returns about `most`, such that no piece at the end is short: it would have too few steps to
// prefetch what follows.
INLINE int32_t piece_rows(int32_t k, int32_t most) {
  const int32_t pieces = k < most ? 1 : (k - most / 2) / most + 1;
  return ((k - 1) / pieces / 16 + 1) * 16;
}

// Multiplies rows [p, p + steps) of W in one tile's columns by all rows. A panel's elements may be
// of another type than those of W, which are prefetched.
template <typename Element, typename Fetched>
INLINE void multiply_piece(const gemm_work& work, int32_t p, int32_t steps, int32_t column,
                           int32_t width, const block_of<Element>& w,
                           const fetching<Fetched>& next) {
  gemm_tile_task<Element> task = {nullptr, p,       p + steps, column, last_mask(width),
                                  w,       nullptr, nullptr,   0};
  task.begin = common_begin(work, p, column);
  for (int32_t i = 0; i < work.tile_count; ++i) {
    const bool fetches = next.begin != nullptr && i < next.tiles();
    task.rows = &work.tiles[i];
    if (p == 0 && i + 1 < work.tile_count) {
      prefetch_for_writing(work.tiles[i + 1], column, width);
    }
    task.fetch = fetches ? next.begin + i * next.tile_step : reinterpret_cast<const char*>(w.data);
    task.fetch_step = fetches ? next.step : 0;
    kTiles<gemm_tile_task<Element>, gemm_tiles_of<Element>::template tile, kFetchVariants<Element>>(
        task, task.rows->rows, width, fetches ? next.log() : 0);
  }
}

// Blocks that are only prefetched have no scales.
template <typename Element>
INLINE block_of<Element> moved(const block_of<Element>& w, int64_t row, int32_t column) {
  return w.data == nullptr ? w : block_of<Element>(w.data + row * w.ld + column, w.ld, nullptr);
}

INLINE block_of<float> panel_block(const float* panel) { return {panel, kTileColumns, nullptr}; }

template <typename Element>
void multiply_plain(const gemm_work& work) {
  const block_of<Element> whole(work.w);
  const block_of<Element> next_block(work.next);
  const bool many = work.tile_count >= kManyTiles;
  if (work.k <= kPieceOfFewTiles.rows && work.columns <= kTileColumns && !many) {
    // The code below would do the same, but take as long as the product itself.
    fetching<Element> fetch(work.tile_count, work.columns);
    fetch.rows_of(next_block);
    multiply_piece(work, 0, work.k, 0, work.columns, whole, fetch);
    return;
  }
  const column_tiles tiles(work.columns);
  alignas(64) float panel[kMostPanelRows * kTileColumns];
  // A tile reads a few lines of each row of W. Where rows are a power of 2 apart, these lines
  // compete for the same cache sets. A narrow tile, of a line or less, gains by a copy in any case,
  // and elements of other types are then widened once for all rows.
  const bool copies = many && (kTileLines<float> == 1 || !std::is_same_v<Element, float> ||
                               whole.ld % kCollidingFloats == 0);
  const piece_size piece = copies                                    ? kPieceOfPanels
                           : many                                    ? kPieceOfManyTiles
                           : work.columns > kPieceOfFewTiles.columns ? kPieceOfWideBlocks
                                                                     : kPieceOfFewTiles;
  const int32_t most = piece_rows(work.k, piece.rows);
  const int32_t stripes = (work.columns - 1) / piece.columns + 1;
  prefetch_for_reading(work, 0, least(most, work.k));
  for (int32_t s = 0; s < stripes; ++s) {
    const int32_t tile_begin = static_cast<int32_t>(int64_t{tiles.count()} * s / stripes);
    const int32_t tile_end = static_cast<int32_t>(int64_t{tiles.count()} * (s + 1) / stripes);
    for (int32_t p = 0, steps = 0; p < work.k; p += steps) {  // p + piece may overflow an int
      steps = least(work.k - p, most);
      // The piece below, else the first of the next stripe, else of the next block.
      block_of<Element> next = moved(next_block, 0, -tiles.begin(tile_begin));
      if (p + steps < work.k) {
        next = moved(whole, p + steps, 0);
      } else if (s + 1 < stripes) {
        next = moved(whole, 0, tiles.begin(tile_end) - tiles.begin(tile_begin));
      }
      for (int32_t j = tile_begin; j < tile_end; ++j) {
        if (j + 1 == tile_end) {
          prefetch_for_reading(work, p + steps, least(most, work.k - p - steps));
        }
        const int32_t column = tiles.begin(j);
        fetching<Element> fetch(work.tile_count, tiles.width(j));
        fetch.rows_of(moved(next, 0, column));
        const block_of<Element> w = whole.from(p, column);
        if (copies) {
          copy_panel(w, steps, tiles.width(j), panel);
          multiply_piece(work, p, steps, column, tiles.width(j), panel_block(panel), fetch);
        } else {
          multiply_piece(work, p, steps, column, tiles.width(j), w, fetch);
        }
      }
    }
  }
}

template <typename Element>
void multiply_by_panels(const gemm_work& work) {
  const block_of<Element> whole(work.w);
  alignas(64) float panel[kMostPanelRows * kTileColumns];
  const int32_t most = piece_rows(work.k, kPanelRows);
  prefetch_for_reading(work, 0, least(most, work.k));
  const column_tiles tiles(work.columns);
  for (int32_t j = 0; j < tiles.count(); ++j) {
    const int32_t column = tiles.begin(j);
    const int32_t width = tiles.width(j);
    fetching<Element> fetch(work.tile_count, width);
    for (int32_t p = 0, steps = 0; p < work.k; p += steps) {
      steps = least(work.k - p, most);
      transpose_panel(whole.from(column, p), steps, width, panel);
      // In memory, the columns that follow or the next block lie end to end.
      const Element* const next = j + 1 < tiles.count()
                                      ? whole.data + tiles.begin(j + 1) * whole.ld
                                      : static_cast<const Element*>(work.next.data);
      if (next != nullptr) {
        fetch.lines_from(next + int64_t{p} * kTileColumns, steps);
      }
      if (j == 0) {
        prefetch_for_reading(work, p + steps, least(most, work.k - p - steps));
      }
      multiply_piece(work, p, steps, column, width, panel_block(panel), fetch);
    }
  }
}

template <typename Element>
void gemm_of(const gemm_work& work) {
  int32_t rows = 0;
  for (int32_t i = 0; i < work.tile_count; ++i) {
    rows += work.tiles[i].rows;
  }
  if (!work.w_transposed && rows <= kFewRows && work.columns >= kColumnsOfWideBlock<Element>) {
    multiply_few_rows<Element>(work);
  } else if (!work.w_transposed) {
    multiply_plain<Element>(work);
  } else if (rows <= most_rows_for_dots(work.k)) {
    multiply_by_dots<Element>(work);
  } else {
    multiply_by_panels<Element>(work);
  }
}

void gemm(const gemm_work& work) {
  switch (work.w_type) {
    case element_type::float32:
      return gemm_of<float>(work);
    case element_type::float16:
      return gemm_of<float16>(work);
    case element_type::bfloat16:
      return gemm_of<bfloat16>(work);
    case element_type::int8:
      return gemm_of<int8_t>(work);
  }
}

}  // namespace
