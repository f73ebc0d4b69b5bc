/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C interface of blocksparse's kernels: products of gathered rows with chosen blocks of a
 * weight tensor, the softmax that belongs to them, and the memory they work on.
 *
 * The library runs chunks of a schedule that its caller has made. It owns no threads, keeps no
 * state but the lists of mapped files and of OpenBLAS's buffers, prints nothing, never aborts and
 * lets no exception out. Every function may be called from any number of threads at once, as long
 * as no two calls write the same memory. Schedules, offsets, indices, counts and targets must not
 * change during a call: they are checked before they are read again.
 *
 * Words. A sample selects iWin input blocks (of iBlocks, each of iSize elements) and oWin output
 * blocks (of oBlocks, each of oSize elements). A "row" is one block of one sample, iSize or oSize
 * elements that lie together. Row r of an operand x starts at x + r * ldx.
 *
 * Units. Sizes, strides and leading dimensions are in elements, never in bytes.
 *
 * Errors. Every function that computes returns a blocksparse_status and checks sizes, strides and
 * every index it follows. Checks come before the chunk concerned is written.
 */
#ifndef BLOCKSPARSE_BLOCKSPARSE_H
#define BLOCKSPARSE_BLOCKSPARSE_H

#include <stdint.h>

#if defined(_WIN32)
#if defined(BLOCKSPARSE_BUILD)
#define BLOCKSPARSE_API __declspec(dllexport)
#else
#define BLOCKSPARSE_API __declspec(dllimport)
#endif
#else
#define BLOCKSPARSE_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------- statuses */

typedef enum blocksparse_status {
  BLOCKSPARSE_OK = 0,
  BLOCKSPARSE_NULL_POINTER = 1,    /* an operand that is needed is NULL */
  BLOCKSPARSE_BAD_SIZE = 2,        /* a size, stride or count is negative or too large */
  BLOCKSPARSE_BAD_SCHEDULE = 3,    /* the schedule is malformed, or a chunk range is outside it */
  BLOCKSPARSE_BAD_INDEX = 4,       /* the schedule names a row or block outside its operand */
  BLOCKSPARSE_BAD_ARGUMENT = 5,    /* an option is invalid, or two exclude each other */
  BLOCKSPARSE_UNSUPPORTED_ISA = 6, /* this processor or build lacks the instruction set */
  BLOCKSPARSE_SCRATCH_TOO_SMALL = 7,
  BLOCKSPARSE_NO_MEMORY = 8 /* BLAS, which was requested, lacks memory for its buffer */
} blocksparse_status;

/* The name of a status, "BAD_SIZE" for instance; a string literal that is never freed. */
BLOCKSPARSE_API const char* blocksparse_status_name(int32_t status);

/* --------------------------------------------------------------------------- what is running */

/* Instruction sets, in ascending order of preference on each architecture. */
typedef enum blocksparse_isa {
  BLOCKSPARSE_PORTABLE = 0,
  BLOCKSPARSE_NEON = 1,
  BLOCKSPARSE_AVX2 = 2,  /* AVX2, FMA and F16C */
  BLOCKSPARSE_AVX512 = 3 /* AVX-512 F, VL, BW and DQ */
} blocksparse_isa;

/* 1 if this build has kernels for the instruction set and this processor can execute them. */
BLOCKSPARSE_API int32_t blocksparse_isa_supported(int32_t isa);

/* The name of an instruction set, "avx2" for instance, or NULL; a string literal. */
BLOCKSPARSE_API const char* blocksparse_isa_name(int32_t isa);

/* How a product is computed. */
typedef enum blocksparse_path {
  BLOCKSPARSE_PATH_AUTO = 0, /* by the crossover that is written down in native/README.md */
  BLOCKSPARSE_PATH_BLAS = 1, /* rows are gathered, then one cblas_sgemm on the calling thread */
  BLOCKSPARSE_PATH_TILE = 2  /* our register tiles, which read rows and blocks where they lie */
} blocksparse_path;

/*
 * The bytes of a buffer that each thread needs in BLAS, at most; BLAS keeps them. Where they cannot
 * be had, products by AUTO run on tiles, with the bits of these; by BLAS they end with NO_MEMORY,
 * and what they write is undefined.
 */
#define BLOCKSPARSE_BLAS_BUFFER_BYTES 134217728

/*
 * 1 if a product may go to BLAS on this path with this instruction set. If not, cblas_sgemm is
 * never called, and OpenBLAS's number of threads, which is one for the whole process, can be left
 * alone.
 */
BLOCKSPARSE_API int32_t blocksparse_may_use_blas(int32_t isa, int32_t path);

/*
 * Which products run on our register tiles and which on OpenBLAS, in words for people, with this
 * instruction set on this path and processor. A string that is never freed.
 */
BLOCKSPARSE_API const char* blocksparse_path_words(int32_t isa, int32_t path);

/*
 * The hardware for products with rounded rows (round_a), in words, with this instruction set on
 * this processor; NULL if it is not supported. A string literal.
 */
BLOCKSPARSE_API const char* blocksparse_rounded_words(int32_t isa);

/*
 * The instructions that multiply packed weights, "avx512-vnni" for instance, where this instruction
 * set is the highest that is allowed; NULL if it is not supported. A string literal.
 */
BLOCKSPARSE_API const char* blocksparse_packed_name(int32_t isa);

/* OpenBLAS's own description. Strings that are never freed. */
BLOCKSPARSE_API const char* blocksparse_openblas_config(void);
BLOCKSPARSE_API const char* blocksparse_openblas_core(void);

/*
 * The file of the OpenBLAS that is in use, as the system names it (in UTF-8 on Windows), or NULL if
 * it does not tell. Where a process has several, this need not be the one that was meant. A string
 * that is never freed.
 */
BLOCKSPARSE_API const char* blocksparse_openblas_file(void);

