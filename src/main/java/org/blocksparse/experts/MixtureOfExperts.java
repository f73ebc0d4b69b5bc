// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.blocksparse.Activation;
import org.blocksparse.BlockMatrix;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.MemoryUse;
import org.blocksparse.Workers;
import org.blocksparse.internal.events.ProductEvent;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.internal.files.OptimizerStateFile;
import org.blocksparse.internal.files.Reading;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.PackedExperts;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.KernelOperands;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.internal.tensors.TensorStates;
import org.blocksparse.internal.weights.RowFormat;
import org.blocksparse.io.GgufFile;
import org.blocksparse.io.HuggingFaceModel;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.OptimizerState;
import org.blocksparse.products.SparseBlockDot;

/**
 * A mixture-of-experts layer. A {@link TopKGate} routes each row to a few of many experts. An
 * expert is two products with an activation between them. The output is the sum of expert outputs,
 * weighted by the gate:
 *
 * <pre>{@code
 * gates  = top k of softmax(x[r] . Wg + bg)
 * out[r] = sum over the chosen e of  gates[r, e] * (f(x[r] . W1[e] + b1[e]) . W2[e] + b2[e])
 * }</pre>
 *
 * <p>A shared expert, if there is one, gets every row. Its output is added, multiplied by {@code
 * sigmoid(x[r] . shared.Wg + shared.bg)} if it has a gate.
 *
 * <table>
 *   <caption>Shapes, where sums = hidden, or 2 * hidden with a gated activation</caption>
 *   <tr><th>name</th><th>shape</th><th>meaning</th></tr>
 *   <tr><td>x, gradX</td><td>(batch, inputs)</td><td>rows</td></tr>
 *   <tr><td>out, gradOut</td><td>(batch, outputs)</td><td>mixtures</td></tr>
 *   <tr><td>Wg</td><td>(1, 1, inputs, experts)</td><td>weights of the gate; none without a gate</td></tr>
 *   <tr><td>bg</td><td>(1, experts)</td><td>bias of the gate, optional</td></tr>
 *   <tr><td>W1</td><td>(1, experts, inputs, sums)</td><td>first weights; with a gated activation the
 *       gate projection, then the up projection</td></tr>
 *   <tr><td>b1</td><td>(experts, sums)</td><td>their bias, optional</td></tr>
 *   <tr><td>W2</td><td>(experts, 1, hidden, outputs)</td><td>second weights</td></tr>
 *   <tr><td>b2</td><td>(experts, outputs)</td><td>their bias, optional</td></tr>
 *   <tr><td>shared.Wg, ...</td><td>as above, with experts = 1 and a hidden size of its own</td>
 *       <td>the shared expert, optional</td></tr>
 * </table>
 *
 * <p>You may use your own gate. Then build a {@link Routing#of routing}, and pass it to each call.
 * The parts are public, for layers of another structure: {@link TopKGate}, {@link BlockPlan},
 * {@link SparseBlockDot}, {@link Epilogue}, {@link org.blocksparse.products.InputBias}.
 *
 * <p><b>Memory.</b> {@link #apply} buffers at most 12 MB between the two products, or one row if
 * that is larger. For many rows, it processes the experts in groups. For packed weights, the buffer
 * holds int8 values only, at most 8 MB. Sums and activations stay in the CPU caches.
 *
 * <p><b>Numbers.</b> Each product has the error of {@link SparseBlockDot}. A row with NaN, or with
 * infinite logits, has a NaN output; other rows are not affected. Results are bitwise identical for
 * any workers.
 *
 * <p><b>Threads.</b> Any number of threads may call all but {@link ExpertsPass#step} at the same
 * time. The caller must not run a step at the same time as any other call on the same layer.
 *
 * <p><b>Errors.</b> Every method throws these exceptions, and then changes nothing, unless
 * something is closed during the call:
 *
 * <ul>
 *   <li>{@link NullPointerException} if a required argument is null
 *   <li>{@link IllegalArgumentException} if a shape does not fit, or an output shares memory with
 *       an input or a parameter
 *   <li>{@link IllegalStateException} if the layer, a routing or a tensor is closed, or if a layer
 *       without a gate gets no routing
 * </ul>
 */
