/// \file
/// Summaries, translations and other texts made of texts by the T5, MarianMT, BART, mBART, Pegasus, M2M100 or NLLB of a
/// Hugging Face folder, with the prefixes and settings of tasks as the pipelines "summarization", "translation" and
/// "text2text-generation" of transformers 4 have them. What neither the folder nor the call says is as in transformers'
/// `generate`, which finds the most probable tokens, 20 of them; the pipelines have defaults of their own.
///
/// ```cpp
/// const auto summarize = rapt::summarizer("t5-small");
/// const auto found = summarize(texts, {.num_beams = 4});
/// use(found[0].front().text);
/// const auto translate = rapt::text_translator("nllb-200-distilled-600M", "eng_Latn", "deu_Latn");
/// ```
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/generation/generation_defaults.hpp"
#include "rapt/pipelines/generate_options.hpp"
#include "rapt/pipelines/model_families.hpp"
#include "rapt/pipelines/task_folder.hpp"
#include "rapt/pipelines/tokenizer.hpp"
#include "rapt/pipelines/translator.hpp"
#include "rapt/pretrained/bart.hpp"
#include "rapt/pretrained/generation_defaults.hpp"
#include "rapt/pretrained/languages.hpp"
#include "rapt/pretrained/marian.hpp"
#include "rapt/pretrained/t5.hpp"
#include "rapt/text/lines.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// A Translator with the model of whatever family.
class TextToTextModel {
 public:
  TextToTextModel() = default;
  TextToTextModel(const TextToTextModel&) = delete;
  TextToTextModel& operator=(const TextToTextModel&) = delete;
  virtual ~TextToTextModel() = default;
  [[nodiscard]] virtual std::vector<std::vector<Translation>> generate(std::span<const std::string> texts,
                                                                       const GenerationDefaults& defaults,
                                                                       const SearchRequest& request) const = 0;
};

template <class M>
class TextToTextModelOf final : public TextToTextModel {
 public:
  TextToTextModelOf(const std::filesystem::path& folder, const Languages& languages)
      : translator_(from_pretrained<M>(folder), tokenizer_in(folder, languages)) {}
  [[nodiscard]] std::vector<std::vector<Translation>> generate(std::span<const std::string> texts,
                                                               const GenerationDefaults& defaults,
                                                               const SearchRequest& request) const override {
    return translator_.generate(texts, defaults, request, /*batch_tokens=*/0);
  }

 private:
  /// Tokenizers without languages are for those that the model was trained for.
  [[nodiscard]] static AnyTokenizer tokenizer_in(const std::filesystem::path& folder, const Languages& languages) {
    AnyTokenizer tokenizer = AnyTokenizer::load(folder);
    if (tokenizer.language_scheme()) tokenizer.use_languages(languages);
    return tokenizer;
  }

  Translator<M, AnyTokenizer> translator_;
};

using TextToTextFamilies = ModelFamilies<T5<float>, Marian<float>, Bart<float>>;

}  // namespace detail

/// Makes texts of texts. A const one may be used from many threads.
class TextToText {
 public:
  /// `task`: which of the tasks in config.json's "task_specific_params" the model is used for; its "prefix" stands
  /// before every text, and its other keys take the place of those of generation_config.json. Empty: none of them.
  /// `languages`: of texts and results, for a model of many languages; other models take no notice of them. Throws
  /// IoError for a folder of another kind of model, and for a task that is not among those that the folder names, if it
  /// names any; and ValueError for languages that the model does not have.
  explicit TextToText(const std::filesystem::path& folder, const std::string& task = {},
                      const Languages& languages = {})
      : folder_(folder, kWhere),
        settings_(folder),
        changes_(task_settings(task)),
        model_(detail::load_one_of<detail::TextToTextModel, detail::TextToTextModelOf>(detail::TextToTextFamilies(),
                                                                                       folder, kWhere, languages)) {
    if (const auto prefix = changes_.find("prefix"); prefix != changes_.end()) {
      require<IoError>(prefix->is_string(), kWhere, folder_.file("config.json"),
                       ": \"prefix\" must be a string: ", detail::describe(*prefix));
      prefix_ = prefix->get<std::string>();
      changes_.erase(prefix);
    }
  }

  /// The texts for each text, `num_return_sequences` of them, of beam search the best first. Of a blank text (see
  /// `is_blank`) an empty one. Throws ValueError for options that do not fit and for a text that is not UTF-8, and
  /// IoError for settings of the folder that rapt cannot do (see GenerationSettings).
  [[nodiscard]] std::vector<std::vector<Translation>> operator()(std::span<const std::string> texts,
                                                                 const GenerateOptions& options = {}) const {
    nlohmann::json changes = changes_;
    changes.update(options.to_json());
    const GenerationDefaults defaults = settings_.defaults(changes);
    std::vector<std::string> prefixed;
    for (const std::string& text : texts) prefixed.push_back(is_blank(text) ? std::string() : prefix_ + text);
    return model_->generate(prefixed, defaults, {.seed = options.seed});
  }

  /// What stands before every text.
  [[nodiscard]] const std::string& prefix() const { return prefix_; }

 private:
  static constexpr std::string_view kWhere = "text_to_text";

  [[nodiscard]] nlohmann::json task_settings(const std::string& task) const {
    const auto tasks = folder_.config().find("task_specific_params");
    nlohmann::json settings = nlohmann::json::object();
    const bool names_tasks = tasks != folder_.config().end() && tasks->is_object() && !tasks->empty();
    if (task.empty() || !names_tasks) return settings;
    if (const auto found = tasks->find(task); found != tasks->end()) {
      require<IoError>(found->is_object(), kWhere, folder_.file("config.json"), ": the settings of ",
                       detail::quote_name(task), " must be an object: ", detail::describe(*found));
      return *found;
    }
    std::string known;
    for (const auto& [name, value] : tasks->items()) known += (known.empty() ? "" : ", ") + name;
    fail<IoError>(kWhere, folder_.file("config.json"), ": the model has no task ", detail::quote_name(task),
                  ", but these: ", known);
  }

  TaskFolder folder_;
  GenerationSettings settings_;
  nlohmann::json changes_;
  std::string prefix_;
  std::shared_ptr<const detail::TextToTextModel> model_;
};

/// The model of a folder, for its task "summarization".
[[nodiscard]] inline TextToText summarizer(const std::filesystem::path& folder) {
  return TextToText(folder, "summarization");
}
/// The model of a folder, from a language to another: those of a model of many languages by its codes ("en_XX" for
/// mBART, "eng_Latn" for NLLB, "en" for M2M100), and the task "translation_<from>_to_<to>" of a folder that names
/// tasks. Other folders translate between the languages that they were trained for.
[[nodiscard]] inline TextToText text_translator(const std::filesystem::path& folder, const std::string& from,
                                                const std::string& to) {
  return TextToText(folder, "translation_" + from + "_to_" + to, {.source = from, .target = to});
}

}}  // namespace rapt::RAPT_ABI
