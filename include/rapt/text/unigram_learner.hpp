/// \file
/// Learning a unigram language model of subwords (Kudo 2018, arXiv:1804.10959, section 3.2) from text, as a model for
/// SentencePiece. Needs utf8proc.
///
/// Many frequent substrings of words are the first pieces. Expectation-maximisation fits their probabilities, with the
/// prior of a Dirichlet process as SentencePiece's trainer has it: a score is digamma(expected count) - digamma(sum).
/// Then those pieces are dropped without which the text's likelihood falls least, and so on until the vocabulary has
/// the wanted size. Characters stay, so that few are unknown. The result is the same bits on any number of threads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/text/byte_trie.hpp"
#include "rapt/text/sentencepiece_model.hpp"
#include "rapt/text/unicode.hpp"
#include "rapt/text/unigram_learner_options.hpp"
#include "rapt/text/unigram_seeds.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// The derivative of log(gamma(x)), x > 0.
[[nodiscard]] inline double digamma(double x) {
  double result = 0;
  for (; x < 7; x += 1) result -= 1 / x;
  x -= 0.5;
  const double square = 1 / (x * x);
  return result + std::log(x) +
         square * (1.0 / 24 + square * (-7.0 / 960 + square * (31.0 / 8064 - square * 127.0 / 30720)));
}

class UnigramLearner {
 public:
  UnigramLearner(std::span<const std::string> lines, const UnigramLearnerOptions& options) : options_(options) {
    options.validate();
    words_ = counted_words(lines, options.normalization, kName);
    cut_into_parts();
    pieces_ = UnigramSeeds(words_, options_)();
    index();
  }

  [[nodiscard]] SentencePieceModel run() {
    const auto wanted = to_size(options_.vocabulary_size - UnigramLearnerOptions::kSpecials);
    const std::size_t enough = wanted + wanted / 10;  // The last pieces are chosen by their scores.
    const std::size_t first = pieces_.size();
    while (true) {
      for (Index step = 0; step < options_.steps; ++step) maximize(expect());
      const std::size_t before = pieces_.size();
      if (before <= enough) break;
      prune(std::max(enough, static_cast<std::size_t>(options_.shrinking * static_cast<double>(before))));
      if (pieces_.size() == before) break;
      if (options_.report) {
        options_.report(static_cast<Index>(first - pieces_.size()), static_cast<Index>(first - enough));
      }
    }
    return finish(wanted);
  }

 private:
  static constexpr const char* kName = "learn_unigram";
  static constexpr double kLeastCount = 0.5;  // rarer pieces are dropped
  static constexpr double kUnknownCost = 10;  // an unknown character's score is so far below the lowest
  static constexpr double kNever = -std::numeric_limits<double>::infinity();

  struct Arc {
    std::size_t begin, end;
    std::int32_t piece;  // -1: an unknown character
    double score;
  };
  struct Work {
    std::vector<Arc> arcs;  // in the order in which they begin
    std::vector<double> forward, backward;
    std::vector<std::size_t> last;  // of Viterbi's algorithm: the arc that ends at each byte
  };

  /// Cuts the words into parts for the threads, which depend on the words alone.
  void cut_into_parts() {
    std::size_t bytes = 0, filled = 0;
    for (const CountedWord& word : words_) bytes += word.text.size();
    const std::size_t part_bytes = std::max(kPartBytes, bytes / kMostParts + 1);
    part_begins_.push_back(0);
    for (std::size_t i = 0; i < words_.size(); ++i) {
      if (filled >= part_bytes) {
        part_begins_.push_back(i);
        filled = 0;
      }
      filled += words_[i].text.size();
    }
    part_begins_.push_back(words_.size());
  }

  [[nodiscard]] static bool is_character(std::string_view piece) {
    return code_point_at(piece, 0).length == piece.size();
  }
  void index() {
    std::vector<ByteTrie::Key> keys;
    lowest_ = 0;
    for (const LearnedPiece& piece : pieces_) {
      keys.push_back({piece.text, static_cast<std::int32_t>(keys.size())});
      lowest_ = std::min(lowest_, piece.score);
    }
    trie_ = ByteTrie(std::move(keys), kName);
  }

