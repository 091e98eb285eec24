/// \file
/// libFuzzer target: whatever the bytes of config.json and generation_config.json are, they either give a config or
/// throw rapt::Error. A config that can be written is read back as the same, and a model of it without weights costs no
/// memory.
///
/// The first byte says which kind of model, the second which tensors the folder has; then comes config.json and, behind
/// a byte 0, generation_config.json.
///
///     sh tests/fuzz/run.sh 120 config  # -max_len=4096 -malloc_limit_mb=500
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

#include "rapt/pretrained/bart.hpp"
#include "rapt/pretrained/beit.hpp"
#include "rapt/pretrained/bert.hpp"
#include "rapt/pretrained/clip.hpp"
#include "rapt/pretrained/deit.hpp"
#include "rapt/pretrained/gemma.hpp"
#include "rapt/pretrained/generation_defaults.hpp"
#include "rapt/pretrained/gpt.hpp"
#include "rapt/pretrained/image_gpt.hpp"
#include "rapt/pretrained/llama.hpp"
#include "rapt/pretrained/mae.hpp"
#include "rapt/pretrained/marian.hpp"
#include "rapt/pretrained/modern_bert.hpp"
#include "rapt/pretrained/t5.hpp"
#include "rapt/pretrained/transformer_xl.hpp"
#include "rapt/pretrained/vit.hpp"
#include "rapt/pretrained/whisper.hpp"

namespace {

namespace detail = rapt::detail;

struct Texts {
  std::string config, generation;
  std::uint8_t tensors = 0;
};

template <class Config>
Config read(const Texts& texts) {
  auto config =
      detail::config_from_json<Config>(detail::parse_json_object(texts.config, "config.json", "fuzz"), "config.json");
  const std::string& generation = texts.generation.empty() ? texts.config : texts.generation;
  detail::read_generation_keys(config, detail::parse_json_object(generation, "generation_config.json", "fuzz"),
                               "generation_config.json");
  detail::detect_heads(config, [&](std::string_view name) { return (texts.tensors >> (name.size() % 8) & 1) != 0; });
  detail::validate_config(config, "config.json");
  return config;
}

template <class Config>
Texts write(const Config& config, std::uint8_t tensors) {
  Texts texts{detail::file_text(detail::config_to_json<float>(config), "config.json"), {}, tensors};
  if constexpr (detail::HasGenerationKeys<Config>) {
    texts.generation = detail::file_text(detail::generation_config_to_json(config), "generation_config.json");
  }
  return texts;
}

/// Only the tokens that begin and end a text are null where a model has none: without a key they would be others'
/// defaults.
bool holds_null(const nlohmann::json& json) {
  if (!json.is_structured()) return json.is_null();
  for (const auto& [key, value] : json.items()) {
    if (key != "bos_token_id" && key != "eos_token_id" && holds_null(value)) return true;
  }
  return false;
}

/// As many as a folder with few tensors may have.
template <class Config>
bool has_few_layers(const Config& config) {
  if constexpr (requires { config.encoder_layers; }) {
    return config.encoder_layers + config.decoder_layers < 4;
  } else if constexpr (requires { config.decoder_layers; }) {
    return config.layers < 4 && config.decoder_layers < 4;
  } else if constexpr (requires { config.vision; }) {
    return config.text.layers < 4 && config.vision.layers < 4;
  } else {
    return config.layers < 4;
  }
}

/// The options that the file gives, of a model with and without a longest context, are those of searches, or refused.
void read_defaults(const std::string& text) {
  for (const std::optional<rapt::Index> positions : {std::optional<rapt::Index>(), std::optional<rapt::Index>(9)}) {
    try {
      const rapt::GenerationDefaults defaults = detail::generation_defaults_from_json(
          detail::parse_json_object(text, "generation_config.json", "fuzz"), "generation_config.json", positions);
      defaults.beam.generation.validate("fuzz");
    } catch (const rapt::Error&) {
    }
  }
}

template <class M>
void run(const Texts& texts) {
  using Config = typename M::Config;
  read_defaults(texts.generation.empty() ? texts.config : texts.generation);
  const Config config = read<Config>(texts);
  if (has_few_layers(config)) {
    try {
      const detail::InitialiseNothing scope;
      rapt::Rng rng;
      const M model(config, rng);
    } catch (const rapt::Error&) {  // a tensor of too many elements
    }
  }
  Texts first;
  try {
    first = write(config, texts.tensors);
  } catch (const rapt::ValueError&) {  // settings that Hugging Face has no model for
    return;
  }
  for (const std::string* text : {&first.config, &first.generation}) {
    if (!text->empty() && holds_null(detail::parse_json_object(*text, "written", "fuzz"))) std::abort();
  }
  const Texts second = write(read<Config>(first), texts.tensors);
  if (first.config != second.config || first.generation != second.generation) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::size_t end = text.find('\0');
  Texts texts{std::string(text.substr(0, end)), {}, data[1]};
  if (end != std::string_view::npos) texts.generation = text.substr(end + 1);
  constexpr void (*kKinds[])(const Texts&) = {
      run<rapt::Gpt<float>>,      run<rapt::Bert<float>>,       run<rapt::Llama<float>>,
      run<rapt::Marian<float>>,   run<rapt::Vit<float>>,        run<rapt::Deit<float>>,
      run<rapt::Beit<float>>,     run<rapt::Mae<float>>,        run<rapt::TransformerXl<float>>,
      run<rapt::ImageGpt<float>>, run<rapt::T5<float>>,         run<rapt::Gemma<float>>,
      run<rapt::Bart<float>>,     run<rapt::ModernBert<float>>, run<rapt::Clip<float>>,
      run<rapt::Whisper<float>>};
  try {
    kKinds[data[0] % std::size(kKinds)](texts);
  } catch (const rapt::Error&) {
  }
  return 0;
}
