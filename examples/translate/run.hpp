// `translate run`: the standard input, line by line.
#pragma once

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <rapt/io/translator.hpp>

namespace translate {

using rapt::Index;

struct SearchFlags {
  Index beam = 4;
  float length_penalty = 0.6f;

  void add_to(CLI::App& app) {
    app.add_option("--beam", beam, "hypotheses kept at each step; 1 is greedy search")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    app.add_option("--length-penalty", length_penalty, "alpha of ((5 + length) / 6)^alpha; more prefers longer output")
        ->capture_default_str();
  }
  [[nodiscard]] rapt::BeamSearchOptions options() const {
    return {.beam_size = beam, .length_penalty = length_penalty};
  }
};

struct RunFlags {
  std::string model;
  SearchFlags search;
};

inline CLI::App* add_run(CLI::App& app, RunFlags& f) {
  CLI::App* run = app.add_subcommand("run", "Translate the standard input, line by line.");
  run->add_option("--model", f.model, "file that `train` wrote")->required();
  f.search.add_to(*run);
  return run;
}

inline int run(const RunFlags& f) {
  const rapt::Translator translator = rapt::Translator::load(f.model);
  const bool terminal = isatty(STDIN_FILENO) != 0;
  std::vector<std::string> lines;
  std::size_t number = 0;
  const auto flush = [&] {
    for (const std::string& line : translator.translate(lines, f.search.options())) std::cout << line << '\n';
    std::cout.flush();
    rapt::require<rapt::IoError>(static_cast<bool>(std::cout), "run", "cannot write to the standard output");
    lines.clear();
  };
  for (std::string line; std::getline(std::cin, line);) {
    ++number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    const auto invalid = rapt::find_invalid_utf8(line);
    rapt::require<rapt::IoError>(!invalid, "run", "standard input:", number, ": byte ", invalid.value_or(0) + 1,
                                 " is not UTF-8");
    lines.push_back(line);
    if (terminal || lines.size() == 2000) flush();
  }
  flush();
  return 0;
}

}  // namespace translate