public final class MixtureOfExperts implements AutoCloseable {
  static final String X = "(batch, inputs)";
  static final String OUT = "(batch, outputs)";

  /**
   * Maximum number of elements to buffer between the two products: sums before the activation, or
   * outputs of the activation.
   */
  private static final int KEPT_ELEMENTS = 1 << 21;

  private final ExpertsParameters parameters;
  private final TopKGate gate;
  private final Activation activation;
  private final Workers workers;
  private final Map<String, String> metadata;

  /** The shared expert, whose memory and state belong to this layer; null without it. */
  private final MixtureOfExperts shared;

  /**
   * The bits of inputs of the products of experts; {@link RowFormat#ANY_BITS} leaves the choice to
   * the weights.
   */
  private final int inputBits;

  /** The optimizer state; null if weights are read-only. */
  private final OptimizerState state;

  /** The experts of a layer with a cache, or null. */
  private final CachedExperts cached;

  /**
   * Creates a layer that takes ownership of its parameters.
   *
   * @param gate uses the same workers; if null, callers pass a routing
   */
  MixtureOfExperts(
      ExpertsParameters parameters,
      TopKGate gate,
      Activation activation,
      Workers workers,
      Map<String, String> metadata) {
    this(parameters, gate, activation, workers, metadata, RowFormat.ANY_BITS, true, null);
  }

  private MixtureOfExperts(
      ExpertsParameters parameters,
      TopKGate gate,
      Activation activation,
      Workers workers,
      Map<String, String> metadata,
      int inputBits,
      boolean hasState,
      CachedExperts cached) {
    this.parameters = parameters;
    this.gate = gate;
    this.activation = activation;
    this.workers = workers;
    this.metadata = Collections.unmodifiableMap(metadata);
    this.inputBits = inputBits;
    this.cached = cached;
    boolean trains = hasState && !parameters.isReadOnly();
    this.state = trains ? OptimizerState.of(parameters.tensors()) : null;
    ExpertsParameters of = parameters.shared();
    this.shared =
        of == null
            ? null
            : new MixtureOfExperts(
                of,
                of.Wg() == null ? null : TopKGate.SIGMOID.withWorkers(workers),
                activation,
                workers,
                Map.of(),
                inputBits,
                false,
                null);
  }

  ExpertsParameters ofParameters() {
    return parameters;
  }

  /**
   * Returns a builder of layers with a gate; all other settings have defaults.
   *
   * @param inputs the size of a row
   * @param hidden the hidden size of an expert: the number of outputs of its activation
   * @param gate sets the number of experts, the number per row, the capacity and the balancing loss
   * @throws IllegalArgumentException unless sizes are at least 1
   */
  public static MixtureOfExpertsBuilder builder(int inputs, int hidden, TopKGate gate) {
    return new MixtureOfExpertsBuilder(
        inputs, hidden, requireNonNull(gate, "gate").experts(), gate);
  }

  /**
   * Returns a builder of layers without a gate: callers pass a {@link Routing} to each call.
   *
   * @param inputs the size of a row
   * @param hidden the hidden size of an expert: the number of outputs of its activation
   * @param experts how many there are
   * @throws IllegalArgumentException unless all are at least 1
   */
  public static MixtureOfExpertsBuilder builder(int inputs, int hidden, int experts) {
    return new MixtureOfExpertsBuilder(inputs, hidden, experts, null);
  }

  /** Returns the size of a row of x. */
  public int inputs() {
    return parameters.inputs();
  }

  /** Returns the hidden size of an expert: the number of outputs of its activation. */
  public int hidden() {
    return parameters.hidden();
  }

  /** Returns the size of a row of the output. */
  public int outputs() {
    return parameters.outputs();
  }

  /** Returns how many experts there are. */
  public int experts() {
    return parameters.experts();
  }

  /** Returns the activation between the two products. */
  public Activation activation() {
    return activation;
  }

  /**
   * Returns the gate.
   *
   * @throws IllegalStateException if there is none
   */
  public TopKGate gate() {
    if (gate == null) {
      throw new IllegalStateException(
          "gate: this layer has none; give a routing to each call, or build it with a TopKGate");
    }
    return gate;
  }

