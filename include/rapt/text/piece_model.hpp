/// \file
/// The models of tokenizer.json, which find the tokens of a piece of text: WordLevel, WordPiece, byte pair encoding of
/// characters (Sennrich et al. 2016, arXiv:1508.07909) with what SentencePiece adds to it, and Unigram.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/text/character_classes.hpp"
#include "rapt/text/pair_joiner.hpp"
#include "rapt/text/segment.hpp"
#include "rapt/text/token_table.hpp"
#include "rapt/text/unicode.hpp"
#include "rapt/text/unigram.hpp"
#include "rapt/text/unigram_score.hpp"
#include "rapt/text/word_matching.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A piece is a token of the vocabulary or the unknown one.
struct WordLevelModel {
  std::string unknown = "<unk>";
};

/// A piece is split as BERT splits words (wordpiece.hpp).
struct WordPieceModel {
  std::string unknown = "[UNK]";    ///< the token of pieces that cannot be split into tokens
  std::string prefix = "##";        ///< what tokens that continue a piece begin with
  Index max_word_characters = 100;  ///< longer pieces become the unknown token
};

/// The characters of a piece are the first symbols, and neighbours that are in the list of merges are joined, the
/// earliest merge of the list first.
struct CharacterBpeModel {
  std::vector<std::pair<std::string, std::string>> merges = {};
  std::string unknown = {};    ///< stands for characters without a token; if empty, they are left out
  bool fuse_unknown = false;   ///< neighbouring unknown characters become one token
  bool byte_fallback = false;  ///< characters without a token become tokens of bytes, "<0x0A>", if all are there
  bool ignore_merges = false;  ///< a piece that is a token is not made by merges
  /// Joins any two neighbours that are a token together, the one with the smallest id first, instead of merges.
  bool by_rank = false;
  std::string prefix = {};  ///< of tokens that continue a piece
  std::string suffix = {};  ///< of tokens at the end of a piece, such as "</w>"
};

/// A piece is split into its most probable tokens (unigram.hpp). The model's tokens have the first ids.
struct UnigramModel {
  std::vector<double> scores = {};      ///< log-probabilities by id
  std::optional<TokenId> unknown = {};  ///< without one, encoding a text of unknown characters is an error
  bool byte_fallback = false;           ///< unknown characters become tokens of bytes, "<0x0A>", if all are there
};

/// The model of a tokenizer, which cuts a piece of text into tokens.
using PieceModel = std::variant<WordLevelModel, WordPieceModel, CharacterBpeModel, UnigramModel>;

namespace detail {

/// A token and its bytes in the piece.
struct PieceToken {
  TokenId id;
  std::size_t begin, end;
};

struct PieceWork {
  PairJoiner::Work joining;
  std::vector<std::size_t> lengths;  // bytes of each first symbol
  std::vector<HashedPrefix> prefixes;
  Unigram::Work unigram;
  std::string name;
  std::vector<PieceToken> tokens;  // the result
};

/// Finds words.
class WordLevelFinder {
 public:
  WordLevelFinder(const WordLevelModel& model, const TokenTable& ids)
      : unknown_(ids.find(model.unknown)), unknown_name_(model.unknown) {}

  void operator()(std::string_view piece, const TokenTable& ids, PieceWork& work) const {
    TokenId id = ids.find(piece);
    if (id < 0) id = unknown_;
    require(id >= 0, "composed_tokenizer.encode", "the vocabulary has neither the word \"", piece,
            "\" nor the unknown token \"", unknown_name_, "\"");
    work.tokens.push_back({id, 0, piece.size()});
  }

 private:
  TokenId unknown_;
  std::string unknown_name_;
};

/// Finds parts of words.
class WordPieceFinder {
 public:
  /// Throws ValueError if the unknown token is missing.
  WordPieceFinder(const WordPieceModel& model, const TokenTable& ids)
      : prefix_(model.prefix),
        most_(to_size(std::max(model.max_word_characters, Index{0}))),
        unknown_(ids.find(model.unknown)) {
    require(unknown_ >= 0, "composed_tokenizer", "the unknown token must be in the vocabulary: \"", model.unknown,
            "\"");
  }

  void operator()(std::string_view piece, const TokenTable& ids, PieceWork& work) const {
    const auto add = [&](TokenId id, std::size_t begin, std::size_t end) { work.tokens.push_back({id, begin, end}); };
    const bool is_short = piece.size() <= most_ || to_size(count_code_points(piece)) <= most_;
    if (is_short && match_word(ids, prefix_, piece, work.prefixes, add)) return;
    work.tokens.assign(1, {unknown_, 0, piece.size()});
  }

