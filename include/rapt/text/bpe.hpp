/// \file
/// Byte pair encoding (Sennrich et al. 2016, arXiv:1508.07909) over Unicode characters: learning, encoding, decoding.
///
/// A line is split into words at ASCII white space, and a word is the word mark U+2581 followed by its characters.
/// Learning starts from single characters and repeatedly makes the most frequent pair of neighbouring tokens within
/// words a new token. A token is identified by its text, and its id is its rank: encoding joins the neighbours whose
/// joined text is the token with the lowest id, of several such pairs the leftmost one, until no pair can be joined.
/// The list of tokens is the whole model.
///
/// Characters outside the alphabet, and a literal U+2581, become "<unk>", or with `byte_fallback` their UTF-8 bytes as
/// tokens
/// "<0x00>" .. "<0xFF>", which are never joined. With `lossless`, a line is split at each single space, all other ASCII
/// white space becomes bytes, and any text is restored exactly. The texts "<s>" and "<0x41>" in a line become ordinary
/// tokens, not special ones.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/text/bpe_learner.hpp"
#include "rapt/text/key_table.hpp"
#include "rapt/text/lines.hpp"
#include "rapt/text/pair_joiner.hpp"
#include "rapt/text/unicode.hpp"
#include "rapt/text/vocabulary.hpp"
#include "rapt/text/word_counts.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Converts text to token ids and back. Immutable; many threads may use one object.
class BytePairEncoding {
 public:
  /// Learns the tokens from lines of text; for a shared vocabulary, these are the lines of both languages. The same
  /// lines give the same tokens on any number of threads, as pairs with equal counts are ordered by their bytes. The
  /// time is proportional to n log n for n bytes of text, also for scripts without spaces. Throws ValueError for text
  /// that is not UTF-8 and for options outside their range.
  [[nodiscard]] static BytePairEncoding learn(std::span<const std::string> lines, const BpeOptions& options = {}) {
    const Mode mode = options.lossless ? Mode::lossless : options.byte_fallback ? Mode::words_and_bytes : Mode::words;
    const auto least = static_cast<Index>(first_piece(mode)) + 2;
    require(options.vocabulary_size >= least && options.vocabulary_size <= std::numeric_limits<TokenId>::max(),
            "bpe.learn", "vocabulary_size must be at least ", least, ": ", options.vocabulary_size);
    require(options.min_pair_count >= 1 && options.min_character_count >= 1 && options.max_alphabet >= 1, "bpe.learn",
            "options must be positive: min_pair_count = ", options.min_pair_count,
            ", min_character_count = ", options.min_character_count, ", max_alphabet = ", options.max_alphabet);
    return BytePairEncoding(detail::BpeLearner(lines, options).run(), mode, "bpe.learn");
  }

