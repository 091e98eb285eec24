/// \file
/// libFuzzer target: whatever a model's file or its configuration is, loading the model either works or throws
/// rapt::Error.
///
/// An input that begins with '{' is the configuration in the file of a small model, every other one is the whole file.
///
///     sh tests/fuzz/run.sh 120 model_file  # -max_len=8192
#include <cstdint>
#include <string>

#include "rapt/io/model_file.hpp"
#include "tests/fuzz/fuzz_files.hpp"

namespace {

/// A small model's tensors with this configuration, which may be another model's, as a file.
void write_model(const std::filesystem::path& path, const std::string& config) {
  static const rapt::Transformer<float> model = [] {
    rapt::Rng rng(1);
    return rapt::Transformer<float>({.source_vocabulary = 5,
                                     .target_vocabulary = 5,
                                     .d_model = 2,
                                     .heads = 1,
                                     .d_ff = 2,
                                     .encoder_layers = 1,
                                     .decoder_layers = 1},
                                    rng);
  }();
  rapt::write_safetensors(path, rapt::parameter_entries(model), {{"config", config}});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const rapt_fuzz::Folder folder;
  const std::string input(reinterpret_cast<const char*>(data), size);
  const auto path = folder.path() / "model.safetensors";
  try {
    if (input.starts_with('{')) {
      const std::string config = rapt::config_to_json(rapt::config_from_json(input, "input"));
      rapt_fuzz::expect(rapt::config_to_json(rapt::config_from_json(config, "again")) == config);
      write_model(path, input);
    } else {
      folder.write("model.safetensors", input);
    }
    const auto model = rapt::load_model<float>(path);
    rapt::save_model(folder.path() / "again.safetensors", model);
    const auto again = rapt::load_model<float>(folder.path() / "again.safetensors");
    rapt_fuzz::expect(rapt::count_parameters(again) == rapt::count_parameters(model));
  } catch (const rapt::Error&) {
  }
  return 0;
}