  /// Sets `work.arcs` to all pieces in a text.
  void find_arcs(std::string_view text, Work& work) const {
    work.arcs.clear();
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t character = code_point_at(text, begin).length;
      bool has_character = false;
      trie_.walk(text.substr(begin), [&](std::size_t length, std::int32_t piece) {
        has_character = has_character || length == character;
        work.arcs.push_back({begin, begin + length, piece, at(pieces_, piece).score});
      });
      if (!has_character) work.arcs.push_back({begin, begin + character, -1, lowest_ - kUnknownCost});
      begin += character;
    }
  }
  [[nodiscard]] static double log_of_sum(double a, double b) {
    if (a < b) std::swap(a, b);
    return b == kNever ? a : a + std::log1p(std::exp(b - a));
  }

  /// Calls f(word, counts, work) for all words, in parts with counts of their own, and returns the sum of these.
  template <class F>
  [[nodiscard]] std::vector<double> sum_over_words(const F& f) const {
    std::vector<std::vector<double>> parts(part_begins_.size() - 1);
    parallel_parts(std::ssize(parts), [&](Index p) {
      std::vector<double>& counts = at(parts, p);
      counts.resize(pieces_.size());
      Work work;
      const std::size_t end = part_begins_[to_size(p) + 1];
      for (std::size_t i = at(part_begins_, p); i < end; ++i) f(words_[i], counts, work);
    });
    for (std::size_t p = 1; p < parts.size(); ++p) {
      for (std::size_t i = 0; i < pieces_.size(); ++i) parts[0][i] += parts[p][i];
    }
    return std::move(parts[0]);
  }

  /// The expected number of occurrences of each piece, by the forward-backward algorithm.
  [[nodiscard]] std::vector<double> expect() const {
    return sum_over_words([&](const CountedWord& word, std::vector<double>& counts, Work& work) {
      find_arcs(word.text, work);
      work.forward.assign(word.text.size() + 1, kNever);
      work.backward.assign(word.text.size() + 1, kNever);
      work.forward.front() = work.backward.back() = 0;
      for (const Arc& arc : work.arcs) {
        work.forward[arc.end] = log_of_sum(work.forward[arc.end], work.forward[arc.begin] + arc.score);
      }
      const double all = work.forward.back();
      for (std::size_t a = work.arcs.size(); a-- > 0;) {
        const Arc& arc = work.arcs[a];
        const double behind = arc.score + work.backward[arc.end];
        work.backward[arc.begin] = log_of_sum(work.backward[arc.begin], behind);
        if (arc.piece >= 0) at(counts, arc.piece) += word.count * std::exp(work.forward[arc.begin] + behind - all);
      }
    });
  }
  void maximize(const std::vector<double>& counts) {
    std::vector<LearnedPiece> kept;
    double sum = 0;
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      if (counts[i] < kLeastCount && !is_character(pieces_[i].text)) continue;
      const double count = std::max(counts[i], kLeastCount);
      sum += count;
      kept.push_back({std::move(pieces_[i].text), digamma(count)});
    }
    const double norm = digamma(sum);
    for (LearnedPiece& piece : kept) piece.score -= norm;
    pieces_ = std::move(kept);
    index();
  }

  /// Sets `work.last` for the most probable segmentation, without an arc for the whole text if `parts_only` is set, and
  /// returns its score.
  [[nodiscard]] double search(std::string_view text, bool parts_only, Work& work) const {
    find_arcs(text, work);
    work.forward.assign(text.size() + 1, kNever);
    work.last.resize(text.size() + 1);
    work.forward.front() = 0;
    for (std::size_t a = 0; a < work.arcs.size(); ++a) {
      const Arc& arc = work.arcs[a];
      if (parts_only && arc.end - arc.begin == text.size()) continue;
      const double score = work.forward[arc.begin] + arc.score;
      if (score <= work.forward[arc.end]) continue;
      work.forward[arc.end] = score;
      work.last[arc.end] = a;
    }
    return work.forward.back();
  }
  /// Calls use(arc) for the arcs of the segmentation, the last one first.
  template <class Use>
  static void for_each_arc(std::string_view text, const Work& work, const Use& use) {
    for (std::size_t end = text.size(); end > 0;) {
      const Arc& arc = work.arcs[work.last[end]];
      use(arc);
      end = arc.begin;
    }
  }

  /// Keeps so many pieces, and the characters. A piece that is less probable than its parts is
  /// dropped; the loss of another one is how much the text's log-likelihood falls if its parts take its place.
  void prune(std::size_t size) {
    const std::vector<double> counts =
        sum_over_words([&](const CountedWord& word, std::vector<double>& sums, Work& work) {
          static_cast<void>(search(word.text, false, work));
          for_each_arc(word.text, work, [&](const Arc& arc) {
            if (arc.piece >= 0) at(sums, arc.piece) += word.count;
          });
        });
    double sum = 0;
    for (const double one : counts) sum += one;
    enum class Fate : std::uint8_t { dropped, kept, by_loss };
    std::vector<Fate> fates(pieces_.size(), Fate::dropped);
    std::vector<double> losses(pieces_.size());
    parallel_for(std::ssize(pieces_), 1024, [&](Index begin, Index end) {
      Work work;
      for (Index i = begin; i < end; ++i) {
        const LearnedPiece& piece = at(pieces_, i);
        const double count = at(counts, i);
        if (is_character(piece.text)) at(fates, i) = Fate::kept;
        if (count == 0 || is_character(piece.text) || search(piece.text, true, work) > piece.score) continue;
        double parts = 0, logs = 0;
        for_each_arc(piece.text, work, [&](const Arc& arc) {
          parts += 1;
          logs += std::log(at(counts, arc.piece) + count);
        });
        at(fates, i) = Fate::by_loss;
        const double alternative = logs - parts * std::log(sum + count * (parts - 1));
        at(losses, i) = count / sum * (std::log(count) - std::log(sum) - alternative);
      }
    });
    std::vector<std::size_t> order;
    std::vector<LearnedPiece> kept;
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      if (fates[i] == Fate::kept) kept.push_back(std::move(pieces_[i]));
      if (fates[i] == Fate::by_loss) order.push_back(i);
    }
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return losses[a] != losses[b] ? losses[a] > losses[b] : pieces_[a].text < pieces_[b].text;
    });
    for (const std::size_t i : order) {
      if (kept.size() >= size) break;
      kept.push_back(std::move(pieces_[i]));
    }
    pieces_ = std::move(kept);
    index();
  }

  /// The characters, and of the other pieces those with the highest scores.
  [[nodiscard]] SentencePieceModel finish(std::size_t wanted) {
    std::vector<LearnedPiece> chosen, others;
    for (LearnedPiece& piece : pieces_) (is_character(piece.text) ? chosen : others).push_back(std::move(piece));
    std::sort(others.begin(), others.end(), LearnedPiece::precedes);
    others.resize(std::min(others.size(), wanted - chosen.size()));
    chosen.insert(chosen.end(), others.begin(), others.end());
    pieces_ = std::move(chosen);
    std::sort(pieces_.begin(), pieces_.end(), LearnedPiece::precedes);
    using Type = SentencePieceModel::PieceType;
    SentencePieceModel model;
    model.pieces = {{"<unk>", 0, Type::unknown}, {"<s>", 0, Type::control}, {"</s>", 0, Type::control}};
    for (LearnedPiece& piece : pieces_)
      model.pieces.push_back({std::move(piece.text), static_cast<float>(piece.score)});
    model.normalization = options_.normalization;
    return model;
  }

  static constexpr std::size_t kPartBytes = 16384, kMostParts = 16;

  UnigramLearnerOptions options_;
  std::vector<CountedWord> words_;
  std::vector<std::size_t> part_begins_;  // numbers of words
  std::vector<LearnedPiece> pieces_;
  ByteTrie trie_;      // of them
  double lowest_ = 0;  // score
};

}  // namespace detail

/// Learns a model from lines of text. Throws ValueError for options out of range, text without words, text that is not
/// UTF-8, and more characters than the vocabulary can have.
[[nodiscard]] inline SentencePieceModel learn_unigram(std::span<const std::string> lines,
                                                      const UnigramLearnerOptions& options = {}) {
  return detail::UnigramLearner(lines, options).run();
}

}}  // namespace rapt::RAPT_ABI
