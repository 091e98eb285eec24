/// \file
/// Byte pair encoding (Sennrich et al. 2016, arXiv:1508.07909) over Unicode characters: learning, encoding, decoding.
///
/// A line is cut into words at ASCII white space; a word is the word mark U+2581 and its characters. Learning starts
/// from single characters and makes, again and again, the most frequent pair of neighbours into a token; pairs do not
/// cross words. A token is its text, and its id tells its rank: encoding joins neighbours whose joined text is a
/// token, the lowest id first and, of equal ones, the leftmost. So the list of tokens is the whole model.
///
/// Characters that are not in the alphabet become "<unk>", and so does a literal U+2581. No input produces another
/// special token: text such as "<s>" is made of ordinary tokens.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/text/bpe_learner.hpp"
#include "rapt/text/unicode.hpp"
#include "rapt/text/vocabulary.hpp"

namespace rapt::inline RAPT_ABI {

/// Text to token ids and back. Immutable; many threads may use one object.
class BytePairEncoding {
 public:
  /// Learns from lines of text, those of both languages together for a shared vocabulary. The same lines give the
  /// same tokens: of pairs with equal counts the one with the smaller bytes is first. Time grows with text size times
  /// its logarithm, for scripts without spaces too. Throws ValueError for text that is not UTF-8 and for options
  /// outside their range.
  [[nodiscard]] static BytePairEncoding learn(std::span<const std::string> lines, const BpeOptions& options = {}) {
    require(options.vocabulary_size >= 5 && options.vocabulary_size <= std::numeric_limits<TokenId>::max(), "bpe.learn",
            "vocabulary_size must be at least 5: ", options.vocabulary_size);
    require(options.min_pair_count >= 1 && options.min_character_count >= 1 && options.max_alphabet >= 1, "bpe.learn",
            "options must be positive: min_pair_count = ", options.min_pair_count,
            ", min_character_count = ", options.min_character_count, ", max_alphabet = ", options.max_alphabet);
    return BytePairEncoding(detail::BpeLearner(lines, options).run(), "bpe.learn");
  }

  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }

  /// Tokens of a line, without begin and end of sentence. Throws ValueError for text that is not UTF-8.
  [[nodiscard]] std::vector<TokenId> encode(std::string_view line) const {
    if (const auto offset = find_invalid_utf8(line)) {
      fail("bpe.encode", "text must be UTF-8: byte ", *offset + 1, " of ", line.size());
    }
    std::vector<TokenId> ids;
    Work work;
    std::string marked;
    detail::for_each_word(line, [&](std::string_view word) {
      marked = detail::kWordMark;
      marked += word;
      const TokenId whole = vocabulary_.id(marked);
      if (is_whole_word_[static_cast<std::size_t>(whole)]) {
        ids.push_back(whole);
      } else {
        append_word(word, work, ids);
      }
    });
    return ids;
  }

