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

#include "rapt/models/sentence_embedding.hpp"
#include "rapt/pretrained/bert.hpp"
#include "rapt/pretrained/pretrained.hpp"
#include "rapt/pretrained/tokenizer_files.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A BERT with its tokenizer. A const one may be used from many threads.
class SentenceEncoder {
 public:
  /// Longer texts are cut off at the model's positions, if the tokenizer does not cut them before. Throws ValueError
  /// for a tokenizer with more tokens than the model.
  SentenceEncoder(Bert<float> model, const WordPiece& tokenizer, const SentenceEmbeddingOptions& options = {})
      : model_(std::move(model)), tokenizer_(fitting(tokenizer, model_.config())), options_(options) {
    pack_weights(model_);
  }

  /// Reads a folder: model and tokenizer, and what modules.json says of pooling, normalisation and length. Without a
  /// modules.json vectors are means of length 1. Throws IoError that names the file for what it cannot do, such as a
  /// further layer.
  [[nodiscard]] static SentenceEncoder load(const std::filesystem::path& folder) {
    SentenceEmbeddingOptions options;
    std::filesystem::path inner = folder;
    if (const auto modules = folder / "modules.json"; std::filesystem::exists(modules)) {
      options = read_modules(folder, modules, inner);
    }
    const PretrainedTokenizer any = load_tokenizer(inner);
    const auto* tokenizer = std::get_if<WordPiece>(&any);
    require<IoError>(tokenizer != nullptr, kWhere, inner.string(), ": the tokenizer is not a WordPiece");
    auto model = from_pretrained<Bert<float>>(inner);
    const auto limits = inner / "sentence_bert_config.json";
    if (!std::filesystem::exists(limits)) return {std::move(model), *tokenizer, options};
    const nlohmann::json json = detail::read_json_object(limits, kWhere);
    const std::string where = limits.string();
    std::optional<Index> longest;
    detail::ConfigReader(json, where)("max_seq_length", longest);
    WordPieceOptions limited = tokenizer->options();
    limited.max_tokens = longest.value_or(0);
    return {std::move(model), WordPiece({tokenizer->tokens().begin(), tokenizer->tokens().end()}, limited), options};
  }

  /// A vector for each text   // [texts, D]. Throws ValueError for text that is not UTF-8.
  [[nodiscard]] Tensor<float> encode(std::span<const std::string> texts) const {
    const Inference scope;
    const TokenBatch all = tokenizer_.encode_batch(texts);
    Tensor<float> vectors(Shape{all.sequences(), model_.config().d_model});
    for (Index begin = 0, end = 0; begin < all.sequences(); begin = end) {
      TokenBatch part;
      while (end < all.sequences() && (end == begin || part.size() + all.row_splits.length(end) <= kTokensAtOnce)) {
        part.push_back(all.sequence(end++));
      }
      const Variable<float> rows = embed_sentences(model_, part, options_);  // [end - begin, D]
      std::copy_n(rows.value().data(), rows.size(), vectors.row(begin));
    }
    return vectors;
  }

  [[nodiscard]] const Bert<float>& model() const { return model_; }
  [[nodiscard]] const WordPiece& tokenizer() const { return tokenizer_; }
  [[nodiscard]] const SentenceEmbeddingOptions& options() const { return options_; }

 private:
  static constexpr std::string_view kWhere = "sentence_encoder";
  static constexpr Index kTokensAtOnce = 1024;  // activations of so many stay in the cache

  [[nodiscard]] static WordPiece fitting(const WordPiece& tokenizer, const BertConfig& config) {
    require(tokenizer.size() <= config.vocabulary, kWhere, "the tokenizer has ", tokenizer.size(),
            " tokens, the model ", config.vocabulary);
    WordPieceOptions options = tokenizer.options();
    if (options.max_tokens == 0 || options.max_tokens > config.positions) options.max_tokens = config.positions;
    return WordPiece({tokenizer.tokens().begin(), tokenizer.tokens().end()}, std::move(options));
  }

  /// `inner` becomes the folder of the model itself.
  [[nodiscard]] static SentenceEmbeddingOptions read_modules(const std::filesystem::path& folder,
                                                             const std::filesystem::path& file,
                                                             std::filesystem::path& inner) {
    SentenceEmbeddingOptions options{.normalize = false};
    const nlohmann::json list =
        nlohmann::json::parse(detail::read_text_file(file), nullptr, /*allow_exceptions=*/false);
    require<IoError>(list.is_array(), kWhere, file.string(), ": is not a list of modules");
    for (const nlohmann::json& module : list) {
      const auto text = [&](const char* key) {
        const bool is_text = module.is_object() && module.contains(key) && module[key].is_string();
        require<IoError>(is_text, kWhere, file.string(), ": a module must have a \"", key, '"');
        return module[key].get<std::string>();
      };
      const std::string type = text("type"), path = text("path"), kind = type.substr(type.rfind('.') + 1);
      const bool is_within = path.empty() || (path != ".." && std::filesystem::path(path).filename() == path);
      require<IoError>(is_within, kWhere, file.string(), ": ", detail::quote_name(path),
                       " must be a folder within this one");
      const std::filesystem::path place = path.empty() ? folder : folder / path;
      if (kind == "Transformer") {
        inner = place;
      } else if (kind == "Pooling") {
        options.pooling = read_pooling(place / "config.json");
      } else {
        require<IoError>(kind == "Normalize", kWhere, file.string(), ": cannot do the module ",
                         detail::quote_name(type));
        options.normalize = true;
      }
    }
    return options;
  }

  [[nodiscard]] static SentencePooling read_pooling(const std::filesystem::path& file) {
    const nlohmann::json json = detail::read_json_object(file, kWhere);
    std::string chosen;
    for (const auto& [key, value] : json.items()) {
      if (key.starts_with("pooling_mode_") && value == true) chosen += (chosen.empty() ? "" : ", ") + key;
    }
    require<IoError>(chosen == "pooling_mode_mean_tokens" || chosen == "pooling_mode_cls_token", kWhere, file.string(),
                     ": cannot pool by ", detail::quote_name(chosen));
    return chosen == "pooling_mode_cls_token" ? SentencePooling::first : SentencePooling::mean;
  }

  Bert<float> model_;
  WordPiece tokenizer_;
  SentenceEmbeddingOptions options_;
};

}}  // namespace rapt::RAPT_ABI
