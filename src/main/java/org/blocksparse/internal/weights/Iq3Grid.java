// SPDX-License-Identifier: Apache-2.0 AND MIT
//
// The table is under the MIT License of ggml:
//
// Copyright (c) 2023-2026 The ggml authors
//
// Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
// associated documentation files (the "Software"), to deal in the Software without restriction,
// including without limitation the rights to use, copy, modify, merge, publish, distribute,
// sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
// furnished to do so, subject to the following conditions:
//
// The above copyright notice and this permission notice shall be included in all copies or
// substantial portions of the Software.
//
// THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
// NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
// NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
// DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
// OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
package org.blocksparse.internal.weights;

import java.util.BitSet;

/**
 * The 512 points of IQ3_S: quadruples of odd numbers up to 15, which its codes stand for in
 * ascending order. The last number of a quadruple counts most. The points are those of {@code
 * iq3s_grid} in ggml-common.h, by the ggml authors.
 */
final class Iq3Grid {
  /** Bit n is set if there is a point of the numbers 2 d + 1, where d are the octal digits of n. */
  private static final long[] IS_POINT = {
    0x92050aa5082357a7L, 0x0422001022892317L, 0x09000aa4112249a3L, 0x228005104a052208L,
    0x0100020904128801L, 0x084000a208450014L, 0x0200040002000a40L, 0x0000110008450015L,
    0x040250005205ab17L, 0x410005020902114bL, 0x040120090411a401L, 0x0104000211820992L,
    0x000011440a001428L, 0x0000020005020902L, 0x0000005000910000L, 0x010400022002050aL,
    0x2980052a058a55abL, 0x0000020412248905L, 0x12008802810a0092L, 0x004001040a140225L,
    0x2400000224090082L, 0x0100080180040210L, 0x0002200000020085L, 0x0000010801400220L,
    0x020802942a04aa04L, 0x44010001000a102aL, 0x0000010014010401L, 0x0800208a018a1102L,
    0x0011040002044208L, 0x0800401004200502L, 0x0000000200004000L, 0x000000002005000aL,
    0x0100010204910411L, 0x0000220821040a84L, 0x010480010802210aL, 0x0000000022050a10L,
    0x0200000180100005L, 0x00040000000200a0L, 0x0001000010000800L, 0x0000020801002100L,
    0x1040049100041104L, 0x040000000402042aL, 0x0000080041080201L, 0x0820021000800184L,
    0x0000004004010012L, 0x00000a0000400400L, 0x0000000400000000L, 0x0000000000040014L,
    0x000100000a002a00L, 0x0010000000810001L, 0x0104200410000400L, 0x0000000100021001L,
    0x0004000800200000L, 0x0001000010000009L, 0x0000000100000020L, 0x0000000000000a00L,
    0x0004100140050091L, 0x0000002800100204L, 0x0000020001024112L, 0x0000080024000004L,
    0x0000010000010822L, 0x0000000400040000L, 0x0000000002000004L, 0x0000000000000001L
  };

  private static final int[] POINTS = BitSet.valueOf(IS_POINT).stream().toArray();

  private Iq3Grid() {}

  /** Returns one of the four numbers of the point that a code stands for. */
  static int number(int code, int which) {
    return 2 * (POINTS[code] >> (3 * which) & 7) + 1;
  }
}
