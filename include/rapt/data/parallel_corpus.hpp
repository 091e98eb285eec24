/// \file
/// Sentence pairs from text files: two files with equally many lines, or two columns of a tab-separated file.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <numeric>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/text/lines.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Sentences in two languages: target[i] is the translation of source[i].
struct ParallelCorpus {
  std::vector<std::string> source;
  std::vector<std::string> target;

  [[nodiscard]] Index size() const { return std::ssize(source); }

  /// Reads two files, in which equal lines belong together. Throws IoError as `read_lines` does, with the file's name
  /// if one is empty, and with both names and numbers of lines if these differ. Pairs with an empty side are kept (see
  /// `drop_empty`).
  [[nodiscard]] static ParallelCorpus read(const std::filesystem::path& source_path,
                                           const std::filesystem::path& target_path) {
    ParallelCorpus corpus{read_lines(source_path), read_lines(target_path)};
    require<IoError>(!corpus.source.empty(), source_path.string(), "the file is empty");
    require<IoError>(!corpus.target.empty(), target_path.string(), "the file is empty");
    require<IoError>(corpus.source.size() == corpus.target.size(), "parallel_corpus",
                     "both files must have the same number of lines: ", source_path.string(), " has ",
                     corpus.source.size(), ", ", target_path.string(), " has ", corpus.target.size());
    return corpus;
  }

  /// Reads two columns, counted from 0, of a file with tabs between its columns and without quoting. Throws IoError as
  /// `read_lines` does, if the file is empty, and with file and line if a line lacks a column.
  [[nodiscard]] static ParallelCorpus read_tab_separated(const std::filesystem::path& path, Index source_column,
                                                         Index target_column) {
    require(source_column >= 0 && target_column >= 0, "parallel_corpus",
            "columns count from 0: source_column = ", source_column, ", target_column = ", target_column);
    const std::vector<std::string> lines = read_lines(path);
    require<IoError>(!lines.empty(), path.string(), "the file is empty");
    ParallelCorpus corpus;
    corpus.source.reserve(lines.size());
    corpus.target.reserve(lines.size());
    std::vector<std::string_view> columns;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      columns.clear();
      for (std::string_view rest = lines[i];;) {
        const std::size_t tab = rest.find('\t');
        columns.push_back(rest.substr(0, tab));
        if (tab == std::string_view::npos) break;
        rest.remove_prefix(tab + 1);
      }
      const Index found = std::ssize(columns);
      const Index needed = std::max(source_column, target_column);
      if (found <= needed) {
        fail<IoError>(path.string() + ":" + std::to_string(i + 1), "column ",
                      found <= source_column ? source_column : target_column,
                      " (counted from 0) is missing: columns in the line = ", found);
      }
      corpus.source.emplace_back(at(columns, source_column));
      corpus.target.emplace_back(at(columns, target_column));
    }
    return corpus;
  }

  /// Removes the pairs of which a side is blank (see `is_blank`) and returns how many they were. The others keep their
  /// order.
  Index drop_empty() {
    require(source.size() == target.size(), "parallel_corpus",
            "both sides must have the same number of sentences: ", source.size(), " and ", target.size());
    std::size_t kept = 0;
    for (std::size_t i = 0; i < source.size(); ++i) {
      if (is_blank(source[i]) || is_blank(target[i])) continue;
      if (kept != i) {
        source[kept] = std::move(source[i]);
        target[kept] = std::move(target[i]);
      }
      ++kept;
    }
    const Index removed = static_cast<Index>(source.size() - kept);
    source.resize(kept);
    target.resize(kept);
    return removed;
  }

  /// Removes `count` random pairs, which depend on the seed alone, and returns them. Other pairs that have a sentence
  /// of either side in common with them are removed, too, so that no held-out sentence is trained on. Throws ValueError
  /// unless there are more than `count` pairs.
  [[nodiscard]] ParallelCorpus hold_out(Index count, std::uint64_t seed) {
    require(count >= 0 && count < size(), "parallel_corpus", "cannot hold out ", count, " of ", size(), " pairs");
    std::vector<std::size_t> order(source.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    Rng rng(seed);
    rng.shuffle(std::span(order));
    ParallelCorpus held, kept;
    std::set<std::string> sources, targets;
    for (const std::size_t i : std::span(order).first(to_size(count))) {
      sources.insert(source[i]);
      targets.insert(target[i]);
      held.source.push_back(source[i]);
      held.target.push_back(target[i]);
    }
    for (std::size_t i = 0; i < source.size(); ++i) {
      if (sources.contains(source[i]) || targets.contains(target[i])) continue;
      kept.source.push_back(std::move(source[i]));
      kept.target.push_back(std::move(target[i]));
    }
    *this = std::move(kept);
    return held;
  }
};

}}  // namespace rapt::RAPT_ABI
