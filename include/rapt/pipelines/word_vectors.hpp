/// \file
/// Arithmetic with words (Mikolov et al. 2013, "Linguistic Regularities in Continuous Space Word Representations"):
/// which words are near one another in a table of embeddings, and analogies such as king - man + woman.
///
/// ```cpp
/// const auto words = rapt::load_word_vectors("all-MiniLM-L6-v2");
/// for (const auto& near : words.analogy("king", "man", "woman", 4)) use(near.word, near.similarity);
/// ```
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/pipelines/tokenizer.hpp"
#include "rapt/pretrained/pretrained.hpp"
#include "rapt/text/byte_level_names.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A word and the cosine of the angle between its vector and the one that was asked for.
struct NearWord {
  std::string word;
  float similarity = 0;  ///< the cosine, from -1 to 1
};

/// Pairs of words that stand in one relation, such as {"france", "paris"} and {"italy", "rome"}. Any two of them make
/// an analogy: the second word of one is sought from its first and from the words of the other.
struct AnalogyCategory {
  std::string name;                                        ///< of the relation
  std::vector<std::pair<std::string, std::string>> pairs;  ///< of words, such as a country and its capital
};

/// How many analogies of a category a table solves.
struct AnalogyScore {
  std::string name;   ///< of the category
  Index asked = 0;    ///< the analogies whose words are all in the table
  Index right = 0;    ///< of these: the nearest word is the one sought
  Index among_5 = 0;  ///< of these: the one sought is among the five nearest
  Index unknown = 0;  ///< the analogies with a word that the table does not have; they are not asked
  /// right / asked; 0 if none was asked.
  [[nodiscard]] double accuracy() const {
    return asked == 0 ? 0 : static_cast<double>(right) / static_cast<double>(asked);
  }
};

/// Words, each with a vector of length 1. A const table may be used from many threads.
class WordVectors {
 public:
  /// `words[i]` has the vector of row i of `vectors` [V, D]. An empty name means that the row is no word. Rows of
  /// zeros have no direction and are left out. Throws ShapeError unless there is a name for each row, and ValueError
  /// for a word that stands twice and for numbers that are not finite.
  WordVectors(std::vector<std::string> words, const Tensor<float>& vectors) {
    require<ShapeError>(vectors.shape().rank() == 2 && std::ssize(words) == vectors.rows(), kWhere, words.size(),
                        " words for vectors of shape ", vectors.shape());
    std::vector<Index> rows;
    for (Index i = 0; i < vectors.rows(); ++i) {
      const float length = vectors.matrix().row(i).norm();
      require(std::isfinite(length), kWhere, "the vector of ", quoted(at(words, i)), ", row ", i, ", is not finite");
      if (at(words, i).empty() || length == 0) continue;
      const bool is_new = rows_.emplace(at(words, i), std::ssize(rows)).second;
      require(is_new, kWhere, "the word ", quoted(at(words, i)), " stands twice, the second time in row ", i);
      rows.push_back(i);
    }
    vectors_ = Tensor<float>(Shape{std::ssize(rows), vectors.cols()});
    words_.reserve(rows.size());
    for (const Index i : rows) {
      vectors_.matrix().row(std::ssize(words_)) = vectors.matrix().row(i).normalized();
      words_.push_back(std::move(at(words, i)));
    }
  }

  [[nodiscard]] Index size() const { return std::ssize(words_); }
  /// The words, in the order of their vectors; without the rows that are no word.
  [[nodiscard]] std::span<const std::string> words() const { return words_; }
  /// True if the table has the word.
  [[nodiscard]] bool contains(std::string_view word) const { return rows_.contains(std::string(word)); }

  /// The `count` words nearest to a word, itself left out, the nearest first. Throws ValueError for a word that the
  /// table does not have.
  [[nodiscard]] std::vector<NearWord> nearest(std::string_view word, Index count) const {
    const std::array<Index, 1> row = {row_of(word)};
    return nearest_to(vector(row[0]), row, count);
  }
  /// The `count` words nearest to a - b + c, these three left out: a is to b as the first of them is to c.
  [[nodiscard]] std::vector<NearWord> analogy(std::string_view a, std::string_view b, std::string_view c,
                                              Index count) const {
    const std::array<Index, 3> rows = {row_of(a), row_of(b), row_of(c)};
    return nearest_to(vector(rows[0]) - vector(rows[1]) + vector(rows[2]), rows, count);
  }
  /// The cosine of the angle between the vectors of two words.
  [[nodiscard]] float similarity(std::string_view a, std::string_view b) const {
    return vector(row_of(a)).dot(vector(row_of(b)));
  }

  /// Asks for the second word of each pair of a category by way of each other pair: of {"france", "paris"} and
  /// {"italy", "rome"}, paris - france + italy and rome - italy + france.
  [[nodiscard]] AnalogyScore score(const AnalogyCategory& category) const {
    AnalogyScore result{.name = category.name};
    for (const auto& [from, to] : category.pairs) {
      for (const auto& [other, sought] : category.pairs) {
        if (&other == &from) continue;
        if (!contains(from) || !contains(to) || !contains(other) || !contains(sought)) {
          ++result.unknown;
          continue;
        }
        ++result.asked;
        const auto found = analogy(to, from, other, 5);
        result.right += !found.empty() && found.front().word == sought;
        result.among_5 += std::any_of(found.begin(), found.end(),
                                      [&, &word = sought](const NearWord& one) { return one.word == word; });
      }
    }
    return result;
  }

