// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.blocksparse.Optimizer;
import org.blocksparse.internal.kernels.Link;

/**
 * The strings of a model file; {@link ModelNames} lists them.
 *
 * @param entries all of them, the caller's own as well
 */
public record ModelMetadata(Map<String, String> entries) {
  /** The layer of a file that names none. */
  private static final String SOFTMAX = "HierarchicalSoftmax";

  private static final Set<String> LAYERS =
      Set.of(
          SOFTMAX,
          ModelNames.LABEL_TREE,
          ModelNames.LINEAR_LABEL_TREE,
          ModelNames.SPARSE_WEIGHTS,
          ModelNames.MIXTURE,
          ModelNames.EXPERTS);

  /** Requires a format that can be read. */
  public ModelMetadata requireVersion() throws MalformedException {
    String version = get(ModelNames.FORMAT);
    if (!version.equals(ModelNames.VERSION)) {
      throw wrong(
          ModelNames.FORMAT
              + " is "
              + MalformedException.excerpt(version)
              + ", this library reads "
              + ModelNames.VERSION);
    }
    return this;
  }

  /** Requires a layer of the kind with the given link. */
  public ModelMetadata requireLayer(Link link) throws MalformedException {
    return requireLayer(link == Link.SOFTMAX ? SOFTMAX : ModelNames.LABEL_TREE);
  }

  /** Requires a layer of a kind. */
  public ModelMetadata requireLayer(String wanted) throws MalformedException {
    String layer = entries.getOrDefault(ModelNames.LAYER, SOFTMAX);
    if (!LAYERS.contains(layer)) {
      throw wrong(ModelNames.LAYER + " is no layer: " + MalformedException.excerpt(layer));
    }
    if (!layer.equals(wanted)) {
      throw wrong("is of a " + layer + "; " + layer + ".load loads it");
    }
    return this;
  }

  public static MalformedException wrong(String reason) {
    return new MalformedException("__metadata__", reason);
  }

  /** Returns the state of an optimizer beside weights of a type that is only read. */
  public static MalformedException stateOfNarrow(String rule, Dtype type) {
    return wrong(rule + " is there, but weights of " + type + " are only read");
  }

  /** Returns a string that must be there. */
  public String get(String key) throws MalformedException {
    String value = entries.get(key);
    if (value == null) {
      throw wrong("has no " + key + ": not a file of this library");
    }
    return value;
  }

  /** Returns a number of steps. */
  public long number(String key) throws MalformedException {
    String value = get(key);
    if (!value.matches("[0-9]{1,19}")) {
      throw wrong(key + " is not a number that counts steps");
    }
    try {
      return Long.parseLong(value);
    } catch (NumberFormatException e) {
      throw wrong(key + " is more than 2^63 - 1");
    }
  }

  /** Returns the rule whose state is in the file; null if there is none. */
  public Optimizer.Kind ruleOrNull(String key) throws MalformedException {
    return entries.containsKey(key) ? rule(key) : null;
  }

  /** Returns a rule that must be there. */
  public Optimizer.Kind rule(String key) throws MalformedException {
    String name = get(key);
    try {
      return Optimizer.Kind.valueOf(name);
    } catch (IllegalArgumentException e) {
      throw wrong(key + " is no rule: " + MalformedException.excerpt(name));
    }
  }

  /** Returns the entries that are not the format's own. */
  public Map<String, String> ofUser() {
    Map<String, String> own = new TreeMap<>(entries);
    own.keySet().removeIf(key -> key.startsWith(ModelNames.RESERVED));
    return own;
  }
}