/* OpenBLAS's number of threads: one setting for the whole process. */
BLOCKSPARSE_API int32_t blocksparse_openblas_threads(void);
BLOCKSPARSE_API void blocksparse_set_openblas_threads(int32_t threads);

/* ------------------------------------------------------------------------------------- memory */

/*
 * Zeroed memory, aligned to 64 bytes; from 4 MB on aligned to 2 MB, with huge pages advised where
 * the system knows them. NULL if there is no such memory, or if bytes is not positive.
 */
BLOCKSPARSE_API void* blocksparse_allocate(int64_t bytes);

/* Frees what blocksparse_allocate returned for the same number of bytes. NULL is allowed. */
BLOCKSPARSE_API void blocksparse_free(void* memory, int64_t bytes);

/*
 * A file of exactly `bytes` bytes as memory at one address, aligned to a page, without reading it.
 * Processes that map the same file share its pages. NULL if there is no such file, if it has
 * another size, as one has that has just taken its place, or if the system refuses. May run at the
 * same time as anything else.
 *
 * path            of a regular file, in the system's encoding of file names; UTF-8 on Windows
 * copy_on_write   0: the memory may only be read; 1: pages that are written become the caller's
 *                 own, and the file never changes
 *
 * If the file shrinks while it is mapped, what is gone reads as zeroes. For this, the first call
 * installs a handler of SIGBUS that passes everything else on to the handler that it found.
 */
BLOCKSPARSE_API void* blocksparse_map(const char* path, int64_t bytes, int32_t copy_on_write);

/* 1 if the file of the mapping at `memory` has shrunk or cannot be read. */
BLOCKSPARSE_API int32_t blocksparse_map_is_damaged(const void* memory);

/* Ends a mapping. NULL is allowed. */
BLOCKSPARSE_API void blocksparse_unmap(void* memory);

/* ---------------------------------------------------------------------------------- schedules */

/*
 * A GEMM SCHEDULE lists the rows that are written, and the (row, block) products that each is the
 * sum of. It is one packed array of int32:
 *
 *   [0]  BLOCKSPARSE_GEMM_SCHEDULE
 *   [1]  chunks    C
 *   [2]  segments  S
 *   [3]  rows      R     rows written
 *   [4]  pairs     P     (row read, row written) pairs
 *   then, one after the other:
 *   write_block   [C]    block that all rows of the chunk are written for
 *   row_start     [C+1]  first row of each chunk, in row[]; ascending from 0 to R
 *   segment_start [C+1]  first segment of each chunk; ascending from 0 to S
 *   read_block    [S]    block that all rows of the segment are read for
 *   pair_start    [S+1]  first pair of each segment; ascending from 0 to P
 *   row           [R]    index of the row written; no row is in two places
 *   pair_read     [P]    index of the row read
 *   pair_write    [P]    row written, as a position within its chunk: row[row_start[c] + this]
 *
 * Rows of one chunk share their write_block, pairs of one segment share their read_block as well:
 * they are multiplied by the same block of W. Within a segment pair_write ascends; it may repeat
 * (a sample that selects the same input block twice), and repeats add up. A chunk owns the rows it
 * writes, so chunks may run in any order and at the same time.
 */
#define BLOCKSPARSE_GEMM_SCHEDULE 0x42534731

/*
 * The rows of a chunk that products work best with: its rows of a and c lie in the second-level
 * cache, and one pass over a block serves all of them. More are allowed, and worth it where a chunk
 * reads many blocks and its pairs are sorted by them: then BLOCKSPARSE_SORTED_CHUNK_ROWS.
 */
#define BLOCKSPARSE_CHUNK_ROWS 192
#define BLOCKSPARSE_SORTED_CHUNK_ROWS 512

/*
 * The columns of a product, and the rows of a block of outer products, may be asked for in bands.
 * The narrowest that are worth it, and what others should be multiples of: no register tile of a
 * whole row or block is cut in two then.
 */
#define BLOCKSPARSE_BAND 64

/*
 * An OUTER SCHEDULE lists the blocks that are written, and the outer products that each is the sum
 * of:
 *
 *   [0]  BLOCKSPARSE_OUTER_SCHEDULE
 *   [1]  blocks    B     blocks written
 *   [2]  pairs     P     (x row, y row) pairs
 *   x_block       [B]    no (x_block, y_block) is in two places
 *   y_block       [B]
 *   pair_start    [B+1]  first pair of each block; ascending from 0 to P
 *   pair_x        [P]    index of the row of x
 *   pair_y        [P]    index of the row of y
 */
#define BLOCKSPARSE_OUTER_SCHEDULE 0x42534F31

/* ------------------------------------------------------------------------------------ operands */

/*
 * Structs that functions take by address; no function keeps it. Their fields follow each other
 * without gaps, so that other languages can write them one after the other. Java does, and a test
 * reads there what it wrote, by the names of the fields: hence the tags besides the names.
 *
 * An address of a struct is not NULL, unless the function says what NULL means. A pointer in a
 * struct may be NULL if nothing is at it, as at rows without elements.
 */

/*
 * The types of stored weights, which are only read. They are widened to float32 as they are loaded,
 * and sums are float32. A result has the same bits as of the weights widened before, on
 * BLOCKSPARSE_PATH_TILE, but for which NaN a NaN is; and unless a is rounded, see below.
 */
typedef enum blocksparse_element_type {
  BLOCKSPARSE_FLOAT32 = 0,
  BLOCKSPARSE_FLOAT16 = 1,  /* IEEE 754 binary16 */
  BLOCKSPARSE_BFLOAT16 = 2, /* the upper half of a float32 */
  BLOCKSPARSE_INT8 = 3,     /* an element is float(q) * scale, rounded once to float */
  BLOCKSPARSE_Q8_0 = 4,     /* only in panels, as all that follow; see PACKED WEIGHTS */
  BLOCKSPARSE_Q4_0 = 5,
  BLOCKSPARSE_MXFP4 = 6,
  BLOCKSPARSE_Q4_K = 7,
  BLOCKSPARSE_Q6_K = 8,
  BLOCKSPARSE_Q5_K = 9,
  BLOCKSPARSE_Q2_K = 10,
  BLOCKSPARSE_Q5_1 = 11,
  BLOCKSPARSE_IQ4_NL = 12,
  BLOCKSPARSE_IQ4_XS = 13
} blocksparse_element_type;

