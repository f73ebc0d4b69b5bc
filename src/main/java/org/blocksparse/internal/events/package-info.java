// SPDX-License-Identifier: Apache-2.0
/**
 * Events for Java Flight Recorder, disabled until a recording asks for them.
 *
 * <p>Other packages take them from {@link org.blocksparse.internal.events.Recorder}, the one place
 * that knows whether the JVM has the module {@code jdk.jfr}. The names of events and fields are for
 * users: src/doc/observing.md lists them. Strings that are always the same have at most 15
 * characters: of longer ones, a recording of JDK 17 may lack those that an earlier one has seen.
 */
package org.blocksparse.internal.events;
