/// \file
/// Splitting lines into words, and counting the words of a text on all threads.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

[[nodiscard]] constexpr bool is_ascii_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// Calls use(word) for each piece between runs of ASCII white space. With `lossless`, calls it for each piece between
/// two single spaces, so that the pieces joined by spaces are the line; pieces may then be empty, and an empty line has
/// none.
template <class Use>
void for_each_word(std::string_view line, bool lossless, Use&& use) {
  if (lossless) {
    for (std::size_t begin = 0; !line.empty() && begin <= line.size();) {
      const std::size_t end = std::min(line.find(' ', begin), line.size());
      use(line.substr(begin, end - begin));
      begin = end + 1;
    }
    return;
  }
  for (std::size_t begin = 0; begin < line.size();) {
    std::size_t end = begin;
    while (end < line.size() && !is_ascii_space(line[end])) ++end;
    if (end > begin) use(line.substr(begin, end - begin));
    begin = end + 1;
  }
}

using WordCounts = std::vector<std::pair<std::string_view, std::int64_t>>;

/// A hash table of distinct words with their counts, with open addressing.
class WordTable {
 public:
  struct Entry {
    std::string_view word;
    std::size_t hash;
    std::int64_t count;
  };

  void add(std::string_view word, std::size_t hash, std::int64_t count) {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
      if (slots_[at] == 0) {
        entries_.push_back({word, hash, count});
        slots_[at] = entries_.size();
        if (2 * entries_.size() > slots_.size()) grow();
        return;
      }
      Entry& entry = entries_[slots_[at] - 1];
      if (entry.hash == hash && entry.word == word) {
        entry.count += count;
        return;
      }
    }
  }

  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }

 private:
  void grow() {
    slots_.assign(2 * slots_.size(), 0);
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      std::size_t at = entries_[i].hash & mask;
      while (slots_[at] != 0) at = (at + 1) & mask;
      slots_[at] = i + 1;
    }
  }

  std::vector<Entry> entries_;
  std::vector<std::size_t> slots_ =
      std::vector<std::size_t>(64);  // the number of the entry + 1, or 0 if empty; the size is a power of two
};

/// The distinct non-empty words of the lines with their counts, in an order that depends on the lines alone. Throws
/// ValueError with `where` and the line for text that is not UTF-8.
[[nodiscard]] inline WordCounts count_words(std::span<const std::string> lines, bool lossless, std::string_view where) {
  // Parts of the text are counted in parallel, each with its words in shards by their hash. Then the counts of each
  // shard are summed over the parts, with the shards in parallel.
  constexpr std::size_t kPartBytes = std::size_t{1} << 20, kMaxParts = 64, kShards = 16;
  constexpr int kShardShift = std::numeric_limits<std::size_t>::digits - 4;
  std::size_t bytes = 0;
  for (const std::string& line : lines) bytes += line.size();
  const std::size_t part_bytes = std::max(kPartBytes, bytes / kMaxParts + 1);
  std::vector<std::size_t> begins = {0};  // the line at which each part begins
  std::size_t filled = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (filled >= part_bytes) {
      begins.push_back(i);
      filled = 0;
    }
    filled += lines[i].size();
  }
  struct Part {
    std::array<WordTable, kShards> shards;
    std::size_t bad_line = 0, bad_byte = 0;  // first place that is not UTF-8, from 1; 0 if there is none
  };
  std::vector<Part> parts(begins.size());
  begins.push_back(lines.size());

  parallel_parts(std::ssize(parts), [&](Index p) {
    Part& part = at(parts, p);
    const std::size_t end = begins[to_size(p) + 1];
    for (std::size_t i = at(begins, p); i < end; ++i) {
      if (const auto offset = find_invalid_utf8(lines[i])) {
        part.bad_line = i + 1;
        part.bad_byte = *offset + 1;
        return;
      }
      for_each_word(lines[i], lossless, [&](std::string_view word) {
        if (word.empty()) return;
        const std::size_t hash = std::hash<std::string_view>{}(word);
        part.shards[hash >> kShardShift].add(word, hash, 1);  // the tables use the lower bits of the hash
      });
    }
  });
  for (const Part& part : parts) {
    require(part.bad_line == 0, where, "text must be UTF-8: line ", part.bad_line, ", byte ", part.bad_byte);
  }

  std::vector<WordTable> shards(kShards);
  parallel_parts(static_cast<Index>(kShards), [&](Index s) {
    const auto shard = to_size(s);
    shards[shard] = std::move(parts[0].shards[shard]);
    for (std::size_t p = 1; p < parts.size(); ++p) {
      for (const WordTable::Entry& entry : parts[p].shards[shard].entries()) {
        shards[shard].add(entry.word, entry.hash, entry.count);
      }
      parts[p].shards[shard] = {};
    }
  });
  WordCounts words;
  for (const WordTable& shard : shards) {
    for (const WordTable::Entry& entry : shard.entries()) words.emplace_back(entry.word, entry.count);
  }
  return words;
}

}}}  // namespace rapt::RAPT_ABI::detail
