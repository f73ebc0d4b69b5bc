// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.blocksparse.internal.events.ProductEvent;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.gate.ExpertBands;
import org.blocksparse.internal.layer.ExpertsFile;
import org.blocksparse.internal.layer.LoadSettings;
import org.blocksparse.internal.layer.OptimizerStateFile;
import org.blocksparse.internal.layer.ReadOnlyWeights;
import org.blocksparse.internal.layer.SaveSettings;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.Storage;

/**
 * A mixture of experts, a whole layer: a {@link TopKGate} gives each row to a few of many experts,
 * each of them two products with an activation between them, and the output is the sum of what they
 * make of the row, weighted by the gate:
 *
 * <pre>{@code
 * gates  = top k of softmax(x[r] . Wg + bg)
 * out[r] = sum over the chosen e of  gates[r, e] * (f(x[r] . W1[e] + b1[e]) . W2[e] + b2[e])
 * }</pre>
 *
 * <table>
 *   <caption>Shapes; sums is hidden, or 2 hidden if the activation is gated</caption>
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
 * </table>
 *
 * <p>The gate may be another one: the caller then makes a {@link Routing#of routing} and gives it
 * to each call. The parts are public, for layers that are not like this one: {@link TopKGate},
 * {@link BlockPlan}, {@link SparseBlockDot}, {@link Epilogue}, {@link InputBias}.
 *
 * <p><b>Memory.</b> {@link #apply} keeps at most 12 MB between the products, or what one row needs
 * if that is more: of many rows, it takes some experts after the others. Where weights are packed,
 * that is int8 alone, and 8 MB: sums and activations stay in the caches.
 *
 * <p><b>Numbers.</b> Each product has the error of {@link SparseBlockDot}. A row with NaN, or with
 * infinite logits, has a NaN output; other rows are not touched. Bits do not depend on the workers.
 *
 * <p><b>Threads.</b> Any number of threads may call all but {@link ExpertsPass#step} at the same
 * time. A step must not run at the same time as anything else on the same layer; that is the
 * caller's to see to.
 *
 * <p><b>Errors.</b> Every method throws {@link NullPointerException} if an argument is null that
 * may not be, {@link IllegalArgumentException} if a shape does not fit or an output shares memory
 * with an input or a parameter, and {@link IllegalStateException} if the layer, a routing or a
 * tensor is closed, or if no routing is given to a layer without a gate. Nothing is changed then,
 * unless something is closed during the call.
 */
public final class MixtureOfExperts implements AutoCloseable {
  static final String X = "(batch, inputs)";
  static final String OUT = "(batch, outputs)";

  /** Elements of z, or of what comes out of the activation, that are kept between the products. */
  private static final int KEPT_ELEMENTS = 1 << 21;

  private final ExpertsParameters parameters;
  private final TopKGate gate;
  private final Activation activation;
  private final Workers workers;
  private final Map<String, String> metadata;

  /** Whether rows are rounded to bfloat16, as the weights are. */
  private final boolean roundsToBfloat16;

  /** Null if weights are only read. */
  private final OptimizerState state;

  /**
   * A layer whose parameters become its own.
   *
   * @param gate on the workers; null: routing is given by callers
   */
  MixtureOfExperts(
      ExpertsParameters parameters,
      TopKGate gate,
      Activation activation,
      Workers workers,
      Map<String, String> metadata) {
    this(parameters, gate, activation, workers, metadata, false);
  }

  private MixtureOfExperts(
      ExpertsParameters parameters,
      TopKGate gate,
      Activation activation,
      Workers workers,
      Map<String, String> metadata,
      boolean roundsToBfloat16) {
    this.parameters = parameters;
    this.gate = gate;
    this.activation = activation;
    this.workers = workers;
    this.metadata = Collections.unmodifiableMap(metadata);
    this.roundsToBfloat16 = roundsToBfloat16;
    this.state = parameters.isReadOnly() ? null : OptimizerState.of(parameters.tensors());
  }

  ExpertsParameters ofParameters() {
    return parameters;
  }

