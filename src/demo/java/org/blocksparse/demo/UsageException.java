// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

/** The user gave something the demo cannot work with; the message is the one line they get. */
final class UsageException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  UsageException(String message) {
    super(message);
  }
}