/* The PART of a schedule that a call runs. */
struct blocksparse_part_fields {
  const int32_t* schedule; /* GEMM schedule, or OUTER schedule where the function says so */
  int64_t schedule_length; /* in int32 */
  int32_t begin, end;      /* chunks [begin, end), or blocks of an OUTER schedule */
  int32_t column_begin;    /* columns [column_begin, column_end) of the rows written, */
  int32_t column_end;      /* or rows of the blocks of an OUTER schedule */
};
typedef struct blocksparse_part_fields blocksparse_part;

/* ROWS: row r is at data + r * stride. Written only where a function says so. */
struct blocksparse_rows_fields {
  float* data;
  int64_t count;
  int64_t stride; /* at least the size of a row */
};
typedef struct blocksparse_rows_fields blocksparse_rows;

/*
 * BLOCKS: a grid of in_blocks x out_blocks, each of in_size x out_size elements. Element [p][q] of
 * block (i, j) is
 *   data[i * in_stride + j * out_stride + p * ld + q], or if transposed    ... + q * ld + p].
 * Strides and ld are in elements of the type; a stride of 0 is allowed.
 */
struct blocksparse_blocks_fields {
  void* data;          /* at any address; FLOAT32 at a multiple of 4. Written where rows are */
  const float* scales; /* of INT8, one for each of the elements that lie together: [p][q] times
                          scales[i * scales_in_stride + j * scales_out_stride + q], or if transposed
                          ... + p]. NULL for all other types */
  int64_t in_stride, out_stride;
  int64_t ld; /* at least out_size, or in_size if transposed */
  int64_t scales_in_stride, scales_out_stride;
  int32_t in_blocks, out_blocks;
  int32_t in_size, out_size;
  int32_t type; /* blocksparse_element_type */
  int32_t transposed;
};
typedef struct blocksparse_blocks_fields blocksparse_blocks;

/* SUMS: rows that products are added to, and what they begin with. */
struct blocksparse_sums_fields {
  blocksparse_rows rows; /* overlap nothing else */
  blocksparse_rows bias; /* a row for each block written; or data is NULL: none */
  int32_t accumulate;    /* 0: rows are only written, never read, and may hold NaN; 1: they are
                            added to, and there is no bias */
};
typedef struct blocksparse_sums_fields blocksparse_sums;

/* ----------------------------------------------------------------------------------- products */

/*
 * The elements of scratch with which block_gemm or block_outer works best; 0 where such products
 * never go to BLAS, which alone needs scratch. The result depends on nothing else, and neither do
 * the bits of a product.
 */
BLOCKSPARSE_API int64_t blocksparse_gemm_scratch_f32(int32_t isa, int32_t path, int32_t w_type,
                                                     int32_t k, int32_t n, int32_t w_transposed);
BLOCKSPARSE_API int64_t blocksparse_outer_scratch_f32(int32_t isa, int32_t path, int32_t m,
                                                      int32_t n);

/*
 * For each row r written by the chunks of the part, in its columns:
 *
 *   c[r] = (accumulate ? c[r] : bias ? bias[write_block] : 0)  +  sum over its pairs a[pair] * W
 *
 * where W is block (read_block, write_block) of w, k x n elements.
 *
 * isa           instruction set of the tile kernels
 * path          BLOCKSPARSE_PATH_*; all products of other weights than FLOAT32 run on tiles
 * part          of a GEMM schedule
 * a             rows read, of k elements
 * round_a       0, or 1: a is rounded to bfloat16, to the nearest, ties to even, for
 *               processors that multiply such numbers faster: those with AMX, whose registers the
 *               first such call with AVX512 asks Linux for, and AMD's with AVX512-BF16. w is
 *               BFLOAT16 then, and not transposed.
 *               NaN stays NaN; magnitudes of 2^128 - 2^119 and more become infinite. Products of
 *               two such numbers are exact in float32, and so
 *                 |error of c| <= 2^-8 * S + 1.01 K 2^-24 * (|c or bias| + S)
 *                                 + 2^-126 * sum (2 + |a| + |W|)
 *               where the sums are over all K products that c consists of, S being that of their
 *               magnitudes |a| |W|, and K is at most 2^16. The last part is for numbers below
 *               2^-126 in a, W and sums, which a processor may take for 0. Bits differ between
 *               processors of one instruction set, too, but not with the chunks and columns of a
 *               call
 * w             read_blocks x write_blocks blocks of k x n weights, of types FLOAT32 ... INT8; k
 *               and n may be 0 (k = 0: the sum is empty)
 * c             rows written, of n elements
 * scratch       scratch_length elements of the calling thread's own, 64-byte aligned; at least
 *               k + n, unless blocksparse_gemm_scratch_f32 is 0: then it is ignored and may
 *               be NULL
 */
BLOCKSPARSE_API int32_t blocksparse_block_gemm_f32(int32_t isa, int32_t path,
                                                   const blocksparse_part* part,
                                                   const blocksparse_rows* a, int32_t round_a,
                                                   const blocksparse_blocks* w,
                                                   const blocksparse_sums* c, float* scratch,
                                                   int64_t scratch_length);

