/// \file
/// The searches that a Hugging Face folder asks for in generation_config.json.
#pragma once

#include <algorithm>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rapt/generation/generation_defaults.hpp"
#include "rapt/pretrained/config_keys.hpp"
#include "rapt/pretrained/folder_contents.hpp"
#include "rapt/pretrained/gguf_model.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// The value of a key; null if it is absent.
[[nodiscard]] inline const nlohmann::json& value_or_null(const nlohmann::json& json, const char* key) {
  static const nlohmann::json null;
  const auto found = json.find(key);
  return found == json.end() ? null : *found;
}

/// Throws IoError for the settings of transformers' generate that change what is generated and that no search of rapt
/// has. Values that change nothing are passed over.
inline void refuse_other_searches(const nlohmann::json& json, const std::string& where) {
  const auto refuse = [&](const char* key, const char* what) {
    fail<IoError>("pretrained", where, ": \"", key, "\" is ", describe(value_or_null(json, key)), ", and rapt has no ",
                  what);
  };
  const auto number = [&](const char* key, double otherwise) {
    const nlohmann::json& value = value_or_null(json, key);
    return value.is_number() ? value.get<double>() : otherwise;
  };
  if (number("num_beam_groups", 1) > 1) refuse("num_beam_groups", "diverse beam search");
  if (number("diversity_penalty", 0) != 0) refuse("diversity_penalty", "diverse beam search");
  if (number("penalty_alpha", 0) > 0) refuse("penalty_alpha", "contrastive search");
  if (number("guidance_scale", 1) != 1) refuse("guidance_scale", "classifier-free guidance");
  for (const auto& [key, what] :
       {std::pair{"dola_layers", "contrast of layers"}, std::pair{"constraints", "beam search with constraints"},
        std::pair{"force_words_ids", "beam search with constraints"}, std::pair{"sequence_bias", "bias of sequences"},
        std::pair{"stop_strings", "search that ends at strings"}, std::pair{"top_h", "sampling by top_h"},
        std::pair{"watermarking_config", "watermarks"}, std::pair{"max_time", "limit of time"}}) {
    if (!value_or_null(json, key).is_null()) refuse(key, what);
  }
  if (value_or_null(json, "token_healing") == true) refuse("token_healing", "healing of tokens");
  if (number("num_beams", 1) > 1) {
    if (value_or_null(json, "do_sample") == true) refuse("do_sample", "beam search that draws tokens");
    if (value_or_null(json, "renormalize_logits") == true) {
      refuse("renormalize_logits", "beam search that normalises logits again");
    }
  }
}

/// Lengths, which transformers counts with the prompt or the begin token, unless they are of new tokens. Where no
/// longest length is named, the positions of the model, if known, are a limit, too.
inline void read_lengths(GenerationOptions& options, const ConfigReader& key, std::optional<Index> positions) {
  constexpr Index kDefaultLength = 20;  // of new tokens
  std::optional<Index> longest, shortest, longest_new, shortest_new;
  key("max_length", longest);
  key("max_new_tokens", longest_new);
  key("min_length", shortest);
  key("min_new_tokens", shortest_new);
  options.extra_length = std::numeric_limits<Index>::max();
  if (longest_new || !longest) options.max_length = longest_new.value_or(kDefaultLength);
  if (!longest_new && (longest || positions)) options.max_total_length = longest ? *longest : *positions;
  if (shortest_new) {
    options.min_length = *shortest_new;
  } else {
    options.min_total_length = shortest.value_or(0);
  }
}

/// What tokens may come where.
inline void read_token_rules(GenerationOptions& options, const nlohmann::json& json, const ConfigReader& key) {
  key.unless_absent("repetition_penalty", options.repetition_penalty);
  key.unless_absent("encoder_repetition_penalty", options.encoder_repetition_penalty);
  key.unless_absent("no_repeat_ngram_size", options.no_repeat_ngram_size);
  key.unless_absent("encoder_no_repeat_ngram_size", options.encoder_no_repeat_ngram_size);
  key("begin_suppress_tokens", options.begin_suppressed);
  key("forced_bos_token_id", options.forced_begin);
  key("forced_eos_token_id", options.forced_ends);
  options.forced_tokens_are_free = true;
  std::vector<TokenId> ends, suppressed;
  key("eos_token_id", ends);
  key("suppress_tokens", suppressed);
  key.unless_absent("bad_words_ids", options.bad_words);
  std::erase_if(options.bad_words, [&](const std::vector<TokenId>& word) {
    return word.size() == 1 && std::find(ends.begin(), ends.end(), word.front()) != ends.end();
  });
  for (const TokenId token : suppressed) options.bad_words.push_back({token});
  const nlohmann::json& decay = value_or_null(json, "exponential_decay_length_penalty");
  if (decay.is_null()) return;
  std::vector<float> numbers;
  key("exponential_decay_length_penalty", numbers);
  key.expect(numbers.size() == 2 && numbers[0] >= 0 && numbers[0] < 1e9f, "exponential_decay_length_penalty", decay,
             "a list of two numbers, a length and a factor");
  options.exponential_decay = {static_cast<Index>(numbers[0]), numbers[1]};
}