  /**
   * Returns the parameters by name, not copied. Absent optional parameters, such as biases, are
   * left out.
   */
  public Map<String, BlockMatrix> parameters() {
    return parameters.byName();
  }

  // ------------------------------------------------------------------------------------ forward

  /**
   * Returns the experts that the gate chooses for each row. The caller closes the routing. The only
   * expert of a layer without a gate gets each row, with a gate of 1.
   *
   * @param x (batch, inputs)
   */
  public Routing route(FloatTensor x) {
    int batch = requireX(x);
    if (gate == null && experts() == 1) {
      return Routing.toOne(batch, workers);
    }
    TopKGate own = gate();
    try (OperandLease lease = lease().of("x", x);
        BlockPlan dense = BlockPlan.dense(batch).withWorkers(workers);
        Scratch memory = Scratch.borrow((long) batch * experts())) {
      FloatTensor logits = PlanRows.in(memory, dense.outputShape(experts()));
      Epilogue bias = withBias(Epilogue.none(), parameters.bg());
      SparseBlockDot.apply(parameters.Wg(), PlanRows.inputs(dense, x), dense, bias, logits);
      return own.route(logits.reshape(batch, experts()));
    }
  }

  /**
   * Returns the output of the layer, (batch, outputs), in a new tensor; the gate chooses the
   * experts.
   */
  public FloatTensor apply(FloatTensor x) {
    return KernelOperands.filled(FloatTensor.zeros(requireX(x), outputs()), out -> apply(x, out));
  }

  /**
   * Computes the output of the layer; the gate chooses the experts.
   *
   * @param x (batch, inputs)
   * @param out (batch, outputs); its previous content is overwritten
   */
  public void apply(FloatTensor x, FloatTensor out) {
    requireOut(x, out);
    try (Routing routing = route(x)) {
      mix(x, routing, out);
    }
  }

  /**
   * Computes the output of the layer for a given routing.
   *
   * @param x (batch, inputs)
   * @param routing has the batch size of x and the number of experts of this layer; the caller
   *     still owns and closes it
   * @param out (batch, outputs); its previous content is overwritten
   */
  public void apply(FloatTensor x, Routing routing, FloatTensor out) {
    requireOut(x, out);
    requireFits(routing, x);
    mix(x, routing, out);
  }

  private void mix(FloatTensor x, Routing routing, FloatTensor out) {
    try (OperandLease lease =
        lease().of("x", x).of("routing", routing.gates()).writing("out", out)) {
      mix(x, routing, false, out);
      if (shared != null) {
        try (Routing toAll = shared.route(x)) {
          shared.mix(x, toAll, true, out);
        }
      }
    }
  }

  /** Writes or adds the outputs of the experts but the shared one; all is leased. */
  private void mix(FloatTensor x, Routing routing, boolean accumulate, FloatTensor out) {
    if (parameters.arePacked()) {
      ProductEvent event = Recorder.product();
      PackedExperts experts = parameters.packedExperts(activation, inputBits);
      Engine engine = Engine.from(workers);
      Rows rows = KernelOperands.rows(x);
      Rows mixtures = KernelOperands.rows(out);
      if (cached == null) {
        experts.run(engine, rows, routing.pairsByExpert(), accumulate, null, mixtures);
      } else {
        cached.run(experts, engine, rows, routing.pairsByExpert(), mixtures);
      }
      if (event != null) {
        event.record("experts", routing.batch(), routing.pairs(), inputs(), outputs());
      }
      return;
    }
    int most = Math.max(1, KEPT_ELEMENTS / parameters.sums());
    if (routing.pairs() <= most) {
      BlockPlan up = routing.toExperts().withWorkers(workers);
      BlockPlan down = routing.fromExperts().withWorkers(workers);
      mix(x, up, down, routing.gates(), accumulate, out);
      return;
    }
    ExpertBands bands = routing.bands(most);
    for (int number = 0; number < bands.count(); number++) {
      try (Routing.Band band = routing.band(bands, number, workers)) {
        boolean add = accumulate || number > 0;
        mix(x, band.toExperts(), band.fromExperts(), band.gates(), add, out);
      }
    }
  }

