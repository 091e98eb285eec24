// `translate run`: the standard input, line by line.
#pragma once

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <rapt/core/atomic_file.hpp>
#include <rapt/pipelines/shortlist_file.hpp>
#include <rapt/pipelines/translator.hpp>
#include <rapt/text/lines.hpp>
#include <rapt/train/progress.hpp>
#include <rapt/visualization/attention_page.hpp>
#include <sstream>

#include "../common/flags.hpp"
#include "../common/processes.hpp"

namespace translate {

using rapt::Index;

struct SearchFlags {
  Index beam = 4, n_best = 0, min_length = 0, max_length = 0, top_k = 0;
  float length_penalty = 0.6f, temperature = 1, top_p = 1;
  std::string length_normalisation = "paper";
  bool is_sampling = false;
  std::uint64_t seed = 1;

  void add_to(CLI::App& app) {
    CLI::Option* beam_flag = add_number(app, "--beam", beam, {.least = 1, .most = 1000},
                                        "The number of hypotheses kept at each step; 1 is greedy search.");
    CLI::Option* penalty = add_number(app, "--length-penalty", length_penalty, {.most = 1000},
                                      "The alpha of ((5 + length) / 6)^alpha; a larger one prefers longer output.");
    CLI::Option* normalisation =
        app.add_option("--length-normalisation", length_normalisation,
                       "The formula of the penalty: `paper` is the one above, `plain` is length^alpha.")
            ->check(CLI::IsMember({"paper", "plain"}))
            ->capture_default_str();
    add_number(app, "--n-best", n_best, {.least = 1},
               "Prints so many translations of each line, best first, as `line ||| translation ||| score`. Lines are "
               "counted from 0. A beam search finds at most --beam of them.")
        ->default_str("");
    add_not_negative(app, "--min-length", min_length, "The least number of subwords of a translation.");
    add_number(
        app, "--max-length", max_length, {.least = 1},
        "The largest number of subwords of a translation, which is never over 50 more than those of its line, or "
        "than --min-length.")
        ->default_str("");
    CLI::Option* sampling =
        app.add_flag("--sample", is_sampling,
                     "Draws translations at random instead of searching the best ones; --n-best says how many.")
            ->excludes(beam_flag)
            ->excludes(penalty)
            ->excludes(normalisation);
    add_not_negative(app, "--temperature", temperature,
                     "The temperature of sampling. Below 1 it draws more probable subwords more often; 0 is greedy "
                     "search.")
        ->needs(sampling);
    add_not_negative(app, "--top-k", top_k, "Draws from so many most probable subwords; 0: from all.")->needs(sampling);
    add_number(app, "--top-p", top_p, {.least = 1e-6, .most = 1},
               "Draws from the most probable subwords that together have this probability.")
        ->needs(sampling);
    add_seed(app, seed, "The same seed draws the same translations.")->needs(sampling);
  }
  [[nodiscard]] rapt::GenerationOptions generation() const {
    rapt::GenerationOptions options{.min_length = min_length};
    options.extra_length = std::max(options.extra_length, min_length);  // short lines must be given as many
    if (max_length > 0) options.max_length = max_length;
    return options;
  }
  [[nodiscard]] rapt::BeamSearchOptions options() const {
    return {.beam_size = beam,
            .length_penalty = length_penalty,
            .length_normalisation =
                length_normalisation == "plain" ? rapt::LengthNormalisation::plain : rapt::LengthNormalisation::paper,
            .generation = generation()};
  }
  /// What the flags ask for, of lines `first` and following of the input. `report` is told how many of them are done.
  [[nodiscard]] std::vector<std::vector<rapt::Translation>> find(const rapt::Translator<>& translator,
                                                                 const std::vector<std::string>& lines,
                                                                 std::uint64_t first,
                                                                 const rapt::WorkReport& report) const {
    const Index n = std::max<Index>(1, n_best);
    if (!is_sampling) return translator.translate_n_best(lines, n, options(), {.report = report});
    const rapt::SamplingOptions drawn{
        .temperature = temperature, .top_k = top_k, .top_p = top_p, .samples = n, .generation = generation()};
    rapt::SearchRequest request{.seed = seed, .report = report};
    for (std::size_t i = 0; i < lines.size(); ++i) request.streams.push_back(first + i);
    return translator.sample(lines, drawn, request);
  }
  /// The lines that are written for these lines of the input, which begin with number `first`.
  [[nodiscard]] std::vector<std::string> result_lines(const rapt::Translator<>& translator,
                                                      const std::vector<std::string>& lines, std::uint64_t first,
                                                      const rapt::WorkReport& report) const {
    std::vector<std::string> results;
    const auto found = find(translator, lines, first, report);
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (n_best == 0) {
        results.push_back(found[i].front().text);
        continue;
      }
      for (const rapt::Translation& one : found[i]) {
        std::ostringstream line;
        line << first + i << " ||| " << one.text << " ||| " << one.score;
        results.push_back(line.str());
      }
    }
    return results;
  }
};

