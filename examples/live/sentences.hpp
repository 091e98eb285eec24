// Sentences to learn from without any file: when does it happen?
#pragma once

#include <rapt/pipelines/labelled_lines.hpp>
#include <string>
#include <utility>
#include <vector>

#include "../common/phrases.hpp"

/// The English sentences of the corpus of phrases. The label is "past" or "future" where the sentence names a time of
/// that kind ("yesterday", "this evening"), and "present" for the others.
inline std::vector<rapt::LabelledLine> sentences_with_times() {
  const auto names_one_of = [](const std::string& sentence, const auto& times) {
    for (const auto& time : times) {
      if (sentence.find(time.english) != std::string::npos) return true;
    }
    return false;
  };
  std::vector<rapt::LabelledLine> lines;
  for (phrases::Pair& pair : phrases::generate()) {
    const bool past = names_one_of(pair.english, phrases::detail::kPast);
    const bool future = names_one_of(pair.english, phrases::detail::kFuture);
    rapt::LabelledLine& line = lines.emplace_back();
    line.text = std::move(pair.english);
    line.label = past ? "past" : future ? "future" : "present";
  }
  return lines;
}
