/// \file
/// Translator: a Transformer with its subwords, from text to text, in one file.
#pragma once

#include <algorithm>
#include <numeric>

#include "rapt/generation/beam_search.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/text/bpe.hpp"

namespace rapt::inline RAPT_ABI {

/// How text becomes tokens: byte-pair encoding, optionally with each Chinese character a word of its own.
struct TextEncoding {
  BytePairEncoding subwords;
  bool isolate_han = false;

  [[nodiscard]] std::vector<TokenId> encode(std::string_view line) const {
    return subwords.encode(isolate_han ? std::string_view(separate_han(line)) : line);
  }
  [[nodiscard]] std::string decode(std::span<const TokenId> tokens) const {
    const std::string text = subwords.decode(tokens);
    return isolate_han ? join_han(text) : text;
  }
};

/// Beam-searches translations of lines of text.
class Translator {
 public:
  Translator(Transformer<float> model, TextEncoding text) : model_(std::move(model)), text_(std::move(text)) {
    const Index tokens = text_.subwords.vocabulary().size();
    require(model_.config().source_vocabulary == tokens && model_.config().target_vocabulary == tokens, "translator",
            "the model's vocabularies are ", model_.config().source_vocabulary, " and ",
            model_.config().target_vocabulary, ", the subwords' is ", tokens);
    pack_weights(model_);
  }

  /// Reads what `save` wrote.
  [[nodiscard]] static Translator load(const std::filesystem::path& path) {
    const SafetensorsFile file(path);
    const auto subwords = file.metadata().find("subwords");
    require<IoError>(subwords != file.metadata().end(), "translator", file.path(),
                     ": the file has no \"subwords\" in its metadata: it was not saved by a translator");
    const auto isolate = file.metadata().find("isolate_han");
    return Translator(load_model(file), TextEncoding{BytePairEncoding::from_text(subwords->second, file.path()),
                                                     isolate != file.metadata().end() && isolate->second == "true"});
  }
  /// Model, configuration and subwords in one safetensors file, which appears whole or not at all.
  void save(const std::filesystem::path& path) const {
    save_model(path, model_,
               {{"subwords", text_.subwords.to_text()}, {"isolate_han", text_.isolate_han ? "true" : "false"}});
  }

  /// One translation a line, in the order of the lines. Sentences of like length are searched together, about
  /// `batch_tokens` source tokens at a time. An empty line gives an empty line.
  [[nodiscard]] std::vector<std::string> translate(std::span<const std::string> lines,
                                                   const BeamSearchOptions& options = {},
                                                   Index batch_tokens = 1500) const {
    std::vector<std::vector<TokenId>> encoded(lines.size());
    for (std::size_t i = 0; i < lines.size(); ++i) encoded[i] = text_.encode(lines[i]);
    std::vector<std::size_t> order(lines.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return encoded[a].size() < encoded[b].size(); });

    std::vector<std::string> translations(lines.size());
    TokenBatch batch;
    std::vector<std::size_t> members;
    const auto flush = [&] {
      const std::vector<Hypothesis> found = beam_search(model_, batch, options);
      for (std::size_t i = 0; i < members.size(); ++i) translations[members[i]] = text_.decode(found[i].tokens);
      batch.clear();
      members.clear();
    };
    for (const std::size_t i : order) {
      if (encoded[i].empty()) continue;
      if (!members.empty() && batch.size() + static_cast<Index>(encoded[i].size()) + 1 > batch_tokens) flush();
      encoded[i].push_back(options.generation.end);
      batch.push_back(encoded[i]);
      members.push_back(i);
    }
    if (!members.empty()) flush();
    return translations;
  }

  [[nodiscard]] const Transformer<float>& model() const { return model_; }
  [[nodiscard]] Transformer<float>& model() { return model_; }
  [[nodiscard]] const TextEncoding& text() const { return text_; }

 private:
  Transformer<float> model_;
  TextEncoding text_;
};

}  // namespace rapt::inline RAPT_ABI
