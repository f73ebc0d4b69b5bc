// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

/** Input that is of no use; the message says where it is and what is wrong with it. */
public final class InvalidInputException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** Input of no use. */
  public InvalidInputException(String message) {
    super(message);
  }
}
