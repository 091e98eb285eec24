/// \file
/// WordPiece, BERT's tokenizer (Devlin et al. 2018, arXiv:1810.04805), for its published vocabularies.
///
/// A text is normalised (bert_normalizer.hpp) and split into words at white space and on both sides of each punctuation
/// mark. A word becomes the longest token that it begins with, followed by the longest token with the prefix "##" that
/// the rest begins with, and so on. A word for which this is not possible, or which is very long, becomes "[UNK]".
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/text/added_tokens.hpp"
#include "rapt/text/bert_normalizer.hpp"
#include "rapt/text/character_classes.hpp"
#include "rapt/text/clean_up.hpp"
#include "rapt/text/text_encoder.hpp"
#include "rapt/text/token_table.hpp"
#include "rapt/text/unicode.hpp"
#include "rapt/text/word_matching.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How words are cut into pieces, and what stands around a text.
struct WordPieceOptions {
  bool lowercase = true;                   ///< false for the cased models
  std::optional<bool> strip_accents = {};  ///< by default the value of lowercase
  bool clean_text = true;                  ///< removes control characters and makes all white space a space
  bool separate_chinese = true;            ///< each Chinese character is a word
  std::string unknown = "[UNK]";           ///< must be in the vocabulary
  std::string prefix = "##";               ///< prefix of tokens that continue a word
  Index max_word_characters = 100;         ///< longer words become the unknown token
  bool cleanup = true;                     ///< decoding cleans up the spaces of each token (clean_up.hpp)
  bool clean_up_spaces = false;            ///< decoding cleans up the spaces of the whole text, too
  std::vector<TokenId> unused = {};        ///< ids without a token; their places hold an empty text
  /// They must be in the vocabulary.
  std::vector<AddedToken> added_tokens = {{"[UNK]"}, {"[SEP]"}, {"[PAD]"}, {"[CLS]"}, {"[MASK]"}};
  /// Where special tokens of a text are put, see TemplatePiece.
  std::vector<TemplatePiece> single = {{"[CLS]"}, {"$A"}, {"[SEP]"}};
  /// The same of two texts.
  std::vector<TemplatePiece> pair = {{"[CLS]"}, {"$A"}, {"[SEP]"}, {"$B", 1}, {"[SEP]", 1}};
  Index max_tokens = 0;  ///< longer texts are cut off; 0 means no limit
};

/// Converts text to token ids and back. Immutable; many threads may use one object.
class WordPiece : public TextEncoder<WordPiece> {
 public:
  /// `tokens` is the whole vocabulary; a token's place is its id. One token may be empty; it is never found in a text.
  /// Throws ValueError for a token that is not UTF-8 or occurs twice, for unused ids that have a token, and if the
  /// unknown token, an added token or a token of a template is missing.
  explicit WordPiece(std::vector<std::string> tokens, WordPieceOptions options = {})
      : options_(std::move(options)),
        tokens_(std::move(tokens)),
        ids_(detail::index_tokens(tokens_, options_.unused, kName)) {
    require(options_.max_word_characters >= 1, kName,
            "max_word_characters must be positive: ", options_.max_word_characters);
    empty_ = ids_.find("");
    unknown_ = ids_.find(options_.unknown);
    require(unknown_ >= 0, kName, "the unknown token must be in the vocabulary: \"", options_.unknown, "\"");
    is_special_.resize(tokens_.size());
    Work work;
    for (const AddedToken& token : options_.added_tokens) {
      const TokenId id = ids_.find(token.text);
      require(id >= 0, kName, "an added token must be in the vocabulary: \"", token.text, "\"");
      require(!find_invalid_utf8(token.text), kName, "an added token must be UTF-8: id ", id);
      at(is_special_, id) = token.special ? 1 : 0;
      if (token.normalized) {
        normalizer_(token.text, work.normalizing, work.normalized);
        added_normalized_.add(work.normalized.text, id, token);
        normalized_names_[id] = work.normalized.text;
      } else {
        added_.add(token.text, id, token);
      }
    }
    added_.finish();
    added_normalized_.finish();
    set_templates(options_.single, options_.pair, options_.max_tokens,
                  [this](std::string_view name) { return ids_.find(name); });
  }

  [[nodiscard]] const WordPieceOptions& options() const { return options_; }
  /// The size of the vocabulary, with unused ids.
  [[nodiscard]] Index size() const { return std::ssize(tokens_); }
  /// All tokens in the order of their ids.
  [[nodiscard]] std::span<const std::string> tokens() const { return tokens_; }
  /// The token with this id, empty for an unused id. Throws ValueError unless 0 <= id < size().
  [[nodiscard]] const std::string& token(TokenId id) const {
    require_ids({&id, 1}, size(), kName);
    return at(tokens_, id);
  }
  /// The id of a token such as "##ing" or "[MASK]", or -1 if it is not in the vocabulary.
  [[nodiscard]] TokenId id(std::string_view token) const { return ids_.find(token); }
  /// The id of the unknown token.
  [[nodiscard]] TokenId unknown() const { return unknown_; }
  /// True for a special token, which `decode` leaves out; false for ids outside of the vocabulary.
  [[nodiscard]] bool is_special(TokenId id) const { return id >= 0 && id < size() && at(is_special_, id) != 0; }

