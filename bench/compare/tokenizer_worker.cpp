// rapt's side of tokenization.py. Reads commands, one JSON object a line, and answers each with one line:
// {"command": "run", "uncounted": 1, "counted": 8} -> {"seconds": [0.041, ...]}; {"error": "..."} when it fails.
//
//   info                           what this program is
//   load      path, encoding       a tokenizer.json, or a folder with the files of a tokenizer; with the name of an
//                                  encoding of tiktoken, a file of ranks
//   save      path                 writes it as a tokenizer.json
//   texts     first, second        JSON files of a list of strings each; second may be missing
//   encode    output,              the tokens of all texts or pairs, their places counted in characters, and types:
//             add_special          int32 numbers, for each text their count, ids, begins, ends, types
//   ids       batch, output        the ids alone, of a batch or text by text: for each text their count and ids
//   decode    output, skip_special JSON file with the text of what `encode` found last, or null where it is not UTF-8
//   task      kind, threads,       what `run` does: "batch", "each" (text by text), or "spans" (with places);
//             vocabulary_size      "learn_bpe" and "learn_unigram" learn from the first texts, with so many tokens
//   run       uncounted, counted   does the task so often; seconds of processor time of each counted time
//   learned   path                 writes the unigram model that `run` learned last, as SentencePiece's model file
#include <ctime>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <rapt/core/thread_pool.hpp>
#include <rapt/pretrained/sentencepiece_file.hpp>
#include <rapt/pretrained/tokenizer_files.hpp>
#include <rapt/text/bpe.hpp>
#include <rapt/text/unigram_learner.hpp>
#include <rapt/version.hpp>

#include "json_lines.hpp"

namespace {

using nlohmann::json;
using rapt::Index;

class Worker {
 public:
  json answer(const json& command) {
    const std::string name = command.at("command");
#if defined(__clang__)
    if (name == "info") return {{"compiler", __VERSION__}};
#else
    if (name == "info") return {{"compiler", "GCC " __VERSION__}};
#endif
    if (name == "load") {
      const std::string path = command.at("path");
      tokenizer_.emplace(command.contains("encoding")
                             ? rapt::load_ranks(path, command.at("encoding").get<std::string>())
                             : rapt::load_tokenizer(path));
    } else if (name == "save") {
      save_tokenizer(command.at("path").get<std::string>(), tokenizer_.value());
    } else if (name == "texts") {
      first_ = read_texts(command.at("first"));
      second_.clear();
      if (command.contains("second")) second_ = read_texts(command.at("second"));
    } else if (name == "encode") {
      std::visit([&](const auto& tokenizer) { encode(tokenizer, command); }, tokenizer_.value());
    } else if (name == "ids") {
      std::visit([&](const auto& tokenizer) { write_ids(tokenizer, command); }, tokenizer_.value());
    } else if (name == "decode") {
      std::visit([&](const auto& tokenizer) { decode(tokenizer, command); }, tokenizer_.value());
    } else if (name == "task") {
      rapt::set_threads(command.at("threads"));
      kind_ = command.at("kind");
      vocabulary_size_ = command.value("vocabulary_size", Index{0});
    } else if (name == "run") {
      return run(command);
    } else if (name == "learned") {
      rapt::require(learned_.has_value(), "worker", "no unigram model was learned");
      rapt::save_sentencepiece_model(command.at("path").get<std::string>(), learned_.value());
    } else {
      rapt::fail("worker", "unknown command ", std::string_view(name));
    }
    return json::object();
  }

 private:
  static std::vector<std::string> read_texts(const std::string& path) {
    std::ifstream file(path);
    rapt::require<rapt::IoError>(file.is_open(), "worker", "cannot read ", std::string_view(path));
    return json::parse(file).get<std::vector<std::string>>();
  }

  static void write(std::ofstream& file, const std::vector<std::int32_t>& numbers) {
    file.write(reinterpret_cast<const char*>(numbers.data()),
               static_cast<std::streamsize>(numbers.size() * sizeof(std::int32_t)));
  }