/*
 * PACKED WEIGHTS are only read, by products with rounded rows. A block of k x n is cut into PANELS
 * of 16 of its columns, and a panel into GROUPS of 32 of its rows; what is missing to whole ones is
 * 0, or anything finite where rounded rows are 0. The groups of a panel lie end to end, and so do
 * the panels of a block, and the blocks: block (read_block, write_block) is number read_block *
 * write_blocks + write_block. Nothing is aligned.
 *
 * Codes are unsigned. Of 8 bits, that of row i and column j of a group is byte
 * i / 4 * 64 + j * 4 + i % 4 of its codes; of 4 bits, byte i / 8 * 64 + j * 4 + i % 4, in the low
 * half where i / 4 is even. Of 6 bits, the low four are these; the high two are bits i / 4 % 4 * 2
 * and the next of byte 256 + i / 16 * 64 + j * 4 + i % 4. Of 5 bits, the high one is bit i / 4 of
 * byte 256 + j * 4 + i % 4. Of 2 bits, both are bits i / 4 % 4 * 2 and the next of byte
 * i / 16 * 64 + j * 4 + i % 4.
 *
 *   type    bytes of a group   scales                             weight
 *   BFLOAT16   1024         none                               the number itself
 *   INT8    512                a float of each column, apart      (code - 128) * scale
 *   Q8_0    32 + 512           16 of float16, before the codes    (code - 128) * scale
 *   Q4_0    32 + 256           16 of float16, before the codes    (code - 8) * scale
 *   MXFP4   16 + 256           16 exponents e, before the codes   value[code] * 2^(e - 127)
 *   Q4_K    32 + 256           16 bytes s, 16 bytes t             d * s * code - m * t
 *   Q6_K    32 + 384           16 int8 s of rows 0 to 15, 16 of   d * s * (code - 32)
 *                              rows 16 to 31
 *   Q5_K    32 + 320           as Q4_K                           d * s * code - m * t
 *   Q2_K    64 + 128           16 bytes s of rows 0 to 15, 16    d * s * code - m * t
 *                              of rows 16 to 31; as many t
 *   Q5_1    64 + 320           16 of float16 d, 16 of float16 m  d * code - m
 *   IQ4_NL  32 + 256           16 of float16, before the codes   table[code] * scale
 *   IQ4_XS  16 + 256           16 int8 s                         d * s * table[code]
 *
 * where value is 0, 0.5, 1, 1.5, 2, 3, 4, 6 and the same negated, and e = 255 means NaN; table is
 * -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113. Before every eight
 * groups of a panel, and fewer at its end, Q4_K, Q5_K and Q2_K have 16 of float16 d and 16 of
 * float16 m, and Q6_K and IQ4_XS have 16 of float16 d. Float16 is little-endian; s and t of types
 * that have both are 0 to 127. BFLOAT16 has numbers instead of codes, that of row i and column j of a group at bytes i / 2 * 64 + j * 4 + i % 2
 * * 2 and the next, little-endian.
 *
 * ROUNDED ROWS of bfloat16 are such numbers, the nearest ones, ties to even. Others are codes
 * of int8 with a scale for each group of 32 numbers, or for a whole row, which has one code for each
 * number or two. With m the largest magnitude of the numbers that share a scale, or 2^-119 (of two
 * codes 2^-111) if that is more:
 *
 *   one code    rint(x * (127 / m)), scale m / 127
 *   two codes   y = x * (32384 / m), high = rint(y * (1 / 254.0f)), low = rint(y - 254 * high),
 *               scale m / 32384
 *
 * Where one of these numbers is NaN or infinite, the scale is NaN, and the codes are 0.
 *
 * With g = (k + 31) / 32 and p = (g + 2047) / 2048, the rows of k numbers are:
 *
 *   codes       of groups 32 g bytes for each row; of whole rows 64 ((g + 1) / 2 | 1), zeros
 *               after the last number: the high codes of all rows, then the low ones of all rows
 *   scales      g floats for each row, or one
 *   sums        int32: of each group 65536 times the negated sum of its codes, plus that of its
 *               first 16 modulo 65536; or the negated sums of each 65536 numbers: p for each row, or
 *               2 p, high and low in turns
 *
 * Rows of bfloat16 have 64 (g | 1) bytes each, with zeros after the last number of a group.
 */
typedef enum blocksparse_row_format {
  BLOCKSPARSE_ROWS_OF_GROUPS = 0,    /* for all types but those below */
  BLOCKSPARSE_ROWS_OF_BYTES = 1,     /* for INT8 */
  BLOCKSPARSE_ROWS_OF_TWO_BYTES = 2, /* for INT8 */
  BLOCKSPARSE_ROWS_OF_BFLOAT16 = 3   /* for BFLOAT16 */
} blocksparse_row_format;

/*
 * Rounds rows [row_begin, row_end) of a.
 *
 * format    blocksparse_row_format
 * k         size of a row
 * a         fewer than 2^31 rows
 * rounded   as many rounded rows, at a
 *           multiple of 4 bytes; overlaps nothing else. Others than the rows named stay as they are
 */
BLOCKSPARSE_API int32_t blocksparse_round_rows_f32(int32_t isa, int32_t format, int32_t row_begin,
                                                   int32_t row_end, int32_t k,
                                                   const blocksparse_rows* a, void* rounded);

/*
 * blocksparse_block_gemm_f32 with rounded rows and packed weights.
 *
 * Rows of groups: within a group, a product is a whole number. It is multiplied by the product of
 * both scales and added to that of the groups before it, rounded once; the sum of all groups is
 * added to c.
 *
 * Whole rows: within 65536 numbers, the product is a whole number of 32 bits as a float; of two
 * codes it is 254 times that of the high codes plus that of the low ones, rounded once. It is
 * multiplied by the scale of the row, then by that of the column, and added to c, the first 65536
 * numbers first.
 *
 * Rows of bfloat16: the products are added up as floats, and their sum is added to c.
 *
 * Pairs are added in the order of the schedule. All instruction sets give the same bits, but for
 * which NaN a NaN is, and for rows of bfloat16: their instructions take numbers below the normal
 * ones for 0, and tiles add up in another order.
 *
 * format        of the rows, one of those of the type of w
 * part          its columns begin and end at multiples of 16, or at n
 * rounded       rows read: a_rows rows that blocksparse_round_rows_f32 has made; not written
 * w             packed weights, not transposed. Strides are ignored: blocks lie end to end,
 *               and so do the scales of INT8, n for each
 */
