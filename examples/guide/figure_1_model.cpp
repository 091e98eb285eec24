// The whole of figure 1 as one model: its parameters by box, its loss, and what it decodes before it has learned.
#include <cstdio>
#include <map>
#include <rapt/rapt.hpp>
#include <string>

int main() {
  // --8<-- [start:model]
  rapt::Rng rng(1);
  const rapt::Transformer model(rapt::TransformerConfig::base(), rng);
  // --8<-- [end:model]
  std::map<std::string, rapt::Index> sizes;  // by what stands before the first dot
  rapt::for_each_parameter(model, [&](const std::string& name, const auto& parameter) {
    sizes[name.substr(0, name.find('.'))] += parameter.size();
  });
  for (const auto& [box, size] : sizes) std::printf("%-10s %10td parameters\n", box.c_str(), size);
  std::printf("together   %10td\n", rapt::count_parameters(model));

  // --8<-- [start:loss]
  const std::vector<rapt::TokenPair> pairs = {{.source = {5, 6, 7}, .target = {15, 16}}};
  const rapt::TranslationBatch batch = rapt::make_batch(pairs);  // adds the tokens around the sentences
  const auto loss = model.loss(batch, {.label_smoothing = 0.1f});
  // --8<-- [end:loss]
  std::printf("%td target tokens, loss per token %s\n", batch.target_count(), loss.item() > 5 ? "above 5" : "below 5");

  // --8<-- [start:decode]
  const auto found = rapt::beam_search(model, batch.source, {.beam_size = 4, .generation = {.max_length = 8}});
  // --8<-- [end:decode]
  std::printf("%zu translation of at most 8 tokens\n", found.size());
}
