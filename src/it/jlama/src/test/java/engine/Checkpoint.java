// SPDX-License-Identifier: Apache-2.0
package engine;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** A random Mixtral in a folder, as Hugging Face has them, in float32; its tokens are bytes. */
record Checkpoint(int size, int hidden, int layers, int experts) {
  static final int PER_TOKEN = 2;

  private static final int HEADS = 4;
  private static final int KEY_HEADS = 2;

  /** {@code <unk>}, {@code <s>} and {@code </s>} come first. */
  private static final int FIRST_BYTE = 3;

  private static final int VOCABULARY = FIRST_BYTE + 256;

  void write(Path folder) throws IOException {
    Files.writeString(
        folder.resolve("config.json"),
        """
        {"model_type": "mixtral", "max_position_embeddings": 2048, "hidden_size": %d,
         "intermediate_size": %d, "num_attention_heads": %d, "num_key_value_heads": %d,
         "num_hidden_layers": %d, "rms_norm_eps": 1e-5, "vocab_size": %d, "bos_token_id": 1,
         "eos_token_id": 2, "rope_theta": 10000.0, "hidden_act": "silu", "num_local_experts": %d,
         "num_experts_per_tok": %d}
        """
            .formatted(size, hidden, HEADS, KEY_HEADS, layers, VOCABULARY, experts, PER_TOKEN));
    String bytes =
        IntStream.range(0, 256)
            .mapToObj(b -> "\"<0x%02X>\": %d".formatted(b, FIRST_BYTE + b))
            .collect(Collectors.joining(", "));
    Files.writeString(
        folder.resolve("tokenizer.json"),
        """
        {"model": {"type": "BPE", "unk_token": "<unk>", "byte_fallback": true, "merges": [],
          "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2, %s}}}
        """
            .formatted(bytes));
    writeTensors(folder.resolve("model.safetensors"));
  }

  private Map<String, int[]> shapes() {
    Map<String, int[]> shapes = new LinkedHashMap<>();
    shapes.put("model.embed_tokens.weight", new int[] {VOCABULARY, size});
    for (int layer = 0; layer < layers; layer++) {
      String base = "model.layers." + layer + ".";
      int keys = size / HEADS * KEY_HEADS;
      shapes.put(base + "self_attn.q_proj.weight", new int[] {size, size});
      shapes.put(base + "self_attn.k_proj.weight", new int[] {keys, size});
      shapes.put(base + "self_attn.v_proj.weight", new int[] {keys, size});
      shapes.put(base + "self_attn.o_proj.weight", new int[] {size, size});
      shapes.put(base + "input_layernorm.weight", new int[] {size});
      shapes.put(base + "post_attention_layernorm.weight", new int[] {size});
      shapes.put(base + "block_sparse_moe.gate.weight", new int[] {experts, size});
      for (int e = 0; e < experts; e++) {
        String expert = base + "block_sparse_moe.experts." + e + ".";
        shapes.put(expert + "w1.weight", new int[] {hidden, size});
        shapes.put(expert + "w2.weight", new int[] {size, hidden});
        shapes.put(expert + "w3.weight", new int[] {hidden, size});
      }
    }
    shapes.put("model.norm.weight", new int[] {size});
    shapes.put("lm_head.weight", new int[] {VOCABULARY, size});
    return Collections.unmodifiableMap(shapes);
  }

  private static long elements(int[] shape) {
    return IntStream.of(shape).asLongStream().reduce(1, Math::multiplyExact);
  }

  private void writeTensors(Path file) throws IOException {
    StringBuilder header = new StringBuilder();
    long end = 0;
    for (Map.Entry<String, int[]> each : shapes().entrySet()) {
      long begin = end;
      end += Float.BYTES * elements(each.getValue());
      header.append(header.isEmpty() ? "{" : ", ");
      header.append(
          "\"%s\": {\"dtype\": \"F32\", \"shape\": %s, \"data_offsets\": [%d, %d]}"
              .formatted(
                  each.getKey(), IntStream.of(each.getValue()).boxed().toList(), begin, end));
    }
    header.append("}");
    header.append(" ".repeat(-header.length() & 7));
    SplittableRandom random = new SplittableRandom(1);
    try (var out = new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(file)))) {
      out.writeLong(Long.reverseBytes(header.length()));
      out.write(header.toString().getBytes(UTF_8));
      shapes().values().forEach(shape -> write(out, shape, random));
    }
  }

  /** Norms are about 1; the elements of a matrix have the variance 1 / inputs. */
  private static void write(DataOutputStream out, int[] shape, SplittableRandom random) {
    int inputs = shape[shape.length - 1];
    float width = shape.length == 1 ? 0.1f : (float) Math.sqrt(12.0 / inputs);
    float center = shape.length == 1 ? 1 : 0;
    ByteBuffer row = ByteBuffer.allocate(Float.BYTES * inputs).order(ByteOrder.LITTLE_ENDIAN);
    try {
      for (long rows = elements(shape) / inputs; rows > 0; rows--) {
        row.clear();
        for (int i = 0; i < inputs; i++) {
          row.putFloat(center + width * (float) (random.nextDouble() - 0.5));
        }
        out.write(row.array());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
