// Words as vectors: which words lie near one another, and analogies, in the table of embeddings of any model.
//
//   word_vectors                                    learns vectors from generated sentences, and shows what they know
//   word_vectors --model gpt2 --word Paris          a Hugging Face folder with the files of its tokenizer
//   word_vectors --model de-en.safetensors --analogy king man woman    a model of the translate example
//
// Near means that the cosine of the angle between two vectors is large. The analogy a b c asks for the words near
// a - b + c: king - man + woman.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <rapt/pretrained/pretrained.hpp>
#include <rapt/text/bpe.hpp>
#include <rapt/text/lines.hpp>

#include "common/flags.hpp"
#include "word_vectors/learn.hpp"

using rapt::Index;
using word_vectors::WordVectors;

// vocab.txt, vocab.json or tokenizer.json: a token a line, {token: id}, or a list of [token, score].
std::vector<std::string> read_tokens(const std::filesystem::path& folder) {
  const auto has = [&](const char* name) { return std::filesystem::exists(folder / name); };
  if (has("vocab.txt")) return rapt::read_lines(folder / "vocab.txt");
  const bool is_map = has("vocab.json");
  rapt::require<rapt::IoError>(is_map || has("tokenizer.json"), "word_vectors",
                               "no vocab.txt, vocab.json, tokenizer.json in ", folder.string());
  const auto file = nlohmann::json::parse(rapt::read_text(folder / (is_map ? "vocab.json" : "tokenizer.json")));
  const auto json = is_map ? file : file.at("model").at("vocab");
  std::vector<std::string> tokens;
  for (const auto& [key, value] : json.items()) {
    const auto id = json.is_object() ? value.get<std::size_t>() : tokens.size();
    rapt::require<rapt::IoError>(id < 10'000'000, "word_vectors", "token id ", id);
    tokens.resize(std::max(tokens.size(), id + 1));
    tokens[id] = json.is_object() ? key : value.at(0).get<std::string>();
  }
  return tokens;
}

WordVectors read(const std::string& path, std::string tensor) {
  WordVectors result;
  const auto read_from = [&](const auto& source, const auto& file_of) {
    for (const char* known :
         {"embedding.weight", "source_embedding.weight", "transformer.wte.weight", "wte.weight", "model.shared.weight",
          "model.embed_tokens.weight", "embed_tokens.weight", "model.encoder.embed_tokens.weight",
          "bert.embeddings.word_embeddings.weight", "embeddings.word_embeddings.weight"}) {
      if (tensor.empty() && source.contains(known)) tensor = known;
    }
    rapt::require<rapt::IoError>(source.contains(tensor), "word_vectors", path, ": which tensor? Say --tensor NAME");
    result.vectors = file_of(tensor).template read<float>(tensor);
  };
  if (std::filesystem::is_directory(path)) {
    const rapt::PretrainedFolder folder(path);
    result.tokens = read_tokens(path);
    read_from(folder, [&](const std::string& name) -> const rapt::SafetensorsFile& { return folder.file_of(name); });
  } else {
    const rapt::SafetensorsFile file(path);
    const auto text = file.metadata().find("subwords");
    rapt::require<rapt::IoError>(text != file.metadata().end(), "word_vectors", path, " was not made by translate");
    const auto subwords = rapt::BytePairEncoding::from_text(text->second, path);
    result.tokens.assign(subwords.vocabulary().tokens().begin(), subwords.vocabulary().tokens().end());
    read_from(file, [&](const std::string&) -> const rapt::SafetensorsFile& { return file; });
  }
  result.tokens.resize(static_cast<std::size_t>(result.vectors.rows()));  // tables may have rows to spare
  return result;
}

// The words near the sum of these, each times its sign, and not among them.
void show(const WordVectors& table, const std::vector<std::pair<float, std::string>>& sum, std::size_t count) {
  const auto word_of = [](const std::string& token) {  // tokens that begin a word are marked
    return token.starts_with("\u2581") ? token.substr(3) : token.starts_with("\u0120") ? token.substr(2) : token;
  };
  const Index d = table.vectors.cols();
  const auto row = [&](std::size_t i) { return table.vectors.view().matrix().row(static_cast<Index>(i)); };
  Eigen::RowVectorXf wanted = Eigen::RowVectorXf::Zero(d);
  std::string title;
  for (const auto& [sign, word] : sum) {
    const auto& tokens = table.tokens;
    auto found = std::find_if(tokens.begin(), tokens.end(),
                              [&, &w = word](const std::string& token) { return token != w && word_of(token) == w; });
    if (found == tokens.end()) found = std::find(tokens.begin(), tokens.end(), word);
    rapt::require(found != tokens.end(), "word_vectors", "the vocabulary has no '", word, "' as one token");
    wanted += sign * row(static_cast<std::size_t>(found - tokens.begin())).normalized();
    title += (title.empty() ? "" : sign > 0 ? " + " : " - ") + word;
  }
  std::vector<std::pair<float, std::size_t>> near;
  for (std::size_t i = 0; i < table.tokens.size(); ++i) {
    const std::string word = word_of(table.tokens[i]);
    const bool asked = std::any_of(sum.begin(), sum.end(), [&](const auto& term) { return term.second == word; });
    if (!asked && !word.empty()) near.emplace_back(row(i).normalized().dot(wanted.normalized()), i);
  }
  count = std::min(count, near.size());
  std::partial_sort(near.begin(), near.begin() + static_cast<std::ptrdiff_t>(count), near.end(), std::greater<>());
  std::printf("%s:", title.c_str());
  for (std::size_t i = 0; i < count; ++i) {
    std::printf("  %s %.2f", word_of(table.tokens[near[i].second]).c_str(), static_cast<double>(near[i].first));
  }
  std::printf("\n");
}

int main(int argc, char** argv) {
  CLI::App app{"Nearest words and analogies in a model's embeddings; without --model in vectors learned now."};
  std::string model, tensor;
  std::vector<std::string> words, analogy;
  std::size_t count = 4;
  app.add_option("--model", model, "A Hugging Face folder, or a model of the translate example.")
      ->check(CLI::ExistingPath);
  app.add_option("--tensor", tensor, "The name of the table of embeddings, where it is not a known one.");
  app.add_option("--word", words, "Shows the words near this one; may be repeated.");
  app.add_option("--analogy", analogy, "Three words a b c: shows the words near a - b + c.")->expected(3);
  add_positive(app, "--count", count, "The number of words to show.");
  CLI11_PARSE(app, argc, argv);
  try {
    const WordVectors table = model.empty() ? word_vectors::learn() : read(model, tensor);
    if (words.empty() && analogy.empty() && model.empty()) {
      words = {"king", "girl", "paris"};
      analogy = {"king", "man", "woman"};
      show(table, {{1.f, "paris"}, {-1.f, "france"}, {1.f, "italy"}}, count);
    }
    for (const std::string& word : words) show(table, {{1.f, word}}, count);
    if (!analogy.empty()) show(table, {{1.f, analogy[0]}, {-1.f, analogy[1]}, {1.f, analogy[2]}}, count);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "word_vectors: %s\n", error.what());
    return 1;
  }
}
