/// \file
/// SentencePiece (Kudo and Richardson 2018, arXiv:1808.06226): the tokenizer of T5, Llama, MarianMT, XLM-RoBERTa and
/// others, for its published models.
///
/// A text is normalised (sentencepiece_normalizer.hpp) and cut into pieces (sentencepiece_segmenter.hpp). A character
/// that no piece has is unknown, or becomes the pieces of its bytes. Spaces are characters of pieces, so that decoding
/// only has to put the pieces together.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/text/added_tokens.hpp"
#include "rapt/text/byte_trie.hpp"
#include "rapt/text/clean_up.hpp"
#include "rapt/text/encoding.hpp"
#include "rapt/text/segment.hpp"
#include "rapt/text/sentencepiece_joiner.hpp"
#include "rapt/text/sentencepiece_model.hpp"
#include "rapt/text/sentencepiece_normalizer.hpp"
#include "rapt/text/sentencepiece_options.hpp"
#include "rapt/text/sentencepiece_segmenter.hpp"
#include "rapt/text/text_encoder.hpp"
#include "rapt/text/token_table.hpp"
#include "rapt/text/unicode.hpp"
#include "rapt/text/unigram.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Converts text to token ids and back. Immutable; many threads may use one object.
class SentencePiece : public TextEncoder<SentencePiece> {
 public:
  using Model = SentencePieceModel;  ///< see SentencePieceModel

  /// Throws ValueError for a piece that is empty, not UTF-8 or there twice, a model without exactly one unknown piece,
  /// byte pieces that are not all there or, without byte_fallback, there at all, and for options that name a token that
  /// is not in the vocabulary.
  explicit SentencePiece(Model model, SentencePieceOptions options = {})
      : options_(std::move(options)), model_(std::move(model)), normalizer_(model_.normalization, symbols()) {
    for (const Model::Piece& piece : model_.pieces) names_.push_back(piece.text);
    pieces_ = detail::index_tokens(names_, {}, kName);
    check_pieces();
    index_vocabulary();
    segmenter_ = detail::SentencePieceSegmenter(model_, symbols(), unknown_piece_);
    if (model_.denormalization) denormalizer_.emplace(*model_.denormalization, detail::ByteTrie());
    for (const AddedToken& token : options_.added_tokens) {
      const TokenId id = this->id(token.text);
      require(id >= 0, kName, "an added token must be in the vocabulary: \"", token.text, "\"");
      at(is_special_, id) = token.special ? 1 : 0;
      at(is_added_, id) = 1;
      added_.add(token.text, id, token);
    }
    added_.finish();
    set_templates(options_.single, options_.pair, options_.max_tokens,
                  [this](std::string_view name) { return id(name); });
  }

  [[nodiscard]] const SentencePieceOptions& options() const { return options_; }
  /// The pieces, with their scores.
  [[nodiscard]] const Model& model() const { return model_; }
  /// The size of the vocabulary, with unused ids.
  [[nodiscard]] Index size() const { return std::ssize(tokens()); }
  /// All tokens in the order of their ids.
  [[nodiscard]] std::span<const std::string> tokens() const { return is_mapped() ? options_.tokens : names_; }
  /// The token with this id, empty for an unused id. Throws ValueError unless 0 <= id < size().
  [[nodiscard]] const std::string& token(TokenId id) const {
    require_ids({&id, 1}, size(), kName);
    return at(tokens(), id);
  }
  /// The id of a token such as "▁the" or "</s>", or -1 if it is not in the vocabulary.
  [[nodiscard]] TokenId id(std::string_view token) const { return (is_mapped() ? ids_ : pieces_).find(token); }
  /// The id of the unknown token.
  [[nodiscard]] TokenId unknown() const { return unknown_; }
  /// True for control pieces and for special added tokens.
  [[nodiscard]] bool is_special(TokenId id) const { return id >= 0 && id < size() && at(is_special_, id) != 0; }

  /// The text of tokens. Control pieces and unused ids have none; bytes that are not UTF-8 become U+FFFD. Added tokens
  /// that are special are their own text without `skip_special`. Throws ValueError for an id outside the vocabulary.
  [[nodiscard]] std::string decode(std::span<const TokenId> ids, bool skip_special = true) const {
    require_ids(ids, size(), "sentencepiece.decode");
    detail::SentencePieceJoiner joiner(model_);
    for (const TokenId id : ids) {
      if (at(is_added_, id) == 0) {
        const TokenId piece = at(piece_of_, id);
        joiner.add_piece(at(tokens(), id), piece < 0 ? Type::normal : type(piece));
      } else if (!skip_special || !is_special(id)) {
        joiner.add_token(at(tokens(), id));
      }
    }
    std::string text = joiner.finish();
    if (denormalizer_) {
      detail::SentencePieceNormalizer::Work work;
      (*denormalizer_)(text, {}, work);
      text = std::move(work.text);
    }
    if (options_.clean_up_spaces) text = clean_up_spaces(std::move(text));
    if (options_.strip_decoded) text = std::string(strip_ends(text));
    return text;
  }

