// SPDX-License-Identifier: Apache-2.0
package engine;

import com.github.tjake.jlama.model.CausalSelfAttention;
import com.github.tjake.jlama.model.RMSNorm;
import com.github.tjake.jlama.model.TransformerBlock;
import com.github.tjake.jlama.model.functions.FeedForward;
import com.github.tjake.jlama.model.llama.LlamaTokenizer;
import com.github.tjake.jlama.model.mixtral.MixtralConfig;
import com.github.tjake.jlama.model.mixtral.MixtralModel;
import com.github.tjake.jlama.safetensors.Config;
import com.github.tjake.jlama.safetensors.DType;
import com.github.tjake.jlama.safetensors.SafeTensorSupport;
import com.github.tjake.jlama.safetensors.WeightLoader;
import com.github.tjake.jlama.safetensors.tokenizer.Tokenizer;
import com.github.tjake.jlama.tensor.AbstractTensor;
import com.github.tjake.jlama.util.JsonSupport;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.io.HuggingFaceModel;
import org.blocksparse.linear.DenseHead;

/** Jlama's Mixtral with the experts of this library; attention and norms are Jlama's. */
public abstract class ExpertsMixtral extends MixtralModel {
  // Without an initial value: the constructor of the superclass sets it.
  private FeedForward[] experts;

  /** The output layer; null if Jlama multiplies by all of it. */
  private DenseHead head;

  /**
   * A model that computes in float32.
   *
   * @param expertType converts the experts, in Jlama's words; if empty, they keep the file's type
   */
  public ExpertsMixtral(
      Config config, WeightLoader weights, Tokenizer tokenizer, Optional<DType> expertType) {
    super(config, weights, tokenizer, DType.F32, DType.F32, expertType);
  }

  /** Loads config.json, tokenizer.json and the safetensors of a folder. */
  public static ExpertsMixtral load(Path folder, Optional<DType> expertType) throws IOException {
    MixtralConfig config =
        JsonSupport.om.readValue(folder.resolve("config.json").toFile(), MixtralConfig.class);
    WeightLoader weights = SafeTensorSupport.loadWeights(folder.toFile());
    try (HuggingFaceModel files = HuggingFaceModel.open(folder)) {
      return new ExpertsMixtral(config, weights, new LlamaTokenizer(folder), expertType) {
        @Override
        protected FeedForward feedForward(int layer) {
          return load(files, layer);
        }
      };
    }
  }

  @Override
  protected TransformerBlock[] loadTransformerBlockWeights() {
    experts = new FeedForward[c.numberOfLayers];
    Arrays.setAll(experts, this::feedForward);
    TransformerBlock[] blocks = new TransformerBlock[experts.length];
    Arrays.setAll(blocks, this::block);
    return blocks;
  }

  private TransformerBlock block(int layer) {
    String base = "model.layers." + layer + ".";
    CausalSelfAttention attention =
        new CausalSelfAttention(
            this,
            layer,
            weights.load(base + "self_attn.q_proj.weight"),
            weights.load(base + "self_attn.k_proj.weight"),
            weights.load(base + "self_attn.v_proj.weight"),
            weights.load(base + "self_attn.o_proj.weight"));
    return new TransformerBlock(
        this,
        layer,
        new RMSNorm(this, weights.load(base + "input_layernorm.weight")),
        attention,
        new RMSNorm(this, weights.load(base + "post_attention_layernorm.weight")),
        experts[layer]);
  }

  /** Makes the experts of a layer; the constructor of the superclass calls it. */
  protected abstract FeedForward feedForward(int layer);

  FeedForward load(HuggingFaceModel files, int layer) {
    ElementType type =
        switch (modelQType.orElse(modelDType)) {
          case F16 -> ElementType.FLOAT16;
          case BF16 -> ElementType.BFLOAT16;
          case I8 -> ElementType.INT8;
          case Q4 -> ElementType.Q4_0;
          default -> ElementType.FLOAT32;
        };
    return ExpertsFeedForward.load(
        files, layer, type, rows -> makeDenseTensor(rows, c.embeddingLength));
  }

  /**
   * From now on, tokens at temperature 0 are found by an exact search, without all logits.
   *
   * @throws IllegalStateException if the output layer is not of float32
   */
  public void searchOutputs() {
    AbstractTensor<?, ?> rows = sampleOutput.getOutputLogitsWeights();
    if (rows.dType() != DType.F32) {
      throw new IllegalStateException("output layer: expected F32 but was " + rows.dType());
    }
    MemorySegment segment = rows.getMemorySegment();
    head =
        DenseHead.of(
            FloatTensor.wrapAddress(
                segment.address(),
                segment.byteSize(),
                segment,
                c.vocabularySize,
                c.embeddingLength),
            null);
  }

  @Override
  public int sample(
      AbstractTensor output, float temperature, float uniformSample, AbstractTensor logits) {
    if (head == null || temperature != 0) {
      return super.sample(output, temperature, uniformSample, logits);
    }
    try (AbstractTensor<?, ?> features = sampleOutput.getOutputLayerNorm().forward(output)) {
      float[] row = new float[c.embeddingLength];
      for (int i = 0; i < row.length; i++) {
        row[i] = features.get(0, i);
      }
      try (FloatTensor x = FloatTensor.of(row, 1, row.length)) {
        return head.topK(x, 1).output(0, 0);
      }
    }
  }

  @Override
  public void close() {
    super.close();
    if (head != null) {
      head.close();
    }
    for (FeedForward each : experts) {
      if (each instanceof ExpertsFeedForward ours) {
        ours.close();
      }
    }
  }
}