struct TranslateFlags {
  std::vector<std::string> models;
  std::string attention, shortlist;
  bool int8 = false;
  SearchFlags search;
  ProcessFlags processes;
};

inline CLI::App* add_run(CLI::App& app, TranslateFlags& f) {
  CLI::App* run = app.add_subcommand(
      "run",
      "Translates the standard input, line by line. Each line of the input gives one line of output (N of them with "
      "--n-best N); a blank line gives an empty translation. Control characters in translations become spaces, line "
      "feeds among them. The processes that mpirun starts share the lines, 2,000 at a time, which keep their order; "
      "they end if 2,000 lines, or the end of the input, do not come within --timeout seconds.");
  run->add_option(
         "--model", f.models,
         "The file that `train` wrote. Several ones with the same subwords translate together, as an ensemble.")
      ->required();
  run->add_flag("--int8", f.int8, "Keeps the weights in eight bits, which is the fastest and costs a little quality.");
  run->add_option("--shortlist", f.shortlist,
                  "A file that `shortlist` wrote, whose subwords alone are looked for: faster, and not exact.");
  f.search.add_to(*run);
  run->add_option("--attention", f.attention,
                  "Writes an HTML page that shows where every attention head looks, as the first line that is not "
                  "blank is translated.");
  f.processes.add_timeout_to(*run);
  return run;
}

/// Tokens as a reader sees words: the mark of a word's beginning is left out, and a token that goes on with a word
/// begins with a dot instead.
inline std::vector<std::string> readable(const rapt::Vocabulary& vocabulary, std::span<const rapt::TokenId> tokens) {
  constexpr std::string_view kWordMark = "\u2581", kContinuation = "\u00B7";
  std::vector<std::string> texts;
  for (const rapt::TokenId id : tokens) {
    std::string text = rapt::as_line(vocabulary.token(id));
    if (text.starts_with(kWordMark) && text != kWordMark) {
      text.erase(0, kWordMark.size());
    } else if (!vocabulary.is_special(id) && text != kWordMark) {
      text.insert(0, kContinuation);
    }
    texts.push_back(std::move(text));
  }
  return texts;
}