  /// The words of the tokens with spaces between them, as far as tokens tell. The empty token is a word without
  /// letters, and unused ids are skipped. Throws ValueError for an id outside the vocabulary.
  [[nodiscard]] std::string decode(std::span<const TokenId> ids, bool skip_special = true) const {
    require_ids(ids, size(), "wordpiece.decode");
    std::string text, piece;
    bool is_first = true;
    for (const TokenId id : ids) {
      if ((skip_special && is_special(id)) || is_unused(id)) continue;
      const auto normalized = normalized_names_.find(id);
      piece = normalized == normalized_names_.end() ? at(tokens_, id) : normalized->second;
      if (!is_first) {
        if (piece.starts_with(options_.prefix)) {
          piece.erase(0, options_.prefix.size());
        } else {
          piece.insert(0, 1, ' ');
        }
      }
      is_first = false;
      if (options_.cleanup) detail::clean_up_token(piece);
      text += piece;
    }
    if (options_.clean_up_spaces) text = clean_up_spaces(std::move(text));
    return text;
  }

 private:
  friend class TextEncoder<WordPiece>;
  static constexpr const char* kName = "wordpiece";

  struct Work {
    detail::BertNormalizer::Work normalizing;
    detail::NormalizedText normalized;
    std::vector<detail::HashedPrefix> prefixes;
  };

  [[nodiscard]] bool is_unused(TokenId id) const { return at(tokens_, id).empty() && id != empty_; }

  void append(std::string_view text, bool find_special, Work& work, detail::TokenSink& sink) const {
    work.normalized.with_origins = sink.with_spans;
    added_.split(text, find_special, [&](std::size_t begin, std::size_t end, TokenId id) {
      if (id >= 0) {
        sink.add_word(id, begin, end);
        return;
      }
      normalizer_(text.substr(begin, end - begin), work.normalizing, work.normalized);
      const std::string_view normalized = work.normalized.text;
      const Place place{text, begin, work.normalized.origins};
      if (added_normalized_.empty()) {
        append_words(normalized, 0, place, work, sink);
        return;
      }
      added_normalized_.split(normalized, find_special, [&](std::size_t from, std::size_t to, TokenId found) {
        if (found >= 0) {
          sink.begin_word();
          place.add(found, from, to, sink);
        } else {
          append_words(normalized.substr(from, to - from), from, place, work, sink);
        }
      });
    });
  }

  /// The place in the original text that normalised text came from.
  struct Place {
    std::string_view text;
    std::size_t begin;                        // where the normalised part begins in it
    const std::vector<std::size_t>& origins;  // offset in that part of each normalised byte's character

    /// Adds a token of the normalised bytes [from, to) with its span in the original text.
    void add(TokenId id, std::size_t from, std::size_t to, detail::TokenSink& sink) const {
      if (!sink.with_spans) {
        sink.ids.push_back(id);
        return;
      }
      const std::size_t last = begin + origins[to - 1];
      sink.add(id, begin + origins[from], last + detail::known_code_point_at(text, last).length);
    }
  };

  /// Adds the tokens of the words of a part of normalised text, which begins at `offset` in it.
  void append_words(std::string_view text, std::size_t offset, const Place& place, Work& work,
                    detail::TokenSink& sink) const {
    std::size_t begin = 0;
    std::uint64_t hash = detail::TokenTable::kEmptyHash;
    Index characters = 0;
    const auto end_word = [&](std::size_t end) {
      if (end > begin)
        append_word(text.substr(begin, end - begin), hash, characters, offset + begin, place, work, sink);
      hash = detail::TokenTable::kEmptyHash;
      characters = 0;
    };
    for (std::size_t i = 0; i < text.size();) {
      const CodePoint point = detail::known_code_point_at(text, i);
      const std::uint8_t classes = classes_[point.value];
      const std::size_t next = i + point.length;
      const bool is_apart = (classes & (detail::kSpace | detail::kPunctuation)) != 0;
      if (is_apart) {
        end_word(i);
        begin = next;
        if ((classes & detail::kSpace) == 0) {
          const std::string_view mark = text.substr(i, point.length);
          append_word(mark, detail::TokenTable::hash_on(hash, mark), 1, offset + i, place, work, sink);
        }
      } else {
        for (std::size_t k = i; k < next; ++k) hash = detail::TokenTable::hash_on(hash, text[k]);
        ++characters;
      }
      i = next;
    }
    end_word(text.size());
  }

  /// Adds the tokens of a word, which begins at `at` in the normalised text.
  void append_word(std::string_view word, std::uint64_t hash, Index characters, std::size_t at, const Place& place,
                   Work& work, detail::TokenSink& sink) const {
    sink.begin_word();
    if (characters > options_.max_word_characters) {
      place.add(unknown_, at, at + word.size(), sink);
      return;
    }
    if (const TokenId id = ids_.find(hash, {}, word); id >= 0) {
      place.add(id, at, at + word.size(), sink);
      return;
    }
    const std::size_t before = sink.ids.size();
    const auto add = [&](TokenId id, std::size_t from, std::size_t to) { place.add(id, at + from, at + to, sink); };
    if (!detail::match_word(ids_, options_.prefix, word, work.prefixes, add)) {
      sink.truncate(before);
      place.add(unknown_, at, at + word.size(), sink);
    }
  }

  WordPieceOptions options_;
  std::vector<std::string> tokens_;  // by id
  detail::TokenTable ids_;
  std::unordered_map<TokenId, std::string> normalized_names_;  // of added tokens found in normalised text
  TokenId unknown_ = -1, empty_ = -1;
  std::vector<char> is_special_;  // by id
  detail::CharacterClasses classes_;
  detail::BertNormalizer normalizer_{{options_.clean_text, options_.separate_chinese,
                                      options_.strip_accents.value_or(options_.lowercase), options_.lowercase},
                                     classes_};
  detail::AddedTokenFinder added_, added_normalized_;
};

}}  // namespace rapt::RAPT_ABI