 private:
  static constexpr std::string_view kWhere = "word_vectors";
  using Vector = Eigen::Matrix<float, 1, Eigen::Dynamic>;

  [[nodiscard]] static std::string quoted(const std::string& word) { return '"' + word + '"'; }
  [[nodiscard]] Index row_of(std::string_view word) const {
    const auto found = rows_.find(std::string(word));
    require(found != rows_.end(), kWhere, "the table has no word \"", word, "\"");
    return found->second;
  }
  [[nodiscard]] Vector vector(Index row) const { return vectors_.matrix().row(row); }

  [[nodiscard]] std::vector<NearWord> nearest_to(const Vector& wanted, std::span<const Index> without,
                                                 Index count) const {
    require(count > 0, kWhere, "the number of words must be positive: ", count);
    const Eigen::VectorXf similarities = vectors_.matrix() * wanted.normalized().transpose();
    std::vector<Index> order;
    for (Index i = 0; i < size(); ++i) {
      if (std::find(without.begin(), without.end(), i) == without.end()) order.push_back(i);
    }
    const Index shown = std::min(count, std::ssize(order));
    // Of words that are equally near, the one that stands first in the table comes first.
    std::partial_sort(order.begin(), order.begin() + shown, order.end(), [&](Index a, Index b) {
      return similarities[a] != similarities[b] ? similarities[a] > similarities[b] : a < b;
    });
    std::vector<NearWord> nearest;
    for (Index i = 0; i < shown; ++i) nearest.push_back({at(words_, at(order, i)), similarities[at(order, i)]});
    return nearest;
  }

  std::vector<std::string> words_;
  Tensor<float> vectors_;  // [words, D], rows of length 1
  std::unordered_map<std::string, Index> rows_;
};

/// The words among the tokens of a vocabulary, at their places; the text of the other tokens is empty. Where tokens
/// that begin a word are marked, by "\u2581" (SentencePiece) or "\u0120" (byte-level), these are the words, without
/// their marks; where those that go on with one are marked, by "##" (WordPiece), the others are. A mark counts as such
/// if more than a tenth of the tokens begin with it: both are letters that a word may begin with. The names of
/// byte-level tokens are decoded. Names in brackets, such as "[CLS]" and "<s>", are no words.
[[nodiscard]] inline std::vector<std::string> words_of_tokens(std::span<const std::string> tokens) {
  constexpr std::string_view kSentencePiece = "\u2581", kByteLevel = "\u0120";
  const auto is_mark = [&](std::string_view mark) {
    const auto has_mark = [&](const std::string& token) { return token.starts_with(mark); };
    return 10 * std::count_if(tokens.begin(), tokens.end(), has_mark) > std::ssize(tokens);
  };
  const std::string_view mark = is_mark(kSentencePiece) ? kSentencePiece : is_mark(kByteLevel) ? kByteLevel : "";
  const auto in_brackets = [](std::string_view token) {
    return token.size() > 2 &&
           ((token.front() == '[' && token.back() == ']') || (token.front() == '<' && token.back() == '>'));
  };
  std::vector<std::string> words;
  words.reserve(tokens.size());
  for (const std::string& token : tokens) {
    const bool is_word = token.starts_with(mark) && !token.starts_with("##") && !in_brackets(token);
    std::string word = is_word ? token.substr(mark.size()) : std::string();
    words.push_back(mark == kByteLevel ? detail::bytes_of_name(word) : std::move(word));
  }
  return words;
}

/// The table of input embeddings of a Hugging Face folder with the words of its tokenizer. `tensor` names the table
/// where it is not one of the usual names. Throws IoError for a folder without such a table or whose tokenizer has more
/// tokens than the table rows.
[[nodiscard]] inline WordVectors load_word_vectors(const std::filesystem::path& path, std::string tensor = {}) {
  constexpr std::string_view kWhere = "word_vectors";
  constexpr std::array<const char*, 8> kUsual = {"transformer.wte.weight",
                                                 "wte.weight",
                                                 "shared.weight",
                                                 "model.shared.weight",
                                                 "model.embed_tokens.weight",
                                                 "embed_tokens.weight",
                                                 "bert.embeddings.word_embeddings.weight",
                                                 "embeddings.word_embeddings.weight"};
  const PretrainedFolder folder(path);
  for (const char* usual : kUsual) {
    if (tensor.empty() && folder.contains(usual)) tensor = usual;
  }
  require<IoError>(folder.contains(tensor), kWhere, path.string(),
                   tensor.empty() ? ": has no table of embeddings with a usual name; give its name"
                                  : ": has no tensor \"" + tensor + "\"");
  const auto vectors = folder.file_of(tensor).read<float>(tensor);
  const AnyTokenizer tokenizer = AnyTokenizer::load(path);
  require<IoError>(vectors.shape().rank() == 2 && vectors.rows() >= tokenizer.size(), kWhere, path.string(), ": ",
                   tensor, " has the shape ", vectors.shape(), ", the tokenizer ", tokenizer.size(), " tokens");
  std::vector<std::string> tokens;
  for (Index i = 0; i < tokenizer.size(); ++i) tokens.push_back(tokenizer.token(static_cast<TokenId>(i)));
  tokens.resize(to_size(vectors.rows()));  // tables may have rows to spare
  return WordVectors(words_of_tokens(tokens), vectors);
}

}}  // namespace rapt::RAPT_ABI