/// What a generation_config.json, or a config.json that stands for it, says. Absent keys have transformers' defaults.
/// Throws IoError that names the file for values that are wrong, or that ask for what rapt cannot do.
/// `positions`: the longest context of the model, if known.
[[nodiscard]] inline GenerationDefaults generation_defaults_from_json(const nlohmann::json& json,
                                                                      const std::string& where,
                                                                      std::optional<Index> positions = {}) {
  refuse_other_searches(json, where);
  const ConfigReader key(json, where);
  GenerationDefaults defaults{
      .beam = {.beam_size = 1,
               .length_penalty = 1.f,
               .length_normalisation = LengthNormalisation::plain,
               .stop = StopCriterion::nothing_better_now,
               .only_best_end = true},
      .sampling = {.top_k = 50},
  };
  key.unless_absent("do_sample", defaults.samples);
  key.unless_absent("num_return_sequences", defaults.results);
  key.unless_absent("num_beams", defaults.beam.beam_size);
  key.unless_absent("length_penalty", defaults.beam.length_penalty);
  const nlohmann::json& stop = value_or_null(json, "early_stopping");
  key.expect(stop.is_null() || stop.is_boolean() || stop == "never", "early_stopping", stop,
             "true, false or \"never\"");
  if (stop == true) defaults.beam.stop = StopCriterion::enough_ended;
  if (stop == "never") defaults.beam.stop = StopCriterion::nothing_better;
  key.unless_absent("temperature", defaults.sampling.temperature);
  key.unless_absent("top_k", defaults.sampling.top_k);
  key.unless_absent("top_p", defaults.sampling.top_p);
  key.unless_absent("min_p", defaults.sampling.min_p);
  key.unless_absent("typical_p", defaults.sampling.typical_p);
  key.unless_absent("epsilon_cutoff", defaults.sampling.epsilon_cutoff);
  key.unless_absent("eta_cutoff", defaults.sampling.eta_cutoff);
  GenerationOptions& generation = defaults.beam.generation;
  read_lengths(generation, key, positions);
  read_token_rules(generation, json, key);
  defaults.sampling.generation = generation;
  return defaults;
}

}  // namespace detail

/// What the folder of a model says about generation: generation_config.json, or config.json where there is no such
/// file; a GGUF file says nothing but the number of positions. The files are read once; a const object may be used from
/// many threads.
class GenerationSettings {
 public:
  /// Throws IoError that names the file for a folder without a config.json and for files that are no JSON objects.
  explicit GenerationSettings(const std::filesystem::path& folder) {
    if (detail::is_gguf(folder)) {  // which says nothing of searches
      file_ = folder.string();
      const nlohmann::json config = detail::GgufSettings(GgufFile(folder)).config();
      positions_ = config.at("max_position_embeddings").get<Index>();
      json_ = nlohmann::json::object();
      return;
    }
    const detail::FolderContents contents(folder, "pretrained", "config.json and perhaps generation_config.json");
    if (!contents.has("config.json")) contents.refuse_without("no config.json");
    const std::filesystem::path config_path = folder / "config.json", own_path = folder / "generation_config.json";
    file_ = config_path.string();
    json_ = detail::read_json_object(config_path, "pretrained");
    const detail::ConfigReader key(json_, file_);
    for (const char* name : {"n_positions", "max_position_embeddings"}) key.unless_absent(name, positions_);
    if (!contents.has("generation_config.json")) {
      add_defaults_of_model();
      return;
    }
    file_ = own_path.string();
    json_ = detail::read_json_object(own_path, "pretrained");
  }

  /// The search that the settings ask for, with the meaning and the defaults that transformers 5 gives the keys.
  /// `changes`: an object of keys that take the place of the file's. Throws IoError that names the file for wrong
  /// values, and for settings that change what is generated and that rapt cannot do. Keys without a meaning for
  /// searches are passed over; begin and end tokens are read with the model.
  [[nodiscard]] GenerationDefaults defaults(const nlohmann::json& changes = nlohmann::json::object()) const {
    nlohmann::json json = json_;
    json.update(changes);
    return detail::generation_defaults_from_json(json, file_, positions_);
  }

 private:
  /// What an absent key means where config.json stands for the settings: some models have a default there.
  void add_defaults_of_model() {
    const nlohmann::json& type = detail::value_or_null(json_, "model_type");
    for (const auto& [name, end] :
         {std::pair{"bart", 2}, std::pair{"mbart", 2}, std::pair{"pegasus", 1}, std::pair{"marian", 0}}) {
      if (type == name && !json_.contains("forced_eos_token_id")) json_["forced_eos_token_id"] = end;
    }
  }

  nlohmann::json json_;
  std::string file_;                // for messages
  std::optional<Index> positions_;  // of the model, if known
};

/// The search that the folder of a model asks for: see GenerationSettings.
[[nodiscard]] inline GenerationDefaults generation_defaults(const std::filesystem::path& folder) {
  return GenerationSettings(folder).defaults();
}

}}  // namespace rapt::RAPT_ABI
