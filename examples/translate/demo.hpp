// `translate` alone: the demo on the embedded phrases.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <rapt/pipelines/translator.hpp>
#include <rapt/rapt.hpp>
#include <rapt/text/bleu.hpp>
#include <rapt/text/lines.hpp>

#include "../common/lines.hpp"
#include "../common/phrases.hpp"
#include "corpus.hpp"

namespace translate {

using rapt::Index;

inline std::string chinese_words(std::string_view text) { return joined(phrases::chinese_tokens(text), " "); }
inline std::string english_text(std::string_view words) {
  return phrases::join_english(phrases::english_tokens(words));
}

inline rapt::ParallelCorpus as_corpus(const std::vector<phrases::Pair>& pairs) {
  rapt::ParallelCorpus corpus;
  for (const phrases::Pair& pair : pairs) {
    corpus.source.push_back(chinese_words(pair.chinese));
    corpus.target.push_back(joined(phrases::english_tokens(pair.english), " "));
  }
  return corpus;
}

/// Translates what is typed until the end of input.
inline void prompt(const rapt::Translator<>& translator) {
  std::printf("\nType a Chinese sentence, e.g. 我爱你 (a blank line or Ctrl-D ends):\n> ");
  std::fflush(stdout);
  rapt::LineReader input(std::cin, "standard input");
  std::string line;
  const auto has_next = [&] {  // a line that is not UTF-8 is asked for again
    for (;;) {
      try {
        return input.next(line) && !rapt::is_blank(line);
      } catch (const rapt::IoError& error) {
        if (!std::cin) throw;
        std::printf("%s\n> ", error.what());
        std::fflush(stdout);
      }
    }
  };
  while (has_next()) {
    std::string unknown;
    for (const std::string& character : phrases::chinese_tokens(line)) {
      const auto ids = translator.text().encode(character);
      if (std::find(ids.begin(), ids.end(), translator.text().subwords.vocabulary().unknown()) != ids.end()) {
        unknown += (unknown.empty() ? "" : " ") + character;
      }
    }
    if (!unknown.empty()) std::printf("(not among the phrases I learned: %s)\n", rapt::as_line(unknown).c_str());
    const std::string words = chinese_words(line);
    std::printf("%s\n> ", english_text(translator.translate(std::vector{words}).front()).c_str());
    std::fflush(stdout);
  }
  std::printf("\n");
}

inline void demo() {
  std::printf("%s\n", to_string(rapt::build_info()).c_str());
  const phrases::Split split = phrases::split(phrases::generate(), /*seed=*/1);
  const rapt::ParallelCorpus corpus = as_corpus(split.train), test = as_corpus(split.test);
  std::vector<std::string> lines = corpus.source;
  lines.insert(lines.end(), corpus.target.begin(), corpus.target.end());
  const rapt::TextEncoding text{rapt::BytePairEncoding::learn(lines, {.vocabulary_size = 2000}), false};
  const std::vector<rapt::TokenPair> pairs = encode(corpus, text);
  const std::vector<rapt::TokenPair> validation = encode(as_corpus(split.validation), text);

  rapt::TransformerConfig config = rapt::TransformerConfig::tiny(text.subwords.vocabulary().size());
  config.encoder_layers = config.decoder_layers = 3;
  config.dropout = 0.1f;
  rapt::Rng rng(1);
  rapt::Transformer model(config, rng);
  std::printf("A Transformer of %td parameters learns Chinese from %zu phrases, about a minute:\n",
              count_parameters(model), pairs.size());
  std::fflush(stdout);

  const rapt::BatchOptions batching{.tokens = 1024};
  rapt::BatchStream stream(pairs, batching);
  constexpr Index kSteps = 2200;
  rapt::Trainer trainer(model, {.learning_rate = rapt::CosineSchedule{.peak = 2e-3, .warmup = 300, .steps = kSteps}});
  rapt::ProgressLine progress(stdout);
  trainer.run(
      stream, {.steps = kSteps}, [] { return 0.0; }, [&](const rapt::Progress& p) { progress.update(p); });
  char loss[80];
  std::snprintf(loss, sizeof loss, "validation loss %.4f",
                mean_loss(model, std::span<const rapt::TokenPair>(validation), batching));
  progress.message(loss);

  const rapt::Translator translator(std::move(model), text);
  const std::vector<std::string> translations = translator.translate(test.source);
  std::size_t exact = 0;
  std::vector<std::size_t> wrong;
  for (std::size_t i = 0; i < translations.size(); ++i) {
    if (translations[i] == test.target[i]) {
      ++exact;
    } else {
      wrong.push_back(i);
    }
  }
  std::printf("\nSentences it has never seen:\n");
  for (std::size_t i = 0; i < std::min<std::size_t>(12, translations.size()); ++i) {
    std::printf("  %s -> %s\n", split.test[i].chinese.c_str(), english_text(translations[i]).c_str());
  }
  std::printf(
      "\nWord for word right: %zu of %zu unseen sentences (%.1f %%), %s\n", exact, translations.size(),
      100.0 * static_cast<double>(exact) / static_cast<double>(translations.size()),
      to_string(rapt::bleu(translations, test.target, {.tokenize = rapt::BleuOptions::Tokenize::none})).c_str());
  for (std::size_t i = 0; i < std::min<std::size_t>(3, wrong.size()); ++i) {
    std::printf("  wrong: %s -> %s (right: %s)\n", split.test[wrong[i]].chinese.c_str(),
                english_text(translations[wrong[i]]).c_str(), split.test[wrong[i]].english.c_str());
  }
  std::printf("  我爱你 -> %s\n",
              english_text(translator.translate(std::vector{chinese_words("我爱你")}).front()).c_str());
  std::fflush(stdout);
  if (isatty(STDIN_FILENO) != 0) prompt(translator);
}

}  // namespace translate