/// Translates one line, and writes where the model looked.
inline void write_attention(const rapt::Translator<>& translator, const std::string& line, const TranslateFlags& f) {
  const rapt::BeamSearchOptions options = f.search.options();
  const rapt::SequenceMarks marks = translator.model().sequence_marks();
  std::vector<rapt::TokenId> source = translator.text().encode(line);
  source.push_back(marks.ends.front());
  rapt::TokenBatch source_batch, target_batch;
  source_batch.push_back(source);
  const rapt::Hypothesis found = beam_search(translator.model(), source_batch, options).front();

  std::vector<rapt::TokenId> target = found.tokens;  // <s> w1 .. wn </s>; without </s> if the search was cut off
  target.insert(target.begin(), *marks.begin);
  if (found.finished) target.push_back(marks.ends.front());
  target_batch.push_back(std::span(target).first(target.size() - 1));
  const auto maps = translator.model().attention_maps(source_batch, target_batch);

  const rapt::Vocabulary& vocabulary = translator.text().subwords.vocabulary();
  const std::string page =
      rapt::attention_page({.title = "Attention of " + std::filesystem::path(f.models.front()).filename().string(),
                            .source = rapt::as_line(line),
                            .target = translator.text().decode(found.tokens)},
                           rapt::translation_sections(readable(vocabulary, source), readable(vocabulary, target),
                                                      maps.encoder_self, maps.decoder_self, maps.decoder_cross));
  rapt::AtomicFile file(f.attention);
  file.write(page.data(), page.size());
  file.commit();
}

/// One model, or several as an ensemble.
inline rapt::Translator<> load(const std::vector<std::string>& models) {
  rapt::Translator translator = rapt::Translator<>::load(models.front());
  for (const std::string& other : std::span(models).subspan(1)) {
    rapt::Translator loaded = rapt::Translator<>::load(other);
    try {
      translator.add_to_ensemble(std::move(loaded));
    } catch (const rapt::ValueError& error) {
      rapt::fail("run", models.front(), " and ", other, ": ", std::string_view(error.what()));
    }
  }
  return translator;
}

inline void run(const TranslateFlags& f) {
  rapt::require(f.attention.empty() || (f.models.size() == 1 && !f.search.is_sampling), "run",
                "--attention draws what one model finds by beam search: no further --model, no --sample");
  rapt::require(f.search.max_length == 0 || f.search.min_length <= f.search.max_length, "run", "--min-length ",
                f.search.min_length, " is more than --max-length ", f.search.max_length);
  const rapt::JobProcesses processes(f.processes.communicator);
  processes.on_first([&] {
    if (!f.attention.empty())
      rapt::AtomicFile(f.attention);  // an unwritable place shows now, not after the translations
  });
  rapt::Translator translator = load(f.models);
  if (f.int8) translator.quantize();
  if (!f.shortlist.empty()) translator.use_shortlist(rapt::load_shortlist(f.shortlist));
  const std::size_t together = isatty(STDIN_FILENO) != 0 ? 1 : 2000;
  rapt::LineReader input(std::cin, "standard input");
  std::vector<std::string> lines;
  const auto read = [&] {
    lines.clear();
    for (std::string line; lines.size() < together && input.next(line);) lines.push_back(line);
    return !lines.empty();
  };
  // Translations that go to a terminal show by themselves how far the work is.
  rapt::WorkLine progress("translating", "lines");
  bool is_drawn = f.attention.empty() || !processes.is_first();
  while (processes.from_first(read)) {
    const std::size_t first = processes.from_first([&] { return input.number() - lines.size(); });
    f.processes.share(lines);
    const std::size_t begin = first + f.processes.own_part(lines.size()).first;
    rapt::WorkReport report;
    if (processes.is_first() && isatty(STDOUT_FILENO) == 0) {
      report = [&](Index done, Index) { progress(static_cast<Index>(first) + done, 0); };
    }
    const auto results = f.processes.spread(lines, [&](const std::vector<std::string>& part) {
      return f.search.result_lines(translator, part, begin, report);
    });
    if (!processes.is_first()) continue;
    for (const std::string& line : results) std::cout << line << '\n';
    std::cout.flush();
    rapt::require<rapt::IoError>(static_cast<bool>(std::cout), "run", "cannot write to the standard output");
    for (std::size_t i = 0; i < lines.size() && !is_drawn; ++i) {
      is_drawn = !rapt::is_blank(lines[i]);
      if (is_drawn) write_attention(translator, lines[i], f);
    }
  }
  rapt::require<rapt::IoError>(is_drawn, "run", "standard input: no line to draw in ", f.attention);
}

}  // namespace translate
