#include <cstdio>
#include <rapt/rapt.hpp>

int main() {
  rapt::Rng rng(1);
  rapt::TransformerConfig config = rapt::TransformerConfig::tiny(/*vocabulary=*/16);
  config.dropout = 0.1f;
  rapt::Transformer model(config, rng);
  rapt::Adam adam(model);
  for (int step = 1; step <= 300; ++step) {  // learn to reverse sequences of six letters, the ids 3 to 15
    std::vector<rapt::TokenPair> pairs(100);
    for (auto& [source, target] : pairs) {
      for (int i = 0; i < 6; ++i) source.push_back(static_cast<rapt::TokenId>(3 + rng.below(13)));
      target.assign(source.rbegin(), source.rend());
    }
    rapt::Training training(rng);  // gradients recorded, dropout on, until the brace closes
    const auto loss = model.loss(rapt::make_batch(pairs));
    rapt::backward(loss);
    adam.step(1e-3);
    if (step % 100 == 0) std::printf("step %d  loss %.3f\n", step, loss.item());
  }
  const auto found = rapt::beam_search(model, rapt::TokenBatch({{3, 4, 5, 6, 7, 8, 2}}), {.beam_size = 4});
  for (const rapt::TokenId token : found.front().tokens) std::printf("%d ", token);
  std::printf("\n");
}