  private OperandLease lease() {
    return cached == null
        ? parameters.lease(new OperandLease())
        : parameters.leaseBesideExperts(new OperandLease());
  }

  /** Writes or adds the outputs for the pairs of two plans. */
  private void mix(
      FloatTensor x,
      BlockPlan up,
      BlockPlan down,
      FloatTensor gates,
      boolean accumulate,
      FloatTensor out) {
    try (Scratch memory = Scratch.borrow((long) up.outputRows() * hidden())) {
      FloatTensor a = PlanRows.in(memory, up.outputShape(hidden()));
      Epilogue first = withBias(Epilogue.none().withActivation(activation), parameters.b1());
      first(x, up, first.withGate(gates), a);
      second(a, down, gates, accumulate, out);
    }
  }

  private void first(FloatTensor x, BlockPlan up, Epilogue epilogue, FloatTensor a) {
    BlockMatrix W1 = parameters.W1();
    SparseBlockDot.apply(W1, PlanRows.inputs(up, x), planOf(up), epilogue, a);
  }

  private BlockPlan planOf(BlockPlan plan) {
    return inputBits == RowFormat.ANY_BITS ? plan : plan.withInputBits(inputBits);
  }

  /** Computes the second product: writes or adds the sum over experts. */
  private void second(
      FloatTensor a, BlockPlan down, FloatTensor gates, boolean accumulate, FloatTensor out) {
    Epilogue bias =
        parameters.b2() == null
            ? Epilogue.none()
            : Epilogue.none().withInputBias(parameters.b2(), gates);
    Epilogue epilogue = accumulate ? bias.accumulating() : bias;
    SparseBlockDot.apply(parameters.W2(), a, planOf(down), epilogue, PlanRows.outputs(down, out));
  }

  /**
   * Makes the forward pass of training; the gate chooses the experts. The pass keeps the values
   * that the backward pass needs. The caller closes it:
   *
   * <pre>{@code
   * try (ExpertsPass pass = experts.forward(x, out)) {
   *   softmax.step(out, labels, Loss.mean(), adam, gradOut); // what comes after the layer
   *   pass.step(gradOut, adam, gradX);
   * }
   * }</pre>
   *
   * <p>Memory: (sums + hidden) floats per (row, expert) pair, and another {@code sums} floats
   * during the backward pass. It comes from a pool that later calls reuse.
   *
   * @param x (batch, inputs)
   * @param out (batch, outputs); its previous content is overwritten
   * @throws IllegalStateException also if the weights are packed: packed weights have no gradients
   */
  public ExpertsPass forward(FloatTensor x, FloatTensor out) {
    requireOut(x, out);
    return forward(x, false, out);
  }

  private ExpertsPass forward(FloatTensor x, boolean accumulate, FloatTensor out) {
    Routing routing = route(x);
    try {
      return pass(x, routing, true, accumulate, out);
    } catch (Throwable e) {
      routing.close();
      throw e;
    }
  }

  /**
   * Computes {@link #forward(FloatTensor, FloatTensor)} for a given routing. If {@link #route} of
   * this layer made the routing, the step trains the gate. Otherwise, train your own gate with
   * {@link ExpertsPass#gradGates}.
   *
   * @param routing has the batch size of x and the number of experts of this layer; the caller
   *     still owns it, and closes it after the pass
   * @throws IllegalStateException also if the weights are packed: packed weights have no gradients
   */
  public ExpertsPass forward(FloatTensor x, Routing routing, FloatTensor out) {
    requireOut(x, out);
    requireFits(routing, x);
    return pass(x, routing, false, false, out);
  }

