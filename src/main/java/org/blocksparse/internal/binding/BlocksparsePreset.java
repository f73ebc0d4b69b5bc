// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.binding;

import org.bytedeco.javacpp.ClassProperties;
import org.bytedeco.javacpp.LoadEnabled;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.annotation.NoException;
import org.bytedeco.javacpp.annotation.Platform;
import org.bytedeco.javacpp.annotation.Properties;
import org.bytedeco.javacpp.tools.Info;
import org.bytedeco.javacpp.tools.InfoMap;
import org.bytedeco.javacpp.tools.InfoMapper;

/**
 * Configures JavaCPP: how {@code blocksparse.h} becomes {@code Blocksparse}, and what to load for
 * it.
 *
 * <p>OpenBLAS is named by {@code preload} and not by inheriting bytedeco's preset: that would make
 * the parser read all of LAPACK, extract twice as much at load, and load a second copy of it. So
 * {@code -Dorg.bytedeco.openblas.load} has no effect on this library.
 */
@Properties(
    inherit = org.bytedeco.javacpp.presets.javacpp.class,
    value = {
      @Platform(
          include = "blocksparse/blocksparse.h",
          link = "blocksparse",
          library = "jniblocksparse",
          preload = {"gcc_s@.1", "quadmath@.0", "gfortran@.5", "openblas@.0"},
          preloadresource = "/org/bytedeco/openblas/"),
      @Platform(
          value = "macosx",
          preload = {"gcc_s@.1.1", "quadmath@.0", "gfortran@.5", "openblas@.0"}),
      @Platform(value = "windows", preload = "libopenblas")
    },
    global = "org.blocksparse.internal.binding.Blocksparse")
@NoException
public class BlocksparsePreset implements InfoMapper, LoadEnabled {
  /** The structs of operands, which {@code NativeOperands} writes. */
  private static final String[] OPERANDS = {
    "blocksparse_part",
    "blocksparse_rows",
    "blocksparse_blocks",
    "blocksparse_sums",
    "blocksparse_targets",
    "blocksparse_activation_input",
    "blocksparse_bags",
    "blocksparse_table",
    "blocksparse_optimizer",
    "blocksparse_parameters",
    "blocksparse_sparse_weights"
  };

  /** Called by JavaCPP's loader, and by its generators, which load nothing. */
  @Override
  public void init(ClassProperties properties) {
    if (Loader.isLoadLibraries()) {
      properties.setProperty("platform.extension", "/" + BuildId.ofClasses());
    }
  }

  /** Called by JavaCPP's parser, when the binding is generated. */
  @Override
  public void map(InfoMap infoMap) {
    for (String struct : OPERANDS) {
      infoMap.put(new Info(struct).skip().pointerTypes("@Cast(\"const " + struct + "*\") long"));
      infoMap.put(new Info(struct + "_fields").immutable().purify()); // a test reads it
    }
    infoMap
        .put(new Info("BLOCKSPARSE_API").cppTypes().annotations())
        // Addresses as numbers: objects for them would cost JNI calls, which the JNI code does not
        // check when the heap is full or the stack used up.
        .put(new Info("float").valueTypes("float").pointerTypes("@Cast(\"float*\") long"))
        .put(new Info("int", "int32_t").valueTypes("int").pointerTypes("@Cast(\"int*\") long"))
        .put(new Info("void").valueTypes("void").pointerTypes("@Cast(\"void*\") long"))
        .put(
            new Info("blocksparse_map")
                .javaText(
                    "public static native @Cast(\"void*\") long blocksparse_map("
                        + "@Cast(\"const char*\") long path, @Cast(\"int64_t\") long bytes,"
                        + " int copy_on_write);"));
  }
}
