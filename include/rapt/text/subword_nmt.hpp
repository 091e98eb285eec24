/// \file
/// The codes of subword-nmt (Sennrich et al. 2016, arXiv:1508.07909), which split text as in many published corpora,
/// whose vocabularies are lists of pieces such as "new@@" and "est".
///
/// A codes file has the line "#version: 0.2" and then a pair of symbols on each line, of which the first is joined
/// first. While `BytePairEncoding` marks the beginning of a word, these symbols mark its end: "</w>" is a part of the
/// last character's symbol. In version 0.1, which files without the line have, "</w>" is a symbol of its own after the
/// last character.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/text/lines.hpp"
#include "rapt/text/pair_joiner.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Splits the words of tokenized text into pieces. Immutable; many threads may use one object.
class SubwordNmtCodes {
 public:
  /// Reads the text of a codes file, with or without a byte order mark. If a pair is there twice, the first one counts.
  /// `where` is the name of the text in messages, such as its file. Throws IoError with `where` and the line for a
  /// malformed text.
  [[nodiscard]] static SubwordNmtCodes from_text(std::string_view codes, std::string_view where) {
    constexpr std::string_view kVersion = "#version:";
    SubwordNmtCodes result;
    codes = without_byte_order_mark(codes);
    while (codes.ends_with('\n')) codes.remove_suffix(1);
    std::size_t number = 1;
    for (bool more = true; more; ++number) {
      const std::size_t end = codes.find('\n');
      const std::string_view line = strip(codes.substr(0, end));
      more = end != codes.npos;
      if (more) codes.remove_prefix(end + 1);
      const auto expect = [&](bool condition, std::string_view rule) {
        if (!condition) fail<IoError>(std::string(where) + ":" + std::to_string(number), rule, ": \"", line, "\"");
      };
      expect(!find_invalid_utf8(line), "the line must be UTF-8");
      if (number == 1 && line.starts_with(kVersion)) {
        const std::string_view version = strip(line.substr(kVersion.size()));
        expect(version == "0.1" || version == "0.2", "the version must be 0.1 or 0.2");
        result.end_is_symbol_ = version == "0.1";
        expect(more, "no codes follow");
        continue;
      }
      const std::size_t space = line.find(' ');
      expect(space != line.npos && line.find(' ', space + 1) == line.npos,
             "the line must be two symbols with a space between them");
      expect(number < to_size(std::numeric_limits<std::int32_t>::max()) / 3, "too many lines");
      const std::string_view left = line.substr(0, space), right = line.substr(space + 1);
      const std::int32_t joined = result.symbol(std::string(left) += right);
      result.joiner_.add(result.symbol(left), result.symbol(right), static_cast<std::int32_t>(number), joined);
    }
    return result;
  }

  /// The pieces of the words with spaces between them; a piece ends in "@@" unless it is the end of a word. Words are
  /// separated by spaces alone. Throws ValueError for text that is not UTF-8.
  [[nodiscard]] std::string segment(std::string_view line) const {
    if (const auto offset = find_invalid_utf8(line)) {
      fail("subword_nmt.segment", "text must be UTF-8: byte ", *offset + 1, " of ", line.size());
    }
    line = strip(line);
    std::string pieces;
    Work work;
    while (!line.empty()) {
      const std::size_t end = std::min(line.find(' '), line.size());
      if (end > 0) {
        if (!pieces.empty()) pieces += ' ';
        append_pieces(line.substr(0, end), work, pieces);
      }
      line.remove_prefix(std::min(end + 1, line.size()));
    }
    return pieces;
  }

  /// The words of pieces: the text without "@@ " and without "@@" at its end. It undoes `segment` for words with single
  /// spaces between them if no word ends in "@@".
  [[nodiscard]] static std::string join(std::string_view pieces) {
    std::string words;
    while (!pieces.empty()) {
      const std::size_t end = std::min(pieces.find(' '), pieces.size());
      std::string_view piece = pieces.substr(0, end);
      const bool goes_on = piece.ends_with(kSeparator);
      if (goes_on) piece.remove_suffix(kSeparator.size());
      words += piece;
      if (!goes_on && end < pieces.size()) words += ' ';
      pieces.remove_prefix(std::min(end + 1, pieces.size()));
    }
    return words;
  }

 private:
  static constexpr std::string_view kSeparator = "@@", kEndOfWord = "</w>";

  struct Work {
    detail::PairJoiner::Work joining;
    std::vector<std::size_t> offsets;  // offset of each symbol in the word, and the word's end
    std::string last;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  [[nodiscard]] static std::string_view strip(std::string_view line) {
    constexpr std::string_view kStripped = "\r\n ";
    const std::size_t begin = std::min(line.find_first_not_of(kStripped), line.size());
    return line.substr(begin, line.find_last_not_of(kStripped) + 1 - begin);
  }

  [[nodiscard]] std::int32_t symbol(std::string_view text) {
    return symbols_.try_emplace(std::string(text), static_cast<std::int32_t>(symbols_.size())).first->second;
  }
  [[nodiscard]] std::int32_t known_symbol(std::string_view text) const {
    const auto found = symbols_.find(text);
    return found == symbols_.end() ? -1 : found->second;
  }

  void append_pieces(std::string_view word, Work& work, std::string& pieces) const {
    std::vector<std::int32_t>& symbols = work.joining.symbols;
    symbols.clear();
    work.offsets.clear();
    for (std::size_t i = 0; i < word.size();) {
      const std::string_view character = word.substr(i, code_point_at(word, i).length);
      work.offsets.push_back(i);
      i += character.size();
      if (i < word.size() || end_is_symbol_) {
        symbols.push_back(known_symbol(character));
      } else {
        work.last = character;
        symbols.push_back(known_symbol(work.last += kEndOfWord));
      }
    }
    if (end_is_symbol_) {
      work.offsets.push_back(word.size());
      symbols.push_back(known_symbol(kEndOfWord));
    }
    work.offsets.push_back(word.size());
    joiner_.join(work.joining);
    const std::vector<std::int32_t>& begins = work.joining.begins;
    for (std::size_t i = 0; i < begins.size(); ++i) {
      const std::size_t begin = at(work.offsets, begins[i]);
      const std::size_t end = i + 1 < begins.size() ? at(work.offsets, begins[i + 1]) : word.size();
      if (begin == word.size()) break;  // the end of the word, joined to nothing
      pieces += word.substr(begin, end - begin);
      if (end < word.size()) (pieces += kSeparator) += ' ';
    }
  }

  SubwordNmtCodes() = default;

  bool end_is_symbol_ = true;
  std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>> symbols_;
  detail::PairJoiner joiner_{detail::PairJoiner::Order::all_of_a_pair};
};

}}  // namespace rapt::RAPT_ABI