  /**
   * Returns a pass that has written or added the output.
   *
   * @param ownsRouting whether closing the pass closes the routing
   */
  private ExpertsPass pass(
      FloatTensor x, Routing routing, boolean ownsRouting, boolean accumulate, FloatTensor out) {
    if (parameters.hasPacked()) {
      throw new IllegalStateException(
          "forward: expected weights that have gradients, but they are packed; take apply");
    }
    try (OperandLease lease =
        parameters
            .lease(new OperandLease())
            .of("x", x)
            .of("routing", routing.gates())
            .writing("out", out)) {
      ExpertsPass pass =
          new ExpertsPass(
              new ExpertsPass.Layer(parameters, gate, activation, state, workers),
              x,
              routing,
              ownsRouting);
      try {
        Epilogue f =
            withBias(Epilogue.none().withActivation(activation, pass.z()), parameters.b1());
        first(x, pass.up(), f.withGate(routing.gates()), pass.a());
        second(pass.a(), pass.down(), routing.gates(), accumulate, out);
        if (shared != null) {
          pass.add(shared.forward(x, true, out));
        }
        return pass;
      } catch (Throwable e) {
        pass.close();
        throw e;
      }
    }
  }

  private static Epilogue withBias(Epilogue epilogue, FloatTensor bias) {
    return bias == null ? epilogue : epilogue.withBias(bias);
  }

  // ------------------------------------------------------------------------------------- checks

  private int requireX(FloatTensor x) {
    Check.rank("x", x, X, 2);
    int batch = (int) x.shape().dim(0);
    Check.shape("x", x, X, batch, inputs());
    return Check.batch("x", batch, "rows");
  }

  private void requireOut(FloatTensor x, FloatTensor out) {
    Check.shape("out", out, OUT, requireX(x), outputs());
    Check.noOverlap("out", out, "x", x);
    parameters.requireApart("out", out);
  }

  private void requireFits(Routing routing, FloatTensor x) {
    requireNonNull(routing, "routing");
    if (routing.batch() != x.shape().dim(0) || routing.expertCount() != experts()) {
      throw new IllegalArgumentException(
          "routing: expected one of "
              + x.shape().dim(0)
              + " rows to "
              + experts()
              + " experts but was one of "
              + routing.batch()
              + " rows to "
              + routing.expertCount()
              + " experts");
    }
  }

  // ------------------------------------------------------------------------------------- files

  /** Returns the type of the stored W1; if it is not FLOAT32, the layer cannot be trained. */
  public ElementType weightType() {
    return parameters.type().elementType();
  }

  /**
   * Returns an independent copy, with the same parameters, optimizer state and metadata: a snapshot
   * that serves while this layer trains. It is in memory even if this layer is mapped from a file.
   *
   * @throws OutOfMemoryError if there is not enough memory; the message has the number of bytes
   */
  public MixtureOfExperts copy() {
    try (OperandLease lease = parameters.lease(new OperandLease())) {
      MixtureOfExperts copy =
          new MixtureOfExperts(
              parameters.copy(null), gate, activation, workers, metadata, inputBits, true, null);
      try {
        if (state != null) {
          TensorStates.from(state).copyTo(TensorStates.from(copy.state));
        }
        return copy;
      } catch (Throwable e) {
        copy.close();
        throw e;
      }
    }
  }

  /**
   * Returns a copy of this layer whose W1 and W2 are of another type, without optimizer state. The
   * gate and the biases stay float32. They are small, and the choice of experts depends on the
   * gate. If W1 or W2 is a transposed view, as in files of other libraries, the copy has the layout
   * of {@link org.blocksparse.Weights#of}.
   *
   * <p>Each product rounds its input rows as the type of its weights asks; {@link BlockPlan} lists
   * the types and bounds the error. A layer of {@linkplain ElementType#isPacked packed} weights has
   * no gradients.
   *
   * @throws IllegalArgumentException if a weight is not finite, or too large for the type
   * @throws IllegalStateException if the weights have already been rounded to another narrow type
   */
  public MixtureOfExperts withWeights(ElementType type) {
    requireNonNull(type, "type");
    try (OperandLease lease = parameters.lease(new OperandLease())) {
      return new MixtureOfExperts(parameters.copy(type), gate, activation, workers, metadata);
    }
  }