  /// A random segmentation of a text, cut off at max_tokens, with the special tokens around it. Throws ValueError for
  /// text that is not UTF-8, n_best that is neither -1 nor from 1 to 512, alpha that is not finite or too large, and
  /// for byte pair encoding unless 0 <= alpha <= 1.
  [[nodiscard]] std::vector<TokenId> sample(std::string_view text, const SentencePieceSampling& sampling,
                                            Rng& rng) const {
    require(!find_invalid_utf8(text), "sentencepiece.sample", "text must be UTF-8");
    require(sampling.n_best == -1 || sampling.n_best >= 1, "sentencepiece.sample",
            "n_best must be -1 or positive: ", sampling.n_best);
    require(sampling.n_best <= kMostBest, "sentencepiece.sample", "n_best must be at most ", kMostBest, ": ",
            sampling.n_best);
    require(std::isfinite(sampling.alpha), "sentencepiece.sample", "alpha must be finite: ", sampling.alpha);
    Work work;
    work.segment = [&](std::string_view normalized) -> const Segmentation& {
      return segmenter_.draw(normalized, sampling, rng, work.segmenting);
    };
    detail::TokenSink sink;
    append(text, true, work, sink);
    return with_special_tokens(std::move(sink));
  }

  /// The n most probable segmentations of a text, the best first; n must be from 1 to 512. No added token is looked
  /// for, and there are no special tokens around the text. Throws ValueError for models that are not unigram.
  [[nodiscard]] std::vector<ScoredTokens> n_best(std::string_view text, Index n) const {
    require(!find_invalid_utf8(text), "sentencepiece.n_best", "text must be UTF-8");
    const Unigram* const unigram = segmenter_.unigram();
    require(unigram != nullptr, "sentencepiece.n_best", "only a unigram model has probabilities: this is of kind ",
            static_cast<int>(model_.kind));
    require(n <= kMostBest, "sentencepiece.n_best", "n must be at most ", kMostBest, ": ", n);
    Work work;
    normalizer_(text, {}, work.normalizing);
    std::vector<ScoredTokens> found;
    for (const ScoredSegmentation& one : unigram->n_best(work.normalizing.text, n)) {
      detail::TokenSink sink;
      add_segments(one.segments, work.normalizing, 0, sink);
      found.push_back({std::move(sink.ids), one.score});
    }
    return found;
  }

 private:
  friend class TextEncoder<SentencePiece>;
  using Type = Model::PieceType;
  static constexpr const char* kName = "sentencepiece";
  static constexpr Index kMostBest = 512;  // as in SentencePiece

  struct Work {
    detail::SentencePieceNormalizer::Work normalizing;
    detail::SentencePieceSegmenter::Work segmenting;
    std::function<const Segmentation&(std::string_view)> segment = {};  // gives another than the best segmentation
  };
  [[nodiscard]] bool is_mapped() const { return !options_.tokens.empty(); }
  [[nodiscard]] Type type(TokenId piece) const { return at(model_.pieces, piece).type; }

  /// The user-defined symbols, which normalisation keeps and byte pair encoding does not join.
  [[nodiscard]] detail::ByteTrie symbols() const {
    std::vector<detail::ByteTrie::Key> keys;
    for (const Model::Piece& piece : model_.pieces) {
      if (piece.type == Type::user_defined) keys.push_back({piece.text, 0});
    }
    return detail::ByteTrie(std::move(keys), kName);
  }