  Workers workers() {
    return workers;
  }

  boolean hasGate() {
    return gate != null;
  }

  /**
   * The state of an optimizer for the parameters.
   *
   * @throws IllegalStateException if weights are of a type that is only read
   */
  OptimizerState requireTrainable(String operation) {
    if (state == null) {
      throw ReadOnlyWeights.notTrained(operation, parameters.type());
    }
    return state;
  }

  /**
   * A builder of layers with a gate; everything else has defaults.
   *
   * @param inputs the size of a row
   * @param hidden the size of what comes out of an expert's activation
   * @param gate how many experts there are, how many a row gets, and its losses and limits
   * @throws IllegalArgumentException unless sizes are at least 1
   */
  public static MixtureOfExpertsBuilder builder(int inputs, int hidden, TopKGate gate) {
    return new MixtureOfExpertsBuilder(
        inputs, hidden, requireNonNull(gate, "gate").experts(), gate);
  }

  /**
   * A builder of layers without a gate: each call is given a {@link Routing}.
   *
   * @param inputs the size of a row
   * @param hidden the size of what comes out of an expert's activation
   * @param experts how many there are
   * @throws IllegalArgumentException unless all are at least 1
   */
  public static MixtureOfExpertsBuilder builder(int inputs, int hidden, int experts) {
    return new MixtureOfExpertsBuilder(inputs, hidden, experts, null);
  }

  /** The size of a row of x. */
  public int inputs() {
    return parameters.inputs();
  }

  /** The size of what comes out of an expert's activation. */
  public int hidden() {
    return parameters.hidden();
  }

  /** The size of a row of the output. */
  public int outputs() {
    return parameters.outputs();
  }

  /** How many experts there are. */
  public int experts() {
    return parameters.experts();
  }

  /** The activation between the two products. */
  public Activation activation() {
    return activation;
  }

  /**
   * The gate.
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

  /** The parameters by their names: the layer's own, without those that it does not have. */
  public Map<String, BlockMatrix> parameters() {
    return parameters.byName();
  }

  // ------------------------------------------------------------------------------------ forward

  /**
   * Which experts the gate chooses for rows, to be closed by the caller.
   *
   * @param x (batch, inputs)
   */
  public Routing route(FloatTensor x) {
    TopKGate own = gate();
    int batch = requireX(x);
    try (Lease lease = parameters.lease(new Lease()).of("x", x);
        BlockPlan dense = BlockPlan.dense(batch).withWorkers(workers);
        Scratch memory = Scratch.borrow((long) batch * experts())) {
      FloatTensor logits = tensor(memory, dense.outputs().shape(experts()));
      Epilogue bias = withBias(Epilogue.none(), parameters.bg());
      SparseBlockDot.apply(parameters.Wg(), of(dense.inputs(), x), dense, bias, logits);
      return own.route(logits.reshape(batch, experts()));
    }
  }

  /** The mixtures of rows, (batch, outputs), in a new tensor. */
  public FloatTensor apply(FloatTensor x) {
    return FloatTensor.zeros(requireX(x), outputs()).filledBy(out -> apply(x, out));
  }

  /**
   * The mixtures of rows, by the gate.
   *
   * @param x (batch, inputs)
   * @param out (batch, outputs), whose content before does not matter
   */
  public void apply(FloatTensor x, FloatTensor out) {
    requireOut(x, out);
    try (Routing routing = route(x)) {
      mix(x, routing, out);
    }
  }

  /**
   * The mixtures of rows, by a routing.
   *
   * @param x (batch, inputs)
   * @param routing of as many rows to as many experts; stays the caller's
   * @param out (batch, outputs), whose content before does not matter
   */
  public void apply(FloatTensor x, Routing routing, FloatTensor out) {
    requireOut(x, out);
    requireFits(routing, x);
    mix(x, routing, out);
  }

