// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

/** Thrown for invalid input; the message names its place and its fault. */
public final class InvalidInputException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** Creates an exception for invalid input. */
  public InvalidInputException(String message) {
    super(message);
  }
}
