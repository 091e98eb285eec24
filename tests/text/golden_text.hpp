// Reads the golden files of the metrics: columns between tabs, text with backslashes.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace golden {

using Lines = std::vector<std::string>;

inline Lines columns_of(const std::string& line) {
  Lines columns(1);
  for (const char c : line) {
    if (c == '\t') {
      columns.emplace_back();
    } else {
      columns.back() += c;
    }
  }
  return columns;
}

/// Undoes the backslashes that the scripts write.
inline std::string unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      plain += text[i];
      continue;
    }
    const char c = text.at(++i);
    plain += c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : '\\';
  }
  return plain;
}

/// metrics.tsv; make_metrics.py says what it holds.
struct Metrics {
  struct Set {
    std::string name;
    Lines hypotheses, references;
    std::map<std::string, double> scores;  // by metric
  };
  std::map<std::string, std::string> signatures;  // by metric
  std::vector<Set> sets;
  std::vector<Lines> confidence, paired;  // columns

  static Metrics read() {
    Metrics metrics;
    std::ifstream file(RAPT_GOLDEN_DIR "/metrics.tsv", std::ios::binary);
    EXPECT_TRUE(file.is_open()) << RAPT_GOLDEN_DIR "/metrics.tsv";
    Lines names;
    for (std::string line; std::getline(file, line);) {
      const Lines columns = columns_of(line);
      if (columns[0] == "metric") {
        names.push_back(columns.at(1));
        metrics.signatures[names.back()] = columns.at(2);
      } else if (columns[0] == "set") {
        metrics.sets.push_back({columns.at(1), {}, {}, {}});
      } else if (columns[0] == "pair") {
        metrics.sets.back().hypotheses.push_back(unescaped(columns.at(1)));
        metrics.sets.back().references.push_back(unescaped(columns.at(2)));
      } else if (columns[0] == "scores") {
        for (std::size_t i = 0; i < names.size(); ++i) {
          metrics.sets.back().scores[names[i]] = std::stod(columns.at(i + 1));
        }
      } else if (columns[0] == "confidence") {
        metrics.confidence.push_back(columns);
      } else if (columns[0] == "paired") {
        metrics.paired.push_back(columns);
      }
    }
    EXPECT_GE(metrics.sets.size(), 250u) << "the golden file is short";
    return metrics;
  }

  /// All pairs of the file, with the reference itself in place of the hypothesis of every so many.
  [[nodiscard]] Lines system(std::size_t every, std::size_t offset) const {
    Lines lines;
    for (const Set& set : sets) {
      for (std::size_t i = 0; i < set.hypotheses.size(); ++i) {
        lines.push_back(lines.size() % every == offset ? set.references[i] : set.hypotheses[i]);
      }
    }
    return lines;
  }
  [[nodiscard]] Lines references() const { return system(1, 0); }
};

/// Of a signature, what sacrebleu and rapt must agree on: neither the number of references nor the version.
inline std::string settings_of(const std::string& signature) {
  const std::size_t begin = signature.find('|') + 1;
  return signature.substr(begin, signature.rfind('|') - begin);
}

}  // namespace golden
