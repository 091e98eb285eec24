// Trains a Transformer and writes a file that torch.nn.Transformer loads; opens what PyTorch has written.
//
//   pytorch_weights                    trains, writes reverser.safetensors
//   pytorch_weights FILE.pt            opens a state_dict that torch.save has written
//   pytorch_weights FILE.safetensors   the same of safetensors.torch.save_file
#include <cstdio>
#include <filesystem>
#include <rapt/io/model_file.hpp>
#include <rapt/io/torch_file.hpp>
#include <rapt/rapt.hpp>

/// Random sequences of six of the tokens 3 .. 15, each with its reverse.
std::vector<rapt::TokenPair> sequences(std::size_t count, rapt::Rng& rng) {
  std::vector<rapt::TokenPair> pairs(count);
  for (auto& [source, target] : pairs) {
    for (int i = 0; i < 6; ++i) source.push_back(static_cast<rapt::TokenId>(3 + rng.below(13)));
    target.assign(source.rbegin(), source.rend());
  }
  return pairs;
}

int main(int argc, char** argv) {
  rapt::TransformerConfig config = rapt::TransformerConfig::tiny(/*vocabulary=*/16);
  config.d_model = 64;
  config.encoder_layers = config.decoder_layers = 2;
  config.dropout = 0.1f;
  config.final_norm = true;  // torch.nn.Transformer has a norm behind each stack
  rapt::Rng rng(1);
  rapt::Transformer model(config, rng);

  if (argc > 1) {
    const std::filesystem::path path = argv[1];
    if (path.extension() == ".safetensors") {
      rapt::load_parameters(model, rapt::SafetensorsFile(path));
    } else {
      rapt::load_parameters(model, rapt::TorchFile(path));
    }
  } else {
    rapt::Adam adam(model);
    const rapt::CosineSchedule learning_rate{.peak = 3e-3, .warmup = 30, .steps = 300};
    for (int step = 1; step <= 300; ++step) {
      const rapt::Training training(rng);
      rapt::backward(model.loss(rapt::make_batch(sequences(50, rng))));
      adam.step(learning_rate(step));
    }
    rapt::save_model("reverser.safetensors", model);
    const rapt::SafetensorsFile file("reverser.safetensors");
    for (const char* name : {"embedding.weight", "encoder.layers.0.self_attn.in_proj_weight", "decoder.norm.bias"}) {
      std::printf("%s %s\n", name, rapt::to_string(file.shape(name)).c_str());
    }
  }
  const rapt::TokenPair pair{{3, 5, 7, 9, 11, 13}, {}};
  const auto found = rapt::greedy_search(model, rapt::make_batch(std::vector{pair}).source);
  for (const rapt::TokenId token : found[0].tokens) std::printf("%d ", token);
  std::printf("is the reverse of 3 5 7 9 11 13\n");
}
