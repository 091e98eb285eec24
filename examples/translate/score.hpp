// `translate score`: how good translations are, how sure that is, and whether other ones are better.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <rapt/text/bleu.hpp>
#include <rapt/text/chrf.hpp>
#include <rapt/text/lines.hpp>
#include <rapt/text/significance.hpp>
#include <string>
#include <vector>

#include "../common/flags.hpp"

namespace translate {

using rapt::Index;

struct ScoreFlags {
  std::string references, hypotheses, other, tokenize = "13a";
  std::vector<std::string> metrics = {"bleu"};
  int chrf_word_order = 0;
  bool lowercase = false, confidence = false;
  rapt::BootstrapOptions bootstrap;
};

inline CLI::App* add_score(CLI::App& app, ScoreFlags& f) {
  CLI::App* score = app.add_subcommand("score", "Computes BLEU and chrF of translations, as sacrebleu does.");
  score->add_option("--references", f.references, "The text file of the references, one a line.")->required();
  score->add_option("--hypotheses", f.hypotheses,
                    "The text file with the translations. Without it they are read from the standard input.");
  score->add_option("--metrics", f.metrics, "What is computed: bleu, chrf or bleu,chrf.")
      ->delimiter(',')
      ->check(CLI::IsMember({"bleu", "chrf"}))
      ->capture_default_str();
  score
      ->add_option("--tokenize", f.tokenize,
                   "How BLEU cuts text: `13a` is for plain text, `none` for text that is tokenised already.")
      ->check(CLI::IsMember({"13a", "none"}))
      ->capture_default_str();
  add_number(*score, "--chrf-word-order", f.chrf_word_order, {.most = 6},
             "The length of the longest n-grams of words that chrF counts; 2 for chrF++.");
  score->add_flag("--lowercase", f.lowercase, "Compares without case.");
  score->add_flag("--confidence", f.confidence, "Adds mean and 95 % interval, by bootstrap resampling.");
  score->add_option("--compare", f.other,
                    "The text file with another system's translations, which a paired bootstrap compares with "
                    "--hypotheses.");
  add_number(*score, "--resamples", f.bootstrap.resamples, {.least = 2, .most = 1000000},
             "The number of resamples of --confidence and --compare.");
  add_seed(*score, f.bootstrap.seed, "The same seed draws the same resamples.");
  return score;
}

/// "BLEU = 37.63 66.7/..." becomes "BLEU = 37.63 (μ = 37.60 ± 1.23) 66.7/...".
inline std::string with_confidence(std::string line, const rapt::Confidence& confidence) {
  const std::size_t score_begin = line.find("= ") + 2;
  const std::size_t score_end = std::min(line.find(' ', score_begin), line.size());
  return line.insert(score_end, " " + to_string(confidence));
}

/// Prints one metric; `others` are the statistics of --compare, if it was given.
template <rapt::MetricStatistics Statistics>
void report(const ScoreFlags& f, const std::vector<Statistics>& ours, const std::vector<Statistics>& others,
            const std::string& signature) {
  const std::string line = to_string(total(ours).result());
  if (!others.empty()) {
    const rapt::PairedBootstrap pair = paired_bootstrap(ours, others, f.bootstrap);
    const std::string other_line = to_string(total(others).result());
    std::printf("%s\n%s\n", with_confidence(line, pair.baseline_confidence).c_str(),
                with_confidence(other_line, pair.system_confidence).c_str());
    std::printf("difference = %+.2f (p = %.4f)\n", pair.difference(), pair.p_value);
  } else {
    std::puts(f.confidence ? with_confidence(line, confidence(ours, f.bootstrap)).c_str() : line.c_str());
  }
  const bool resampled = f.confidence || !others.empty();
  std::puts((resampled ? rapt::signature(signature, f.bootstrap) : signature).c_str());
}

inline void score(const ScoreFlags& f) {
  const std::vector<std::string> references = rapt::read_lines(f.references);
  const auto read_translations = [&](const std::string& file) {
    std::vector<std::string> lines = rapt::read_lines(file);
    rapt::require(lines.size() == references.size(), "score", "unequal line counts: ", lines.size(), " hypotheses in ",
                  file, ", ", references.size(), " references in ", f.references);
    return lines;
  };
  const std::vector<std::string> ours = read_translations(f.hypotheses.empty() ? "/dev/stdin" : f.hypotheses);
  std::vector<std::string> others;
  if (!f.other.empty()) others = read_translations(f.other);

  const auto run = [&](auto statistics, const auto& options) {
    using Statistics = decltype(statistics(ours, references, options));
    report(f, statistics(ours, references, options),
           others.empty() ? Statistics{} : statistics(others, references, options), signature(options));
  };
  for (const std::string& metric : f.metrics) {
    if (metric == "bleu") {
      rapt::BleuOptions options{.lowercase = f.lowercase};
      if (f.tokenize == "none") options.tokenize = rapt::BleuOptions::Tokenize::none;
      run([](const auto&... arguments) { return rapt::bleu_statistics(arguments...); }, options);
    } else {
      run([](const auto&... arguments) { return rapt::chrf_statistics(arguments...); },
          rapt::ChrfOptions{.word_order = f.chrf_word_order, .lowercase = f.lowercase});
    }
  }
  if (ours == others) std::puts("Both files hold the same translations: p says nothing.");
}

}  // namespace translate
