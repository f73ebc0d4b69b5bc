// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.Arrays;
import java.util.Iterator;
import picocli.CommandLine.ITypeConverter;

/** Peers by the names that tables show. */
final class PeerConverter implements ITypeConverter<Peer>, Iterable<String> {
  @Override
  public Peer convert(String name) {
    return Names.parse(Peer.class, name);
  }

  @Override
  public Iterator<String> iterator() {
    return Arrays.stream(Peer.values()).map(Peer::toString).iterator();
  }
}