 private:
  std::string prefix_;
  std::size_t most_;
  TokenId unknown_;
};

/// The tokens of bytes, such as "<0x0A>".
class ByteTokens {
 public:
  ByteTokens() { ids_.fill(-1); }
  explicit ByteTokens(const TokenTable& ids) {
    for (std::size_t byte = 0; byte < ids_.size(); ++byte) {
      std::array<char, 8> name{};
      std::snprintf(name.data(), name.size(), "<0x%02X>", static_cast<unsigned>(byte));
      ids_[byte] = ids.find(name.data());
    }
  }
  [[nodiscard]] TokenId id(char byte) const { return ids_[static_cast<unsigned char>(byte)]; }
  [[nodiscard]] bool has_all(std::string_view text) const {
    return std::all_of(text.begin(), text.end(), [&](char byte) { return id(byte) >= 0; });
  }

 private:
  std::array<TokenId, 256> ids_{};
};

/// Joins characters.
class CharacterBpeFinder {
 public:
  /// Throws ValueError for a merge of unknown tokens, or to one, for an unknown token that is missing, and for merges,
  /// a prefix or a suffix beside by_rank.
  CharacterBpeFinder(const CharacterBpeModel& model, const TokenTable& ids, std::span<const std::string> tokens)
      : model_(model) {
    if (!model_.unknown.empty()) {
      unknown_ = ids.find(model_.unknown);
      require(unknown_ >= 0, kName, "the unknown token must be in the vocabulary: \"", model_.unknown, "\"");
    }
    if (model_.byte_fallback) bytes_ = ByteTokens(ids);
    if (model_.by_rank) {
      require(model_.merges.empty() && model_.prefix.empty() && model_.suffix.empty(), kName,
              "a vocabulary that is joined by rank must have no merges, prefix and suffix: it has ",
              model_.merges.size(), " merges, \"", model_.prefix, "\" and \"", model_.suffix, "\"");
      add_ranked_pairs(
          tokens, ids, [](TokenId) { return true; }, joiner_);
    } else {
      add_merges(ids);
    }
    model_.merges.clear();
    std::vector<char> is_whole(tokens.size());
    const auto piece_of = [&](std::size_t id) {
      std::string_view piece = tokens[id];
      if (!model_.ignore_merges && piece.ends_with(model_.suffix)) piece.remove_suffix(model_.suffix.size());
      return piece;
    };
    parallel_for(std::ssize(tokens), 1024, [&](Index begin, Index end) {
      PieceWork work;
      for (Index i = begin; i < end; ++i) {
        const auto id = to_size(i);
        const std::string_view piece = piece_of(id);
        if (piece.empty() || ids.find(tokens[id]) != i) continue;
        if (!model_.ignore_merges) {
          work.tokens.clear();
          join(piece, ids, work);
          if (work.tokens.size() != 1 || work.tokens[0].id != i || work.tokens[0].end != piece.size()) continue;
        }
        is_whole[id] = 1;
      }
    });
    for (std::size_t id = 0; id < tokens.size(); ++id) {
      if (is_whole[id] != 0) whole_.add(piece_of(id), static_cast<TokenId>(id));
    }
  }

  void operator()(std::string_view piece, const TokenTable& ids, PieceWork& work) const {
    if (const TokenId id = whole_.find(piece); id >= 0) {
      work.tokens.push_back({id, 0, piece.size()});
    } else {
      join(piece, ids, work);
    }
  }

 private:
  static constexpr const char* kName = "composed_tokenizer";

  void add_merges(const TokenTable& ids) {
    for (std::size_t i = model_.merges.size(); i-- > 0;) {  // backwards, as the last place of a pair counts
      const std::string &left = model_.merges[i].first, &right = model_.merges[i].second;
      const auto expect = [&](bool condition, std::string_view rule) {
        if (!condition) fail(kName, rule, ": merge ", i, ", \"", left, "\" and \"", right, "\"");
      };
      const TokenId left_id = ids.find(left), right_id = ids.find(right);
      expect(left_id >= 0 && right_id >= 0, "a merge must join two tokens");
      expect(right.size() >= model_.prefix.size(), "the second token of a merge must be longer than the prefix");
      const TokenId joined = ids.find(left + right.substr(model_.prefix.size()));
      expect(joined >= 0, "what a merge joins to must be a token");
      joiner_.add(left_id, right_id, static_cast<std::int32_t>(i), joined);
    }
  }