  void check_pieces() {
    std::size_t bytes = 0;
    unknown_piece_ = -1;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const Model::Piece& piece = model_.pieces[i];
      require(!piece.text.empty(), kName, "a piece must not be empty: id ", i);
      require(std::isfinite(piece.score), kName, "a score must be finite: \"", piece.text, "\" has ", piece.score);
      if (piece.type == Type::unknown) {
        require(unknown_piece_ < 0, kName, "a model must have one unknown piece, not both \"",
                unknown_piece_ < 0 ? "" : at(names_, unknown_piece_), "\" and \"", piece.text, "\"");
        unknown_piece_ = static_cast<TokenId>(i);
      } else if (piece.type == Type::byte) {
        const int byte = detail::byte_of_piece(piece.text);
        require(model_.byte_fallback, kName, "without byte_fallback there must be no byte piece: \"", piece.text, "\"");
        require(byte >= 0, kName, "a byte piece must be <0x00> to <0xFF>: \"", piece.text, "\"");
        byte_pieces_[to_size(byte)] = static_cast<TokenId>(i);
        ++bytes;
      }
    }
    require(unknown_piece_ >= 0, kName, "a model must have an unknown piece: none of ", names_.size(), " is one");
    require(bytes == (model_.byte_fallback ? 256u : 0u), kName, "byte_fallback needs 256 byte pieces: there are ",
            bytes);
  }

  void index_vocabulary() {
    if (is_mapped()) {
      std::vector<TokenId> unused;
      for (TokenId id = 0; id < size(); ++id) {
        if (at(options_.tokens, id).empty()) unused.push_back(id);
      }
      ids_ = detail::index_tokens(options_.tokens, unused, kName);
    }
    const std::string& unknown = options_.unknown.empty() ? at(names_, unknown_piece_) : options_.unknown;
    unknown_ = id(unknown);
    require(unknown_ >= 0, kName, "the unknown token must be in the vocabulary: \"", unknown, "\"");
    for (const std::string& name : names_) {
      const TokenId found = id(name);
      id_of_.push_back(found < 0 ? unknown_ : found);
    }
    for (const std::string& token : tokens()) {
      piece_of_.push_back(token.empty() ? -1 : pieces_.find(token));
      is_special_.push_back(piece_of_.back() >= 0 && type(piece_of_.back()) == Type::control ? 1 : 0);
    }
    is_added_.resize(is_special_.size());
  }

  /// Adds the tokens of a text, in which added tokens are found first.
  void append(std::string_view text, bool find_special, Work& work, detail::TokenSink& sink) const {
    added_.split(text, find_special, [&](std::size_t begin, std::size_t end, TokenId id) {
      if (id >= 0) {
        sink.add_word(id, begin, end);
        return;
      }
      if (const std::size_t code = code_length(text.substr(begin, end - begin)); code > 0) {
        const TokenId known = this->id(text.substr(begin, code));
        sink.add_word(known < 0 ? unknown_ : known, begin, begin + code);
        begin += code;
      }
      normalizer_(text.substr(begin, end - begin),
                  {.origins = sink.with_spans, .prefix = begin == 0 || !options_.one_prefix}, work.normalizing);
      const std::string_view normalized = work.normalizing.text;
      const Segmentation& segments =
          work.segment ? work.segment(normalized) : segmenter_.best(normalized, work.segmenting);
      add_segments(segments, work.normalizing, begin, sink);
    });
  }

  /// The number of bytes of the language code that a text begins with.
  [[nodiscard]] std::size_t code_length(std::string_view text) const {
    if (!options_.language_code || !text.starts_with(">>")) return 0;
    const std::size_t end = text.find("<<");
    return end == text.npos ? 0 : end + 2;
  }

  /// Adds the tokens of the segments of a normalised text that begins at byte `begin` of the original. Unknown
  /// segments become bytes, or those beside one another one token.
  void add_segments(const Segmentation& segments, const detail::SentencePieceNormalizer::Work& normalized,
                    std::size_t begin, detail::TokenSink& sink) const {
    const auto add = [&](TokenId id, std::size_t from, std::size_t to) {
      if (sink.with_spans) {
        if (from == 0 || std::string_view(normalized.text).substr(from).starts_with(detail::kSpaceSymbol)) {
          sink.begin_word();
        }
        sink.add(id, begin + normalized.origins[from], begin + normalized.origins[to]);
      } else {
        sink.ids.push_back(id);
      }
    };
    for (std::size_t i = 0; i < segments.size(); ++i) {
      const Segment& segment = segments[i];
      if (segment.id != unknown_piece_) {
        add(at(id_of_, segment.id), segment.begin, segment.end);
      } else if (model_.byte_fallback) {
        for (std::size_t b = segment.begin; b < segment.end; ++b) {
          const TokenId piece = byte_pieces_[static_cast<unsigned char>(normalized.text[b])];
          add(at(id_of_, piece), segment.begin, segment.end);
        }
      } else {
        while (i + 1 < segments.size() && segments[i + 1].id == unknown_piece_) ++i;
        const std::string_view text(normalized.text.data() + segment.begin, segments[i].end - segment.begin);
        const TokenId token = is_mapped() ? ids_.find(text) : -1;  // the vocabulary may have more than the pieces
        const bool is_known = token >= 0 && at(piece_of_, token) < 0 && at(is_added_, token) == 0;
        add(is_known ? token : unknown_, segment.begin, segments[i].end);
      }
    }
  }

  SentencePieceOptions options_;
  Model model_;
  detail::SentencePieceNormalizer normalizer_;
  std::optional<detail::SentencePieceNormalizer> denormalizer_;
  std::vector<std::string> names_;         // of pieces
  detail::TokenTable pieces_, ids_;        // by text: the pieces, and with options.tokens the vocabulary
  std::vector<TokenId> id_of_, piece_of_;  // of each piece, and of each id (or -1)
  std::array<TokenId, 256> byte_pieces_{};
  TokenId unknown_piece_ = -1, unknown_ = -1;
  std::vector<char> is_special_, is_added_;  // by id
  detail::SentencePieceSegmenter segmenter_;
  detail::AddedTokenFinder added_;
};

}}  // namespace rapt::RAPT_ABI
