// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Modifier;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.blocksparse.Tensor;
import org.blocksparse.internal.memory.MappedFile;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.training.BagTable;
import org.blocksparse.testing.ChildJvm;
import org.blocksparse.testing.Declarations;
import org.blocksparse.testing.PublicMethod;
import org.blocksparse.testing.PublicTypes;
import org.blocksparse.testing.Reachable;

/**
 * Calls every operation with read-only memory in place of each of its tensors, one at a time: its
 * arguments, their parts, and those of the layer. A tensor that the operation would write is
 * rejected by name, and nothing has changed; a write ends the JVM. New operations take part without
 * changes here.
 *
 * <p>Arguments: a folder.
 */
public final class ReadOnlyOperandsProgram {
  private static final String REFUSED = " is mapped read-only from ";

  private final Path folder;
  private final Map<String, String> flaws = new TreeMap<>();
  private int files;
  private int refused;

  private ReadOnlyOperandsProgram(Path folder) {
    this.folder = folder;
  }

  public static void main(String[] args) throws Exception {
    ReadOnlyOperandsProgram program = new ReadOnlyOperandsProgram(Path.of(args[0]));
    for (PublicMethod called : PublicMethod.all()) {
      if (!called.method().getName().equals("close") && mayWrite(called)) {
        program.check(called);
      }
    }
    ChildJvm.check(program.flaws.isEmpty(), "flaws: " + program.flaws);
    System.out.println(program.refused + " writes were refused");
  }

  // ------------------------------------------------------------------------- what takes part

  /** Types that hold the memory of tensors. */
  private static final List<Class<?>> OF_TENSORS =
      List.of(Tensor.class, softmaxStorage(), BagTable.class);

  private static Class<?> softmaxStorage() {
    try {
      return Class.forName("org.blocksparse.softmax.SoftmaxStorage");
    } catch (ClassNotFoundException e) {
      throw new AssertionError(e);
    }
  }

  /** Returns whether a tensor is reachable from its owner or from an argument. */
  private static boolean mayWrite(PublicMethod called) {
    Stream<Class<?>> owner = called.isStatic() ? Stream.empty() : Stream.of(called.type());
    return Stream.concat(owner, Stream.of(called.parameterTypes()))
        .anyMatch(type -> leadsToTensor(type, new HashSet<>()));
  }

  private static boolean leadsToTensor(Class<?> type, Set<Class<?>> seen) {
    if (type.isArray()) {
      return leadsToTensor(type.getComponentType(), seen);
    }
    if (type == Map.class || OF_TENSORS.stream().anyMatch(of -> of.isAssignableFrom(type))) {
      return true;
    }
    boolean ofFiles =
        type.getPackageName().endsWith(".io") && !Modifier.isPublic(type.getModifiers());
    if (!PublicTypes.areIn(type) || ofFiles || !seen.add(type)) {
      return false;
    }
    Stream<Class<?>> ofFields =
        Stream.of(type.getDeclaredFields())
            .filter(field -> !Modifier.isStatic(field.getModifiers()))
            .map(Field::getType);
    Stream<Class<?>> above = Stream.ofNullable(type.getSuperclass());
    return Stream.concat(ofFields, above).anyMatch(each -> leadsToTensor(each, seen));
  }

  // ------------------------------------------------------------------------------- one method

  /** The same call any number of times, on new objects each time. */
  private static final class Call {
    private final PublicMethod called;
    private final Object owner;
    private final Object[] arguments;

    /** The memory of all tensors that the call reaches, in the same order each time. */
    private final List<Storage> memory;

    Call(PublicMethod called, OperandArguments all, int number) {
      this.called = called;
      this.owner = all.owner(number);
      this.arguments = all.of(number);
      this.memory =
          OF_TENSORS.stream()
              .flatMap(type -> Reachable.of(type, new Object[] {owner, arguments}).stream())
              .flatMap(tensor -> Reachable.of(Storage.class, tensor).stream())
              .distinct()
              .filter(Storage::acquire) // is held for the checks, whatever the call closes
              .toList();
    }