  private void mix(FloatTensor x, Routing routing, FloatTensor out) {
    int most = Math.max(1, KEPT_ELEMENTS / parameters.sums());
    try (Lease lease =
        parameters
            .lease(new Lease())
            .of("x", x)
            .of("routing", routing.gates())
            .writing("out", out)) {
      if (parameters.isPacked()) {
        ProductEvent event = Recorder.product();
        parameters
            .packedExperts(activation.function())
            .run(
                workers.engine(),
                KernelOperands.rows(x),
                routing.pairsByExpert(),
                KernelOperands.rows(out));
        if (event != null) {
          event.record("experts", routing.batch(), routing.pairs(), inputs(), outputs());
        }
        return;
      }
      if (routing.pairs() <= most) {
        BlockPlan up = routing.toExperts().withWorkers(workers);
        BlockPlan down = routing.fromExperts().withWorkers(workers);
        mix(x, up, down, routing.gates(), false, out);
        return;
      }
      ExpertBands bands = routing.bands(most);
      for (int number = 0; number < bands.count(); number++) {
        try (Routing.Band band = routing.band(bands, number, workers)) {
          mix(x, band.toExperts(), band.fromExperts(), band.gates(), number > 0, out);
        }
      }
    }
  }

  /** Writes the mixtures of the pairs of two plans, or adds them. */
  private void mix(
      FloatTensor x,
      BlockPlan up,
      BlockPlan down,
      FloatTensor gates,
      boolean accumulate,
      FloatTensor out) {
    try (Scratch memory = Scratch.borrow((long) up.outputRows() * hidden())) {
      FloatTensor a = tensor(memory, up.outputs().shape(hidden()));
      Epilogue first = withBias(Epilogue.none().withActivation(activation), parameters.b1());
      first(x, up, first.withGate(gates), a);
      second(a, down, gates, accumulate, out);
    }
  }

  private void first(FloatTensor x, BlockPlan up, Epilogue epilogue, FloatTensor a) {
    BlockMatrix W1 = parameters.W1();
    SparseBlockDot.apply(W1, of(up.inputs(), x), rounding(up, W1), epilogue, a);
  }

  /** A plan as weights need it: packed ones are multiplied by rounded rows alone. */
  private BlockPlan rounding(BlockPlan plan, BlockMatrix W) {
    return ExpertsParameters.isPacked(W)
        ? plan.withRoundedInputs(ElementType.INT8)
        : roundsToBfloat16 ? plan.withRoundedInputs(ElementType.BFLOAT16) : plan;
  }

  /** Writes the sums over experts of what came out of their activations, or adds them. */
  private void second(
      FloatTensor a, BlockPlan down, FloatTensor gates, boolean accumulate, FloatTensor out) {
    Epilogue bias =
        parameters.b2() == null
            ? Epilogue.none()
            : Epilogue.none().withInputBias(parameters.b2(), gates);
    BlockProducts products = BlockProducts.of(parameters.W2(), rounding(down, parameters.W2()));
    if (accumulate) {
      products.add(a, bias, of(down.outputs(), out));
    } else {
      products.apply(a, bias, of(down.outputs(), out));
    }
  }

  /**
   * The mixtures of rows, by the gate, with what the way back needs; to be closed by the caller:
   *
   * <pre>{@code
   * try (ExpertsPass pass = experts.forward(x, out)) {
   *   softmax.step(out, labels, Loss.mean(), adam, gradOut); // what comes after the layer
   *   pass.step(gradOut, adam, gradX);
   * }
   * }</pre>
   *
   * <p>Kept for each pair of row and expert: sums + hidden floats, and sums more on the way back.
   * It is taken from memory that is kept for later calls.
   *
   * @param x (batch, inputs)
   * @param out (batch, outputs), whose content before does not matter
   * @throws IllegalStateException also if the weights are packed, and have no gradients
   */
  public ExpertsPass forward(FloatTensor x, FloatTensor out) {
    requireOut(x, out);
    Routing routing = route(x);
    try {
      return pass(x, routing, true, out);
    } catch (Throwable e) {
      routing.close();
      throw e;
    }
  }

