// Learning subwords, with a progress line.
#pragma once

#include <functional>
#include <rapt/text/bpe.hpp>
#include <rapt/train/progress.hpp>
#include <span>
#include <string>

/// `is_shown`: whether there is a progress line; of several processes one shows it.
inline rapt::BytePairEncoding subwords_of(std::span<const std::string> lines, rapt::BpeOptions options,
                                          bool is_shown = true) {
  rapt::WorkLine line("learning subwords", "tokens");
  if (is_shown) options.report = std::ref(line);
  return rapt::BytePairEncoding::learn(lines, options);
}
