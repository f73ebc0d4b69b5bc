// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import org.blocksparse.internal.binding.NativeLibrary;
import org.blocksparse.programs.SaveProgram;
import org.blocksparse.testing.ChildJvm;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/**
 * The users who may open a file before and after it is replaced, by its mode and its POSIX access
 * list, in folders with and without a default list. Needs Debian's package acl.
 */
@EnabledOnOs(OS.LINUX)
final class FileAccessTest {
  private static final String OLD_GROUP = "the file's group";
  private static final String NEW_GROUP = "another group";
  private static final List<String> IDS = List.of("12345", "23456");

  @TempDir private Path folder;
  private Path file;

  @BeforeEach
  void needsAccessLists() throws Exception {
    file = Files.createFile(folder.resolve("file"));
    assumeTrue(Files.isExecutable(Path.of("/usr/bin/setfacl")), "Debian's package acl is missing");
    assumeTrue(exit("setfacl", "-m", "u:12345:r", file.toString()) == 0, "no access lists here");
  }

  private static Process start(String... command) throws IOException {
    return new ProcessBuilder(command).redirectErrorStream(true).start();
  }

  private static int exit(String... command) throws Exception {
    return start(command).waitFor();
  }

  private static void run(String... command) throws Exception {
    assertEquals(0, exit(command), String.join(" ", command));
  }

  /** Returns its list as getfacl prints it: the three entries of the mode if it has none. */
  private static List<String> list(Path file) throws Exception {
    Process process = start("getfacl", "-cnpE", file.toString());
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
    return output.lines().filter(line -> !line.isBlank()).toList();
  }

  private static String permissions(SplittableRandom random) {
    StringBuilder permissions = new StringBuilder();
    for (int bit = 0; bit < 3; bit++) {
      permissions.append(random.nextBoolean() ? "rwx".charAt(bit) : '-');
    }
    return permissions.toString();
  }

  /**
   * Returns the arguments of setfacl for a random list, at times without the entries that a mode
   * lacks.
   */
  private static String randomList(SplittableRandom random) {
    List<String> entries = new ArrayList<>();
    for (String entry : List.of("u:", "g:", "o:")) {
      entries.add(entry + ":" + permissions(random));
    }
    for (String id : IDS) {
      for (String kind : List.of("u:", "g:")) {
        if (random.nextBoolean()) {
          entries.add(kind + id + ":" + permissions(random));
        }
      }
    }
    if (entries.size() > 3) {
      entries.add("m::" + permissions(random));
    }
    return String.join(",", entries);
  }

  /** Makes a file and its folder anew, each with or without a list. */
  private void makeAnew(SplittableRandom random) throws Exception {
    Files.delete(file);
    run("setfacl", "-k", folder.toString());
    if (random.nextBoolean()) {
      run("setfacl", "-d", "--set", randomList(random), folder.toString());
    }
    Files.createFile(file);
    run("setfacl", "-b", file.toString());
    run("setfacl", "--set", randomList(random), file.toString());
  }

  @Test
  void aFileThatIsReplacedIsOpenToTheSame() throws Exception {
    assumeTrue(NativeLibrary.isLoaded(), "lists are carried over by the native library");
    SplittableRandom random = new SplittableRandom(1);
    for (int n = 0; n < 100; n++) {
      makeAnew(random);
      List<String> before = list(file);
      List<List<String>> during = new ArrayList<>();
      AtomicFile.write(
          file,
          channel -> {
            for (Path path : files()) {
              during.add(listOf(path));
            }
          });
      assertEquals(List.of(before, before), during);
      assertEquals(before, list(file));
    }
  }

  private static List<String> listOf(Path file) {
    try {
      return list(file);
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  private List<Path> files() throws IOException {
    try (var files = Files.list(folder)) {
      return files.toList();
    }
  }

  /** Returns the rights of a user who is not the owner; see acl(5). */
  private static String rights(List<String> list, String user, Set<String> groups, String ofFile) {
    Map<String, String> entries = new HashMap<>();
    for (String entry : list) {
      int colon = entry.lastIndexOf(':');
      entries.put(entry.substring(0, colon), entry.substring(colon + 1));
    }
    String mask = entries.getOrDefault("mask:", "rwx");
    if (entries.containsKey("user:" + user)) {
      return and(entries.get("user:" + user), mask);
    }
    String granted = null;
    for (String group : groups) {
      String entry = entries.get(group.equals(ofFile) ? "group:" : "group:" + group);
      granted = entry == null ? granted : or(granted == null ? "---" : granted, entry);
    }
    return granted == null ? entries.get("other:") : and(granted, mask);
  }

  private static String and(String one, String other) {
    StringBuilder both = new StringBuilder();
    for (int bit = 0; bit < 3; bit++) {
      both.append(one.charAt(bit) == other.charAt(bit) ? one.charAt(bit) : '-');
    }
    return both.toString();
  }

  private static String or(String one, String other) {
    StringBuilder any = new StringBuilder();
    for (int bit = 0; bit < 3; bit++) {
      any.append(one.charAt(bit) == '-' ? other.charAt(bit) : one.charAt(bit));
    }
    return any.toString();
  }

  /** Requires that all users, by their name and groups, have at most the rights that they had. */
  private static void requireNoMore(List<String> before, List<String> after) {
    for (String user : List.of("12345", "23456", "nobody named")) {
      for (Set<String> groups :
          List.of(
              Set.<String>of(),
              Set.of(OLD_GROUP),
              Set.of(NEW_GROUP),
              Set.of(OLD_GROUP, NEW_GROUP),
              Set.of("12345"),
              Set.of("12345", OLD_GROUP),
              Set.of("23456", NEW_GROUP))) {
        String could = rights(before, user, groups, OLD_GROUP);
        String can = rights(after, user, groups, NEW_GROUP);
        assertEquals(can, and(could, can), () -> user + " of " + groups + ": " + before + after);
      }
    }
  }

  /** The group of a file cannot always be kept. */
  @Test
  void aFileOfAnotherGroupIsOpenToNobodyElse() throws Exception {
    assumeTrue(NativeLibrary.isLoaded(), "lists are carried over by the native library");
    SplittableRandom random = new SplittableRandom(2);
    for (int n = 0; n < 100; n++) {
      makeAnew(random);
      Path other = Files.createFile(folder.resolve("other"), FileAccess.ofOwnerAlone(file));
      List<String> before = list(file);
      FileAccess.copyRights(file, other, false);
      requireNoMore(before, list(other));
      Files.delete(other);
    }
  }

  /** Without the native library, a list may exist unnoticed. */
  @Test
  void withoutTheNativeLibraryTheGroupMayDoWhatAllOthersMay() throws Exception {
    ChildJvm jvm =
        new ChildJvm(folder.resolveSibling(folder.getFileName() + "-cache"))
            .property("blocksparse.backend", "java");
    run("setfacl", "--set", "u::rw,u:12345:rw,g::-,m::rw,o::-", file.toString());
    assertEquals("rw-rw----", mode(file));
    ChildJvm.Result result = jvm.run(SaveProgram.class, file.toString());
    assertEquals(0, result.exit(), result.toString());
    assertEquals("rw-------", mode(file));
    run("setfacl", "-b", file.toString());
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-rw-r--"));
    result = jvm.run(SaveProgram.class, file.toString());
    assertEquals(0, result.exit(), result.toString());
    assertEquals("rw-r--r--", mode(file));
  }

  private static String mode(Path file) throws IOException {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(file));
  }
}
