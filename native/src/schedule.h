// SPDX-License-Identifier: Apache-2.0
// Views of the packed schedules of blocksparse.h. They come from outside and are never trusted:
// parse() checks in constant time that the arrays fill the given memory, and check() or rows_of()
// checks the contents of chunks before they are run. No other code reads a schedule before that.
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

// Returns whether every index is in [0, limit). There is no branch per index, so that the compiler
// can vectorize: negative indices are large as unsigned numbers.
inline bool all_below(indices list, int64_t limit) {
  const uint32_t bound = limit > INT32_MAX ? 0x80000000u : static_cast<uint32_t>(limit);
  uint32_t bad = 0;
  for (int32_t i = 0; i < list.count; ++i) {
    bad |= static_cast<uint32_t>(static_cast<uint32_t>(list.data[i]) >= bound);
  }
  return bad == 0;
}

// Returns how often an index is smaller than the one before it.
inline uint32_t descents(indices list) {
  uint32_t count = 0;
  for (int32_t i = 1; i < list.count; ++i) {
    count += static_cast<uint32_t>(list.data[i - 1] > list.data[i]);
  }
  return count;
}

inline bool ascends(indices list) { return descents(list) == 0; }

// Returns whether every index is larger than the one before it.
inline bool rises(indices list) {
  uint32_t rests = 0;
  for (int32_t i = 1; i < list.count; ++i) {
    rests += static_cast<uint32_t>(list.data[i - 1] >= list.data[i]);
  }
  return rests == 0;
}

// Returns whether each part of the list ascends. Parts lie one after the other; `starts` holds the
// begin of each, counted from that of the first, and the end of the last, in ascending order.
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

// Returns the common distance of the indices if it is positive; 1 for a single index; 0 otherwise.
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

// A reader of the parts of a packed array, one after the other.
class array_reader {
 public:
  array_reader(const int32_t* data, int64_t length) : next_(data), left_(length) {}

  // Takes `count` indices, or returns NULL when fewer are left.
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

  // Takes the boundaries of `parts` parts of `total` items: ascending from 0 to total. Only the two
  // ends are checked here.
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

// Returns whether boundaries from anywhere in such an array on are those of parts of `total` items.
inline bool are_boundaries(indices starts, int32_t total) {
  return starts[0] >= 0 && starts[starts.count - 1] <= total && ascends(starts);
}

// Returns all parts together; they lie one after the other.
inline indices parts(indices starts, const int32_t* things) {
  return {things + starts[0], starts[starts.count - 1] - starts[0]};
}

// Returns part i of `total` items; false if the boundaries are no range of them.
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

  static blocksparse_status parse(const blocksparse_part& part, gemm_schedule* s) {
    if (part.schedule == nullptr) {
      return BLOCKSPARSE_NULL_POINTER;
    }
    array_reader reader(part.schedule, part.schedule_length);
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

  // Returns chunk c with its rows, checked; its segments are not.
  blocksparse_status rows_of(int32_t c, int64_t write_blocks, int64_t write_rows,
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

  // Checks chunks [begin, end) and all that they name, in one pass: with few pairs to a segment, or
  // few segments to a chunk, separate checks would take as long as the products.
  blocksparse_status check(int32_t begin, int32_t end, int32_t read_blocks, int32_t write_blocks,
                           int64_t read_rows, int64_t write_rows) const {
    if (!is_range(begin, end, chunks)) {
      return BLOCKSPARSE_BAD_SCHEDULE;
    }
    const indices row_starts = {row_start + begin, end - begin + 1};
    const indices segment_starts = {segment_start + begin, end - begin + 1};
    if (!are_boundaries(row_starts, rows) || !are_boundaries(segment_starts, segments)) {
      return BLOCKSPARSE_BAD_SCHEDULE;
    }
    const indices blocks_read = parts(segment_starts, read_block);
    const indices pair_starts = {pair_start + segment_starts[0], blocks_read.count + 1};
    if (!are_boundaries(pair_starts, pairs)) {
      return BLOCKSPARSE_BAD_SCHEDULE;
    }
    for (int32_t c = begin; c < end; ++c) {
      const int32_t first = pair_start[segment_start[c]];
      if (!all_below({pair_write + first, pair_start[segment_start[c + 1]] - first},
                     row_start[c + 1] - row_start[c])) {
        return BLOCKSPARSE_BAD_SCHEDULE;
      }
    }
    if (!ascends_within(parts(pair_starts, pair_write), pair_starts)) {
      return BLOCKSPARSE_BAD_SCHEDULE;
    }
    const bool inside = all_below({write_block + begin, end - begin}, write_blocks) &&
                        all_below(parts(row_starts, row), write_rows) &&
                        all_below(blocks_read, read_blocks) &&
                        all_below(parts(pair_starts, pair_read), read_rows);
    return inside ? BLOCKSPARSE_OK : BLOCKSPARSE_BAD_INDEX;
  }

  // Returns chunk c, which has been checked.
  gemm_chunk chunk(int32_t c) const {
    return {write_block[c],
            {row + row_start[c], row_start[c + 1] - row_start[c]},
            segment_start[c],
            segment_start[c + 1] - segment_start[c]};
  }

  // Returns segment s of a chunk that has been checked.
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

  static blocksparse_status parse(const blocksparse_part& part, outer_schedule* s) {
    if (part.schedule == nullptr) {
      return BLOCKSPARSE_NULL_POINTER;
    }
    array_reader reader(part.schedule, part.schedule_length);
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

  // Checks blocks [begin, end) and all that their pairs name.
  blocksparse_status check(int32_t begin, int32_t end, int32_t x_blocks, int32_t y_blocks,
                           int64_t x_rows, int64_t y_rows) const {
    if (!is_range(begin, end, blocks)) {
      return BLOCKSPARSE_BAD_SCHEDULE;
    }
    const indices starts = {pair_start + begin, end - begin + 1};
    if (!are_boundaries(starts, pairs)) {
      return BLOCKSPARSE_BAD_SCHEDULE;
    }
    const bool inside = all_below({x_block + begin, end - begin}, x_blocks) &&
                        all_below({y_block + begin, end - begin}, y_blocks) &&
                        all_below(parts(starts, pair_x), x_rows) &&
                        all_below(parts(starts, pair_y), y_rows);
    return inside ? BLOCKSPARSE_OK : BLOCKSPARSE_BAD_INDEX;
  }

  // Returns block b, which has been checked.
  outer_block block(int32_t b) const {
    const int32_t begin = pair_start[b];
    const int32_t count = pair_start[b + 1] - begin;
    return {x_block[b], y_block[b], {pair_x + begin, count}, {pair_y + begin, count}};
  }
};

}  // namespace blocksparse

#endif  // BLOCKSPARSE_SRC_SCHEDULE_H