  /// Text of tokens: special ones are left out but "<unk>", which becomes U+2047. `decode(encode(line)) == line` for
  /// known characters in words with single spaces between them. Throws ValueError for an id outside the vocabulary.
  [[nodiscard]] std::string decode(std::span<const TokenId> ids) const {
    std::string text;
    bool starts_with_mark = false;
    for (const TokenId id : ids) {
      std::string_view token = vocabulary_.token(id);
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
    if (starts_with_mark) text.erase(0, 1);
    return text;
  }

  /// The model as UTF-8 text: the line "rapt bpe 1", the number of ordinary tokens, and each on a line of its own.
  [[nodiscard]] std::string to_text() const {
    const auto ordinary = vocabulary_.tokens().subspan(kFirstOrdinary);
    std::string text(kHeader);
    text += '\n' + std::to_string(ordinary.size()) + '\n';
    for (const std::string& token : ordinary) text += token + '\n';
    return text;
  }

  /// Reads what `to_text` wrote. `where` names the text in messages, such as its file. Throws IoError that names
  /// `where` and the line for anything `to_text` does not write.
  [[nodiscard]] static BytePairEncoding from_text(std::string_view text, std::string_view where) {
    std::vector<std::string> lines;
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      std::string_view line = text.substr(0, end);
      if (line.ends_with('\r')) line.remove_suffix(1);
      lines.emplace_back(line);
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    require<IoError>(!lines.empty() && lines[0] == kHeader, line_name(where, 1), "the first line must be \"", kHeader,
                     "\"");
    std::size_t count = 0;
    if (lines.size() >= 2) {
      const char* const end = lines[1].data() + lines[1].size();
      const auto parsed = std::from_chars(lines[1].data(), end, count);
      if (parsed.ec != std::errc{} || parsed.ptr != end) count = 0;
    }
    require<IoError>(count > 0, line_name(where, 2), "the second line must be the number of tokens");
    require<IoError>(lines.size() - 2 == count, line_name(where, lines.size()),
                     "the text ends too early or too late: tokens announced = ", count, ", found = ", lines.size() - 2);
    lines.erase(lines.begin(), lines.begin() + 2);
    return BytePairEncoding(std::move(lines), where);
  }

 private:
  static constexpr std::string_view kHeader = "rapt bpe 1";
  static constexpr std::size_t kFirstOrdinary = 3;

  struct Candidate {
    TokenId joined;
    std::int32_t place;
    TokenId left, right;  // what stood there; the candidate is stale when it does no longer
  };
  struct Work {  // buffers used again from word to word
    std::vector<TokenId> symbols;
    std::vector<std::int32_t> previous, next;
    std::vector<Candidate> heap;
  };

  [[nodiscard]] static std::string line_name(std::string_view where, std::size_t line) {
    return std::string(where) + ":" + std::to_string(line);
  }

  /// `tokens` without the special ones; they stand from line 3 of `where` on.
  BytePairEncoding(std::vector<std::string> tokens, std::string_view where) {
    check(tokens, where);
    vocabulary_ = Vocabulary(tokens);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const auto id = static_cast<TokenId>(i + kFirstOrdinary);
      const std::string_view token = tokens[i];
      const CodePoint first = code_point_at(token, 0);
      if (first.length == token.size()) {
        if (i > 0) characters_.emplace(first.value, id);  // not the word mark: in text it is unknown
        continue;
      }
      bool reachable = false;
      for (std::size_t cut = first.length; cut < token.size(); cut += code_point_at(token, cut).length) {
        const TokenId left = vocabulary_.id(token.substr(0, cut));
        const TokenId right = vocabulary_.id(token.substr(cut));
        if (vocabulary_.is_special(left) || vocabulary_.is_special(right)) continue;
        joins_.emplace(detail::pair_key(left, right), id);
        reachable = reachable || (left < id && right < id);
      }
      require<IoError>(reachable, line_name(where, i + 3), "a token must be two earlier tokens joined: \"", token,
                       "\"");
    }
    // Words that are one token skip the joining; only those that joining does lead to.
    is_whole_word_.assign(static_cast<std::size_t>(vocabulary_.size()), false);
    Work work;
    std::vector<TokenId> ids;
    for (std::size_t i = 1; i < tokens.size(); ++i) {
      if (!tokens[i].starts_with(detail::kWordMark)) continue;
      ids.clear();
      append_word(std::string_view(tokens[i]).substr(detail::kWordMark.size()), work, ids);
      is_whole_word_[i + kFirstOrdinary] = ids.size() == 1;
    }
  }

