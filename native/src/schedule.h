// SPDX-License-Identifier: Apache-2.0
//
// Views of the packed schedules of blocksparse.h. They come from outside and are never trusted:
// parse() checks in constant time that the arrays fill the memory given, and what a chunk follows
// is checked by check_chunk() and its kin before the chunk is run. No other code looks at a
// schedule before that.
#ifndef BLOCKSPARSE_SRC_SCHEDULE_H
#define BLOCKSPARSE_SRC_SCHEDULE_H

#include <cstdint>

#include "blocksparse/blocksparse.h"
#include "checks.h"

namespace blocksparse {

// Indices that lie together.
struct indices {
  const int32_t* data;
  int32_t count;

  int32_t operator[](int32_t i) const { return data[i]; }
};

// True if every index is in [0, limit). Written without a branch per index, for the compiler to
// vectorize: negative indices are large as unsigned numbers.
inline bool all_below(indices list, int64_t limit) {
  const uint32_t bound = limit > INT32_MAX ? 0x80000000u : static_cast<uint32_t>(limit);
  uint32_t bad = 0;
  for (int32_t i = 0; i < list.count; ++i) {
    bad |= static_cast<uint32_t>(static_cast<uint32_t>(list.data[i]) >= bound);
  }
  return bad == 0;
}

// How often an index is smaller than the one before it.
inline uint32_t descents(indices list) {
  uint32_t count = 0;
  for (int32_t i = 1; i < list.count; ++i) {
    count += static_cast<uint32_t>(list.data[i - 1] > list.data[i]);
  }
  return count;
}

inline bool ascends(indices list) { return descents(list) == 0; }

// True if each part of the list ascends. Parts lie one after the other; `starts` tells where each
// begins, counted from where the first does, and where the last ends: ascending.
inline bool ascends_within(indices list, indices starts) {
  uint32_t between = 0;
  for (int32_t s = 1; s + 1 < starts.count; ++s) {
    const int32_t at = starts[s] - starts[0];
    if (at > 0 && at < list.count && starts[s] != starts[s - 1]) {
      between += static_cast<uint32_t>(list[at - 1] > list[at]);
    }
  }
  return descents(list) == between;
}

// Rows that pairs write: positions within a chunk, looked up in its list of rows.
struct written_rows {
  const int32_t* rows;
  const int32_t* position;
  int32_t count;

  int32_t operator[](int32_t i) const { return rows[position[i]]; }
};

// The common distance of the indices if it is positive; 1 for a single index; 0 otherwise.
template <typename List>
int64_t constant_stride(const List& list) {
  if (list.count < 2) {
    return 1;
  }
  const int64_t stride = int64_t{list[1]} - list[0];
  for (int32_t i = 2; i < list.count; ++i) {
    if (int64_t{list[i]} - list[i - 1] != stride) {
      return 0;
    }
  }
  return stride > 0 ? stride : 0;
}

// The parts of a packed array, one after the other.
class array_reader {
 public:
  array_reader(const int32_t* data, int64_t length) : next_(data), left_(length) {}

  // `count` indices, or NULL when fewer are left.
  const int32_t* take(int64_t count) {
    if (count > left_) {
      left_ = -1;
      return nullptr;
    }
    const int32_t* const taken = next_;
    next_ += count;
    left_ -= count;
    return taken;
  }

  // Boundaries of `parts` parts of `total` things: ascending from 0 to total. Only the two ends are
  // looked at here.
  const int32_t* take_boundaries(int64_t parts, int32_t total) {
    const int32_t* const taken = take(parts + 1);
    if (taken != nullptr && (taken[0] != 0 || taken[parts] != total)) {
      left_ = -1;
    }
    return taken;
  }

  bool used_up() const { return left_ == 0; }

 private:
  const int32_t* next_;
  int64_t left_;
};

// Part i of `total` things; false if the boundaries are no range of them.
inline bool part_of(const int32_t* boundaries, int32_t i, int32_t total, int32_t* begin,
                    int32_t* count) {
  *begin = boundaries[i];
  if (!is_range(*begin, boundaries[i + 1], total)) {
    return false;
  }
  *count = boundaries[i + 1] - *begin;
  return true;
}

// ------------------------------------------------------------------------------- GEMM schedules

struct gemm_segment {
  int32_t read_block;
  indices read;
  written_rows write;
};

struct gemm_chunk {
  int32_t write_block;
  indices rows;
  int32_t segment_begin;
  int32_t segment_count;
};

struct gemm_schedule {
  int32_t chunks, segments, rows, pairs;
  const int32_t *write_block, *row_start, *segment_start, *read_block, *pair_start, *row,
      *pair_read, *pair_write;

  static blocksparse_status parse(const int32_t* data, int64_t length, gemm_schedule* s) {
    if (data == nullptr) {
      return BLOCKSPARSE_NULL_POINTER;
    }
    array_reader reader(data, length);
    const int32_t* const head = reader.take(5);
    if (head == nullptr || head[0] != BLOCKSPARSE_GEMM_SCHEDULE || head[1] < 0 || head[2] < 0 ||
        head[3] < 0 || head[4] < 0) {
      return BLOCKSPARSE_BAD_SCHEDULE;
    }
    s->chunks = head[1];
    s->segments = head[2];
    s->rows = head[3];
    s->pairs = head[4];
    s->write_block = reader.take(s->chunks);
    s->row_start = reader.take_boundaries(s->chunks, s->rows);
    s->segment_start = reader.take_boundaries(s->chunks, s->segments);
    s->read_block = reader.take(s->segments);
    s->pair_start = reader.take_boundaries(s->segments, s->pairs);
    s->row = reader.take(s->rows);
    s->pair_read = reader.take(s->pairs);
    s->pair_write = reader.take(s->pairs);
    return reader.used_up() ? BLOCKSPARSE_OK : BLOCKSPARSE_BAD_SCHEDULE;
  }

