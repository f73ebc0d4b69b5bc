// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.events;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Label;
import jdk.jfr.Name;

/** A model that is saved or loaded, or a file of tensors. */
@Name("org.blocksparse.File")
@Label("File")
@Description("A model, or a file of tensors, that is saved or loaded")
public final class FileEvent extends LibraryEvent {
  /** Shows whether a recording wants such events. */
  private static final FileEvent ANY = new FileEvent();

  @Label("Operation")
  @Description("save, load or map")
  String operation;

  @Label("Layer")
  @Description("softmax, label tree or embedding bag; tensors, of a file of these alone")
  String layer;

  @Label("File")
  String file;

  @Label("Size")
  @Description("Of the file; -1 if it is unknown by then")
  @DataAmount
  long size;

  static FileEvent begunOrNull() {
    return begunOrNull(ANY, FileEvent::new);
  }

  /** Ends the event. */
  public void record(String name, String ofLayer, Path path) {
    end();
    operation = name;
    layer = ofLayer;
    file = path.toString();
    size = sizeOrNone(path);
    commit();
  }

  private static long sizeOrNone(Path path) {
    try {
      return Files.size(path);
    } catch (IOException e) {
      return -1;
    }
  }
}
