// Parsing by scores of spans (Kitaev and Klein 2018).
#pragma once

#include <map>
#include <rapt/io/model_file.hpp>
#include <rapt/models/span_parser.hpp>
#include <rapt/rapt.hpp>
#include <rapt/text/tree_spans.hpp>
#include <set>
#include <utility>

#include "sentences.hpp"

namespace parse {

/// What turns sentences into a parser's input, and its spans into trees. Labels and tags are in the model's config.
struct SpanText {
  using Model = rapt::SpanParser<float>;
  static constexpr const char* kName = "span";

  rapt::BytePairEncoding subwords;
  std::vector<std::string> labels, tags;
  bool reads_tags = false;
  std::map<std::string, std::int32_t, std::less<>> label_ids = {}, tag_ids = {};

  SpanText(rapt::BytePairEncoding pieces, std::vector<std::string> span_labels, std::vector<std::string> word_tags,
           bool gold_tags)
      : subwords(std::move(pieces)), labels(std::move(span_labels)), tags(std::move(word_tags)), reads_tags(gold_tags) {
    for (const std::string& label : labels) label_ids.emplace(label, static_cast<std::int32_t>(label_ids.size()));
    for (const std::string& tag : tags) tag_ids.emplace(tag, static_cast<std::int32_t>(tag_ids.size()));
  }
  static SpanText learn(const std::vector<SyntaxTree>& trees, Index subword_count, bool gold_tags) {
    std::set<std::string> labels, tags;
    for (const SyntaxTree& tree : trees) {
      for (const rapt::LabelledSpan& span : chain_spans_of(tree)) labels.insert(span.label);
      for (const SyntaxTree* leaf : leaves_of(tree)) tags.insert(leaf->label);
    }
    return {
        learn_subwords(trees, subword_count), {labels.begin(), labels.end()}, {tags.begin(), tags.end()}, gold_tags};
  }
  [[nodiscard]] rapt::Metadata metadata() const { return {{"parser", kName}, {"subwords", subwords.to_text()}}; }
  static SpanText load(const rapt::SafetensorsFile& file, const rapt::SpanParserConfig& config) {
    rapt::require<rapt::IoError>(!config.tags.empty(), "parse", file.path(), ": the model has no parts of speech");
    return {stored_subwords(file, config.vocabulary), config.labels, config.tags, config.reads_tags};
  }

  /// Throws ValueError unless gold tags decide what this parser finds.
  void require_takes_tags() const {
    rapt::require(reads_tags, "parse",
                  "this parser predicts parts of speech; train one with --tags gold to tell it the gold ones");
  }
  [[nodiscard]] const char* own_tags() const { return reads_tags ? "gold" : "predicted"; }

  /// Throws ValueError for a parser that reads tags, and a sentence without them.
  void add(const Sentence& sentence, rapt::ParserInput& input) const {
    std::vector<TokenId> tokens{subwords.vocabulary().begin_of_sentence()};
    for (const std::string& word : sentence.words) {
      input.starts.push_back(static_cast<std::int32_t>(input.tokens.size() + std::ssize(tokens)));
      const std::vector<TokenId> pieces = encode_word(subwords, word);
      tokens.insert(tokens.end(), pieces.begin(), pieces.end());
    }
    tokens.push_back(subwords.vocabulary().end_of_sentence());
    input.tokens.push_back(tokens);
    input.words.push_back(std::ssize(sentence.words));
    if (!reads_tags) return;
    rapt::require(sentence.tags.size() == sentence.words.size(), "parse",
                  "this parser reads parts of speech, and the sentence \"", sentence.words.front(), " ...\" has none");
    for (const std::string& tag : sentence.tags) {
      const auto known = tag_ids.find(tag);
      input.tags.push_back(known == tag_ids.end() ? -1 : known->second);
    }
  }
  /// Of trees whose labels and tags are all known.
  [[nodiscard]] rapt::ParserBatch batch(std::span<const SyntaxTree> trees, std::span<const Index> numbers) const {
    rapt::ParserBatch batch;
    for (const Index number : numbers) {
      const SyntaxTree& tree = rapt::at(trees, number);
      const Sentence sentence = sentence_of(tree, true);
      add(sentence, batch.input);
      const Index words = std::ssize(sentence.words), first = std::ssize(batch.span_labels);
      batch.span_labels.resize(rapt::to_size(first + rapt::kernels::span_count(words)), -1);
      for (const rapt::LabelledSpan& span : chain_spans_of(tree)) {
        rapt::at(batch.span_labels, first + rapt::kernels::span_number(span.begin, span.end, words)) =
            label_ids.at(span.label);
      }
      if (reads_tags) continue;
      for (const std::string& tag : sentence.tags) batch.tags.push_back(tag_ids.at(tag));
    }
    return batch;
  }

  /// The best tree of each sentence. Some are parsed together, of so many words at most, or of one sentence.
  [[nodiscard]] std::vector<SyntaxTree> parse(const Model& model, std::span<const Sentence> sentences) const {
    constexpr Index kWordsTogether = 1000;
    std::vector<SyntaxTree> results;
    while (!sentences.empty()) {
      rapt::ParserInput input;
      std::size_t count = 0;
      do {
        add(sentences[count++], input);
      } while (count < sentences.size() && input.words.rows() + std::ssize(sentences[count].words) <= kWordsTogether);
      const auto parses = model.parse(input);
      for (std::size_t i = 0; i < count; ++i) {
        std::vector<rapt::LabelledSpan> spans;
        for (const auto& span : parses[i].spans) spans.push_back({span.begin, span.end, rapt::at(labels, span.label)});
        std::vector<std::string> found = sentences[i].tags;
        if (found.empty()) {
          for (const std::int32_t tag : parses[i].tags) found.push_back(rapt::at(tags, tag));
        }
        results.push_back(tree_of_chain_spans(std::move(spans), sentences[i].words, found));
      }
      sentences = sentences.subspan(count);
    }
    return results;
  }
};

}  // namespace parse
