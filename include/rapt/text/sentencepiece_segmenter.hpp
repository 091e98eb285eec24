/// \file
/// Segmentation by SentencePiece's models: by a unigram language model (unigram.hpp), by byte pair encoding
/// (sentencepiece_bpe.hpp), or at spaces.
#pragma once

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/text/byte_trie.hpp"
#include "rapt/text/pair_joiner.hpp"
#include "rapt/text/segment.hpp"
#include "rapt/text/sentencepiece_bpe.hpp"
#include "rapt/text/sentencepiece_model.hpp"
#include "rapt/text/sentencepiece_normalizer.hpp"
#include "rapt/text/sentencepiece_options.hpp"
#include "rapt/text/token_table.hpp"
#include "rapt/text/unicode.hpp"
#include "rapt/text/unigram.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Cuts normalised texts into pieces of a model. Many threads may use one object, each with a Work of its own.
class SentencePieceSegmenter {
 public:
  struct Work {
    Unigram::Work unigram;
    SentencePieceBpe::Work bpe;
    Segmentation segments;
  };

  SentencePieceSegmenter() = default;
  /// `symbols` are the user-defined ones, `unknown` is the unknown piece.
  SentencePieceSegmenter(const SentencePieceModel& model, ByteTrie symbols, TokenId unknown) : unknown_(unknown) {
    using Model = SentencePieceModel;
    using Type = Model::PieceType;
    float lowest = FLT_MAX;
    for (const Model::Piece& piece : model.pieces) {
      if (piece.type != Type::normal) continue;
      lowest = std::min(lowest, piece.score);
    }
    std::vector<UnigramPiece> unigram;
    std::vector<SentencePieceBpe::Piece> bpe;
    for (TokenId i = 0; i < std::ssize(model.pieces); ++i) {
      const Model::Piece& piece = at(model.pieces, i);
      const bool is_symbol = piece.type == Type::user_defined, is_unused = piece.type == Type::unused;
      if (!is_symbol && !is_unused && piece.type != Type::normal) continue;
      bpe.push_back({piece.text, i, piece.score, is_symbol, is_unused});
      if (is_unused) continue;
      if (is_symbol) {
        unigram.push_back({.text = piece.text,
                           .id = i,
                           .score = symbol_score(std::ssize(piece.text)),
                           .lattice_score = symbol_score(count_code_points(piece.text))});
      } else {
        unigram.push_back({.text = piece.text, .id = i, .score = double{piece.score}});
      }
    }
    if (model.kind == Model::Kind::unigram) {
      segmenter_ = Unigram(unigram, {.unknown = unknown,
                                     .unknown_score = lowest - kUnknownPenalty,
                                     .fuse_unknown = false,
                                     .single_precision = true});
    } else if (model.kind != Model::Kind::word) {
      segmenter_.emplace<SentencePieceBpe>(bpe, std::move(symbols), unknown, model.kind == Model::Kind::bpe);
    } else {
      auto& words = std::get<TokenTable>(segmenter_);
      for (TokenId i = 0; i < std::ssize(model.pieces); ++i) words.add(at(model.pieces, i).text, i);
    }
  }

  /// The model's unigram language model; nullptr for models of other kinds.
  [[nodiscard]] const Unigram* unigram() const { return std::get_if<Unigram>(&segmenter_); }

  /// The best segmentation. The result stays valid until the next call with the same work.
  [[nodiscard]] const Segmentation& best(std::string_view text, Work& work) const {
    if (const auto* unigram = std::get_if<Unigram>(&segmenter_)) {
      unigram->best(text, work.unigram);
      return work.unigram.segments;
    }
    if (const auto* bpe = std::get_if<SentencePieceBpe>(&segmenter_)) {
      (*bpe)(text, work.bpe);
      return work.bpe.segments;
    }
    split_words(text, std::get<TokenTable>(segmenter_), work.segments);
    return work.segments;
  }

  /// A random segmentation. The result stays valid until the next call with the same work.
  [[nodiscard]] const Segmentation& draw(std::string_view text, const SentencePieceSampling& sampling, Rng& rng,
                                         Work& work) const {
    const Unigram* const unigram = this->unigram();
    if (unigram == nullptr) {
      const auto* const bpe = std::get_if<SentencePieceBpe>(&segmenter_);
      if (bpe == nullptr) return best(text, work);
      JoinDropout dropout(sampling.alpha, rng.next_stream(), "sentencepiece.sample");
      (*bpe)(text, work.bpe, &dropout);
      return work.bpe.segments;
    }
    if (sampling.n_best < 0) {
      work.segments = unigram->sample(text, sampling.alpha, rng);
      return work.segments;
    }
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
    return work.segments;
  }

 private:
  static constexpr const char* kWhere = "sentencepiece";
  static constexpr float kUnknownPenalty = 10;  // below the lowest score of a normal piece
  /// A user-defined symbol of n bytes, or in a lattice n characters, counts as more probable than any piece, and the
  /// longer the more, whatever its own score is: what sentencepiece 0.2.3 does.
  [[nodiscard]] static double symbol_score(Index n) { return 0.1 * static_cast<double>(n - 1); }

  /// A word begins at each space symbol.
  void split_words(std::string_view text, const TokenTable& words, Segmentation& segments) const {
    require(text.size() < to_size(std::numeric_limits<std::int32_t>::max()), kWhere, "a text must be shorter than ",
            std::numeric_limits<std::int32_t>::max(), " bytes: ", text.size());
    segments.clear();
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find(kSpaceSymbol, begin + 1), text.size());
      const TokenId found = words.find(text.substr(begin, end - begin));
      segments.push_back(
          {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end), found < 0 ? unknown_ : found});
      begin = end;
    }
  }

  std::variant<TokenTable, Unigram, SentencePieceBpe> segmenter_;  // a table: the pieces of a model of kind word
  TokenId unknown_ = -1;
};

}}}  // namespace rapt::RAPT_ABI::detail
