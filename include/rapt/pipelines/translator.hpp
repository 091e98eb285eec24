/// \file
/// Translator: an encoder-decoder with its tokenizer, from text to text. A Transformer and its subwords are one file.
///
/// ```cpp
/// const auto translator = rapt::Translator<>::load("model.safetensors");
/// const auto translations = translator.translate(lines);
/// ```
#pragma once

#include <algorithm>
#include <concepts>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "rapt/generation/batches.hpp"
#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/ensemble.hpp"
#include "rapt/generation/generation_defaults.hpp"
#include "rapt/generation/sampling.hpp"
#include "rapt/generation/shortlist.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/models/transformer.hpp"
#include "rapt/pipelines/tokenizer.hpp"
#include "rapt/pretrained/languages.hpp"
#include "rapt/pretrained/pretrained.hpp"
#include "rapt/text/bpe.hpp"
#include "rapt/text/lines.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How text becomes tokens: byte-pair encoding, optionally with each Chinese character a word of its own, which is not
/// for lossless subwords.
struct TextEncoding {
  BytePairEncoding subwords;
  bool isolate_han = false;  ///< each Chinese character is a word of its own

  /// The tokens of a line, without begin and end tokens.
  [[nodiscard]] std::vector<TokenId> encode(std::string_view line) const {
    return subwords.encode(isolate_han ? std::string_view(separate_han(line)) : line);
  }
  /// With merge dropout, for training: see `BytePairEncoding::encode`.
  [[nodiscard]] std::vector<TokenId> encode(std::string_view line, double dropout, Rng& rng) const {
    return subwords.encode(isolate_han ? std::string_view(separate_han(line)) : line, dropout, rng);
  }
  /// The text of tokens, as one line whatever the tokens are (see `as_line`). Bytes of `byte_fallback` may spell a line
  /// feed, and a token may hold a line separator if the text that the subwords were learned from had one.
  [[nodiscard]] std::string decode(std::span<const TokenId> tokens) const {
    std::string line = as_line(subwords.decode(tokens));
    if (isolate_han) return join_han(line);
    return line;
  }

  /// How many different tokens there are.
  [[nodiscard]] Index size() const { return subwords.vocabulary().size(); }
  /// Throws ValueError `[where]` for settings that do not fit one another.
  void validate(std::string_view where) const {
    require(!(isolate_han && subwords.lossless()), where,
            "lossless subwords keep text as it is: isolate_han must be false");
  }
  /// What a model's file says of it.
  [[nodiscard]] Metadata to_metadata() const {
    return {{"subwords", subwords.to_text()}, {"isolate_han", isolate_han ? "true" : "false"}};
  }
  /// The inverse. Throws IoError that names the file.
  [[nodiscard]] static TextEncoding from_metadata(const Metadata& metadata, const std::string& file) {
    const auto text = metadata.find("subwords");
    require<IoError>(text != metadata.end(), "translator", file,
                     ": the file has no \"subwords\" in its metadata: it was not saved by a translator");
    const auto isolate = metadata.find("isolate_han");
    return {BytePairEncoding::from_text(text->second, file), isolate != metadata.end() && isolate->second == "true"};
  }
};
static_assert(TextTokenizer<TextEncoding>);

/// A tokenizer that travels in the metadata of a model's file.
template <class Text>
concept MetadataText = requires(const Text& text, const Metadata& metadata, const std::string& file) {
  { text.to_metadata() } -> std::same_as<Metadata>;
  { Text::from_metadata(metadata, file) } -> std::same_as<Text>;
};

/// One of several translations of a line.
struct Translation {
  std::string text;            ///< the translated line
  double log_probability = 0;  ///< of its tokens, in nats
  double score = 0;            ///< what translations are ordered by: log_probability / length penalty
  bool finished = true;        ///< false: cut off at the maximum length
};

/// Translates lines of text by beam search or sampling, with one model or several of a kind. The model reads a source
/// and writes a target; sources end with the model's first end token, unless the tokenizer has put one there.
template <DecodingModel M = Transformer<float>, TextTokenizer Text = TextEncoding>
class Translator {
 public:
  static_assert(!kContinuesPrompts<M>, "Translator needs a model with a source; TextGenerator takes the others");

  /// Throws ValueError for a tokenizer and a model that do not fit.
  Translator(M model, Text text) : model_(std::move(model)), text_(std::move(text)) {
    if constexpr (requires { model_.config().source_vocabulary; }) {
      const Index tokens = text_.size();
      require(model_.config().source_vocabulary == tokens && model_.config().target_vocabulary == tokens, kWhere,
              "the model's vocabularies are ", model_.config().source_vocabulary, " and ",
              model_.config().target_vocabulary, ", the subwords' is ", tokens);
    } else {
      require(text_.size() <= model_.config().vocabulary, kWhere, "the tokenizer has ", text_.size(),
              " tokens, the model ", model_.config().vocabulary);
    }
    if constexpr (requires { text_.validate(kWhere); }) text_.validate(kWhere);
    pack_weights(model_);
  }

