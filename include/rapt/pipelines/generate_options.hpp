/// \file
/// What a call may ask of a model that generates text, in the names and with the meanings of transformers' `generate`.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

#include "rapt/core/shape.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What is unset is as the folder's generation_config.json says, or else as in transformers.
struct GenerateOptions {
  std::optional<Index> max_length = {};  ///< tokens with the prompt, or with the begin token of a model with an encoder
  std::optional<Index> max_new_tokens = {};        ///< tokens without these; it counts where both are set
  std::optional<Index> min_length = {};            ///< no text ends before it has so many, counted as in max_length
  std::optional<Index> min_new_tokens = {};        ///< the same of new tokens; it counts where both are set
  std::optional<Index> num_beams = {};             ///< beam search; 1: greedy search or sampling
  std::optional<bool> do_sample = {};              ///< tokens are drawn
  std::optional<Index> num_return_sequences = {};  ///< texts for each text
  std::optional<float> temperature = {};           ///< of sampling, as the following three
  std::optional<Index> top_k = {};                 ///< draws from so many most probable tokens; 0: from all
  std::optional<float> top_p = {};                 ///< draws from the most probable that together have this probability
  std::optional<float> repetition_penalty = {};    ///< above 1: tokens that are there already become less probable
  std::optional<Index> no_repeat_ngram_size = {};  ///< no so many tokens come twice
  std::optional<float> length_penalty = {};        ///< of beam search: scores are divided by length to this power
  std::optional<bool> early_stopping = {};         ///< beam search stops at num_beams texts
  std::uint64_t seed = 1;                          ///< of sampling

  /// The set ones as keys of a generation_config.json.
  [[nodiscard]] nlohmann::json to_json() const {
    nlohmann::json json = nlohmann::json::object();
    const auto put = [&](const char* key, const auto& value) {
      if (value) json[key] = *value;
    };
    put("max_length", max_length);
    put("max_new_tokens", max_new_tokens);
    put("min_length", min_length);
    put("min_new_tokens", min_new_tokens);
    put("num_beams", num_beams);
    put("do_sample", do_sample);
    put("num_return_sequences", num_return_sequences);
    put("temperature", temperature);
    put("top_k", top_k);
    put("top_p", top_p);
    put("repetition_penalty", repetition_penalty);
    put("no_repeat_ngram_size", no_repeat_ngram_size);
    put("length_penalty", length_penalty);
    put("early_stopping", early_stopping);
    return json;
  }
};

}}  // namespace rapt::RAPT_ABI
