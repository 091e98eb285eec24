/// \file
/// Texts that continue prompts, by a decoder of a Hugging Face folder, as transformers' `generate` finds them: the most
/// probable tokens, 20 of them, where neither the folder nor the call says otherwise. The pipeline "text-generation"
/// has defaults of its own: it draws 256 tokens at temperature 0.7.
///
/// TextGenerator does the same with a model that is known when the program is compiled.
///
/// ```cpp
/// const auto complete = rapt::text_completer("Qwen2.5-0.5B");
/// const auto found = complete(prompts, {.max_new_tokens = 50, .do_sample = true});
/// ```
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/generation/generation_defaults.hpp"
#include "rapt/pipelines/generate_options.hpp"
#include "rapt/pipelines/model_families.hpp"
#include "rapt/pipelines/text_generator.hpp"
#include "rapt/pretrained/gemma.hpp"
#include "rapt/pretrained/generation_defaults.hpp"
#include "rapt/pretrained/gpt.hpp"
#include "rapt/pretrained/llama.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// A TextGenerator with the model of whatever family.
class CompletingModel {
 public:
  CompletingModel() = default;
  CompletingModel(const CompletingModel&) = delete;
  CompletingModel& operator=(const CompletingModel&) = delete;
  virtual ~CompletingModel() = default;
  [[nodiscard]] virtual std::vector<std::vector<Completion>> generate(std::span<const std::string> prompts,
                                                                      const GenerationDefaults& defaults,
                                                                      const SearchRequest& request) const = 0;
};

template <class M>
class CompletingModelOf final : public CompletingModel {
 public:
  explicit CompletingModelOf(const std::filesystem::path& folder) : generator_(TextGenerator<M>::load(folder)) {}
  [[nodiscard]] std::vector<std::vector<Completion>> generate(std::span<const std::string> prompts,
                                                              const GenerationDefaults& defaults,
                                                              const SearchRequest& request) const override {
    return generator_.generate(prompts, defaults, request);
  }

 private:
  TextGenerator<M> generator_;
};

using CompletingFamilies = ModelFamilies<Gpt<float>, Llama<float>, Gemma<float>>;

}  // namespace detail

/// Continues prompts. A const one may be used from many threads.
class TextCompleter {
 public:
  /// Throws IoError for a folder of another kind of model.
  explicit TextCompleter(const std::filesystem::path& folder)
      : settings_(folder),
        model_(detail::load_one_of<detail::CompletingModel, detail::CompletingModelOf>(detail::CompletingFamilies(),
                                                                                       folder, "text_completer")) {}

  /// The completions of each prompt, `num_return_sequences` of them, of beam search the best first. Throws ValueError
  /// for options that do not fit, for an empty prompt of a model without a begin token and for text that is not UTF-8,
  /// and IoError for settings of the folder that rapt cannot do (see GenerationSettings).
  [[nodiscard]] std::vector<std::vector<Completion>> operator()(std::span<const std::string> prompts,
                                                                const GenerateOptions& options = {}) const {
    return model_->generate(prompts, settings_.defaults(options.to_json()), {.seed = options.seed});
  }

 private:
  GenerationSettings settings_;
  std::shared_ptr<const detail::CompletingModel> model_;
};

/// The completer of a folder.
[[nodiscard]] inline TextCompleter text_completer(const std::filesystem::path& folder) { return TextCompleter(folder); }

}}  // namespace rapt::RAPT_ABI
