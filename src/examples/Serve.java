///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import com.sun.net.httpserver.HttpServer;
import java.net.*;
import java.net.http.*;
import java.nio.file.*;
import java.util.concurrent.*;
import org.blocksparse.*;
import org.blocksparse.io.*;
import org.blocksparse.softmax.*;

class Serve {
  public static void main(String[] args) throws Exception {
    Path file = Files.createTempFile("layer", ".safetensors");
    train(file, 7);
    LoadOptions mapped = LoadOptions.mapped().withWorkers(Workers.callingThread());
    HttpServer server = HttpServer.create(new InetSocketAddress("localhost", 0), 0);
    try (var models = ModelHolder.load(file, f -> HierarchicalSoftmax.load(f, mapped))) {
      server.createContext("/likeliest", exchange -> {
        float[] row = {Float.parseFloat(exchange.getRequestURI().getQuery())};
        try (exchange; var model = models.acquire(); var x = FloatTensor.of(row, 1, 1)) {
          byte[] answer = ("" + model.get().topK(x, 1).output(0, 0)).getBytes();
          exchange.sendResponseHeaders(200, answer.length);
          exchange.getResponseBody().write(answer);
        }
      });
      server.setExecutor(new ForkJoinPool(8)); // daemon threads
      server.start();
      String address = "http://localhost:" + server.getAddress().getPort() + "/likeliest?1";
      System.out.println(get(address)); // 7
      train(file, 70_000); // saves a new file in the place of the old one
      models.reload(file);
      System.out.println(get(address)); // 70000
      server.stop(0);
    }
    Files.delete(file);
  }

  static void train(Path file, int label) throws Exception {
    try (var layer = HierarchicalSoftmax.builder(1, 100_000).build();
        var x = FloatTensor.of(new float[] {1}, 1, 1);
        var labels = IntTensor.of(new int[] {label}, 1)) {
      layer.step(x, labels, Optimizer.sgd(10));
      layer.save(file);
    }
  }

  static String get(String address) throws Exception {
    HttpRequest request = HttpRequest.newBuilder(URI.create(address)).build();
    return HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body();
  }
}
