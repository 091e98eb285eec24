// Words as vectors: which words lie near one another, and analogies, in the table of embeddings of any model.
//
//   word_vectors                                    learns vectors from generated sentences, and shows what they know
//   word_vectors --text corpus.txt --analogies      learns from the lines of a text; says how many analogies they solve
//   word_vectors --model gpt2 --word Paris          a Hugging Face folder with the files of its tokenizer
//   word_vectors --model de-en.safetensors --analogy king man woman    a model of the translate example
//
// Near means that the cosine of the angle between two vectors is large. The analogy a b c asks for the words near
// a - b + c: king - man + woman.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <rapt/text/bpe.hpp>
#include <rapt/text/lines.hpp>
#include <string>
#include <vector>

#include "common/flags.hpp"
#include "word_vectors/analogies.hpp"
#include "word_vectors/learn.hpp"

using rapt::Index;
using rapt::NearWord;
using rapt::WordVectors;

// The table of source words of a model of the translate example.
WordVectors read_translator(const std::string& path) {
  const rapt::SafetensorsFile file(path);
  const auto text = file.metadata().find("subwords");
  rapt::require<rapt::IoError>(text != file.metadata().end(), "word_vectors", path, " was not made by translate");
  const auto subwords = rapt::BytePairEncoding::from_text(text->second, path);
  const auto tokens = subwords.vocabulary().tokens();
  const std::string tensor = file.contains("embedding.weight") ? "embedding.weight" : "source_embedding.weight";
  return WordVectors(rapt::words_of_tokens({tokens.begin(), tokens.end()}), file.read<float>(tensor));
}

void show(const std::string& title, const std::vector<NearWord>& near) {
  std::printf("%s:", title.c_str());
  for (const NearWord& one : near) std::printf("  %s %.2f", one.word.c_str(), static_cast<double>(one.similarity));
  std::printf("\n");
}

void show_analogy(const WordVectors& words, const std::vector<std::string>& abc, Index count) {
  show(abc[0] + " - " + abc[1] + " + " + abc[2], words.analogy(abc[0], abc[1], abc[2], count));
}

void show_scores(const WordVectors& words) {
  rapt::AnalogyScore all{.name = "all"};
  const auto line = [](const rapt::AnalogyScore& score) {
    std::printf("%-14s %5lld %5.1f%% %5.1f%% %5lld\n", score.name.c_str(), static_cast<long long>(score.asked),
                100 * score.accuracy(),
                score.asked == 0 ? 0.0 : 100.0 * static_cast<double>(score.among_5) / static_cast<double>(score.asked),
                static_cast<long long>(score.unknown));
  };
  std::printf("analogies      asked right among5 unknown\n");
  for (const rapt::AnalogyCategory& category : word_vectors::analogies()) {
    const rapt::AnalogyScore score = words.score(category);
    all.asked += score.asked;
    all.right += score.right;
    all.among_5 += score.among_5;
    all.unknown += score.unknown;
    line(score);
  }
  line(all);
}

int main(int argc, char** argv) {
  CLI::App app{"Nearest words and analogies in a model's embeddings; without --model in vectors learned now."};
  std::string model, tensor, text;
  std::vector<std::string> words, analogy;
  Index count = 4;
  bool analogies = false;
  word_vectors::SkipGramOptions options;
  CLI::Option* const folder =
      app.add_option("--model", model, "A Hugging Face folder, or a model of the translate example.")
          ->check(CLI::ExistingPath);
  CLI::Option* const lines = app.add_option("--text", text, "Learns vectors from the lines of this file.")
                                 ->check(CLI::ExistingFile)
                                 ->excludes(folder);
  add_positive(app, "--epochs", options.epochs, "The number of times that the text is read.")->needs(lines);
  add_positive(app, "--dimensions", options.dimensions, "The width of the vectors that are learned.")->needs(lines);
  add_positive(app, "--window", options.window, "How far a word's neighbours may be away to be learned from.")
      ->needs(lines);
  app.add_option("--tensor", tensor, "The name of the table of embeddings, where it is not a usual one.")
      ->needs(folder);
  app.add_option("--word", words, "Shows the words near this one; may be repeated.");
  app.add_option("--analogy", analogy, "Three words a b c: shows the words near a - b + c.")->expected(3);
  app.add_flag("--analogies", analogies, "Says how many of about 1,300 analogies of common words the vectors solve.");
  add_positive(app, "--count", count, "The number of words to show.");
  CLI11_PARSE(app, argc, argv);
  try {
    const WordVectors table = !text.empty()   ? word_vectors::learn(rapt::read_lines(text), options)
                              : model.empty() ? word_vectors::learn()
                              : std::filesystem::is_directory(model) ? rapt::load_word_vectors(model, tensor)
                                                                     : read_translator(model);
    if (words.empty() && analogy.empty() && !analogies && model.empty() && text.empty()) {
      words = {"king", "girl", "paris"};
      show_analogy(table, {"paris", "france", "italy"}, count);
      analogy = {"king", "man", "woman"};
    }
    for (const std::string& word : words) show(word, table.nearest(word, count));
    if (!analogy.empty()) show_analogy(table, analogy, count);
    if (analogies) show_scores(table);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "word_vectors: %s\n", error.what());
    return 1;
  }
}
