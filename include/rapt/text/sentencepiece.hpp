/// \file
/// SentencePiece (Kudo and Richardson 2018, arXiv:1808.06226): the tokenizer of T5, Llama, MarianMT, XLM-RoBERTa and
/// others, for its published models.
///
/// A text is normalised (sentencepiece_normalizer.hpp) and cut into pieces by a unigram language model (unigram.hpp) or
/// by byte pair encoding (sentencepiece_bpe.hpp). A character that no piece has is unknown, or becomes the pieces of
/// its bytes. Spaces are characters of pieces, so that decoding only has to put the pieces together.
#pragma once

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
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
#include "rapt/text/pair_joiner.hpp"
#include "rapt/text/segment.hpp"
#include "rapt/text/sentencepiece_bpe.hpp"
#include "rapt/text/sentencepiece_model.hpp"
#include "rapt/text/sentencepiece_normalizer.hpp"
#include "rapt/text/text_encoder.hpp"
#include "rapt/text/token_table.hpp"
#include "rapt/text/unicode.hpp"
#include "rapt/text/unigram.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What a model's folder says besides the model's file.
struct SentencePieceOptions {
  /// The vocabulary by id, with empty texts for unused ids. Empty: it is the model's pieces. A piece has the id that
  /// its text has here, or else the id of `unknown`; a token that is no piece must be an added token to be found in a
  /// text.
  std::vector<std::string> tokens = {};
  std::string unknown = {};                   ///< with tokens: the token of unknown pieces; empty: the model's own
  std::vector<AddedToken> added_tokens = {};  ///< they must be in the vocabulary
  std::vector<TemplatePiece> single = {{"$A"}};
  std::vector<TemplatePiece> pair = {{"$A"}, {"$B"}};
  bool language_code = false;  ///< ">>...<<" at the beginning of a text is a token or unknown (MarianMT)
  bool one_prefix = false;  ///< a text behind an added token gets no space of add_dummy_prefix (Llama's legacy: false)
  bool clean_up_spaces = false;  ///< decoding removes spaces before punctuation (clean_up.hpp)
  bool strip_decoded = false;    ///< decoding removes white space at both ends (MarianMT)
  Index max_tokens = 0;          ///< longer texts are cut off; 0 means no limit
};

/// How random segmentations are drawn, which makes training robust (Kudo 2018; Provilkov et al. 2020).
struct SentencePieceSampling {
  double alpha = 0.1;  ///< unigram: see Unigram::sample; byte pair encoding: the probability that a pair is not joined
  Index n_best = -1;   ///< unigram: draws from this number of best segmentations; -1: from all
};

/// Tokens of a text and the log-probability of their segmentation.
struct ScoredTokens {
  std::vector<TokenId> ids;
  double score = 0;
};

/// Converts text to token ids and back. Immutable; many threads may use one object.
class SentencePiece : public TextEncoder<SentencePiece> {
 public:
  using Model = SentencePieceModel;

