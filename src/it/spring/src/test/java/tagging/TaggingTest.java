// SPDX-License-Identifier: Apache-2.0
package tagging;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.stream.Stream;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.training.Training;
import org.blocksparse.classifier.training.TrainingOptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.context.SpringBootTest.WebEnvironment;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.test.context.DynamicPropertyRegistry;
import org.springframework.test.context.DynamicPropertySource;

/** The service over HTTP, as its users and its monitoring see it. */
@SpringBootTest(webEnvironment = WebEnvironment.RANDOM_PORT)
class TaggingTest {
  private static final int CALLERS = 8;
  private static final int RELOADS = 20;

  @TempDir static Path folder;

  @LocalServerPort private int port;

  private final HttpClient client = HttpClient.newHttpClient();

  @DynamicPropertySource
  static void model(DynamicPropertyRegistry properties) throws IOException {
    train("tea", "coffee");
    properties.add("model", () -> file().toString());
  }

  private static Path file() {
    return folder.resolve("tags");
  }

  /** Saves a model that gives leaves one label and beans another one, by rename. */
  private static void train(String leaves, String beans) throws IOException {
    try (Classifier classifier =
        Training.train(
            Stream.of(Example.ofText("green leaves", leaves), Example.ofText("hot beans", beans)),
            TrainingOptions.defaults().withEpochs(20).withDimension(8))) {
      classifier.save(file());
    }
  }

  @BeforeEach
  void beginWithTheSameModel() throws Exception {
    train("tea", "coffee");
    reload();
  }

  private void reload() throws Exception {
    HttpResponse<String> response = postReload();
    assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
  }

  private HttpResponse<String> postReload() throws Exception {
    return send(request("/actuator/model").POST(HttpRequest.BodyPublishers.noBody()));
  }

  private HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(URI.create("http://localhost:" + port + path));
  }

  private HttpResponse<String> send(HttpRequest.Builder request) throws Exception {
    return client.send(request.build(), HttpResponse.BodyHandlers.ofString());
  }

  private String get(String path) throws Exception {
    HttpResponse<String> response = send(request(path));
    assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
    return response.body();
  }

  private HttpResponse<String> post(String texts) throws Exception {
    return send(
        request("/labels?k=1")
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(texts)));
  }

  private double metric(String name) throws Exception {
    String body = get("/actuator/metrics/" + name);
    return Double.parseDouble(body.replaceFirst("(?s).*\"value\":([0-9.E+]+).*", "$1"));
  }

  @Test
  void answersOneTextAndMany() throws Exception {
    assertThat(get("/labels?text=black+leaves&k=1"))
        .startsWith("[{\"label\":\"tea\",\"probability\":0.");
    HttpResponse<String> many = post("[\"black leaves\", \"cold beans\"]");
    assertThat(many.statusCode()).isEqualTo(200);
    assertThat(many.body())
        .matches("\\[\\[\\{\"label\":\"tea\".*\\}\\],\\[\\{\"label\":\"coffee\".*\\}\\]\\]");
  }

  @Test
  void refusesWhatIsWrongAsTheCallersMistake() throws Exception {
    assertThat(send(request("/labels?text=a&k=0")).statusCode()).isEqualTo(400);
    assertThat(send(request("/labels?text=a&k=101")).statusCode()).isEqualTo(400);
    assertThat(send(request("/labels")).statusCode()).isEqualTo(400);
    assertThat(post("no list").statusCode()).isEqualTo(400);
    assertThat(post("[" + "\"a\",".repeat(1000) + "\"a\"]").statusCode()).isEqualTo(400);
  }

  @Test
  void healthAndMetricsShowReloads() throws Exception {
    double before = metric("model.reloads");
    reload();
    assertThat(metric("model.reloads")).isEqualTo(before + 1);
    assertThat(metric("model.age")).isBetween(0.0, 3600.0);
    assertThat(metric("model.bytes")).isPositive();
    assertThat(get("/actuator/health"))
        .contains("\"model\":{\"details\":{\"age\":\"PT")
        .doesNotContain("lastError");
  }

  @Test
  void aFailedReloadKeepsTheModelAndIsADetailOfTheHealth() throws Exception {
    double failed = metric("model.reloads.failed");
    Path broken = Files.writeString(folder.resolve("new"), "no model");
    Files.move(broken, file(), StandardCopyOption.REPLACE_EXISTING);
    HttpResponse<String> refused = postReload();
    assertThat(refused.statusCode()).isEqualTo(500);
    assertThat(refused.body()).contains("begins with the text").contains(file().toString());
    assertThat(metric("model.reloads.failed")).isEqualTo(failed + 1);
    assertThat(get("/labels?text=leaves&k=1")).contains("\"tea\"");
    assertThat(get("/actuator/health"))
        .startsWith("{\"components\"")
        .contains("\"lastError\":\"org.blocksparse.FileFormatException: ")
        .endsWith("\"status\":\"UP\"}");
  }

  /** Each reload runs beside a request of each caller. */
  @Test
  void reloadsUnderLoadWithoutAnError() throws Exception {
    Semaphore requests = new Semaphore(0);
    ExecutorService threads = Executors.newFixedThreadPool(CALLERS);
    Callable<Void> caller =
        () -> {
          for (int request = 0; request < RELOADS; request++) {
            requests.acquire();
            assertThat(get("/labels?text=leaves&k=1")).containsPattern("\"(tea|mate)\"");
          }
          return null;
        };
    List<Future<Void>> callers =
        Stream.generate(() -> threads.submit(caller)).limit(CALLERS).toList();
    for (int reload = 1; reload <= RELOADS; reload++) {
      train(reload % 2 == 0 ? "tea" : "mate", "coffee");
      requests.release(CALLERS);
      reload();
    }
    threads.shutdown();
    for (Future<Void> each : callers) {
      each.get();
    }
  }
}
