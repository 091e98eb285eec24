// `translate score`: how good translations are.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>
#include <rapt/data/parallel_corpus.hpp>
#include <rapt/text/bleu.hpp>

namespace translate {

using rapt::Index;

struct ScoreFlags {
  std::string references, hypotheses, tokenize = "13a";
  bool lowercase = false;
};

inline CLI::App* add_score(CLI::App& app, ScoreFlags& f) {
  CLI::App* score = app.add_subcommand("score", "BLEU of translations, as sacrebleu computes it.");
  score->add_option("--references", f.references, "text file, one reference a line")->required();
  score->add_option("--hypotheses", f.hypotheses, "text file with the translations; default: standard input");
  score->add_option("--tokenize", f.tokenize, "13a for plain text, none for text that is tokenised already")
      ->check(CLI::IsMember({"13a", "none"}))
      ->capture_default_str();
  score->add_flag("--lowercase", f.lowercase, "compare without case");
  return score;
}

inline int score(const ScoreFlags& f) {
  rapt::BleuOptions options{.lowercase = f.lowercase};
  if (f.tokenize == "none") options.tokenize = rapt::BleuOptions::Tokenize::none;
  const std::vector<std::string> references = rapt::read_lines(f.references);
  const std::vector<std::string> hypotheses = rapt::read_lines(f.hypotheses.empty() ? "/dev/stdin" : f.hypotheses);
  rapt::require(hypotheses.size() == references.size(), "score", "unequal line counts: ", hypotheses.size(),
                " hypotheses, ", references.size(), " references in ", f.references);
  std::printf("%s\n%s\n", to_string(rapt::bleu(hypotheses, references, options)).c_str(), signature(options).c_str());
  return 0;
}

}  // namespace translate
