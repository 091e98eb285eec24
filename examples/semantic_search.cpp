// Finds the lines of a text that mean nearly the same as a query, whatever words they use.
//
//   semantic_search --model all-MiniLM-L6-v2 --lines captions.txt --query "children at the sea"
//   semantic_search --model all-MiniLM-L6-v2 --lines captions.txt --vectors captions.safetensors < queries.txt
//
// The model is a folder of a sentence encoder of BERT's families as sentence-transformers writes it, with its tokenizer
// and, if it has one, modules.json. Prints, for each query, the most similar lines with their cosines and numbers.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>
#include <rapt/data/fingerprint.hpp>
#include <rapt/pipelines/sentence_encoder.hpp>
#include <rapt/text/lines.hpp>
#include <rapt/train/progress.hpp>

#include "common/flags.hpp"

namespace {

using rapt::Index;
using rapt::Tensor;

struct Flags {
  std::string model, lines, query, vectors;
  Index top = 5;
};

/// A number that tells texts and models apart.
std::string fingerprint(const std::string& model, const std::vector<std::string>& lines) {
  rapt::Fingerprint fingerprint;
  fingerprint.add(model + "\n");
  for (const std::string& line : lines) fingerprint.add(line + "\n");
  return std::to_string(fingerprint.value());
}

Tensor<float> with_progress(const rapt::SentenceEncoder& encoder, const std::vector<std::string>& lines) {
  rapt::WorkLine line("encoding", "lines");
  return encoder.encode(lines, std::ref(line));
}

/// The lines' vectors, from the file if it was written for these lines and this model, else computed and kept there
///   // [lines, D]
Tensor<float> vectors_of(const Flags& flags, const rapt::SentenceEncoder& encoder,
                         const std::vector<std::string>& lines) {
  const std::string print = fingerprint(flags.model, lines);
  if (!flags.vectors.empty() && std::ifstream(flags.vectors).is_open()) {
    const rapt::SafetensorsFile file(flags.vectors);
    const auto found = file.metadata().find("lines");
    if (found != file.metadata().end() && found->second == print) return file.read<float>("vectors");
  }
  const auto start = std::chrono::steady_clock::now();
  Tensor<float> vectors = with_progress(encoder, lines);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::fprintf(stderr, "%zu lines in %.1f s, %.0f a second\n", lines.size(), seconds.count(),
               static_cast<double>(lines.size()) / seconds.count());
  if (!flags.vectors.empty()) {
    const std::vector<rapt::SafetensorsEntry> entries{{"vectors", std::as_const(vectors).view()}};
    write_safetensors(flags.vectors, entries, {{"lines", print}});
  }
  return vectors;
}

void search(const Flags& flags) {
  const auto encoder = rapt::SentenceEncoder::load(flags.model);
  const std::vector<std::string> lines = rapt::read_lines(flags.lines);
  std::vector<Index> readable;  // the places of lines that are not blank
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (!rapt::is_blank(lines[i])) readable.push_back(static_cast<Index>(i));
  }
  rapt::require(!readable.empty(), "semantic_search", std::string_view(flags.lines), " has no lines but blank ones");
  const rapt::Variable<float> vectors(vectors_of(flags, encoder, lines));

  const auto answer = [&](const std::string& query) {
    const rapt::Variable<float> wanted(encoder.encode(std::vector{query}));
    const auto cosines = rapt::linear(wanted, vectors, rapt::Variable<float>()).value();  // [1, lines]
    std::vector<Index> order = readable;
    const auto shown = std::min(order.size(), static_cast<std::size_t>(flags.top));
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown), order.end(),
                      [&](Index a, Index b) { return cosines(0, a) > cosines(0, b); });
    std::printf("%s\n", rapt::as_line(query).c_str());
    for (std::size_t i = 0; i < shown; ++i) {
      std::printf("  %.3f  %lld  %s\n", static_cast<double>(cosines(0, order[i])), static_cast<long long>(order[i] + 1),
                  rapt::as_line(lines[static_cast<std::size_t>(order[i])]).c_str());
    }
    std::fflush(stdout);
  };
  if (!flags.query.empty()) return answer(flags.query);
  rapt::LineReader input(std::cin, "standard input");
  for (std::string line; input.next(line);) {
    if (!rapt::is_blank(line)) answer(line);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Finds the lines of a text that mean nearly the same as a query."};
  Flags flags;
  app.add_option("--model", flags.model, "The folder of a sentence encoder.")->required();
  app.add_option("--lines", flags.lines, "The text file whose lines are searched.")->required();
  app.add_option("--query", flags.query, "The text to look for. Without it each line of the standard input is one.");
  app.add_option("--vectors", flags.vectors,
                 "Keeps the lines' vectors in this file, so that the next search is quick.");
  add_positive(app, "--top", flags.top, "The number of lines to show.");
  CLI11_PARSE(app, argc, argv);
  try {
    search(flags);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "semantic_search: %s\n", error.what());
    return 1;
  }
}