BLOCKSPARSE_API int32_t blocksparse_packed_gemm_f32(int32_t isa, const blocksparse_part* part,
                                                    int32_t format, const void* rounded,
                                                    int64_t a_rows, const blocksparse_blocks* w,
                                                    const blocksparse_sums* c);

/*
 * The first of two products with packed weights, its activation, and rounding of rows of groups:
 * the bits of blocksparse_packed_gemm_f32, blocksparse_activation_f32 of its sums and
 * blocksparse_round_rows_f32, without memory for sums.
 *
 * part          its columns are those of a row that comes out of the activation, which has n; they
 *               begin and end at multiples of 32, or at n
 * w             as for blocksparse_packed_gemm_f32, blocks of 2 n columns if the activation is
 *               gated, else of n
 * bias          a row of as many columns for each block written; or data is NULL: none
 * activation    BLOCKSPARSE_*, see blocksparse_activation_f32
 * gate          a factor for each row of `to`, or NULL
 * to            rows written: to_rows rounded rows of groups of n; of whole rows, which are rounded
 *               when all their columns are there, floats, n for each row; overlaps nothing else
 */
BLOCKSPARSE_API int32_t blocksparse_packed_activation_f32(
    int32_t isa, const blocksparse_part* part, int32_t format, const void* rounded, int64_t a_rows,
    const blocksparse_blocks* w, const blocksparse_rows* bias, int32_t activation,
    const float* gate, void* to, int64_t to_rows);

/*
 * For the blocks of the part, in the rows of them that it names:
 *
 *   o = (accumulate ? o : 0)  +  alpha * sum over its pairs  x[pair]^T * y[pair]
 *
 * where o is block (x_block, y_block), m x n elements. If both strides of blocks are 0, all go to
 * one place, for a caller that takes one at a time.
 *
 * part          of an OUTER schedule; its columns are rows of the blocks, within [0, m)
 * alpha         factor of the products; NaN and infinities in x and y propagate even if it is 0.
 *               If it is below 1, a sum of products may exceed all floats, but not alpha times that
 *               of the pairs from the first to any other
 * x, y          rows of m and of n elements
 * accumulate    0: o is only written, never read, and may hold NaN; 1: o is added to
 * o             x_blocks x y_blocks blocks of m x n FLOAT32; overlap nothing else
 * scratch       scratch_length elements of the calling thread's own, 64-byte aligned; at least
 *               m + n, unless blocksparse_outer_scratch_f32 is 0: then it is ignored and may
 *               be NULL
 */
BLOCKSPARSE_API int32_t blocksparse_block_outer_f32(int32_t isa, int32_t path,
                                                    const blocksparse_part* part, float alpha,
                                                    const blocksparse_rows* x,
                                                    const blocksparse_rows* y, int32_t accumulate,
                                                    const blocksparse_blocks* o, float* scratch,
                                                    int64_t scratch_length);

/*
 * A step of gradient descent of w, and the gradient of the rows that were multiplied by it before:
 * blocksparse_block_gemm_f32 of y with each block of w transposed, then blocksparse_block_outer_f32
 * added to w, with the same bits. If both parts are of one block that has few rows, it is read
 * once.
 *
 * gradient      a part of a GEMM schedule; its columns are within [0, m)
 * step          a part of an OUTER schedule; its columns are rows of the blocks, within [0, m)
 * x, y          rows of m and of n elements
 * alpha         factor of the outer products
 * w             x_blocks x y_blocks blocks of m x n FLOAT32, not transposed; written, and overlap
 *               nothing else
 * c             rows written, of m elements
 * scratch       as both functions need it
 */
BLOCKSPARSE_API int32_t blocksparse_block_descent_f32(
    int32_t isa, int32_t path, const blocksparse_part* gradient, const blocksparse_part* step,
    const blocksparse_rows* x, const blocksparse_rows* y, float alpha, const blocksparse_blocks* w,
    const blocksparse_sums* c, float* scratch, int64_t scratch_length);

/*
 * For each chunk of the part, in order, with its rows r in their order:
 *
 *   o[write_block] += sum of alpha * y[r]
 *
 * in the columns of the part: the gradient of a bias. Calls that run at the same time must not
 * share a write_block.
 *
 * part          of a GEMM schedule; its rows are the rows of y, its segments and pairs are not
 *               looked at
 * o             a row for each block; a stride of 0 is allowed: all go to one place
 */
BLOCKSPARSE_API int32_t blocksparse_block_sum_f32(int32_t isa, const blocksparse_part* part,
                                                  float alpha, const blocksparse_rows* y,
                                                  const blocksparse_rows* o);

/* --------------------------------------------------------------------------------------- links */

/* The function from the logits of a row to probabilities. */
typedef enum blocksparse_link {
  BLOCKSPARSE_SOFTMAX = 0, /* one of the elements is there: exp(c[q] - max) / sum */
  BLOCKSPARSE_LOGISTIC = 1 /* each of them is there or not, by itself: 1 / (1 + exp(-c[q])) */
} blocksparse_link;

/*
 * In place, for each row r written by the chunks of the part: with the first
 * v = valid ? valid[write_block] : n elements of the row, and p their probabilities by the link,
 *
 *   logarithm == 0:   c[r][q] = factor * p[q]        factor = scale ? scale[r] : 1
 *   logarithm == 1:   c[r][q] = offset + log(p[q])   offset = scale ? scale[r] : 0
 *
 * and the n - v elements after them become 0 (probability) or -infinity (log probability). The log
 * probability of a finite logit is finite: the lowest float where the exact one, or c[r][q] - max,
 * is below that.
 *
 * SOFTMAX: the logarithm of a sum has a small relative error, however close to 1 the sum is. A NaN,
 * or an infinity that makes max infinite, gives NaN in all v elements of its row.
 *
 * LOGISTIC: NaN stays in its element; a log probability never is above its offset. Without a scale,
 * a probability is within 4 ulp of the exact one, and its logarithm within 6 ulp, or 2^-148. Tested
 * through all finite floats in steps of 4001, and in steps of 7e-5 from -18 to 18.
 *
 * part          of a GEMM schedule; its rows are the rows of c, its segments and pairs are not
 *               looked at. Its columns are [0, n), those of whole rows; with n = 0, v is 0, and
 *               nothing is written
 * valid         write_blocks counts, each in [1, n], or 0 if n is; or NULL: all n
 * write_blocks  what write_block is below
 * scale         for each row of c a factor (or, with logarithm, an offset), or NULL
 * c             rows of n
 */
