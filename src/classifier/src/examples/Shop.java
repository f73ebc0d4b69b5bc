///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT
//DEPS org.blocksparse:blocksparse-classifier:0.1.0-SNAPSHOT

import java.util.*;
import org.blocksparse.classifier.examples.*;
import org.blocksparse.classifier.nextitem.*;

class Shop {
  public static void main(String[] args) {
    List<Sequence> users =
        List.of(
            new Sequence("ann", List.of("tea", "milk", "bread")),
            new Sequence("bob", List.of("tea", "milk", "bread", "butter")),
            new Sequence("cy", List.of("milk", "bread", "butter")),
            new Sequence("di", List.of("rice", "beans")));
    try (NextItem model = NextItem.train(users, NextItemOptions.defaults())) {
      System.out.println(model.recommend(List.of("tea", "milk"), 3).get(0).label()); // bread
    }
  }
}
