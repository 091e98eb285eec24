/// \file
/// libFuzzer target: whatever a model's file or its config is, loading it as a model of any kind either works or throws
/// rapt::Error. A config that was read is written and read again as the same.
///
/// An input that begins with '{' is the config in the file of a small Transformer, every other one is the whole file.
///
///     sh tests/fuzz/run.sh 120 model_file  # -max_len=8192
#include <cstdint>
#include <string>

#include "rapt/io/model_file.hpp"
#include "rapt/models/bart.hpp"
#include "rapt/models/beit.hpp"
#include "rapt/models/bert.hpp"
#include "rapt/models/clip.hpp"
#include "rapt/models/deit.hpp"
#include "rapt/models/gemma.hpp"
#include "rapt/models/gpt.hpp"
#include "rapt/models/image_gpt.hpp"
#include "rapt/models/llama.hpp"
#include "rapt/models/mae.hpp"
#include "rapt/models/marian.hpp"
#include "rapt/models/patch_prediction.hpp"
#include "rapt/models/t5.hpp"
#include "rapt/models/transformer.hpp"
#include "rapt/models/transformer_xl.hpp"
#include "rapt/models/transgan.hpp"
#include "rapt/models/vit.hpp"
#include "rapt/models/whisper.hpp"
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

/// A file of another kind of model is refused by its config.
template <class M>
void load(const rapt_fuzz::Folder& folder, const std::string& input) {
  using Config = typename M::Config;
  try {
    if (input.starts_with('{')) {
      const std::string config = rapt::config_to_json(rapt::config_from_json<Config>(input, "input"));
      rapt_fuzz::expect(rapt::config_to_json(rapt::config_from_json<Config>(config, "again")) == config);
    }
    const M model = rapt::load_model<M>(folder.path() / "model.safetensors");
    rapt::save_model(folder.path() / "again.safetensors", model);
    const M again = rapt::load_model<M>(folder.path() / "again.safetensors");
    rapt_fuzz::expect(rapt::count_parameters(again) == rapt::count_parameters(model));
  } catch (const rapt::Error&) {
  }
}

template <template <class> class... Models>
void load_as_each(const rapt_fuzz::Folder& folder, const std::string& input) {
  (load<Models<float>>(folder, input), ...);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const rapt_fuzz::Folder folder;
  const std::string input(reinterpret_cast<const char*>(data), size);
  if (input.starts_with('{')) {
    try {
      write_model(folder.path() / "model.safetensors", input);
    } catch (const rapt::Error&) {  // metadata that is not UTF-8
      return 0;
    }
  } else {
    folder.write("model.safetensors", input);
  }
  load_as_each<rapt::Transformer, rapt::Marian, rapt::Gpt, rapt::Llama, rapt::ImageGpt, rapt::TransformerXl, rapt::Bert,
               rapt::Vit, rapt::Deit, rapt::Mae, rapt::Beit, rapt::T5, rapt::Gemma, rapt::Bart, rapt::Clip,
               rapt::Whisper, rapt::PatchPrediction, rapt::TransGanGenerator, rapt::TransGanDiscriminator>(folder,
                                                                                                           input);
  return 0;
}