  /**
   * Returns a layer with the same parameters, whose products of experts keep so many bits of their
   * rows; see {@link BlockPlan#withInputBits}. Both layers share their parameters: closing one
   * closes both. Only {@link #copy} keeps this setting.
   *
   * @throws IllegalArgumentException if the bits are not 8, 16 or 32
   * @throws IllegalStateException if the weights have no products of so many bits
   */
  public MixtureOfExperts withInputBits(int bits) {
    if (bits != 8 && bits != 16 && bits != 32) {
      throw new IllegalArgumentException("bits: expected 8, 16 or 32 but was " + bits);
    }
    parameters.requireInputBits(bits);
    return new MixtureOfExperts(
        parameters, gate, activation, workers, metadata, bits, true, cached);
  }

  /** Saves parameters, gate and activation; see {@link #save(Path, SaveOptions)}. */
  public void save(Path file) throws IOException {
    save(file, SaveOptions.defaults());
  }

  /**
   * Saves the layer as a safetensors file with the parameters by their names. The write is atomic:
   * even after a crash, the file is the old one or the new one.
   *
   * @throws IllegalStateException if a parameter is not finite
   * @throws IllegalArgumentException if the options have a bag, or weights are a transposed view,
   *     which files of other libraries may contain
   * @throws IOException if the file cannot be written; an old one is unchanged
   */
  public void save(Path file, SaveOptions options) throws IOException {
    requireNonNull(file, "file");
    SaveSettings settings = SaveSettings.from(requireNonNull(options, "options"));
    try (OperandLease lease = parameters.lease(new OperandLease())) {
      ExpertsFile.save(
          new ExpertsFile.Content(
              activation, gate == null ? null : gate.gating(), parameters.inFile(), metadata),
          ofState(),
          lease,
          file,
          settings);
    }
  }

  private List<OptimizerStateFile.Entry> ofState() {
    return state == null
        ? List.of()
        : TensorStates.from(state).entries(List.copyOf(parameters.byName().keySet()));
  }

  /** Loads a layer into memory; see {@link #load(Path, LoadOptions)}. */
  public static MixtureOfExperts load(Path file) throws IOException {
    return load(file, LoadOptions.copied());
  }

  /**
   * Loads a file that {@link #save(Path)} wrote. With {@link LoadOptions#mapped}, W1 and W2 are not
   * copied: an expert is read from disk when a row first uses it. It is safe to load untrusted
   * files.
   *
   * @throws FileFormatException if the file does not hold a layer of experts; the message names the
   *     tensor and the reason
   * @throws IOException if the file cannot be read
   */
  public static MixtureOfExperts load(Path file, LoadOptions options) throws IOException {
    requireNonNull(file, "file");
    LoadSettings settings = LoadSettings.from(requireNonNull(options, "options"));
    return Reading.of(
        file,
        () ->
            ExpertsFile.load(
                file,
                settings,
                content -> of(content, options.workers()),
                MixtureOfExperts::ofState,
                MixtureOfExperts::close));
  }

  /**
   * Loads a layer of packed weights whose experts stay in the file: a call reads those that its
   * rows choose, unless they are in the cache. Results have the bits of a layer in memory; a shared
   * expert is read at once. The file must not be changed in place; see {@link LoadOptions#mapped}.
   *
   * <p>If an expert cannot be read, since the file was truncated for instance, calls that need it
   * throw {@link java.io.UncheckedIOException}, whose message names the file and the expert; their
   * output is undefined then. Calls that do not need it are not affected.
   *
   * @param options {@link LoadOptions#mapped}, with the workers of this layer
   * @param cache the memory of all layers of a model; the caller closes it after the layers
   * @throws FileFormatException if the file does not hold a layer of experts
   * @throws IOException if the file cannot be read
   * @throws IllegalArgumentException if the options are not mapped, the weights are not packed or
   *     W1 and W2 read rows of different formats, the cache is smaller than an expert, or its
   *     experts have another form
   * @throws IllegalStateException if the cache is closed, or cannot be locked in memory
   * @throws OutOfMemoryError if there is not enough native memory; the message has the bytes
   */
  public static MixtureOfExperts load(Path file, LoadOptions options, ExpertCache cache)
      throws IOException {
    requireNonNull(cache, "cache");
    if (LoadSettings.from(requireNonNull(options, "options")).memory()
        != LoadSettings.Memory.MAPPED) {
      throw new IllegalArgumentException("options: expected LoadOptions.mapped()");
    }
    MixtureOfExperts layer = load(file, options);
    ExpertsParameters parameters = layer.parameters;
    CachedExperts experts = null;
    try {
      if (!parameters.areMapped()) {
        throw new IllegalArgumentException(
            "file: expected packed weights, W2 of the type of W1, but was of "
                + layer.weightType()
                + " and "
                + KernelOperands.blocks(parameters.W2()).type().elementType()
                + "; save what withWeights(ElementType.Q8_0) returns");
      }
      parameters = parameters.withSharedCopied();
      PackedExperts mapped = parameters.packedExperts(layer.activation, RowFormat.ANY_BITS);
      experts = new CachedExperts(cache, mapped);
      return new MixtureOfExperts(
          parameters,
          layer.gate,
          layer.activation,
          layer.workers,
          layer.metadata,
          RowFormat.ANY_BITS,
          true,
          experts);
    } catch (Throwable e) {
      if (experts != null) {
        experts.close();
      }
      parameters.close();
      layer.close();
      throw e;
    }
  }