  /**
   * As above, by a routing. Where {@link #route} of this layer has made it, the gate learns; where
   * not, the caller trains what has made it, by {@link ExpertsPass#gradGates}.
   *
   * @param routing of as many rows to as many experts; stays the caller's, and open until the pass
   *     is closed
   * @throws IllegalStateException also if the weights are packed, and have no gradients
   */
  public ExpertsPass forward(FloatTensor x, Routing routing, FloatTensor out) {
    requireOut(x, out);
    requireFits(routing, x);
    return pass(x, routing, false, out);
  }

  private ExpertsPass pass(FloatTensor x, Routing routing, boolean ownsRouting, FloatTensor out) {
    if (parameters.isPacked()) {
      throw new IllegalStateException(
          "forward: expected weights that have gradients, but they are packed; take apply");
    }
    try (Lease lease =
        parameters
            .lease(new Lease())
            .of("x", x)
            .of("routing", routing.gates())
            .writing("out", out)) {
      ExpertsPass pass = new ExpertsPass(this, x, routing, ownsRouting);
      Epilogue f = withBias(Epilogue.none().withActivation(activation, pass.z()), parameters.b1());
      f = f.withGate(routing.gates());
      BlockPlan up = pass.up();
      first(x, up, f, pass.a());
      second(pass.a(), pass.down(), routing.gates(), false, out);
      return pass;
    }
  }

  private static Epilogue withBias(Epilogue epilogue, FloatTensor bias) {
    return bias == null ? epilogue : epilogue.withBias(bias);
  }

  /** A tensor (batch, size) as the rows of one side of a plan, which has one row for each. */
  static FloatTensor of(SelectedRows side, FloatTensor tensor) {
    return tensor.reshape(side.shape(tensor.shape().dim(1)).toArray());
  }