BLOCKSPARSE_API int32_t blocksparse_block_probabilities_f32(
    int32_t isa, int32_t link, int32_t logarithm, const blocksparse_part* part,
    const int32_t* valid, int32_t write_blocks, const float* scale, const blocksparse_rows* c);

/*
 * TARGETS: what the elements of row r should be, t[q], and how much the row counts.
 *
 *   SOFTMAX    t[q] = (1 - smoothing) * (q == index[r])  +  smoothing * prior[q]
 *   LOGISTIC   t[q] = 1 if q is among index[p], start[r] <= p < start[r + 1]; else 0
 *
 * start      LOGISTIC: boundaries, one more than rows; those of the rows named ascend within
 *            [0, count]. SOFTMAX: ignored
 * index      SOFTMAX: one for each row; those of the rows named are in [0, v), which with n = 0
 *            none is. LOGISTIC: count; those of each row named ascend, with none twice, in [0, v)
 * weights    of each row, or NULL: 1
 * prior      SOFTMAX: n probabilities, or NULL: 1 / v each. LOGISTIC: NULL
 * smoothing  SOFTMAX: in [0, 1]. LOGISTIC: 0
 */
struct blocksparse_targets_fields {
  const int32_t* start;
  const int32_t* index;
  const float* weights;
  const float* prior;
  int32_t count;
  float smoothing;
};
typedef struct blocksparse_targets_fields blocksparse_targets;

/*
 * In place, for each row r written by the chunks of the part, whose first v elements (v as above)
 * are logits: the cross entropy of its targets, and the gradient of that.
 *
 *   SOFTMAX           loss[r] = -sum over q < v of t[q] * log(p[q])
 *   LOGISTIC          loss[r] = -sum over q < v of log(t[q] ? p[q] : 1 - p[q])
 *   c[r][q] = weight * (p[q] - t[q])
 *
 * The n - v elements after them become 0. A row of weight 0 gets the gradient 0, even if it holds
 * NaN.
 *
 * SOFTMAX: a loss beyond all floats is the largest float, unless a logit whose t[q] is above 0 is
 * -infinity. A loss near 0, and what the target's probability lacks to 1, have small relative
 * errors.
 *
 * LOGISTIC: a loss beyond all floats is the largest float, unless a logit is infinite; NaN in a row
 * makes its loss NaN. With n = 0 it is the sum of nothing: 0.
 *
 * part, valid, write_blocks, c   as for blocksparse_block_probabilities_f32
 * loss          of each row of c, written for the rows named; not multiplied by the weight
 */
BLOCKSPARSE_API int32_t blocksparse_block_cross_entropy_f32(int32_t isa, int32_t link,
                                                            const blocksparse_part* part,
                                                            const int32_t* valid,
                                                            int32_t write_blocks,
                                                            const blocksparse_targets* targets,
                                                            float* loss, const blocksparse_rows* c);

/* ------------------------------------------------------------------------------- activations */

/*
 * A function of each element of a row. For a gated one, a row of z has 2 n elements: the first n
 * go through the function and are multiplied by the last n.
 */
typedef enum blocksparse_activation {
  BLOCKSPARSE_IDENTITY = 0,  /* z */
  BLOCKSPARSE_RELU = 1,      /* z above 0, otherwise 0, also for -0; its slope at 0 is 0 */
  BLOCKSPARSE_GELU = 2,      /* z Phi(z), Phi being the normal distribution's */
  BLOCKSPARSE_GELU_TANH = 3, /* z / 2 (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) */
  BLOCKSPARSE_SILU = 4,      /* z / (1 + exp(-z)) */
  BLOCKSPARSE_TANH = 5,
  BLOCKSPARSE_SIGMOID = 6,        /* 1 / (1 + exp(-z)) */
  BLOCKSPARSE_SWIGLU = 7,         /* gated: silu(z[q]) z[n + q] */
  BLOCKSPARSE_GEGLU = 8,          /* gated: gelu(z[q]) z[n + q] */
  BLOCKSPARSE_SWIGLU_CLAMPED = 9, /* gated: g / (1 + exp(-1.702 g)) (u + 1), g being z[q] or 7 if
                                     that is less, u being z[n + q] brought into [-7, 7]; what is
                                     clamped has slope 0 */
  BLOCKSPARSE_GEGLU_TANH = 10     /* gated: gelu_tanh(z[q]) z[n + q] */
} blocksparse_activation;

/* The operands of an activation. */
struct blocksparse_activation_input_fields {
  blocksparse_rows z; /* rows of n, or 2 n if gated */
  const float* gate;  /* a factor for each row, or NULL */
  int32_t activation; /* BLOCKSPARSE_*, as above */
  int32_t n;          /* size of a row that comes out, at most 2^30 - 1 if gated */
};
typedef struct blocksparse_activation_input_fields blocksparse_activation_input;