  /**
   * Loads the experts of one block of a llama.cpp model: what its graph computes from the normed
   * rows to the sum of experts, but no norm or residual. The metadata of the file has the gate and
   * the activation. Depending on the type, weights are used in place without a copy, or packed; see
   * {@link GgufFile#weights(List, int, int)}. The gate and the biases become float32:
   *
   * <table>
   *   <caption>Tensors of block 5; all but weights of experts and gate are optional</caption>
   *   <tr><th>parameter</th><th>tensor</th></tr>
   *   <tr><td>W1, b1</td><td>blk.5.ffn_gate_exps and blk.5.ffn_up_exps side by side, or
   *       blk.5.ffn_gate_up_exps; blk.5.ffn_up_exps alone if the activation is not gated</td></tr>
   *   <tr><td>W2, b2</td><td>blk.5.ffn_down_exps</td></tr>
   *   <tr><td>Wg, bg</td><td>blk.5.ffn_gate_inp</td></tr>
   *   <tr><td>shared.W1</td><td>blk.5.ffn_gate_shexp and blk.5.ffn_up_shexp</td></tr>
   *   <tr><td>shared.W2, shared.Wg</td><td>blk.5.ffn_down_shexp, blk.5.ffn_gate_inp_shexp</td></tr>
   *   <tr><td>choice bias, scales of the gate</td>
   *       <td>blk.5.exp_probs_b, blk.5.ffn_down_exps.scale</td></tr>
   * </table>
   *
   * <table>
   *   <caption>Architectures, by general.architecture</caption>
   *   <tr><th>model</th><th>architecture</th></tr>
   *   <tr><td>Mixtral</td><td>llama</td></tr>
   *   <tr><td>Qwen 2 MoE, Qwen 3 MoE and its VL</td><td>qwen2moe, qwen3moe, qwen3vlmoe</td></tr>
   *   <tr><td>Qwen 3 Next, Qwen 3.5 MoE</td><td>qwen3next, qwen35moe</td></tr>
   *   <tr><td>OLMoE</td><td>olmoe</td></tr>
   *   <tr><td>gpt-oss</td><td>gpt-oss</td></tr>
   *   <tr><td>DeepSeek V2 and V3, Kimi K2</td><td>deepseek2</td></tr>
   *   <tr><td>GLM 4.5</td><td>glm4moe</td></tr>
   *   <tr><td>Gemma 4: its experts, which read the output of pre_ffw_norm_2; the dense layer beside
   *       them has norms of its own</td><td>gemma4</td></tr>
   * </table>
   *
   * @param file may be closed afterwards
   * @param block from 0
   * @throws FileFormatException if a tensor is missing, has another shape or a type that cannot be
   *     used; if a key is missing or contradicts the tensors; or if the architecture, the kind of
   *     gate or a tensor of experts is not known
   * @throws IOException if the file cannot be read
   * @throws IllegalStateException if the file is closed
   */
  public static MixtureOfExperts of(GgufFile file, int block) throws IOException {
    return new GgufExperts(requireNonNull(file, "file"), block).layer();
  }