    Object make() throws InvocationTargetException {
      try {
        return called.method().invoke(owner, arguments);
      } catch (IllegalAccessException e) {
        throw new AssertionError(e);
      }
    }

    List<int[]> content() {
      return memory.stream().map(Call::content).toList();
    }

    private static int[] content(Storage storage) {
      int[] content = new int[(int) storage.elements()];
      storage.getInts(0, content, 0, content.length);
      return content;
    }

    /** Returns the parameter whose argument is a tensor over this memory; null if there is none. */
    String parameter(Storage storage) {
      List<String> names = Declarations.parameters(called.method());
      for (int i = 0; i < arguments.length; i++) {
        if (arguments[i] instanceof Tensor tensor
            && Reachable.of(Storage.class, tensor).contains(storage)) {
          return names.get(i);
        }
      }
      return null;
    }
  }

  private void check(PublicMethod called) throws Exception {
    OperandArguments all = new OperandArguments(called, folder.resolve("written"));
    for (int number = 0; number < all.count(); number++) {
      Call right = new Call(called, all, number);
      List<int[]> before = right.content();
      try {
        right.make();
      } catch (InvocationTargetException e) {
        continue;
      }
      List<int[]> after = right.content();
      for (int t = 0; t < before.size(); t++) {
        boolean writes = !Arrays.equals(before.get(t), after.get(t));
        String flaw = flaw(new Call(called, all, number), t, writes);
        if (flaw != null) {
          flaws.put(called + ", tensor " + t, flaw);
        }
      }
      return;
    }
    flaws.put(called.toString(), "no call of it succeeds");
  }

  /** Returns the flaw of a call with one read-only tensor; null if there is none. */
  private String flaw(Call call, int number, boolean writes) throws Exception {
    Storage protectedMemory = call.memory.get(number);
    protect(protectedMemory);
    List<int[]> before = call.content();
    System.out.println(call.called + ", tensor " + number); // the last line: what ended the JVM
    try {
      Object result = call.make();
      boolean open = result instanceof Buffer buffer && !buffer.isReadOnly();
      return open ? "gave a buffer that can be written" : writes ? "was not refused" : null;
    } catch (InvocationTargetException e) {
      String message = String.valueOf(e.getCause().getMessage());
      String parameter = call.parameter(protectedMemory);
      String name = message.split(": ", 2)[0];
      boolean named = parameter == null ? name.matches("\\w+") : name.equals(parameter);
      if (!(e.getCause() instanceof IllegalStateException) || !message.contains(REFUSED)) {
        return e.getCause().toString();
      }
      refused++;
      return !named
          ? "expected the name " + parameter + " in: " + message
          : Arrays.deepEquals(before.toArray(), call.content().toArray())
              ? null
              : "refused, but something has changed";
    }
  }

  /** Replaces memory by a mapped file with the same content. */
  private void protect(Storage storage) throws Exception {
    Path file = folder.resolve("content" + files++);
    ByteBuffer bytes =
        ByteBuffer.allocate(4 * (int) storage.elements()).order(ByteOrder.nativeOrder());
    bytes.asIntBuffer().put(Call.content(storage));
    Files.write(file, bytes.array());
    MappedFile mapping =
        MappedFile.open(file, false, path -> new IOException(path + ": has shrunk"));
    Storage mapped = Storage.mapped(mapping, 0, bytes.capacity());
    for (String name : List.of("buffers", "address", "mapping")) {
      Field field = Storage.class.getDeclaredField(name);
      field.setAccessible(true);
      field.set(storage, field.get(mapped));
    }
    kept.add(mapped);
  }

  /** Kept, because garbage would end its mapping. */
  private final List<Storage> kept = new ArrayList<>();
}
