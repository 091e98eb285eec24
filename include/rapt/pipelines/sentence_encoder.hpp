/// \file
/// Sentence encoders from folders as sentence-transformers writes them: from texts to vectors whose products say how
/// alike the texts are in meaning.
///
/// ```cpp
/// const auto encoder = rapt::SentenceEncoder::load("all-MiniLM-L6-v2");
/// const auto vectors = encoder.encode(lines);  // [lines, D]
/// ```
#pragma once

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/length_batches.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/io/json.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/models/bert.hpp"
#include "rapt/models/modern_bert.hpp"
#include "rapt/models/sentence_embedding.hpp"
#include "rapt/pipelines/model_families.hpp"
#include "rapt/pipelines/task_folder.hpp"
#include "rapt/pipelines/tokenizer.hpp"
#include "rapt/pretrained/bert.hpp"
#include "rapt/pretrained/config_keys.hpp"
#include "rapt/pretrained/lower_case.hpp"
#include "rapt/pretrained/modern_bert.hpp"
#include "rapt/pretrained/pretrained.hpp"
#include "rapt/pretrained/tokenizer_json_file.hpp"
#include "rapt/text/encoding.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// The model of a sentence encoder, of whatever family. A const one may be used from many threads.
class SentenceModel {
 public:
  SentenceModel() = default;
  SentenceModel(const SentenceModel&) = delete;
  SentenceModel& operator=(const SentenceModel&) = delete;
  virtual ~SentenceModel() = default;

  [[nodiscard]] virtual Index vocabulary() const = 0;
  /// The number of tokens of the longest sequence, special tokens included.
  [[nodiscard]] virtual Index longest() const = 0;
  /// D, the size of the vectors.
  [[nodiscard]] virtual Index width() const = 0;
  /// A vector for each sequence   // [B, D]
  [[nodiscard]] virtual Tensor<float> embed(const TokenBatch& batch, const SentenceEmbeddingOptions& options) const = 0;
};

template <class M>
class SentenceModelOf final : public SentenceModel {
 public:
  explicit SentenceModelOf(M model) : model_(std::move(model)) { pack_weights(model_); }
  explicit SentenceModelOf(const std::filesystem::path& folder) : SentenceModelOf(from_pretrained<M>(folder)) {}

  [[nodiscard]] Index vocabulary() const override { return model_.config().vocabulary; }
  [[nodiscard]] Index longest() const override { return model_.config().positions; }
  [[nodiscard]] Index width() const override { return model_.config().d_model; }
  [[nodiscard]] Tensor<float> embed(const TokenBatch& batch, const SentenceEmbeddingOptions& options) const override {
    const Inference scope;
    return embed_sentences(model_, batch, options).value();
  }

 private:
  M model_;
};

/// Bert is RoBERTa, XLM-R, DistilBERT, ELECTRA and ALBERT, too.
using SentenceFamilies = ModelFamilies<Bert<float>, ModernBert<float>>;

/// What a folder says of sentences besides the model's and the tokenizer's settings.
struct SentenceFolder {
  std::filesystem::path model;  ///< the folder of the model itself
  SentenceEmbeddingOptions options = {};
  std::optional<Index> max_tokens = {};  ///< of Transformer's settings, if they name a length
  bool lower_case = false;               ///< the tokenizer converts texts to lower case
  std::string prompt = {};               ///< what every text begins with

  /// Reads modules.json and what it names, and the default prompt. Without a modules.json vectors are means of
  /// length 1. Throws IoError `[where]` that names the file for what SentenceEncoder cannot do.
  [[nodiscard]] static SentenceFolder read(const std::filesystem::path& path, std::string_view where) {
    SentenceFolder folder{.model = path, .prompt = default_prompt(path, where)};
    if (const auto modules = path / "modules.json"; std::filesystem::exists(modules)) {
      folder.options.normalize = false;
      folder.read_modules(path, modules, where);
    }
    folder.read_settings(where);
    return folder;
  }