  /// The model and the tokenizers of a Hugging Face folder, e.g. of MarianMT or NLLB. `languages`: those of lines and
  /// translations, where a call names no others. Throws as `from_pretrained` and `AnyTokenizer::load`.
  [[nodiscard]] static Translator load(const std::filesystem::path& folder,
                                       Languages languages = {}) requires std::same_as<Text, AnyTokenizer> {
    return Translator(from_pretrained<M>(folder), AnyTokenizer::load(folder, std::move(languages)));
  }
  /// Reads what `save` wrote.
  [[nodiscard]] static Translator load(const std::filesystem::path& path) requires MetadataText<Text> {
    const SafetensorsFile file(path);
    Text text = Text::from_metadata(file.metadata(), file.path());
    return Translator(load_model<M>(file), std::move(text));
  }
  /// The model, its config and its subwords in one safetensors file, which appears whole or not at all.
  void save(const std::filesystem::path& path) const requires MetadataText<Text> {
    require(others_.empty(), kWhere, "an ensemble has no file of its own: save each model");
    save_model(path, model_, text_.to_metadata());
  }

  /// From now on computes with weights of eight bits (see `quantize_weights`): the fastest, and not exact.
  void quantize() {
    quantize_weights(model_);
    for (M& other : others_) quantize_weights(other);
  }

  /// From now on translations have tokens of the shortlist alone (see shortlist.hpp), and those that a request or its
  /// options name: faster where the vocabulary is large. Throws ValueError for a shortlist of another vocabulary.
  void use_shortlist(VocabularyShortlist shortlist) requires HasOutputRows<M> {
    std::ignore = Shortlisted<M>(model_, shortlist);
    shortlist_ = std::move(shortlist);
  }

  /// From now on, translations are searched by the mean of both translators' distributions (see ensemble.hpp). Throws
  /// ValueError unless their tokenizers are the same.
  void add_to_ensemble(Translator other) requires MetadataText<Text> {
    require(text_.to_metadata() == other.text_.to_metadata(), kWhere,
            "the models of an ensemble must have the same subwords");
    others_.push_back(std::move(other.model_));
    std::move(other.others_.begin(), other.others_.end(), std::back_inserter(others_));
  }
  /// All models as one; it looks at this object.
  [[nodiscard]] Ensemble<M> ensemble() const {
    std::vector<const M*> models{&model_};
    for (const M& other : others_) models.push_back(&other);
    return Ensemble<M>(std::move(models));
  }

  /// One translation a line, in the order of the lines. Sentences of like length are searched together, about
  /// `batch_tokens` source tokens at a time (0: by the model's size), which changes no translation. A blank line (see
  /// `is_blank`) gives an empty one, and each translation is one line (see `as_line`). `languages`, of multilingual
  /// models, count instead of those given to `load`.
  [[nodiscard]] std::vector<std::string> translate(std::span<const std::string> lines,
                                                   const BeamSearchOptions& options = {},
                                                   const SearchRequest& request = {}, Index batch_tokens = 300,
                                                   const Languages& languages = {}) const {
    std::vector<std::string> best;
    for (auto& list : translate_n_best(lines, 1, options, request, batch_tokens, languages)) {
      best.push_back(std::move(list.front().text));
    }
    return best;
  }

  /// The `n` best translations of each line, best first (see `beam_search_n_best`); of a blank line an empty one.
  /// Different subwords may spell the same text. Prefixes in the request are one for each line.
  [[nodiscard]] std::vector<std::vector<Translation>> translate_n_best(std::span<const std::string> lines, Index n,
                                                                       const BeamSearchOptions& options = {},
                                                                       const SearchRequest& request = {},
                                                                       Index batch_tokens = 300,
                                                                       const Languages& languages = {}) const {
    return in_batches(lines, options.generation, {request, languages, batch_size(batch_tokens)},
                      [&](const TokenBatch& batch, const SearchRequest& of_batch) {
                        return with_models(options.generation, of_batch, [&](const auto& models) {
                          return beam_search_n_best(models, batch, n, options, of_batch);
                        });
                      });
  }

  /// Translations drawn at random, `options.samples` of each line; of a blank line an empty one. A line's random
  /// numbers are those of its stream in the request, or else of its place among the lines, and not of its batch.
  [[nodiscard]] std::vector<std::vector<Translation>> sample(std::span<const std::string> lines,
                                                             const SamplingOptions& options = {},
                                                             const SearchRequest& request = {},
                                                             Index batch_tokens = 300,
                                                             const Languages& languages = {}) const {
    const Index of_each = std::max<Index>(1, options.samples);
    return in_batches(
        lines, options.generation, {request, languages, std::max<Index>(1, batch_size(batch_tokens) / of_each)},
        [&](const TokenBatch& batch, const SearchRequest& of_batch) {
          return with_models(options.generation, of_batch,
                             [&](const auto& models) { return rapt::sample(models, batch, options, of_batch); });
        });
  }

