// `translate summary`: the layers of a model, their shapes and parameters.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>
#include <rapt/nn/summary.hpp>
#include <rapt/pipelines/translator.hpp>
#include <string>

#include "../common/flags.hpp"

namespace translate {

struct SummaryFlags {
  std::string model;
  rapt::SummaryOptions options;
};

inline CLI::App* add_summary(CLI::App& app, SummaryFlags& f) {
  CLI::App* summary =
      app.add_subcommand("summary", "Shows the layers of a model with their shapes, numbers of parameters and memory.");
  summary->add_option("--model", f.model, "The file that `train` wrote.")->required();
  add_not_negative(*summary, "--depth", f.options.depth, "How many levels of layers are shown; 0: all.");
  return summary;
}

inline void summary(const SummaryFlags& f) {
  const rapt::Translator translator = rapt::Translator<>::load(f.model);
  std::fputs(rapt::summary(translator.model(), f.options).c_str(), stdout);
}

}  // namespace translate
