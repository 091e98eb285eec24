// The boxes of the paper's figure 1, from the bottom to the top, with the sizes of its base model.
#include <cstdio>
#include <rapt/rapt.hpp>

void print(const char* box, const rapt::Variable<float>& result) {
  std::printf("%-22s%s\n", box, rapt::to_string(result.shape()).c_str());
}

int main() {
  // --8<-- [start:inputs]
  rapt::Rng rng(1);
  const auto base = rapt::TransformerConfig::base(/*vocabulary=*/100);
  const rapt::TokenBatch source{{5, 6, 7, 2}, {8, 9, 2}};  // two sentences: 7 tokens, and no padding
  const rapt::TokenBatch target{{1, 15, 16}, {1, 17}};     // what the decoder has read so far: 5 tokens
  // --8<-- [end:inputs]
  // --8<-- [start:embedding]
  const rapt::Embedding<float> embedding(/*vocabulary=*/100, base.d_model, rng);
  const auto embedded = embedding(source.tokens);
  // --8<-- [end:embedding]
  print("input embedding", embedded);
  // --8<-- [start:positions]
  const rapt::SinusoidalPositionalEncoding<float> add_positions(base.d_model);
  const auto x = add_positions(embedded, source.row_splits);
  // --8<-- [end:positions]
  print("positional encoding", x);
  // --8<-- [start:attention]
  const rapt::MultiHeadAttention<float> attention({.d_model = base.d_model, .heads = base.heads}, rng);
  rapt::Tensor<float> p;  // the attention probabilities, [B, H, queries, keys]
  print("multi-head attention", attention(x, source.row_splits, {.causal = true}, {.weights = &p}));
  // --8<-- [end:attention]
  std::printf("  of p %s row 0 is %.1f %.1f ...\n", rapt::to_string(p.shape()).c_str(), *p.data(), p.data()[1]);
  // --8<-- [start:add_norm]
  const rapt::AddNorm<float> add_norm({.d_model = base.d_model});
  const auto h = add_norm(x, [&](const auto& n) { return attention(n, source.row_splits); });
  // --8<-- [end:add_norm]
  print("add & norm", h);
  // --8<-- [start:feed_forward]
  const rapt::FeedForward<float> feed_forward({.d_model = base.d_model, .d_ff = base.d_ff}, rng);
  print("feed forward", add_norm(h, feed_forward));
  // --8<-- [end:feed_forward]
  // --8<-- [start:encoder]
  const rapt::Encoder<float> encoder(base.encoder_layers, base.layer(), /*final_norm=*/false, rng);
  const auto encoder_output = encoder(x, source.row_splits);
  // --8<-- [end:encoder]
  print("encoder of 6 layers", encoder_output);
  // --8<-- [start:decoder]
  const rapt::Decoder<float> decoder(base.decoder_layers, base.decoder_layer(), /*final_norm=*/false, rng);
  const auto target_x = add_positions(embedding(target.tokens), target.row_splits);
  const auto hidden = decoder(target_x, target.row_splits, encoder_output, source.row_splits);
  // --8<-- [end:decoder]
  print("decoder of 6 layers", hidden);
  // --8<-- [start:output]
  const auto logits = rapt::linear<float>(hidden, embedding.weight(), {});  // the embedding's matrix again
  const auto probabilities = rapt::softmax(logits);
  // --8<-- [end:output]
  print("linear", logits);
  std::printf("softmax               each row sums to %.1f\n", probabilities.value().matrix().row(0).sum());
}