  template <class Tokenizer>
  void encode(const Tokenizer& tokenizer, const json& command) {
    const rapt::EncodeOptions options{.add_special = command.at("add_special")};
    std::ofstream file(command.at("output").get<std::string>(), std::ios::binary);
    found_.clear();
    for (std::size_t i = 0; i < first_.size(); ++i) {
      const rapt::Encoding encoding = second_.empty() ? tokenizer.encode_with_spans(first_[i], options)
                                                      : tokenizer.encode_pair(first_[i], second_[i], options);
      std::vector<std::int32_t> begins, ends;
      for (std::size_t t = 0; t < encoding.ids.size(); ++t) {
        const std::string& text = encoding.texts[t] == 1 ? second_[i] : first_[i];
        begins.push_back(static_cast<std::int32_t>(encoding.spans[t].begin));
        ends.push_back(static_cast<std::int32_t>(encoding.spans[t].end));
        if (encoding.spans[t].end > text.size()) rapt::fail("worker", "a span behind its text: text ", i);
      }
      for (int t = 0; t < (second_.empty() ? 1 : 2); ++t) to_characters(encoding, t, i, begins, ends);
      write(file, {static_cast<std::int32_t>(encoding.ids.size())});
      for (const auto& numbers : {encoding.ids, begins, ends, encoding.types}) write(file, numbers);
      found_.push_back(encoding.ids);
    }
  }

  void to_characters(const rapt::Encoding& encoding, int which, std::size_t i, std::vector<std::int32_t>& begins,
                     std::vector<std::int32_t>& ends) const {
    std::vector<rapt::TextSpan> spans;
    for (std::size_t t = 0; t < encoding.ids.size(); ++t) {
      spans.push_back(encoding.texts[t] == which ? encoding.spans[t] : rapt::TextSpan{});
    }
    spans = rapt::character_spans(which == 0 ? first_[i] : second_[i], spans);
    for (std::size_t t = 0; t < encoding.ids.size(); ++t) {
      if (encoding.texts[t] != which) continue;
      begins[t] = static_cast<std::int32_t>(spans[t].begin);
      ends[t] = static_cast<std::int32_t>(spans[t].end);
    }
  }

  template <class Tokenizer>
  void write_ids(const Tokenizer& tokenizer, const json& command) {
    rapt::TokenBatch batch;
    if (command.at("batch")) {
      batch = tokenizer.encode_batch(first_);
    } else {
      for (const std::string& text : first_) batch.push_back(tokenizer.encode(text));
    }
    std::ofstream file(command.at("output").get<std::string>(), std::ios::binary);
    for (Index i = 0; i < batch.sequences(); ++i) {
      const auto ids = batch.sequence(i);
      write(file, {static_cast<std::int32_t>(ids.size())});
      write(file, {ids.begin(), ids.end()});
    }
  }

  template <class Tokenizer>
  void decode(const Tokenizer& tokenizer, const json& command) {
    json texts = json::array();
    for (const auto& ids : found_) {
      const std::string text = tokenizer.decode(ids, command.at("skip_special").get<bool>());
      texts.push_back(rapt::find_invalid_utf8(text) ? json() : json(text));
    }
    std::ofstream(command.at("output").get<std::string>()) << texts.dump();
  }

  /// Does the task; returns the number of tokens.
  std::size_t step() {
    if (kind_ == "learn_bpe") {
      return rapt::to_size(
          rapt::BytePairEncoding::learn(first_, {.vocabulary_size = vocabulary_size_}).vocabulary().size());
    }
    if (kind_ == "learn_unigram") {
      return learned_.emplace(rapt::learn_unigram(first_, {.vocabulary_size = vocabulary_size_})).pieces.size();
    }
    return std::visit(
        [&](const auto& tokenizer) {
          std::size_t tokens = 0;
          if (kind_ == "batch") {
            tokens = tokenizer.encode_batch(first_).tokens.size();
          } else if (kind_ == "each") {
            for (const std::string& text : first_) tokens += tokenizer.encode(text).size();
          } else {
            for (const std::string& text : first_) tokens += tokenizer.encode_with_spans(text).ids.size();
          }
          return tokens;
        },
        tokenizer_.value());
  }

  json run(const json& command) {
    std::size_t tokens = 0;
    for (Index i = 0; i < command.at("uncounted").get<Index>(); ++i) tokens = step();
    std::vector<double> seconds;
    for (Index i = 0; i < command.at("counted").get<Index>(); ++i) {
      const std::clock_t start = std::clock();
      tokens = step();
      seconds.push_back(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
    }
    return {{"seconds", seconds}, {"tokens", tokens}};
  }

  std::optional<rapt::PretrainedTokenizer> tokenizer_;
  std::optional<rapt::SentencePieceModel> learned_;
  std::vector<std::string> first_, second_;
  std::vector<std::vector<rapt::TokenId>> found_;
  std::string kind_;
  Index vocabulary_size_ = 0;
};

}  // namespace

int main() { answer_json_lines(Worker()); }