  /// Translations found as a folder recommends (see `rapt::generate`), the best first; of a blank line an empty one.
  [[nodiscard]] std::vector<std::vector<Translation>> generate(std::span<const std::string> lines,
                                                               const GenerationDefaults& defaults,
                                                               const SearchRequest& request = {},
                                                               Index batch_tokens = 300,
                                                               const Languages& languages = {}) const {
    return in_batches(lines, defaults.beam.generation, {request, languages, batch_size(batch_tokens)},
                      [&](const TokenBatch& batch, const SearchRequest& of_batch) {
                        return with_models(defaults.beam.generation, of_batch, [&](const auto& models) {
                          return rapt::generate(models, batch, defaults, of_batch);
                        });
                      });
  }

  [[nodiscard]] const M& model() const { return model_; }
  [[nodiscard]] M& model() { return model_; }
  [[nodiscard]] const Text& text() const { return text_; }

 private:
  static constexpr std::string_view kWhere = "translator";
  /// True if each text may be of another language.
  static constexpr bool kHasLanguages = std::same_as<Text, AnyTokenizer>;

  [[nodiscard]] Index batch_size(Index wanted) const { return wanted > 0 ? wanted : batch_tokens_for(model_); }

  /// What search(model) returns for all models as one, with the tokens of the shortlist alone if there is one.
  template <class Search>
  [[nodiscard]] auto with_models(const GenerationOptions& options, const SearchRequest& request,
                                 const Search& search) const {
    if constexpr (HasOutputRows<M>) {
      if (shortlist_) {
        std::vector<Shortlisted<M>> models;
        models.reserve(others_.size() + 1);
        models.emplace_back(model_, *shortlist_, request, options);
        for (const M& other : others_) models.emplace_back(other, *shortlist_, request, options);
        std::vector<const Shortlisted<M>*> pointers;
        for (const Shortlisted<M>& model : models) pointers.push_back(&model);
        return search(Ensemble<Shortlisted<M>>(std::move(pointers)));
      }
    }
    return search(ensemble());
  }

  /// What a call asks for.
  struct Asked {
    const SearchRequest& request;
    const Languages& languages;
    Index batch_tokens;
  };

  /// The tokens of a line, with an end token if the tokenizer puts none there.
  [[nodiscard]] std::vector<TokenId> encode(std::string_view line, const Languages& languages,
                                            const SequenceMarks& marks) const {
    std::vector<TokenId> tokens;
    if constexpr (kHasLanguages) {
      tokens = text_.encode(line, languages);
      if (text_.language_scheme()) return tokens;
    } else {
      tokens = text_.encode(line);
    }
    const auto is_last = [&](TokenId end) { return !tokens.empty() && tokens.back() == end; };
    if (!marks.ends.empty() && std::none_of(marks.ends.begin(), marks.ends.end(), is_last)) {
      tokens.push_back(marks.ends.front());
    }
    return tokens;
  }

  /// Calls search(batch, request of the batch) for lines of like length together, and decodes what it finds.
  template <class Search>
  [[nodiscard]] std::vector<std::vector<Translation>> in_batches(std::span<const std::string> lines,
                                                                 const GenerationOptions& options, const Asked& asked,
                                                                 const Search& search) const {
    const SearchRequest& request = asked.request;
    require(request.streams.empty() || request.streams.size() == lines.size(), kWhere, request.streams.size(),
            " streams for ", lines.size(), " lines");
    require(kHasLanguages || asked.languages.empty(), kWhere,
            "the tokenizer has no languages: ", asked.languages.source, " and ", asked.languages.target,
            " are asked for");
    const SequenceMarks marks = model_.sequence_marks();
    TokenBatch encoded;
    for (const std::string& line : lines) encoded.push_back(encode(line, asked.languages, marks));
    SearchRequest of_searched = request;
    if constexpr (kHasLanguages) of_searched.marks = text_.marks(request.marks.value_or(marks), asked.languages);
    // Checked here once, so that errors name lines and not places in a batch.
    std::ignore = detail::rules_of(model_, encoded, options, of_searched, kWhere);
    TokenBatch searched;
    of_searched.prefix.clear();
    of_searched.streams.clear();
    std::vector<std::size_t> numbers;  // the lines that are not blank
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const auto line = static_cast<Index>(i);
      if (is_blank(lines[i])) continue;
      searched.push_back(encoded.sequence(line));
      if (request.prefix.sequences() > 0) of_searched.prefix.push_back(request.prefix.sequence(line));
      of_searched.streams.push_back(request.streams.empty() ? i : request.streams[i]);
      numbers.push_back(i);
    }
    of_searched.allowed = request.allowed.of_sources(numbers);
    const auto found = search_in_batches(searched, of_searched, asked.batch_tokens, search);
    std::vector<std::vector<Translation>> translations(lines.size(), std::vector<Translation>(1));
    for (std::size_t i = 0; i < found.size(); ++i) {
      translations[numbers[i]].clear();
      for (const Hypothesis& h : found[i]) {
        translations[numbers[i]].push_back({as_line(text_.decode(h.tokens)), h.log_probability, h.score, h.finished});
      }
    }
    return translations;
  }

  M model_;
  std::vector<M> others_;  // further models of an ensemble
  std::optional<VocabularyShortlist> shortlist_;
  Text text_;
};

}}  // namespace rapt::RAPT_ABI