/*
 * For the rows r and columns q of the part:
 *
 *   a[r][q] = gate[r] * f(z[r][q])               gate[r] = 1 if gate is NULL; and if gated
 *   a[r][q] = gate[r] * f(z[r][q]) * z[r][n + q]     (u + 1 in the place of z[r][n + q] if clamped)
 *
 * part          of a GEMM schedule, for a caller that has just computed its rows; its segments and
 *               pairs are ignored. Without a schedule, rows [begin, end)
 * a             rows of n, as many as of z. It may be z, with the same stride, unless the
 *               activation is gated; else it overlaps no other operand
 *
 * NaN gives NaN; at infinities the formulas are followed as floats do, where 0 times infinity is
 * NaN: so GELU and SiLU of -infinity are NaN. Products are formed from left to right, each a float:
 * where one is beyond all floats, or lost below them, what is still to come does not mend it.
 *
 * How far f and its slope are off, whichever is more: that many units in the last place of the
 * exact one, or an absolute error. Slopes need it where they change sign, and
 * SiLU only where the logistic function is denormal. Tested through all finite floats in steps of
 * 4001, and in steps of 7e-5 from -18 to 18.
 *
 *   function                   f                      slope
 *   identity, ReLU             exact                  exact
 *   GELU                       8 ulp, 2^-144          6 ulp, 2^-23
 *   GELU by tanh               6 ulp, 2^-24           6 ulp, 2^-23
 *   SiLU                       4 ulp, 2^-141          6 ulp, 2^-23
 *   SiLU of 1.702 z, clamped   6 ulp, 2^-24           6 ulp, 2^-23
 *   tanh, sigmoid              4 ulp                  6 ulp
 */
BLOCKSPARSE_API int32_t blocksparse_activation_f32(int32_t isa, const blocksparse_part* part,
                                                   const blocksparse_activation_input* input,
                                                   const blocksparse_rows* a);

/*
 * The gradients of what blocksparse_activation_f32 computes, for the same rows and columns, times
 * alpha:
 *
 *   grad_z[r][q]  = alpha * gate[r] * grad_a[r][q] * f'(z[r][q])        and if gated
 *   grad_z[r][q]  = alpha * gate[r] * grad_a[r][q] * z[r][n + q] * f'(z[r][q])
 *   grad_z[r][n + q] = alpha * gate[r] * grad_a[r][q] * f(z[r][q])        (0 where u is clamped)
 *   grad_gate[r]  = alpha * sum over q of grad_a[r][q] * a[r][q], with a as it is without the gate
 *
 * Here as well, products are formed from left to right, each a float, but for alpha * gate[r],
 * which may be none; and grad_gate's sum before alpha comes to it.
 *
 * part, input   as for blocksparse_activation_f32
 * grad_a        the gradient with respect to a: rows of n, as many as of z
 * accumulate    0: grad_z and grad_gate are only written, never read, and may hold NaN; 1: what is
 *               above is added to both of them
 * grad_z        rows of n, or 2 n if gated, as many as of z. It may be grad_a, with the same
 *               stride, unless the activation is gated: each element of it is read as grad_a before
 *               it is written or, with accumulate, added to. Else it overlaps no other operand
 * grad_gate     an element for each row, or NULL; if it is wanted, the columns are all of [0, n).
 *               It overlaps no other operand. With n = 0 it is the sum of nothing: 0 or, with
 *               accumulate, what it was
 */
BLOCKSPARSE_API int32_t blocksparse_activation_gradient_f32(
    int32_t isa, const blocksparse_part* part, const blocksparse_activation_input* input,
    float alpha, const blocksparse_rows* grad_a, int32_t accumulate, const blocksparse_rows* grad_z,
    float* grad_gate);

/* -------------------------------------------------------------------------------------- bags */

/*
 * BAGS are rows of a table that are added up, each with a factor. Bag r has the entries
 * [offsets[r], offsets[r + 1]) of indices, which name rows of the table, and of values.
 */
struct blocksparse_bags_fields {
  const int32_t* offsets; /* count + 1, ascending, within [0, entries] */
  const int32_t* indices; /* a row that is named several times counts as often */
  const float* values;    /* or NULL: 1 each */
  int32_t count;          /* of bags */
  int32_t entries;
};
typedef struct blocksparse_bags_fields blocksparse_bags;

/* A TABLE of rows, row i at data + i * stride. */
struct blocksparse_table_fields {
  const void* data;    /* at any address; FLOAT32 at one of its own size */
  const float* scales; /* of INT8, one number for each row; NULL for all other types */
  int64_t count;
  int64_t stride; /* in elements of the type, at least the size */
  int32_t size;   /* of a row */
  int32_t type;   /* BLOCKSPARSE_FLOAT32 ... BLOCKSPARSE_INT8 */
};
typedef struct blocksparse_table_fields blocksparse_table;

/*
 * Functions work on bags [begin, end). The reduction is the factor of the sum of a bag.
 * It goes by the number of entries, whatever their values are.
 */
typedef enum blocksparse_bag_reduction {
  BLOCKSPARSE_BAG_SUM = 0,
  BLOCKSPARSE_BAG_MEAN = 1,     /* 1 / entries of the bag */
  BLOCKSPARSE_BAG_ROOT_MEAN = 2 /* 1 / sqrt(entries of the bag) */
} blocksparse_bag_reduction;

/*
 * c[r] = factor * (sum over the entries e of bag r of values[e] * a[indices[e]]); 0 for an empty
 * bag. If the factor is below 1, the sum may exceed all floats where c[r] does not
 *
 * c        a row for each bag; only written; overlaps no other operand
 *
 * The indices of a bag are checked before its row is written, and after those before were.
 */
BLOCKSPARSE_API int32_t blocksparse_bag_sum_f32(int32_t isa, int32_t reduction,
                                                const blocksparse_bags* bags, int32_t begin,
                                                int32_t end, const blocksparse_table* a,
                                                const blocksparse_rows* c);

/*
 * The gradient of the sums with respect to the values, which are ignored: for each entry e of
 * each bag r
 *
 *   dots[e] = factor * a[indices[e]] . y[r]         which may exceed all floats without the factor
 *
 * y        a row for each bag
 * dots     entries; those of the bags named are written
 */