  /// Throws ValueError for a piece that is empty, not UTF-8 or there twice, a model without exactly one unknown piece,
  /// byte pieces that are not all there or, without byte_fallback, there at all, and for options that name a token that
  /// is not in the vocabulary.
  explicit SentencePiece(Model model, SentencePieceOptions options = {})
      : options_(std::move(options)), model_(std::move(model)), normalizer_(model_.normalization, symbols()) {
    for (const Model::Piece& piece : model_.pieces) names_.push_back(piece.text);
    pieces_ = detail::index_tokens(names_, {}, kName);
    check_pieces();
    index_vocabulary();
    make_segmenter();
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
  [[nodiscard]] TokenId unknown() const { return unknown_; }
  /// True for control pieces and for special added tokens.
  [[nodiscard]] bool is_special(TokenId id) const { return id >= 0 && id < size() && at(is_special_, id) != 0; }

  /// The text of tokens. Control pieces and unused ids have none; bytes that are not UTF-8 become U+FFFD. Added tokens
  /// that are special are their own text without `skip_special`. Throws ValueError for an id outside the vocabulary.
  [[nodiscard]] std::string decode(std::span<const TokenId> ids, bool skip_special = true) const {
    require_ids(ids, size(), "sentencepiece.decode");
    Decoding decoding;
    for (const TokenId id : ids) {
      if (at(is_added_, id) == 0) {
        const TokenId piece = at(piece_of_, id);
        add_piece(at(tokens(), id), piece < 0 ? Type::normal : type(piece), decoding);
      } else if (!skip_special || !is_special(id)) {
        add_bytes(decoding);
        decoding.text += at(tokens(), id);
      }
    }
    add_bytes(decoding);
    std::string text = std::move(decoding.text);
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
    work.segment = [&](std::string_view normalized) { draw(normalized, sampling, rng, work); };
    detail::TokenSink sink;
    append(text, true, work, sink);
    return with_special_tokens(std::move(sink));
  }

  /// The n most probable segmentations of a text, the best first; n must be from 1 to 512. No added token is looked
  /// for, and there are no special tokens around the text. Throws ValueError for models that are not unigram.
  [[nodiscard]] std::vector<ScoredTokens> n_best(std::string_view text, Index n) const {
    require(!find_invalid_utf8(text), "sentencepiece.n_best", "text must be UTF-8");
    const auto* const unigram = std::get_if<Unigram>(&segmenter_);
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
  static constexpr float kUnknownPenalty = 10;  // below the lowest score of a normal piece
  static constexpr double kSymbolPenalty = 0.1;
  static constexpr Index kMostBest = 512;  // as in SentencePiece

  struct Words {};  // the segmenter of models of kind word
  struct Work {
    detail::SentencePieceNormalizer::Work normalizing;
    Unigram::Work unigram;
    detail::SentencePieceBpe::Work bpe;
    Segmentation segments;
    std::function<void(std::string_view)> segment = {};  // sets `segments` instead of the best segmentation
  };
  struct Decoding {
    std::string text, bytes;  // bytes: of byte pieces that are not in `text` yet
    bool is_at_begin = true, has_begun = false;
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

  void make_segmenter() {
    float lowest = FLT_MAX, highest = FLT_MIN;
    for (const Model::Piece& piece : model_.pieces) {
      if (piece.type != Type::normal) continue;
      lowest = std::min(lowest, piece.score);
      highest = std::max(highest, piece.score);
    }
    std::vector<UnigramPiece> unigram;
    std::vector<detail::SentencePieceBpe::Piece> bpe;
    for (TokenId i = 0; i < std::ssize(names_); ++i) {
      const Model::Piece& piece = at(model_.pieces, i);
      const bool is_symbol = piece.type == Type::user_defined, is_unused = piece.type == Type::unused;
      if (!is_symbol && !is_unused && piece.type != Type::normal) continue;
      bpe.push_back({piece.text, i, piece.score, is_symbol, is_unused});
      if (is_unused) continue;
      // A user-defined symbol has so high a score that it is always taken.
      const auto length = static_cast<float>(piece.text.size());
      unigram.push_back({piece.text, i, is_symbol ? double{length * highest} - kSymbolPenalty : double{piece.score}});
    }
    if (model_.kind == Model::Kind::unigram) {
      segmenter_ = Unigram(unigram, {.unknown = unknown_piece_,
                                     .unknown_score = lowest - kUnknownPenalty,
                                     .fuse_unknown = false,
                                     .single_precision = true});
    } else if (model_.kind != Model::Kind::word) {
      segmenter_.emplace<detail::SentencePieceBpe>(bpe, symbols(), unknown_piece_, model_.kind == Model::Kind::bpe);
    }
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
      if (work.segment) {
        work.segment(normalized);
        add_segments(work.segments, work.normalizing, begin, sink);
      } else if (const auto* unigram = std::get_if<Unigram>(&segmenter_)) {
        unigram->best(normalized, work.unigram);
        add_segments(work.unigram.segments, work.normalizing, begin, sink);
      } else if (const auto* bpe = std::get_if<detail::SentencePieceBpe>(&segmenter_)) {
        (*bpe)(normalized, work.bpe);
        add_segments(work.bpe.segments, work.normalizing, begin, sink);
      } else {
        split_words(normalized, work.segments);
        add_segments(work.segments, work.normalizing, begin, sink);
      }
    });
  }

  /// The number of bytes of the language code that a text begins with.
  [[nodiscard]] std::size_t code_length(std::string_view text) const {
    if (!options_.language_code || !text.starts_with(">>")) return 0;
    const std::size_t end = text.find("<<");
    return end == text.npos ? 0 : end + 2;
  }

  /// A word begins at each space symbol.
  void split_words(std::string_view text, Segmentation& segments) const {
    require(text.size() < to_size(std::numeric_limits<std::int32_t>::max()), kName, "a text must be shorter than ",
            std::numeric_limits<std::int32_t>::max(), " bytes: ", text.size());
    segments.clear();
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find(detail::kSpaceSymbol, begin + 1), text.size());
      const TokenId found = pieces_.find(text.substr(begin, end - begin));
      segments.push_back(
          {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end), found < 0 ? unknown_piece_ : found});
      begin = end;
    }
  }

  /// Sets `work.segments` to a random segmentation.
  void draw(std::string_view text, const SentencePieceSampling& sampling, Rng& rng, Work& work) const {
    const auto* const unigram = std::get_if<Unigram>(&segmenter_);
    if (unigram != nullptr && sampling.n_best < 0) {
      work.segments = unigram->sample(text, sampling.alpha, rng);
    } else if (unigram != nullptr) {
      auto all = unigram->n_best(text, sampling.n_best);
      std::vector<double> weights;
      double sum = 0;
      for (const ScoredSegmentation& one : all) {
        sum += weights.emplace_back(std::exp(sampling.alpha * (one.score - all.front().score)));
      }
      double left = rng.uniform() * sum;
      std::size_t drawn = 0;
      while (drawn + 1 < all.size() && (left -= weights[drawn]) >= 0) ++drawn;
      work.segments = std::move(all[drawn].segments);
    } else if (const auto* bpe = std::get_if<detail::SentencePieceBpe>(&segmenter_)) {
      detail::JoinDropout dropout(sampling.alpha, rng.next_stream(), "sentencepiece.sample");
      (*bpe)(text, work.bpe, &dropout);
      work.segments = work.bpe.segments;
    } else {
      split_words(text, work.segments);
    }
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

  void add_piece(std::string_view text, Type type, Decoding& decoding) const {
    if (type == Type::byte) {
      decoding.bytes += static_cast<char>(detail::byte_of_piece(text));
      return;
    }
    add_bytes(decoding);
    if (decoding.has_begun || !decoding.text.empty()) decoding.is_at_begin = false;
    decoding.has_begun = false;
    if (type == Type::control) return;
    if (type == Type::unknown) {
      decoding.text += model_.unknown_surface;
      return;
    }
    const SentencePieceNormalization& normalization = model_.normalization;
    // The space that encoding has put before the text is removed, or all spaces if encoding would remove them.
    if (decoding.is_at_begin && (normalization.add_dummy_prefix || normalization.remove_extra_whitespaces) &&
        text.starts_with(detail::kSpaceSymbol)) {
      text.remove_prefix(detail::kSpaceSymbol.size());
      decoding.has_begun = !normalization.remove_extra_whitespaces;
    }
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t space = std::min(text.find(detail::kSpaceSymbol, begin), text.size());
      decoding.text += text.substr(begin, space - begin);
      if (space < text.size()) decoding.text += ' ';
      begin = space + detail::kSpaceSymbol.size();
    }
  }
  static void add_bytes(Decoding& decoding) {
    for (std::size_t i = 0; i < decoding.bytes.size();) {
      const CodePoint point = code_point_at(decoding.bytes, i);
      decoding.text += point.value < 0 ? "\xEF\xBF\xBD" : std::string_view(decoding.bytes).substr(i, point.length);
      i += point.length;
    }
    decoding.bytes.clear();
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
  std::variant<Words, Unigram, detail::SentencePieceBpe> segmenter_;
  detail::AddedTokenFinder added_;
};

}}  // namespace rapt::RAPT_ABI
