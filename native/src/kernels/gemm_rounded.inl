// SPDX-License-Identifier: Apache-2.0
// Products with a rounded to bfloat16, by the float kernels: rows are rounded into a buffer on the
// stack, a few tiles and a piece of k at a time. See all_kernels.inl.

namespace {

// Tiles that are multiplied at a time: elements of W are widened once for all of them.
constexpr int32_t kRoundedTiles = kManyTiles;
constexpr int32_t kRoundedFloats = 3072;

// Rounds to the nearest, ties to even; NaN stays NaN.
INLINE float rounded_to_bfloat16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
  float rounded;
  std::memcpy(&rounded, &bits, sizeof(rounded));
  return x == x ? rounded : x;
}

void gemm_rounded(const gemm_work& work) {
  const block_of<bfloat16> w(work.w);
  row_tile tiles[kRoundedTiles];
  float rounded[kRoundedFloats];
  gemm_work part = work;
  part.tiles = tiles;
  for (int32_t first_tile = 0; first_tile < work.tile_count; first_tile += kRoundedTiles) {
    part.tile_count = least(work.tile_count - first_tile, kRoundedTiles);
    const bool is_last = first_tile + part.tile_count == work.tile_count;
    const int32_t piece =
        steps_of_piece(work.k, kRoundedFloats / (part.tile_count * kTileRows) / 16 * 16, 16);
    for (int32_t p = 0; p < work.k; p += part.k) {
      part.k = least(work.k - p, piece);
      float* to = rounded;
      for (int32_t i = 0; i < part.tile_count; ++i) {
        tiles[i] = work.tiles[first_tile + i];
        for (int32_t r = 0; r < tiles[i].rows; ++r, to += piece) {
          const float* const from = tiles[i].a[r] + p;
          for (int32_t q = 0; q < part.k; ++q) {
            to[q] = rounded_to_bfloat16(from[q]);
          }
          tiles[i].a[r] = to;
        }
      }
      part.w.data = w.data + p * w.ld;
      part.begin = p == 0 ? work.begin : sums_begin::with_c;
      part.next = is_last && p + part.k == work.k ? work.next : work.w;
      if (p + part.k < work.k) {
        part.next.data = w.data + (p + part.k) * w.ld;
      }
      gemm_of<bfloat16>(part);
    }
  }
}

}  // namespace