  /**
   * Reads a layer as {@link #of(GgufFile, int)} does, of a model of another architecture: reads no
   * metadata, and ignores tensors that it does not know.
   *
   * @param gate gets the bias of its choice and the scales that the file has; null: callers pass a
   *     routing to each call, whose gates contain all scales
   * @throws IllegalArgumentException if the gate has another number of experts
   */
  public static MixtureOfExperts of(GgufFile file, int block, TopKGate gate, Activation activation)
      throws IOException {
    requireNonNull(activation, "activation");
    return new GgufExperts(requireNonNull(file, "file"), block).layer(gate, activation);
  }

  /**
   * Returns the experts of one layer of a model as Hugging Face publishes it. Its {@code
   * config.json} and its tensors describe the layer, a shared expert included.
   *
   * <table>
   *   <caption>Models, by model_type</caption>
   *   <tr><th>model</th><th>model_type</th></tr>
   *   <tr><td>Mixtral</td><td>mixtral</td></tr>
   *   <tr><td>Qwen 2 MoE, Qwen 3 MoE, Qwen 3 Next</td>
   *       <td>qwen2_moe, qwen3_moe, qwen3_next</td></tr>
   *   <tr><td>OLMoE</td><td>olmoe</td></tr>
   *   <tr><td>gpt-oss, as published with MXFP4</td><td>gpt_oss</td></tr>
   *   <tr><td>DeepSeek V3, Kimi K2</td><td>deepseek_v3, kimi_k2</td></tr>
   *   <tr><td>GLM 4.5</td><td>glm4_moe</td></tr>
   *   <tr><td>Gemma 4: its experts, which read the output of pre_feedforward_layernorm_2</td>
   *       <td>gemma4</td></tr>
   * </table>
   *
   * @param model may be closed afterwards
   * @param layer from 0
   * @param type the type of W1 and W2. A matrix of that type is kept as it is: MXFP4 for gpt-oss,
   *     Q4_0 for 4 bits of compressed-tensors. Others are rounded; FLOAT32 keeps all, and can be
   *     trained.
   * @throws FileFormatException if a tensor is missing, has another shape or a type that cannot be
   *     used; if a key is missing, not supported or contradicts the tensors; if the model_type or a
   *     tensor of experts is not known; or if a weight is not finite or too large for the type
   * @throws IOException if a file cannot be read
   * @throws IllegalStateException if the model is closed
   */
  public static MixtureOfExperts of(HuggingFaceModel model, int layer, ElementType type)
      throws IOException {
    requireNonNull(model, "model");
    return new HuggingFaceExperts(model, layer).layer(requireNonNull(type, "type"));
  }

  private static MixtureOfExperts of(ExpertsFile.Content content, Workers workers) {
    ExpertsParameters parameters = ExpertsParameters.ofFile(content.parameters());
    TopKGate gate =
        content.gate() == null
            ? null
            : TopKGate.of(parameters.experts(), content.gate()).withWorkers(workers);
    Activation activation = content.activation();
    return new MixtureOfExperts(parameters, gate, activation, workers, content.metadata());
  }

  /** Returns the off-heap memory of this layer: mapped bytes and private bytes. */
  public MemoryUse memoryUse() {
    Stream<Storage> ofState = state == null ? Stream.empty() : TensorStates.from(state).memory();
    MemoryUse use = KernelOperands.memoryUse(Stream.concat(parameters.memory(), ofState));
    return cached == null ? use : use.plus(cached.memoryUse());
  }

  /** Returns the strings of the file that this layer was loaded from, by key. */
  public Map<String, String> metadata() {
    return metadata;
  }

  /** Frees the parameters and the optimizer state as soon as no call uses them. Idempotent. */
  @Override
  public void close() {
    parameters.close();
    if (state != null) {
      state.close();
    }
    if (cached != null) {
      cached.close();
    }
  }

  @Override
  public String toString() {
    return "MixtureOfExperts("
        + inputs()
        + " -> "
        + hidden()
        + " "
        + activation
        + " -> "
        + outputs()
        + ", "
        + (gate == null ? experts() + " experts, routed by the caller" : gate)
        + (shared == null ? "" : ", a shared expert of " + shared.hidden())
        + ", "
        + workers
        + ")";
  }
}
