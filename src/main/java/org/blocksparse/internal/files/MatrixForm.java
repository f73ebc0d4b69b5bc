// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import org.blocksparse.internal.weights.GgmlType;
import org.blocksparse.internal.weights.WeightType;

/**
 * The forms in which safetensors files of other libraries hold matrices (out, in). The tensor of
 * the numbers or codes has the name of the matrix, perhaps with a suffix; scales are separate
 * tensors.
 *
 * <pre>
 * F32, F16, BF16   NAME                                the numbers
 * FP8              NAME of F8_E4M3                     code * scale, rounded to a float
 *                  NAME_scale_inv                      a scale for each 128 x 128
 *                  or NAME_scale                       for each 128 x 128, each output, or all
 * MXFP4            NAME_blocks (out, in / 32, 16)      E2M1[code] * 2^(scale - 127)
 *                  NAME_scales (out, in / 32)          input 2 i in the low half of byte i
 * INT4             NAME_packed of I32 (out, in / 8)    (code - 8) * scale, input i in bits 4 i
 *                  NAME_scale (out, groups)
 *                  NAME_shape                          out, in
 * </pre>
 */
public enum MatrixForm {
  FLOAT32(WeightType.FLOAT32, null),
  FLOAT16(WeightType.FLOAT16, null),
  BFLOAT16(WeightType.BFLOAT16, null),
  /** The form of DeepSeek V3 and Qwen 3; NAME_scale is that of compressed-tensors. */
  FP8(WeightType.FLOAT32, null),
  /** The form of OpenAI's published models. */
  MXFP4(WeightType.MXFP4, GgmlType.MXFP4),
  /** The symmetric 4-bit weights of compressed-tensors, in groups of multiples of 32 inputs. */
  INT4(WeightType.Q4_0, GgmlType.Q4_0);

  private final WeightType type;
  private final GgmlType blocks;

  MatrixForm(WeightType type, GgmlType blocks) {
    this.type = type;
    this.blocks = blocks;
  }

  /** Returns the type that holds the same numbers. */
  public WeightType type() {
    return type;
  }

  /** Returns the blocks that hold the same numbers; null if rows lie as they are. */
  GgmlType blocks() {
    return blocks;
  }

  /** Returns whether kernels read the numbers where they lie. */
  boolean isPlain() {
    return blocks == null && this != FP8;
  }

  /** Returns the bytes of that many codes of a row. */
  long rowBytes(int columns) {
    return switch (this) {
      case FLOAT32 -> 4L * columns;
      case FLOAT16, BFLOAT16 -> 2L * columns;
      case FP8 -> columns;
      case MXFP4 -> columns / 2;
      case INT4 -> (columns + 7L) / 8 * 4;
    };
  }
}