  static FloatTensor tensor(Scratch memory, Shape shape) {
    return FloatTensor.dense(memory.storage().view(), shape);
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

  /** The type of the stored W1; if it is not FLOAT32, the layer cannot be trained. */
  public ElementType weightType() {
    return ElementType.of(parameters.type());
  }

  /**
   * A copy of this layer whose W1 and W2 are of another type, without optimizer state. The gate and
   * the biases stay floats: they are small, and the gate decides. {@link SaveOptions#withWeights}
   * needs no copy. Weights that were a transposed view, as in files of others, lie as those of
   * {@link Weights#of} in the copy, unless they are INT8.
   *
   * <p>With types that are packed ({@link ElementType#Q8_0} and those below), each product rounds
   * the rows that it reads to INT8, as {@link BlockPlan#withRoundedInputs} says: less precise, and
   * the fastest. Such a layer has no gradients.
   *
   * @throws IllegalArgumentException if a weight is not finite, or too large for the type
   * @throws IllegalStateException if weights would be rounded that have been rounded before
   */
  public MixtureOfExperts withWeights(ElementType type) {
    requireNonNull(type, "type");
    try (Lease lease = parameters.lease(new Lease())) {
      return new MixtureOfExperts(
          parameters.withWeights(type), gate, activation, workers, metadata);
    }
  }

  /**
   * A copy of this layer of INT8 with its weights {@linkplain Weights#packed packed}: the same
   * numbers, multiplied by rows that are rounded to INT8.
   *
   * @throws IllegalStateException if the weights are of another type, or packed already
   */
  public MixtureOfExperts packed() {
    try (Lease lease = parameters.lease(new Lease())) {
      return new MixtureOfExperts(parameters.packed(), gate, activation, workers, metadata);
    }
  }

  /**
   * This layer with the rows of its experts' products rounded to BFLOAT16, as the weights are:
   * faster on some processors, with the error that {@link BlockPlan#withRoundedInputs} says. Both
   * layers have the same parameters, and closing one closes both. Copies do not round, and files do
   * not keep it.
   *
   * @param type BFLOAT16; packed weights round to INT8 by themselves
   * @throws IllegalArgumentException if it is another type
   * @throws IllegalStateException if the weights are not of BFLOAT16, or a transposed view, which
   *     {@code withWeights(BFLOAT16)} copies as they should lie
   */
  public MixtureOfExperts withRoundedInputs(ElementType type) {
    if (requireNonNull(type, "type") != ElementType.BFLOAT16) {
      throw new IllegalArgumentException(
          "type: expected BFLOAT16 but was "
              + type
              + "; packed weights round to INT8 by themselves");
    }
    parameters.requireToRound();
    return new MixtureOfExperts(parameters, gate, activation, workers, metadata, true);
  }

  /** Saves parameters, gate and activation; see {@link #save(Path, SaveOptions)}. */
  public void save(Path file) throws IOException {
    save(file, SaveOptions.defaults());
  }

  /**
   * Saves the layer as a safetensors file with the parameters by their names. Whenever the machine
   * stops, the file is the old one or the new one, never a part of one.
   *
   * @throws IllegalStateException if a parameter is not finite
   * @throws IllegalArgumentException if the options have a bag, or weights are a transposed view,
   *     as those of files of others may be; see also {@link SaveOptions#withWeights}
   * @throws IOException if the file cannot be written; an old one is unchanged
   */
  public void save(Path file, SaveOptions options) throws IOException {
    requireNonNull(file, "file");
    SaveSettings settings = requireNonNull(options, "options").settings();
    try (Lease lease = parameters.lease(new Lease())) {
      ExpertsFile.save(
          new ExpertsFile.Content(
              activation.function(),
              gate == null ? null : gate.settings(),
              parameters.ofFile(),
              metadata),
          ofState(),
          workers.engine(),
          lease,
          file,
          settings);
    }
  }

  private List<OptimizerStateFile.Entry> ofState() {
    return state == null ? List.of() : state.entries(List.copyOf(parameters.byName().keySet()));
  }

  /** Loads a layer into memory; see {@link #load(Path, LoadOptions)}. */
  public static MixtureOfExperts load(Path file) throws IOException {
    return load(file, LoadOptions.copied());
  }

  /**
   * Loads what {@link #save(Path)} has written. If it is mapped, W1 and W2 are used where they lie:
   * an expert is read when a row is first given to it. The file may come from anybody.
   *
   * @throws FileFormatException if the file does not hold a layer of experts; it names the tensor
   *     and the reason
   * @throws IOException if the file cannot be read
   */
  public static MixtureOfExperts load(Path file, LoadOptions options) throws IOException {
    requireNonNull(file, "file");
    LoadSettings settings = requireNonNull(options, "options").settings();
    return FileFormatException.of(
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
   * The experts of a block of llama.cpp's models. Weights are used where they lie or packed, as
   * {@link GgufFile#weights(List, int, int)} says; the gate and the biases become floats:
   *
   * <table>
   *   <caption>Tensors of block 5; biases are optional</caption>
   *   <tr><th>parameter</th><th>tensor</th></tr>
   *   <tr><td>W1, b1</td><td>blk.5.ffn_gate_exps and blk.5.ffn_up_exps side by side, or
   *       blk.5.ffn_gate_up_exps; blk.5.ffn_up_exps alone if the activation is not gated</td></tr>
   *   <tr><td>W2, b2</td><td>blk.5.ffn_down_exps</td></tr>
   *   <tr><td>Wg, bg</td><td>blk.5.ffn_gate_inp</td></tr>
   * </table>
   *
   * <p>A file does not say how its model chooses experts and what their activation is. Mixtral and
   * Qwen 3 take {@link TopKGate#of} and {@link Activation#SWIGLU}; OLMoE and Qwen 2 take {@link
   * TopKGate#withoutRenormalization}; gpt-oss takes {@link Activation#CLAMPED_SWIGLU}. Where the
   * gate is not a softmax, as in DeepSeek 3, give a {@link Routing#of routing} to each call.
   * Metadata has the number of experts of a row: {@code qwen3moe.expert_used_count}, for instance.
   *
   * @param file may be closed afterwards
   * @param block from 0
   * @param gate null: each call is given a routing
   * @throws IllegalArgumentException if the gate is of another number of experts
   * @throws FileFormatException if a tensor is missing, has another shape or a type that cannot be
   *     used
   * @throws IOException if the file cannot be read
   * @throws IllegalStateException if the file is closed
   */
  public static MixtureOfExperts of(GgufFile file, int block, TopKGate gate, Activation activation)
      throws IOException {
    requireNonNull(activation, "activation");
    requireNonNull(file, "file");
    return new GgufExperts(file, "blk." + block + ".ffn_").layer(gate, activation);
  }

  /**
   * The experts of a layer from matrices (out, in) with names, as models of others have them in
   * safetensors. The names that are asked for are those of Qwen, OLMoE and DeepSeek after the part
   * that names the layer:
   *
   * <pre>{@code
   * try (TensorFile file = TensorFile.open(path, LoadOptions.mapped())) {
   *   return MixtureOfExperts.of(
   *       name -> file.weights("model.layers.5.mlp." + name),
   *       128, TopKGate.of(128, 8), Activation.SWIGLU, ElementType.Q8_0);
   * }
   * }</pre>
   *
   * <table>
   *   <caption>Names for expert 3; the function may look for others</caption>
   *   <tr><th>name</th><th>shape</th><th>Mixtral has</th></tr>
   *   <tr><td>experts.3.gate_proj.weight, of gated activations</td><td>(hidden, inputs)</td>
   *       <td>experts.3.w1.weight</td></tr>
   *   <tr><td>experts.3.up_proj.weight</td><td>(hidden, inputs)</td>
   *       <td>experts.3.w3.weight</td></tr>
   *   <tr><td>experts.3.down_proj.weight</td><td>(outputs, hidden)</td>
   *       <td>experts.3.w2.weight</td></tr>
   *   <tr><td>gate.weight, with a gate</td><td>(experts, inputs)</td><td>gate.weight</td></tr>
   * </table>
   *
   * <p>There are no biases; {@link MixtureOfExpertsBuilder#build(Map)} takes them. As to the gate
   * and the activation, see {@link #of(GgufFile, int, TopKGate, Activation)}.
   *
   * @param tensors is called for one matrix after the other, for some twice; each is copied, one
   *     expert at a time, and closed
   * @param experts how many there are
   * @param gate null: each call is given a routing
   * @param type of W1 and W2. FLOAT32 can be trained; a type of the file's loses nothing
   * @throws IllegalArgumentException if the gate is of another number of experts; if a tensor is
   *     missing, is no matrix, has another shape, or has an element that is not finite or too large
   *     for the type
   * @throws IOException if the function throws it
   * @throws OutOfMemoryError if there is not enough memory, naming the bytes
   */
  public static MixtureOfExperts of(
      ExpertTensors tensors, int experts, TopKGate gate, Activation activation, ElementType type)
      throws IOException {
    requireNonNull(tensors, "tensors");
    requireNonNull(activation, "activation");
    requireNonNull(type, "type");
    Check.dimension("experts", experts);
    if (gate != null && gate.experts() != experts) {
      throw new IllegalArgumentException(
          "gate: expected one of " + experts + " experts but was one of " + gate.experts());
    }
    return new NamedExperts(tensors, experts).layer(gate, activation, type);
  }

  private static MixtureOfExperts of(ExpertsFile.Content content, Workers workers) {
    ExpertsParameters parameters = ExpertsParameters.of(content.parameters());
    TopKGate gate =
        content.gate() == null
            ? null
            : TopKGate.of(parameters.experts(), content.gate()).withWorkers(workers);
    Activation activation = Activation.of(content.activation());
    return new MixtureOfExperts(parameters, gate, activation, workers, content.metadata());
  }

  /** The memory that it takes off the heap, mapped and private. */
  public MemoryUse memoryUse() {
    Stream<Storage> ofState = state == null ? Stream.empty() : state.memory();
    return MemoryUse.of(Stream.concat(parameters.memory(), ofState));
  }

  /** The strings that were in the file that this layer was loaded from, by key. */
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
        + ", "
        + workers
        + ")";
  }
}
