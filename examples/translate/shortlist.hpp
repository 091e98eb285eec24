// `translate shortlist`: which words may translate which, learned from a corpus, for faster translation.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>
#include <rapt/data/parallel_corpus.hpp>
#include <rapt/generation/shortlist.hpp>
#include <rapt/pipelines/shortlist_file.hpp>
#include <rapt/pipelines/translator.hpp>
#include <string>

#include "../common/flags.hpp"

namespace translate {

struct ShortlistFlags {
  std::string model, source, target, out;
  rapt::ShortlistOptions options;
};

inline CLI::App* add_shortlist(CLI::App& app, ShortlistFlags& f) {
  CLI::App* shortlist = app.add_subcommand(
      "shortlist",
      "Learns from a corpus which subwords may translate which, for `run --shortlist`: each step then computes the "
      "scores of those alone.");
  shortlist->add_option("--model", f.model, "The file that `train` wrote; its subwords cut the corpus.")->required();
  shortlist->add_option("--source", f.source, "The text file of the sources, one a line.")->required();
  shortlist->add_option("--target", f.target, "The text file of their translations, line by line.")->required();
  shortlist->add_option("--out", f.out, "The file to write.")->required();
  add_number(*shortlist, "--per-subword", f.options.per_source_token, {.least = 1},
             "The most probable translations that each subword of a source allows.");
  add_not_negative(*shortlist, "--most-frequent", f.options.most_frequent,
                   "So many most frequent subwords are allowed in any translation.");
  return shortlist;
}

inline void shortlist(const ShortlistFlags& f) {
  rapt::AtomicFile(f.out);  // an unwritable place shows now, not after the work
  const rapt::Translator translator = rapt::Translator<>::load(f.model);
  rapt::ParallelCorpus corpus = rapt::ParallelCorpus::read(f.source, f.target);
  corpus.drop_empty();
  rapt::TokenBatch sources, targets;
  for (std::size_t i = 0; i < corpus.source.size(); ++i) {
    sources.push_back(translator.text().encode(corpus.source[i]));
    targets.push_back(translator.text().encode(corpus.target[i]));
  }
  const rapt::Index vocabulary = translator.text().size();
  const rapt::LexicalTable table(sources, targets, {.source_vocabulary = vocabulary, .target_vocabulary = vocabulary});
  const rapt::VocabularyShortlist list(table, f.options);
  rapt::save_shortlist(f.out, list);
  rapt::Index allowed = 0;
  for (rapt::Index s = 0; s < sources.sequences(); ++s) allowed += std::ssize(list.of(sources.sequence(s)));
  std::printf("%td pairs; a source allows %.0f of %td subwords\n", sources.sequences(),
              static_cast<double>(allowed) / static_cast<double>(std::max<rapt::Index>(1, sources.sequences())),
              vocabulary);
}

}  // namespace translate
