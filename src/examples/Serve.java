///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import com.sun.net.httpserver.HttpServer;
import java.net.*;
import java.net.http.*;
import java.nio.file.*;
import java.util.concurrent.*;
import org.blocksparse.*;

class Serve {
  public static void main(String[] args) throws Exception {
    Path file = Files.createTempFile("layer", ".safetensors");
    try (var trained = HierarchicalSoftmax.builder(2, 100_000).build();
        var x = FloatTensor.of(new float[] {1, 0, 0, 1}, 2, 2);
        var labels = IntTensor.of(new int[] {7, 70_000}, 2)) {
      for (int step = 0; step < 20; step++) {
        trained.step(x, labels, Optimizer.adagrad(0.5f));
      }
      trained.save(file);
    }
    ExecutorService threads = Executors.newFixedThreadPool(8);
    HttpServer server = HttpServer.create(new InetSocketAddress("localhost", 0), 0);
    LoadOptions mapped = LoadOptions.mapped().withWorkers(Workers.callingThread());
    try (var layer = HierarchicalSoftmax.load(file, mapped)) { // one, for all threads
      server.createContext("/likeliest", exchange -> {
        String[] features = exchange.getRequestURI().getQuery().split(",");
        float[] row = {Float.parseFloat(features[0]), Float.parseFloat(features[1])};
        try (exchange; var x = FloatTensor.of(row, 1, 2)) {
          byte[] answer = ("" + layer.topK(x, 1).output(0, 0)).getBytes();
          exchange.sendResponseHeaders(200, answer.length);
          exchange.getResponseBody().write(answer);
        }
      });
      server.setExecutor(threads);
      server.start();
      String address = "http://localhost:" + server.getAddress().getPort() + "/likeliest?";
      System.out.println(get(address + "1,0")); // 7
      System.out.println(get(address + "0,1")); // 70000
      server.stop(0);
      threads.shutdown();
    }
    Files.delete(file);
  }

  static String get(String address) throws Exception {
    HttpRequest request = HttpRequest.newBuilder(URI.create(address)).build();
    return HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body();
  }
}
