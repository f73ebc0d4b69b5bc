///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT
//DEPS org.blocksparse:blocksparse-classifier:0.1.0-SNAPSHOT

import java.io.IOException;
import java.nio.file.*;
import java.util.*;
import org.blocksparse.classifier.*;
import org.blocksparse.classifier.examples.*;
import org.blocksparse.classifier.training.*;

class Router {
  static final Map<String, List<String>> REQUESTS =
      Map.of(
          "billing",
          List.of(
              "I was charged twice for March",
              "where can I download my invoice",
              "my card was declined but the payment shows",
              "please send a receipt for my last payment",
              "refund the second charge on my card",
              "which card did you charge",
              "the amount on the invoice is wrong",
              "can I pay the invoice by card"),
          "account",
          List.of(
              "I forgot my password",
              "the mail to reset my password never arrives",
              "please delete my account",
              "change the mail address of my account",
              "I cannot log in with my new phone",
              "my login is locked after three passwords",
              "how do I change my password",
              "someone else uses my account"),
          "delivery",
          List.of(
              "where is my parcel",
              "the parcel arrived at the wrong address",
              "can you deliver on Saturday",
              "the tracking number of my parcel does not work",
              "my delivery is a week late",
              "the parcel was damaged when the courier came",
              "how much is the delivery abroad",
              "the courier did not ring"),
          "returns",
          List.of(
              "I want to return the shoes",
              "how many days do I have to return it",
              "the jacket does not fit, can I return it",
              "print a label to return the shoes",
              "exchange for a larger size",
              "is the return free",
              "I sent the jacket back last week",
              "can I swap the size"),
          "products",
          List.of(
              "is the jacket waterproof",
              "which size are the shoes in the picture",
              "do you have the jacket in green",
              "are the shoes made of leather",
              "when is the green jacket in stock again",
              "what is the lining made of",
              "does the zip of the jacket work both ways",
              "can I wash the shoes"));

  public static void main(String[] args) throws IOException {
    List<Example> examples = new ArrayList<>();
    for (String label : new TreeSet<>(REQUESTS.keySet())) {
      REQUESTS.get(label).forEach(text -> examples.add(Example.ofText(text, label)));
    }
    Path model = Files.createTempFile("router", ".model");
    train(examples, model);
    try (var router = Classifier.load(model)) {
      System.out.println(route(router, "you charged my card twice")); // billing
      System.out.println(route(router, "sing me a song")); // (none)
      System.out.println(why(router, "you charged my card twice", "billing")); // card
    }

    examples.add(Example.ofText("my voucher code does not work", "vouchers"));
    examples.add(Example.ofText("how long is a gift voucher valid", "vouchers"));
    train(examples, model);
    try (var router = Classifier.load(model)) {
      Prediction first = router.predict("my gift voucher does not work", 1).get(0);
      System.out.println(first.label()); // vouchers
      System.out.println(first.isAtLeast(router.threshold().getAsDouble())); // true
      System.out.println(route(router, "does the voucher code expire")); // vouchers
    }
    Files.delete(model);
  }

  /** Learns from a list of examples, and replaces the file. */
  static void train(List<Example> examples, Path model) throws IOException {
    try (var classifier = Training.train(examples, TrainingOptions.defaults().withNone())) {
      classifier.save(model);
    }
  }

  /** The label of a request, or {@link Prediction#NONE} if a fifth of all requests have none. */
  static String route(Classifier router, String request) {
    PredictionOptions options = PredictionOptions.top(1).withNone(0.2);
    return router.predict(Example.ofText(request), options).get(0).label();
  }

  /** The word or words that speak most for a label. */
  static String why(Classifier router, String request, String label) {
    Explanation why = router.explain(Example.ofText(request), label);
    return why.shares().get(0).features().get(0).name();
  }
}