  /// All tokens with their ids.
  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }
  /// True if characters outside the alphabet become bytes, so that no text has unknown tokens.
  [[nodiscard]] bool byte_fallback() const { return mode_ != Mode::words; }
  /// True if `decode(encode(text)) == text` for all UTF-8 text.
  [[nodiscard]] bool lossless() const { return mode_ == Mode::lossless; }

  /// The tokens of a line, without begin-of-sentence and end-of-sentence. Throws ValueError for text that is not UTF-8.
  [[nodiscard]] std::vector<TokenId> encode(std::string_view line) const { return encode(line, nullptr); }

  /// The tokens of a line with BPE-dropout (Provilkov et al. 2020, arXiv:1910.13267), for training: whenever the next
  /// pair to join is chosen, each pair is skipped with the probability `dropout`, so that a text gets other tokens each
  /// time. 0 is `encode(line)`, 1 gives single characters, and the paper uses 0.1. Takes one stream of `rng`.
  [[nodiscard]] std::vector<TokenId> encode(std::string_view line, double dropout, Rng& rng) const {
    detail::JoinDropout drawn(dropout, rng.next_stream(), "bpe.encode");
    return encode(line, &drawn);
  }

  /// The text of tokens. Special tokens are left out, but "<unk>" becomes U+2047; bytes that are not UTF-8 become
  /// U+FFFD. If not `lossless`, `decode(encode(line)) == line` holds for words of known characters with single spaces
  /// between them. Throws ValueError for an id outside the vocabulary.
  [[nodiscard]] std::string decode(std::span<const TokenId> ids) const {
    std::string text, bytes;
    bool starts_with_mark = false;
    for (const TokenId id : ids) {
      std::string_view token = vocabulary_.token(id);
      if (is_byte(id)) {
        bytes += static_cast<char>(id - static_cast<TokenId>(kSpecials));
        continue;
      }
      append_bytes(text, bytes);
      if (id == vocabulary_.unknown()) {
        text += "\xE2\x81\x87";
      } else if (!vocabulary_.is_special(id)) {
        if (token.starts_with(detail::kWordMark)) {
          starts_with_mark = starts_with_mark || text.empty();
          text += ' ';
          token.remove_prefix(detail::kWordMark.size());
        }
        text += token;
      }
    }
    append_bytes(text, bytes);
    if (starts_with_mark) text.erase(0, 1);
    return text;
  }

  /// The model as UTF-8 text: a line with the kind of model, such as "rapt bpe 1", a line with the number of tokens
  /// other than special ones and bytes, and each of these tokens on a line of its own.
  [[nodiscard]] std::string to_text() const {
    const auto pieces = vocabulary_.tokens().subspan(first_piece(mode_));
    std::string text(kHeaders[static_cast<std::size_t>(mode_)]);
    text += '\n' + std::to_string(pieces.size()) + '\n';
    for (const std::string& piece : pieces) text += piece + '\n';
    return text;
  }

  /// Reads a text that `to_text` wrote. `where` is the name of the text in messages, such as its file. Throws IoError
  /// with `where` and the line for any other text.
  [[nodiscard]] static BytePairEncoding from_text(std::string_view text, std::string_view where) {
    const std::vector<std::string_view> lines = lines_of(text);
    const auto header = lines.empty() ? kHeaders.end() : std::find(kHeaders.begin(), kHeaders.end(), lines[0]);
    require<IoError>(header != kHeaders.end(), line_name(where, 1), "the first line must be \"", kHeaders[0], "\", \"",
                     kHeaders[1], "\" or \"", kHeaders[2], "\"");
    std::size_t count = 0;
    if (lines.size() >= 2) {
      const char* const end = lines[1].data() + lines[1].size();
      const auto parsed = std::from_chars(lines[1].data(), end, count);
      if (parsed.ec != std::errc{} || parsed.ptr != end) count = 0;
    }
    require<IoError>(count > 0, line_name(where, 2), "the second line must be the number of tokens");
    require<IoError>(lines.size() - 2 == count, line_name(where, lines.size()),
                     "the text ends too early or too late: tokens announced = ", count, ", found = ", lines.size() - 2);
    return BytePairEncoding({lines.begin() + 2, lines.end()}, static_cast<Mode>(header - kHeaders.begin()), where);
  }

 private:
  enum class Mode { words, words_and_bytes, lossless };
  static constexpr std::array<std::string_view, 3> kHeaders = {"rapt bpe 1", "rapt bpe 2 byte_fallback",
                                                               "rapt bpe 2 lossless"};  // by mode
  static constexpr std::size_t kSpecials = 3;

  [[nodiscard]] static constexpr std::size_t first_piece(Mode mode) {
    return kSpecials + (mode == Mode::words ? 0 : detail::kByteTokens);
  }
  [[nodiscard]] static std::string line_name(std::string_view where, std::size_t line) {
    return std::string(where) + ":" + std::to_string(line);
  }

  /// `pieces` are the tokens other than special ones and bytes, from line 3 of `where` on.
  BytePairEncoding(std::vector<std::string> pieces, Mode mode, std::string_view where) : mode_(mode) {
    check(pieces, mode, where);
    std::vector<std::string> tokens;
    if (byte_fallback()) {
      for (std::size_t i = 0; i < detail::kByteTokens; ++i) {
        tokens.push_back(detail::byte_token(static_cast<unsigned char>(i)));
      }
    }
    tokens.insert(tokens.end(), pieces.begin(), pieces.end());
    vocabulary_ = Vocabulary(tokens);
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const auto id = static_cast<TokenId>(first_piece(mode) + i);
      const std::string_view piece = pieces[i];
      const CodePoint first = code_point_at(piece, 0);
      if (first.length == piece.size()) {
        if (i > 0)
          characters_.try_emplace(static_cast<std::uint64_t>(first.value), id);  // A mark in the text is no word mark.
        continue;
      }
      bool reachable = false;
      for (std::size_t cut = first.length; cut < piece.size(); cut += code_point_at(piece, cut).length) {
        const TokenId left = vocabulary_.id(piece.substr(0, cut)), right = vocabulary_.id(piece.substr(cut));
        if (!is_piece(left) || !is_piece(right)) continue;
        joiner_.add(left, right, id, id);
        reachable = reachable || (left < id && right < id);
      }
      require<IoError>(reachable, line_name(where, i + 3), "a token must be two earlier tokens joined: \"", piece,
                       "\"");
    }
    // Words that joining makes one token are encoded by a look at the vocabulary alone.
    is_whole_word_.assign(to_size(vocabulary_.size()), false);
    detail::PairJoiner::Work work;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      if (!pieces[i].starts_with(detail::kWordMark)) continue;
      cut_word(std::string_view(pieces[i]).substr(detail::kWordMark.size()), work, nullptr);
      is_whole_word_[first_piece(mode) + i] = work.symbols.size() == 1;
    }
  }

  /// Throws IoError with the line unless each token is one that `learn` could have made.
  static void check(const std::vector<std::string>& pieces, Mode mode, std::string_view where) {
    const SpecialTokens special;
    std::unordered_map<std::string_view, std::size_t> lines;
    require<IoError>(!pieces.empty() && pieces[0] == detail::kWordMark, line_name(where, 3),
                     "the first token must be the word mark U+2581");
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const std::string& piece = pieces[i];
      const auto expect = [&](bool condition, std::string_view rule) {
        if (!condition) fail<IoError>(line_name(where, i + 3), rule, ": \"", piece, "\"");
      };
      if (const auto offset = find_invalid_utf8(piece)) {
        fail<IoError>(line_name(where, i + 3), "not UTF-8: byte ", *offset + 1, " of the line");
      }
      require<IoError>(piece.size() <= detail::kMaxTokenBytes, line_name(where, i + 3), "a token has at most ",
                       detail::kMaxTokenBytes, " bytes: ", piece.size());
      expect(!piece.empty(), "a token must not be empty");
      expect(piece.find_first_of(" \t\n\v\f\r") == std::string::npos, "a token must not contain white space");
      expect(piece.find(detail::kWordMark, 1) == std::string::npos, "the word mark can only begin a token");
      expect(piece != special.unknown && piece != special.begin_of_sentence && piece != special.end_of_sentence,
             "a special token must not be listed");
      expect(mode == Mode::words || !detail::is_byte_token(piece), "a byte must not be listed");
      const auto [at, is_new] = lines.try_emplace(piece, i + 3);
      if (!is_new) {
        fail<IoError>(line_name(where, i + 3), "a token must occur once: \"", piece, "\" stands on line ", at->second,
                      " too");
      }
    }
  }

  [[nodiscard]] bool is_piece(TokenId id) const { return id >= static_cast<TokenId>(first_piece(mode_)); }
  [[nodiscard]] bool is_byte(TokenId id) const { return id >= static_cast<TokenId>(kSpecials) && !is_piece(id); }

  /// Moves the bytes to the end of the text, with U+FFFD for each that is not UTF-8.
  static void append_bytes(std::string& text, std::string& bytes) {
    for (std::size_t i = 0; i < bytes.size();) {
      const CodePoint point = code_point_at(bytes, i);
      text += point.value < 0 ? std::string_view("\xEF\xBF\xBD") : std::string_view(bytes).substr(i, point.length);
      i += point.length;
    }
    bytes.clear();
  }

  [[nodiscard]] std::vector<TokenId> encode(std::string_view line, detail::JoinDropout* dropout) const {
    if (const auto offset = find_invalid_utf8(line)) {
      fail("bpe.encode", "text must be UTF-8: byte ", *offset + 1, " of ", line.size());
    }
    std::vector<TokenId> ids;
    detail::PairJoiner::Work work;
    std::string marked;
    detail::for_each_word(line, lossless(), [&](std::string_view word) {
      marked = detail::kWordMark;
      marked += word;
      const TokenId whole = vocabulary_.id(marked);
      if (dropout == nullptr && at(is_whole_word_, whole)) {
        ids.push_back(whole);
      } else {
        cut_word(word, work, dropout);
        ids.insert(ids.end(), work.symbols.begin(), work.symbols.end());
      }
    });
    return ids;
  }

  /// Sets `work.symbols` to the tokens of the word with its mark.
  void cut_word(std::string_view word, detail::PairJoiner::Work& work, detail::JoinDropout* dropout) const {
    work.symbols.assign(1, static_cast<TokenId>(first_piece(mode_)));  // the word mark
    for (std::size_t i = 0; i < word.size();) {
      const CodePoint point = code_point_at(word, i);
      if (const TokenId* known = characters_.find(static_cast<std::uint64_t>(point.value))) {
        work.symbols.push_back(*known);
      } else if (byte_fallback()) {
        for (const char byte : word.substr(i, point.length)) {
          work.symbols.push_back(static_cast<TokenId>(kSpecials + static_cast<unsigned char>(byte)));
        }
      } else {
        work.symbols.push_back(vocabulary_.unknown());
      }
      i += point.length;
    }
    joiner_.join(work, dropout);
  }

  Mode mode_;
  Vocabulary vocabulary_;
  detail::KeyTable<TokenId> characters_;  // by code point
  detail::PairJoiner joiner_{detail::PairJoiner::Order::one_by_one};
  std::vector<bool> is_whole_word_;  // by id
};

}}  // namespace rapt::RAPT_ABI
