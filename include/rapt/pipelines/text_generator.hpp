/// \file
/// TextGenerator: a language model with its tokenizer, from prompts to the texts that continue them.
///
/// ```cpp
/// #include "rapt/pretrained/gpt.hpp"
///
/// const auto generator = rapt::TextGenerator<rapt::Gpt<float>>::load("gpt2");
/// const auto found = generator.sample(prompts, {.temperature = 0.8f, .generation = {.extra_length = 50}});
/// generator.stream("Once upon a time", {}, [](std::string_view text) { return std::cout << text, true; });
/// ```
#pragma once

#include <algorithm>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "rapt/generation/batches.hpp"
#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/generation_defaults.hpp"
#include "rapt/generation/sampling.hpp"
#include "rapt/pipelines/text_stream.hpp"
#include "rapt/pipelines/tokenizer.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A text that continues a prompt.
struct Completion {
  std::string text;             ///< without the prompt
  std::vector<TokenId> tokens;  ///< of the text
  double log_probability = 0;   ///< of its tokens and the end token, in nats
  double score = 0;             ///< what completions are ordered by: log_probability / length penalty
  bool finished = true;         ///< false: cut off at the maximum length
};

/// Continues prompts up to the model's end tokens or the length in the options. A const one may be used from many
/// threads.
template <DecodingModel M, TextTokenizer Text = AnyTokenizer>
class TextGenerator {
 public:
  static_assert(kContinuesPrompts<M>,
                "TextGenerator needs a model that continues prompts; Translator takes the others");

  /// Throws ValueError for a tokenizer with more tokens than the model.
  TextGenerator(M model, Text tokenizer) : model_(std::move(model)), tokenizer_(std::move(tokenizer)) {
    require(tokenizer_.size() <= model_.config().vocabulary, kWhere, "the tokenizer has ", tokenizer_.size(),
            " tokens, the model ", model_.config().vocabulary);
    pack_weights(model_);
  }

  /// The model and the tokenizer of a Hugging Face folder. Throws as `from_pretrained` and `load_tokenizer`.
  [[nodiscard]] static TextGenerator load(
      const std::filesystem::path& folder,
      const PretrainedOptions& options = {}) requires std::same_as<Text, AnyTokenizer> {
    return TextGenerator(from_pretrained<M>(folder, options), AnyTokenizer::load(folder));
  }

  /// From now on computes with weights of eight bits (see `quantize_weights`): the fastest, and not exact.
  void quantize() { quantize_weights(model_); }

  /// `options.samples` completions of each prompt, drawn at random; at temperature 0 the most probable token at every
  /// step. A prompt's random numbers are those of its stream in the request, or else of its place among the prompts.
  /// `batch_tokens` (0: by the model's size) is how many tokens of prompts are searched at a time, each counted once
  /// for every sample; it changes no completion.
  [[nodiscard]] std::vector<std::vector<Completion>> sample(std::span<const std::string> prompts,
                                                            const SamplingOptions& options = {},
                                                            const SearchRequest& request = {},
                                                            Index batch_tokens = 0) const {
    const Index of_each = std::max<Index>(1, options.samples);
    return in_batches(prompts, options.generation, request, std::max<Index>(1, batch_size(batch_tokens) / of_each),
                      [&](const TokenBatch& batch, const SearchRequest& of_batch) {
                        return rapt::sample(model_, batch, options, of_batch);
                      });
  }

  /// The `n` best completions of each prompt, best first (see `beam_search_n_best`), searched by `batch_tokens` tokens
  /// of prompts at a time (0: by the model's size).
  [[nodiscard]] std::vector<std::vector<Completion>> beam_search(std::span<const std::string> prompts, Index n,
                                                                 const BeamSearchOptions& options = {},
                                                                 const SearchRequest& request = {},
                                                                 Index batch_tokens = 0) const {
    return in_batches(prompts, options.generation, request, batch_size(batch_tokens),
                      [&](const TokenBatch& batch, const SearchRequest& of_batch) {
                        return beam_search_n_best(model_, batch, n, options, of_batch);
                      });
  }

  /// Completions of each prompt found as a folder recommends (see `rapt::generate`), the best first.
  [[nodiscard]] std::vector<std::vector<Completion>> generate(std::span<const std::string> prompts,
                                                              const GenerationDefaults& defaults,
                                                              const SearchRequest& request = {},
                                                              Index batch_tokens = 0) const {
    return in_batches(prompts, defaults.beam.generation, request, batch_size(batch_tokens),
                      [&](const TokenBatch& batch, const SearchRequest& of_batch) {
                        return rapt::generate(model_, batch, defaults, of_batch);
                      });
  }

  /// One completion of one prompt, as by `sample`, while `on_text` is called with each part of its text as soon as that
  /// is certain (see TextStream). The completion ends where `on_text` returns false.
  Completion stream(std::string_view prompt, const SamplingOptions& options,
                    const std::function<bool(std::string_view part)>& on_text, SearchRequest request = {}) const {
    require(options.samples == 1, kWhere, "a stream has one completion: samples = ", options.samples);
    require(request.on_token == nullptr, kWhere, "a stream has a function for texts, and so none for tokens");
    TokenBatch batch;
    batch.push_back(tokenizer_.encode(prompt));
    TextStream<Text> text(tokenizer_);
    bool is_wanted = true;
    request.on_token = [&](Index, TokenId token) {
      const std::string part = text.add(token);
      return is_wanted = part.empty() || on_text(part);
    };
    Completion found = completion(rapt::sample(model_, batch, options, request).front().front());
    if (const std::string rest = text.finish(); is_wanted && !rest.empty()) on_text(rest);
    return found;
  }

  [[nodiscard]] const M& model() const { return model_; }
  /// The tokenizer of the texts.
  [[nodiscard]] const Text& tokenizer() const { return tokenizer_; }

 private:
  static constexpr std::string_view kWhere = "text_generator";

  [[nodiscard]] Index batch_size(Index wanted) const { return wanted > 0 ? wanted : batch_tokens_for(model_); }

  [[nodiscard]] Completion completion(const Hypothesis& found) const {
    return {tokenizer_.decode(found.tokens), found.tokens, found.log_probability, found.score, found.finished};
  }

  template <class Search>
  [[nodiscard]] std::vector<std::vector<Completion>> in_batches(std::span<const std::string> prompts,
                                                                const GenerationOptions& options,
                                                                const SearchRequest& request, Index batch_tokens,
                                                                const Search& search) const {
    require(request.on_token == nullptr, kWhere, "many prompts are searched at once: `stream` calls for each token");
    require(request.streams.empty() || request.streams.size() == prompts.size(), kWhere, request.streams.size(),
            " streams for ", prompts.size(), " prompts");
    TokenBatch encoded;
    for (const std::string& prompt : prompts) encoded.push_back(tokenizer_.encode(prompt));
    // Checked here once, so that errors name prompts and not places in a batch.
    std::ignore = detail::rules_of(model_, encoded, options, request, kWhere);
    std::vector<std::vector<Completion>> completions;
    for (const auto& list : search_in_batches(encoded, request, batch_tokens, search)) {
      completions.emplace_back();
      for (const Hypothesis& found : list) completions.back().push_back(completion(found));
    }
    return completions;
  }

  M model_;
  Text tokenizer_;
};

}}  // namespace rapt::RAPT_ABI