  // Chunk c with its rows, checked; its segments are not.
  blocksparse_status rows_of(int32_t c, int32_t write_blocks, int64_t write_rows,
                             gemm_chunk* chunk) const {
    int32_t begin;
    if (!part_of(row_start, c, rows, &begin, &chunk->rows.count) ||
        !part_of(segment_start, c, segments, &chunk->segment_begin, &chunk->segment_count)) {
      return BLOCKSPARSE_BAD_SCHEDULE;
    }
    chunk->rows.data = row + begin;
    chunk->write_block = write_block[c];
    const bool inside =
        all_below({&chunk->write_block, 1}, write_blocks) && all_below(chunk->rows, write_rows);
    return inside ? BLOCKSPARSE_OK : BLOCKSPARSE_BAD_INDEX;
  }

  // Chunk c with its rows and all that its segments name, checked.
  blocksparse_status chunk(int32_t c, int32_t read_blocks, int32_t write_blocks, int64_t read_rows,
                           int64_t write_rows, gemm_chunk* chunk) const {
    const blocksparse_status status = rows_of(c, write_blocks, write_rows, chunk);
    if (status != BLOCKSPARSE_OK || chunk->segment_count == 0) {
      return status;
    }
    // All segments at once: where each has a row or two, a check of its own would take as long as
    // its product.
    const indices starts = {pair_start + chunk->segment_begin, chunk->segment_count + 1};
    const int32_t begin = starts[0];
    const int32_t end = starts[chunk->segment_count];
    if (begin < 0 || end > pairs || !ascends(starts)) {
      return BLOCKSPARSE_BAD_SCHEDULE;
    }
    const indices positions = {pair_write + begin, end - begin};
    if (!all_below(positions, chunk->rows.count) || !ascends_within(positions, starts)) {
      return BLOCKSPARSE_BAD_SCHEDULE;
    }
    const bool inside =
        all_below({read_block + chunk->segment_begin, chunk->segment_count}, read_blocks) &&
        all_below({pair_read + begin, end - begin}, read_rows);
    return inside ? BLOCKSPARSE_OK : BLOCKSPARSE_BAD_INDEX;
  }

  // Segment s of a chunk that has been checked.
  gemm_segment segment(const gemm_chunk& chunk, int32_t s) const {
    const int32_t place = chunk.segment_begin + s;
    const int32_t begin = pair_start[place];
    const int32_t count = pair_start[place + 1] - begin;
    return {read_block[place],
            {pair_read + begin, count},
            {chunk.rows.data, pair_write + begin, count}};
  }
};

// ------------------------------------------------------------------------------ OUTER schedules

struct outer_block {
  int32_t x_block, y_block;
  indices x, y;
};

struct outer_schedule {
  int32_t blocks, pairs;
  const int32_t *x_block, *y_block, *pair_start, *pair_x, *pair_y;

  static blocksparse_status parse(const int32_t* data, int64_t length, outer_schedule* s) {
    if (data == nullptr) {
      return BLOCKSPARSE_NULL_POINTER;
    }
    array_reader reader(data, length);
    const int32_t* const head = reader.take(3);
    if (head == nullptr || head[0] != BLOCKSPARSE_OUTER_SCHEDULE || head[1] < 0 || head[2] < 0) {
      return BLOCKSPARSE_BAD_SCHEDULE;
    }
    s->blocks = head[1];
    s->pairs = head[2];
    s->x_block = reader.take(s->blocks);
    s->y_block = reader.take(s->blocks);
    s->pair_start = reader.take_boundaries(s->blocks, s->pairs);
    s->pair_x = reader.take(s->pairs);
    s->pair_y = reader.take(s->pairs);
    return reader.used_up() ? BLOCKSPARSE_OK : BLOCKSPARSE_BAD_SCHEDULE;
  }

  // Whether block b is one of the grid; its pairs are not looked at.
  bool names_block(int32_t b, int32_t x_blocks, int32_t y_blocks) const {
    return all_below({x_block + b, 1}, x_blocks) && all_below({y_block + b, 1}, y_blocks);
  }

  // Block b and all that its pairs name, checked.
  blocksparse_status block(int32_t b, int32_t x_blocks, int32_t y_blocks, int64_t x_rows,
                           int64_t y_rows, outer_block* block) const {
    int32_t begin, count;
    if (!part_of(pair_start, b, pairs, &begin, &count)) {
      return BLOCKSPARSE_BAD_SCHEDULE;
    }
    *block = {x_block[b], y_block[b], {pair_x + begin, count}, {pair_y + begin, count}};
    const bool inside = names_block(b, x_blocks, y_blocks) && all_below(block->x, x_rows) &&
                        all_below(block->y, y_rows);
    return inside ? BLOCKSPARSE_OK : BLOCKSPARSE_BAD_INDEX;
  }
};

}  // namespace blocksparse

#endif  // BLOCKSPARSE_SRC_SCHEDULE_H