 private:
  void read_modules(const std::filesystem::path& folder, const std::filesystem::path& file, std::string_view where) {
    const nlohmann::json list = nlohmann::json::parse(read_text_file(file), nullptr, /*allow_exceptions=*/false);
    require<IoError>(list.is_array(), where, file.string(), ": is not a list of modules");
    bool has_pooling = false;
    for (const nlohmann::json& module : list) {
      const auto text = [&](const char* key) {
        const bool is_text = module.is_object() && module.contains(key) && module[key].is_string();
        require<IoError>(is_text, where, file.string(), ": a module must have a \"", key, '"');
        return module[key].get<std::string>();
      };
      const std::string type = text("type"), path = text("path"), kind = type.substr(type.rfind('.') + 1);
      const bool is_within = path.empty() || (path != ".." && std::filesystem::path(path).filename() == path);
      require<IoError>(is_within, where, file.string(), ": ", quote_name(path), " must be a folder within this one");
      const std::filesystem::path place = path.empty() ? folder : folder / path;
      if (kind == "Transformer") {
        model = place;
      } else if (kind == "Pooling") {
        options.pooling = read_pooling(place / "config.json", where);
        has_pooling = true;
      } else {
        require<IoError>(kind == "Normalize", where, file.string(), ": cannot do the module ", quote_name(type));
        options.normalize = true;
      }
    }
    require<IoError>(has_pooling, where, file.string(), ": no module \"Pooling\" makes one vector of a text's tokens");
  }

  [[nodiscard]] SentencePooling read_pooling(const std::filesystem::path& file, std::string_view where) const {
    const nlohmann::json json = read_json_object(file, where);
    require<IoError>(prompt.empty() || json.value("include_prompt", nlohmann::json(true)) == true, where, file.string(),
                     ": \"include_prompt\" must be true beside the default prompt ", quote_name(prompt),
                     ": cannot leave a prompt out of the pooling");
    std::string chosen;
    const auto choose = [&](const std::string& mode) { chosen += (chosen.empty() ? "" : ", ") + mode; };
    if (const auto mode = json.find("pooling_mode"); mode != json.end()) {  // since version 6
      for (const nlohmann::json& one : mode->is_array() ? *mode : nlohmann::json::array({*mode})) {
        choose(one.is_string() ? one.get<std::string>() : describe(one));
      }
    } else {
      for (const auto& [key, value] : json.items()) {
        if (key.starts_with("pooling_mode_") && value == true) choose(key);
      }
    }
    const bool first = chosen == "pooling_mode_cls_token" || chosen == "cls";
    require<IoError>(first || chosen == "pooling_mode_mean_tokens" || chosen == "mean", where, file.string(),
                     ": cannot pool by ", quote_name(chosen));
    return first ? SentencePooling::first : SentencePooling::mean;
  }

  /// The settings of the Transformer, which lie beside the model, in the first of the names that
  /// sentence-transformers has given the file.
  void read_settings(std::string_view where) {
    for (const char* family : {"bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"}) {
      const std::filesystem::path file = model / (std::string("sentence_") + family + "_config.json");
      if (!std::filesystem::exists(file)) continue;
      const nlohmann::json json = read_json_object(file, where);
      const std::string name = file.string();
      const ConfigReader key(json, name);
      key("max_seq_length", max_tokens);
      key.unless_absent("do_lower_case", lower_case);
      return;
    }
  }
};

}  // namespace detail

/// An encoder of BERT's families with its tokenizer. A const one may be used from many threads.
class SentenceEncoder {
 public:
  /// `model`: a Bert<float> or ModernBert<float>. Texts that are too long for the tokenizer's truncation or else for
  /// the model's positions are cut off. Throws ValueError for a tokenizer with more tokens than the model.
  template <ConfiguredModel M>
  SentenceEncoder(M model, PretrainedTokenizer tokenizer, const SentenceEmbeddingOptions& options = {})
      : SentenceEncoder(std::make_shared<const detail::SentenceModelOf<M>>(std::move(model)), std::move(tokenizer),
                        options) {
    limit(tokenizer_.truncation());
  }