BLOCKSPARSE_API int32_t blocksparse_bag_dot_f32(int32_t isa, int32_t reduction,
                                                const blocksparse_bags* bags, int32_t begin,
                                                int32_t end, const blocksparse_table* a,
                                                const blocksparse_rows* y, float* dots);

/* -------------------------------------------------------------------------------- optimizers */

/*
 * The Euclidean length of x, count elements: what a gradient is clipped by. For finite elements it
 * is finite: the largest float where the exact one is larger. A NaN or an infinity in x propagates.
 * NaN also if the arguments are invalid.
 */
BLOCKSPARSE_API float blocksparse_norm_f32(int32_t isa, int64_t count, const float* x);

typedef enum blocksparse_rule {
  BLOCKSPARSE_SGD = 0,
  BLOCKSPARSE_ADAGRAD = 1,
  BLOCKSPARSE_ADAM = 2
} blocksparse_rule;

/* An optimizer's rule and its numbers. Numbers that its formulas do not name are ignored. */
struct blocksparse_optimizer_fields {
  int32_t rule; /* BLOCKSPARSE_SGD, BLOCKSPARSE_ADAGRAD or BLOCKSPARSE_ADAM */
  float rate;
  float decay;    /* the gradient has decay * w added */
  float max_norm; /* positive; infinite: no limit */
  float beta1, beta2, epsilon;
};
typedef struct blocksparse_optimizer_fields blocksparse_optimizer;

/* Elements of a tensor that lie together, and what an optimizer keeps of them; nothing overlaps. */
struct blocksparse_parameters_fields {
  float* w;
  float* moment1; /* Adagrad's s or Adam's m; else ignored */
  float* moment2; /* Adam's v; else ignored */
  int64_t count;
};
typedef struct blocksparse_parameters_fields blocksparse_parameters;

/*
 * One step of an optimizer; the gradient is scale * g + decay * w. Where decay is 0 it is
 * scale * g, and infinite weights stay what they are.
 *
 *   SGD       w -= rate * gradient
 *   Adagrad   s += gradient^2;  w -= rate * gradient / (sqrt(s) + epsilon)
 *   Adam      m = beta1 * m + (1 - beta1) * gradient;  v = beta2 * v + (1 - beta2) * gradient^2;
 *             w -= rate * (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + epsilon)
 *             where step >= 1
 *
 * Divisors are at least the smallest positive float, so 0 / 0 is 0; and Adam's epsilon at
 * least 2^-75, the root of what a square loses where floats end. s and v stay finite: sums beyond
 * the largest float are kept as that. Then Adagrad divides by the larger of 1.8e19, the root of
 * that, and the size of the gradient itself, and Adam's step is 0. m stays within 2^67, eight times
 * that root, so that weights do not follow it for long. A NaN in m, s or v stays.
 *
 * optimizer   max_norm is ignored: scale clips
 * g           w.count elements, which overlap no other operand
 */
BLOCKSPARSE_API int32_t blocksparse_step_f32(int32_t isa, const blocksparse_optimizer* optimizer,
                                             float scale, int64_t step, const float* g,
                                             const blocksparse_parameters* w);

/*
 * Steps of an optimizer: for each bag r, its sum (without a factor) is the gradient g of row
 * targets[r] of w, by which that row makes one step, as above. If g is longer than max_norm, it is
 * scaled down to that. The gradient is never written to memory that others see.
 *
 * a         rows of n FLOAT32 that gradients are sums of
 * targets   for each bag a row of w; no row twice
 * steps     for Adam: for each bag the number of this step of its row, at least 1
 * w         rows of n, without a gap
 * scratch   n elements of the calling thread's own
 */
BLOCKSPARSE_API int32_t blocksparse_bag_step_f32(int32_t isa,
                                                 const blocksparse_optimizer* optimizer,
                                                 const blocksparse_bags* bags, int32_t begin,
                                                 int32_t end, const blocksparse_table* a,
                                                 const int32_t* targets, const int32_t* steps,
                                                 const blocksparse_parameters* w, float* scratch);

/* --------------------------------------------------------------------------- sparse weights */

/*
 * SPARSE WEIGHTS of the outputs of chunks, each with weights for a few of very many features. Those
 * of all chunks lie together, by feature and then by chunk.
 *
 * begins     feature f has the rows [begins[f], begins[f + 1]); features + 1 of them
 * chunks     the chunk of each of the rows, ascending for each feature
 * starts     row i has the entries [starts[i], starts[i + 1]) of columns and w
 * columns    a byte for each entry: the output, below n; what it names from n on is not written
 * w          a weight for each entry, at any address
 * type       of w: FLOAT32, FLOAT16 or BFLOAT16
 */
struct blocksparse_sparse_weights_fields {
  const int32_t* begins;
  const int32_t* chunks;
  const int32_t* starts;
  const void* columns;
  const void* w;
  int32_t features;
  int32_t rows;
  int32_t entries;
  int32_t type;
};
typedef struct blocksparse_sparse_weights_fields blocksparse_sparse_weights;

/*
 * The product of a sparse row, which is a bag, with a chunk of sparse weights:
 *
 *   c[q] = bias[q] + sum over the entries e of the bag of
 *          values[e] * (the weight of output q for the feature indices[e], or 0)
 *
 * So one row finds the weights of its features near each other, whichever chunks it asks for. Sums
 * are double, in the order of the entries, with exact products, and rounded once: the bits are the
 * same on every processor.
 *
 * n, bias, c        at most 256 outputs; c is only written, and overlaps no other operand
 *
 * c is not written unless OK is returned.
 */
BLOCKSPARSE_API int32_t blocksparse_sparse_chunk_f32(const blocksparse_bags* bags, int32_t bag,
                                                     const blocksparse_sparse_weights* w,
                                                     int32_t chunk, const float* bias, int32_t n,
                                                     float* c);

#ifdef __cplusplus
}
#endif

#endif /* BLOCKSPARSE_BLOCKSPARSE_H */
