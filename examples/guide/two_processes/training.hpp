// A training that processes share: a small Transformer learns to reverse sequences of letters.
#pragma once

#include <rapt/rapt.hpp>
#include <rapt/train/processes.hpp>
#include <vector>

/// What each of the processes runs. All of them have the same source of batches, of which each makes its own alone.
inline rapt::Transformer<float> train(rapt::Communicator& communicator) {
  rapt::Rng rng(1);
  std::vector<rapt::TokenPair> pairs(256);  // sequences of letters, each with its reverse
  for (auto& [source, target] : pairs) {
    for (int i = 0; i < 6; ++i) source.push_back(static_cast<rapt::TokenId>(3 + rng.below(13)));
    target.assign(source.rbegin(), source.rend());
  }
  rapt::TransformerConfig config = rapt::TransformerConfig::tiny(/*vocabulary=*/16);
  config.d_model = 32;
  config.encoder_layers = config.decoder_layers = 1;
  rapt::Transformer model(config, rng);
  rapt::BatchStream batches(pairs, {.tokens = 112});  // 16 pairs a batch
  rapt::Trainer trainer(model, {.learning_rate = rapt::CosineSchedule{.peak = 3e-3, .warmup = 10, .steps = 40},
                                .micro_batches = 4,  // of a step, whatever the number of processes
                                .communicator = &communicator,
                                .shard_optimizer = true});  // each has the state of Adam for its part alone
  const auto no_validation = [] { return 0.0; };
  trainer.run(batches, {.steps = 40}, no_validation, [](const rapt::Progress&) {});
  return model;
}