  void join(std::string_view piece, const TokenTable& ids, PieceWork& work) const {
    std::vector<std::int32_t>& symbols = work.joining.symbols;
    symbols.clear();
    work.lengths.clear();
    const auto add = [&](TokenId id, std::size_t length) {
      symbols.push_back(id);
      work.lengths.push_back(length);
    };
    std::size_t unknown_length = 0;  // of an unknown token that is not added yet
    const auto add_unknown = [&] {
      if (unknown_length > 0) add(unknown_, unknown_length);
      unknown_length = 0;
    };
    for (std::size_t i = 0; i < piece.size();) {
      const std::size_t length = known_code_point_at(piece, i).length;
      std::string_view name = piece.substr(i, length);
      const bool has_prefix = i > 0 && !model_.prefix.empty();
      const bool has_suffix = i + length == piece.size() && !model_.suffix.empty();
      if (has_prefix || has_suffix) {
        work.name.assign(has_prefix ? std::string_view(model_.prefix) : std::string_view());
        work.name += name;
        if (has_suffix) work.name += model_.suffix;
        name = work.name;
      }
      i += length;
      if (const TokenId id = ids.find(name); id >= 0) {
        add_unknown();
        add(id, length);
        continue;
      }
      if (bytes_.has_all(name)) {
        for (const char byte : name) add(bytes_.id(byte), 1);
      } else if (unknown_ >= 0) {
        if (!model_.fuse_unknown) add_unknown();
        unknown_length += length;
      }
    }
    add_unknown();
    joiner_.join(work.joining);
    const auto& begins = work.joining.begins;
    std::size_t begin = 0;
    for (std::size_t t = 0; t < symbols.size(); ++t) {
      const std::size_t last = t + 1 < begins.size() ? to_size(begins[t + 1]) : work.lengths.size();
      std::size_t end = begin;
      for (std::size_t k = to_size(begins[t]); k < last; ++k) end += work.lengths[k];
      work.tokens.push_back({symbols[t], std::min(begin, piece.size() - 1), std::min(end, piece.size())});
      begin = end;
    }
  }

  CharacterBpeModel model_;
  TokenId unknown_ = -1;
  ByteTokens bytes_;
  PairJoiner joiner_{PairJoiner::Order::one_by_one};
  TokenTable whole_;  // pieces that are one token
};

/// Finds the most probable tokens.
class UnigramFinder {
 public:
  /// Throws ValueError for more scores than tokens, and for an unknown token outside the model.
  UnigramFinder(const UnigramModel& model, const TokenTable& ids, std::span<const std::string> tokens)
      : unknown_(model.unknown.value_or(-1)) {
    require(!model.scores.empty() && model.scores.size() <= tokens.size(), kName,
            "a unigram model must have a score for each of its tokens: it has ", model.scores.size(), " of ",
            tokens.size());
    require(unknown_ >= -1 && unknown_ < std::ssize(model.scores), kName, "the unknown id must be less than ",
            model.scores.size(), ": ", unknown_);
    if (model.byte_fallback) bytes_ = ByteTokens(ids);
    std::vector<UnigramPiece> pieces;
    for (std::size_t id = 0; id < model.scores.size(); ++id) {
      if (tokens[id].empty()) continue;
      pieces.push_back({.text = tokens[id], .id = static_cast<TokenId>(id), .score = score_as_read(model.scores[id])});
    }
    const double lowest = score_as_read(*std::min_element(model.scores.begin(), model.scores.end()));
    unigram_ = Unigram(pieces, {.unknown = unknown_, .unknown_score = lowest - 10, .single_precision = false});
  }

  void operator()(std::string_view piece, const TokenTable& ids, PieceWork& work) const {
    unigram_.best(piece, work.unigram);
    for (const Segment& segment : work.unigram.segments) {
      TokenId id = segment.id;
      if (id == unknown_) {
        const std::string_view text = piece.substr(segment.begin, segment.end - segment.begin);
        id = ids.find(text);
        if (id < 0 && bytes_.has_all(text)) {
          for (const char byte : text) work.tokens.push_back({bytes_.id(byte), segment.begin, segment.end});
          continue;
        }
        if (id < 0) id = unknown_;
        require(id >= 0, "composed_tokenizer.encode", "the vocabulary has neither \"", text, "\" nor an unknown token");
      }
      work.tokens.push_back({id, segment.begin, segment.end});
    }
  }

 private:
  static constexpr const char* kName = "composed_tokenizer";

  TokenId unknown_;
  ByteTokens bytes_;
  Unigram unigram_;
};

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