  /// Reads a folder: model and tokenizer, what modules.json says of pooling and normalisation, the default prompt, and
  /// on which side texts of more than how many tokens are cut off. Without a modules.json vectors are means of
  /// length 1. Throws IoError that names the file for what it cannot do, such as a further layer, or a model of another
  /// family.
  [[nodiscard]] static SentenceEncoder load(const std::filesystem::path& folder) {
    const auto settings = detail::SentenceFolder::read(folder, kWhere);
    AnyTokenizer tokenizer = AnyTokenizer::load(settings.model);
    if (settings.lower_case) {
      tokenizer = detail::from_file(settings.model.string(), [&] { return with_lower_case(tokenizer.tokenizer()); });
    }
    const TaskFolder files(settings.model, kWhere);
    SentenceEncoder encoder(detail::load_one_of<detail::SentenceModel, detail::SentenceModelOf>(
                                detail::SentenceFamilies(), settings.model, kWhere),
                            std::move(tokenizer), settings.options);
    encoder.limit({.max_tokens = settings.max_tokens.value_or(files.longest(encoder.model_->longest())),
                   .left = files.cuts_left().value_or(encoder.tokenizer_.truncation().left)});
    encoder.prompt_ = settings.prompt;
    return encoder;
  }

  /// A vector for each text, which is encoded with the prompt before it   // [texts, D]
  /// `report` is told how many texts are done. Throws ValueError for text that is not UTF-8.
  [[nodiscard]] Tensor<float> encode(std::span<const std::string> texts, const WorkReport& report = {}) const {
    const std::vector<std::string> prompted = detail::with_prompt(prompt_, texts);
    if (!prompt_.empty()) texts = prompted;
    const TokenBatch all = tokenizer_.encode_batch(texts, {.truncation = truncation_});
    Tensor<float> vectors(Shape{all.sequences(), model_->width()});
    for_batches_of_like_length(
        all.row_splits, kTokensAtOnce,
        [&](std::span<const Index> numbers) {
          TokenBatch batch;
          for (const Index i : numbers) batch.push_back(all.sequence(i));
          const Tensor<float> rows = model_->embed(batch, options_);  // [numbers, D]
          for (Index n = 0; n < rows.rows(); ++n) std::copy_n(rows.row(n), rows.cols(), vectors.row(at(numbers, n)));
        },
        report);
    return vectors;
  }

  [[nodiscard]] const AnyTokenizer& tokenizer() const { return tokenizer_; }
  [[nodiscard]] const SentenceEmbeddingOptions& options() const { return options_; }
  /// How texts are cut off.
  [[nodiscard]] const Truncation& truncation() const { return truncation_; }
  /// What every text begins with: the folder's default prompt, or empty.
  [[nodiscard]] const std::string& prompt() const { return prompt_; }

 private:
  static constexpr std::string_view kWhere = "sentence_encoder";
  static constexpr Index kTokensAtOnce = 1024;  // activations of so many stay in the cache

  SentenceEncoder(std::shared_ptr<const detail::SentenceModel> model, AnyTokenizer tokenizer,
                  const SentenceEmbeddingOptions& options)
      : model_(std::move(model)), tokenizer_(std::move(tokenizer)), options_(options) {
    require(tokenizer_.size() <= model_->vocabulary(), kWhere, "the tokenizer has ", tokenizer_.size(),
            " tokens, the model ", model_->vocabulary());
  }

  /// Texts are cut off as `wanted`, and at the model's positions if that is sooner.
  void limit(const Truncation& wanted) {
    truncation_ = {.max_tokens = wanted.max_tokens, .left = wanted.left};
    const Index longest = model_->longest();
    if (truncation_.max_tokens == 0 || truncation_.max_tokens > longest) truncation_.max_tokens = longest;
  }

  std::shared_ptr<const detail::SentenceModel> model_;
  AnyTokenizer tokenizer_;
  SentenceEmbeddingOptions options_;
  Truncation truncation_;
  std::string prompt_;
};

}}  // namespace rapt::RAPT_ABI
