// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static java.util.stream.Collectors.joining;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.spark.sql.SparkSession;

/**
 * A standalone cluster of Spark on this machine: a Master and Workers, each a process of its own,
 * which talk over loopback. Spark's jars are those of the class path of the tests, without ours,
 * which each session brings along, as users do.
 *
 * <p>The processes end when this is closed, or when the JVM of the tests is gone, however it ended;
 * executors end with their Worker.
 */
final class SparkCluster implements AutoCloseable {
  private static final Pattern STARTED = Pattern.compile("Starting Spark master at (spark://\\S+)");

  /**
   * The options of executors: each unpacks the libraries into its own working folder, and lives too
   * briefly for the optimizing compiler.
   */
  static final String EXECUTOR_OPTIONS =
      "-Dorg.bytedeco.javacpp.cachedir=javacpp-cache -XX:TieredStopAtLevel=1 -XX:+UseSerialGC";

  private static final long PATIENCE_MILLIS = 600_000;

  private final Path folder;
  private final List<Process> workers = new ArrayList<>();
  private final Process masterProcess;
  private final String master;

  private SparkCluster(Path folder) throws IOException, InterruptedException {
    this.folder = folder;
    writeClassPath(Files.createDirectories(folder.resolve("home/jars")).resolve("spark.jar"));
    masterProcess =
        start("master", Map.of(), "org.apache.spark.deploy.master.Master", "--port", "0");
    try {
      master = awaitAddress(folder.resolve("master.log"));
    } catch (Throwable e) {
      close();
      throw e;
    }
  }

  /**
   * Starts a Master and Workers.
   *
   * @param folder for jars, logs and what executors write
   * @param workers how many; a session has one executor on each
   * @param cores task slots of each Worker
   */
  static SparkCluster start(Path folder, int workers, int cores)
      throws IOException, InterruptedException {
    SparkCluster cluster = new SparkCluster(folder);
    try {
      for (int i = 0; i < workers; i++) {
        cluster.addWorker(cores);
      }
      return cluster;
    } catch (Throwable e) {
      cluster.close();
      throw e;
    }
  }

  /** Starts one more Worker. */
  void addWorker(int cores) throws IOException {
    addWorker(cores, "");
  }

  /**
   * Starts one more Worker.
   *
   * @param options the options of the JVMs of its executors; those of a session go before
   */
  void addWorker(int cores, String options) throws IOException {
    String name = "worker" + workers.size();
    workers.add(
        start(
            name,
            Map.of("JAVA_TOOL_OPTIONS", options),
            "org.apache.spark.deploy.worker.Worker",
            "--cores",
            Integer.toString(cores),
            "--memory",
            "4g",
            "--work-dir",
            folder.resolve(name).toString(),
            master));
  }

  /** Returns settings of a session on this cluster, with our jars and the native ones. */
  SparkSession.Builder session() {
    return session(jar -> true);
  }

  /** Returns settings of a session with those of our jars that the predicate accepts. */
  SparkSession.Builder session(Predicate<String> jars) {
    return SparkSession.builder()
        .master(master)
        .config(
            "spark.jars",
            classPath()
                .filter(OURS)
                .filter(jar -> jars.test(jar.getFileName().toString()))
                .map(Path::toString)
                .collect(joining(",")))
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", false)
        .config("spark.executor.memory", "512m")
        .config("spark.sql.shuffle.partitions", 4)
        .config("spark.sql.warehouse.dir", folder.resolve("warehouse").toString())
        .config("spark.executor.extraJavaOptions", EXECUTOR_OPTIONS)
        .config("spark.scheduler.minRegisteredResourcesRatio", 1)
        .config("spark.scheduler.maxRegisteredResourcesWaitingTime", "60s");
  }

  /** Returns the address of the Master. */
  String master() {
    return master;
  }

  /** Returns the processes of the executors that run. */
  List<ProcessHandle> executors() {
    return workers.stream().flatMap(Process::children).filter(ProcessHandle::isAlive).toList();
  }

  /** Kills an executor like {@code kill -9}, by its number in the session. */
  void kill(String executor) {
    executors().stream()
        .filter(process -> arguments(process).contains(" --executor-id " + executor + " "))
        .forEach(ProcessHandle::destroyForcibly);
  }

  private static String arguments(ProcessHandle process) {
    return String.join(" ", process.info().arguments().orElse(new String[0]));
  }

  /** Ends all processes at any time. */
  @Override
  public void close() {
    List<ProcessHandle> all = new ArrayList<>(executors());
    workers.forEach(worker -> all.add(worker.toHandle()));
    all.add(masterProcess.toHandle());
    all.forEach(ProcessHandle::destroyForcibly);
    all.forEach(process -> process.onExit().join());
  }

  private Process start(
      String name, Map<String, String> environment, String mainClass, String... arguments)
      throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("-Xmx256m");
    command.addAll(List.of("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"));
    command.add("-cp");
    command.add(folder.resolve("home/jars/*") + File.pathSeparator + classesOf(ClusterNode.class));
    command.add(ClusterNode.class.getName());
    command.add(mainClass);
    command.addAll(List.of("--host", "127.0.0.1", "--webui-port", "0"));
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().put("SPARK_HOME", folder.resolve("home").toString());
    builder.environment().put("SPARK_SCALA_VERSION", "2.13");
    builder.environment().put("SPARK_LOCAL_IP", "127.0.0.1");
    builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
    builder.environment().putAll(environment);
    // The end of its input, which this process holds open, ends it.
    builder.redirectErrorStream(true).redirectOutput(folder.resolve(name + ".log").toFile());
    return builder.start();
  }

  private String awaitAddress(Path log) throws IOException, InterruptedException {
    long end = System.nanoTime() + PATIENCE_MILLIS * 1_000_000;
    while (System.nanoTime() < end && masterProcess.isAlive()) {
      Matcher started = STARTED.matcher(Files.readString(log));
      if (started.find()) {
        return started.group(1);
      }
      Thread.sleep(50);
    }
    throw new IOException("the Master has not started:\n" + Files.readString(log));
  }

  /** Writes a jar without classes, whose class path is Spark's. */
  private static void writeClassPath(Path jar) throws IOException {
    Manifest manifest = new Manifest();
    manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
    manifest
        .getMainAttributes()
        .put(
            Attributes.Name.CLASS_PATH,
            classPath()
                .filter(OURS.negate())
                .map(path -> path.toUri().toString())
                .collect(joining(" ")));
    new JarOutputStream(Files.newOutputStream(jar), manifest).close();
  }

  private static final Predicate<Path> OURS =
      jar -> {
        String name = jar.getFileName().toString();
        return Stream.of("blocksparse", "javacpp", "openblas").anyMatch(name::startsWith);
      };

  /** Returns the jars of the class path. */
  private static Stream<Path> classPath() {
    String path =
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    return Pattern.compile(File.pathSeparator)
        .splitAsStream(path)
        .filter(entry -> entry.endsWith(".jar"))
        .map(Path::of);
  }

  private static Path classesOf(Class<?> type) {
    try {
      return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
    } catch (java.net.URISyntaxException e) {
      throw new UncheckedIOException(new IOException(e));
    }
  }
}