  /// Throws IoError with the line unless each token is one that `learn` could have made.
  static void check(const std::vector<std::string>& tokens, std::string_view where) {
    const SpecialTokens special;
    std::unordered_map<std::string_view, std::size_t> lines;
    require<IoError>(!tokens.empty() && tokens[0] == detail::kWordMark, line_name(where, 3),
                     "the first token must be the word mark U+2581");
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const std::string& token = tokens[i];
      const auto expect = [&](bool condition, std::string_view rule) {
        if (!condition) fail<IoError>(line_name(where, i + 3), rule, ": \"", token, "\"");
      };
      if (const auto offset = find_invalid_utf8(token)) {
        fail<IoError>(line_name(where, i + 3), "not UTF-8: byte ", *offset + 1, " of the line");
      }
      require<IoError>(token.size() <= detail::kMaxTokenBytes, line_name(where, i + 3), "a token has at most ",
                       detail::kMaxTokenBytes, " bytes: ", token.size());
      expect(!token.empty(), "a token must not be empty");
      expect(token.find_first_of(" \t\n\v\f\r") == std::string::npos, "a token must not contain white space");
      expect(token.find(detail::kWordMark, 1) == std::string::npos, "the word mark can only begin a token");
      expect(token != special.unknown && token != special.begin_of_sentence && token != special.end_of_sentence,
             "a special token must not be listed");
      const auto [at, is_new] = lines.try_emplace(token, i + 3);
      if (!is_new) {
        fail<IoError>(line_name(where, i + 3), "a token must occur once: \"", token, "\" stands on line ", at->second,
                      " too");
      }
    }
  }

  /// Joins the marked word's characters; n log n for n characters.
  void append_word(std::string_view word, Work& work, std::vector<TokenId>& ids) const {
    std::vector<TokenId>& symbols = work.symbols;
    std::vector<std::int32_t>& previous = work.previous;
    std::vector<std::int32_t>& next = work.next;
    std::vector<Candidate>& heap = work.heap;
    symbols.assign(1, static_cast<TokenId>(kFirstOrdinary));  // the word mark
    for (std::size_t i = 0; i < word.size();) {
      const CodePoint point = code_point_at(word, i);
      const auto found = characters_.find(point.value);
      symbols.push_back(found == characters_.end() ? vocabulary_.unknown() : found->second);
      i += point.length;
    }
    const auto size = static_cast<std::int32_t>(symbols.size());
    previous.resize(symbols.size());
    next.resize(symbols.size());
    heap.clear();
    const auto later = [](const Candidate& a, const Candidate& b) {
      return std::tie(a.joined, a.place) > std::tie(b.joined, b.place);
    };
    const auto at = [](auto& list, std::int32_t place) -> auto& { return list[static_cast<std::size_t>(place)]; };
    const auto consider = [&](std::int32_t left, std::int32_t right) {
      const auto found = joins_.find(detail::pair_key(at(symbols, left), at(symbols, right)));
      if (found == joins_.end()) return false;
      heap.push_back({found->second, left, at(symbols, left), at(symbols, right)});
      return true;
    };
    for (std::int32_t i = 0; i < size; ++i) {
      at(previous, i) = i - 1;
      at(next, i) = i + 1;
      if (i + 1 < size) consider(i, i + 1);
    }
    std::make_heap(heap.begin(), heap.end(), later);
    while (!heap.empty()) {
      std::pop_heap(heap.begin(), heap.end(), later);
      const Candidate best = heap.back();
      heap.pop_back();
      const std::int32_t second = at(next, best.place);
      if (at(symbols, best.place) != best.left || second >= size || at(symbols, second) != best.right) continue;
      const std::int32_t behind = at(next, second);
      at(symbols, best.place) = best.joined;
      at(symbols, second) = kGone;
      at(next, best.place) = behind;
      if (behind < size) {
        at(previous, behind) = best.place;
        if (consider(best.place, behind)) std::push_heap(heap.begin(), heap.end(), later);
      }
      const std::int32_t before = at(previous, best.place);
      if (before >= 0 && consider(before, best.place)) std::push_heap(heap.begin(), heap.end(), later);
    }
    for (std::int32_t i = 0; i < size; i = at(next, i)) ids.push_back(at(symbols, i));
  }

  static constexpr TokenId kGone = -1;

  Vocabulary vocabulary_;
  std::unordered_map<std::int32_t, TokenId> characters_;                // by code point
  std::unordered_map<std::uint64_t, TokenId, detail::PairHash> joins_;  // pair to the token it makes
  std::vector<bool> is_whole_word_;                                     // by id
};

}  // namespace rapt::inline RAPT_ABI
