/// \file
/// The unigram language model of subwords (Kudo 2018, arXiv:1804.10959): a text's pieces are independent of one
/// another, so that a segmentation's log-probability is the sum of its pieces'. Finds the most probable segmentation,
/// the n best ones, and random ones.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/text/byte_trie.hpp"
#include "rapt/text/segment.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A piece of a vocabulary.
struct UnigramPiece {
  std::string_view text;                     ///< its characters; the constructor reads them, later they may go
  TokenId id = 0;                            ///< the token that the piece stands for
  double score = 0;                          ///< log-probability
  std::optional<double> lattice_score = {};  ///< in n_best and sample, if they do not count `score`
};

/// How texts are cut by a unigram model.
struct UnigramOptions {
  TokenId unknown = 0;           ///< is the id of a character that no piece begins with or is
  double unknown_score = 0;      ///< its log-probability; SentencePiece and tokenizers take the lowest score less 10
  bool fuse_unknown = true;      ///< neighbouring unknown characters are one segment
  bool single_precision = true;  ///< sums are rounded to float, as in SentencePiece; false: double, as in tokenizers
};

/// A segmentation and its log-probability.
struct ScoredSegmentation {
  Segmentation segments;  ///< the pieces from left to right
  double score = 0;       ///< the sum of the pieces' log-probabilities
};

/// Cuts texts into pieces. Texts must be UTF-8. Immutable; many threads may use one object.
class Unigram {
 public:
  /// Buffers that are used again for each text.
  struct Work {
    Segmentation segments;  ///< the result
    /// The best segmentation that ends at a byte: its score, and the piece that comes last in it.
    struct Ending {
      double score;
      std::int32_t begin;
      TokenId id;  ///< of the last piece
    };
    /// The same with a score in single precision.
    struct SingleEnding {
      float score;
      std::int32_t begin;
      TokenId id;  ///< of the last piece
    };
    std::vector<Ending> endings;               ///< by byte; for sums in double precision
    std::vector<SingleEnding> single_endings;  ///< the same, for sums that are rounded to float
  };

  Unigram() = default;
  /// Throws ValueError for a piece that is empty, has been there before, or whose score is not finite.
  Unigram(std::span<const UnigramPiece> pieces, const UnigramOptions& options) : options_(options) {
    std::vector<detail::ByteTrie::Key> keys;
    keys.reserve(pieces.size());
    ids_.reserve(pieces.size());
    scores_.reserve(pieces.size());
    for (const UnigramPiece& piece : pieces) {
      require(std::isfinite(piece.score), kName, "a score must be finite: \"", piece.text, "\" has ", piece.score);
      keys.push_back({piece.text, static_cast<std::int32_t>(ids_.size())});
      ids_.push_back(piece.id);
      scores_.push_back(piece.score);
      if (piece.lattice_score) lattice_scores_.emplace(scores_.size() - 1, *piece.lattice_score);
    }
    trie_ = detail::ByteTrie(std::move(keys), kName);
  }

  /// Sets `work.segments` to the most probable segmentation. Of equal ones, the piece that begins first wins where two
  /// end at the same place.
  void best(std::string_view text, Work& work) const {
    if (options_.single_precision) {
      search<float>(text, work.single_endings, work.segments);
    } else {
      search<double>(text, work.endings, work.segments);
    }
  }

  /// The n most probable segmentations, or all if there are fewer, the best first; n must be positive. Like
  /// SentencePiece, it forgets all but the 10 n (at most 512) best unfinished ones whenever there are 10,000.
  [[nodiscard]] std::vector<ScoredSegmentation> n_best(std::string_view text, Index n) const {
    require(n >= 1, kName, "n_best: n must be positive: ", n);
    if (text.empty()) return {{}};
    const Lattice lattice = this->lattice(text);
    // A* from the end of the text to its beginning (Nagata 1994): what is behind a hypothesis's first piece has a
    // known score, and what is before it at most that of the best segmentation up to there.
    struct Path {
      std::size_t arc;   // the first piece; kNone: the text has been read to its beginning
      std::size_t next;  // the hypothesis of the pieces behind it
      std::uint32_t position;
      float score, estimate;
    };
    std::vector<float> best_arc(lattice.arcs.size()), best_end(text.size() + 1);
    for (std::size_t end = 0; end <= text.size(); ++end) {
      bool is_first = true;
      for (std::size_t a = lattice.first[end]; a != kNone; a = lattice.arcs[a].next) {
        const Arc& arc = lattice.arcs[a];
        best_arc[a] = best_end[arc.begin] + static_cast<float>(arc.score);
        if (is_first || best_arc[a] > best_end[end]) best_end[end] = best_arc[a];
        is_first = false;
      }
    }
    std::vector<Path> all = {{kNone, kNone, static_cast<std::uint32_t>(text.size()), 0, best_end[text.size()]}};
    const auto worse = [&](std::size_t a, std::size_t b) { return all[a].estimate < all[b].estimate; };
    std::vector<std::size_t> agenda = {0}, kept;  // heaps of hypotheses
    const auto push = [&](std::vector<std::size_t>& heap, std::size_t hypothesis) {
      heap.push_back(hypothesis);
      std::push_heap(heap.begin(), heap.end(), worse);
    };
    const auto pop = [&] {
      std::pop_heap(agenda.begin(), agenda.end(), worse);
      const std::size_t top = agenda.back();
      agenda.pop_back();
      return top;
    };
    std::vector<ScoredSegmentation> found;
    while (!agenda.empty()) {
      const std::size_t top = pop();
      const Path path = all[top];
      if (path.position == 0 && path.arc == kNone) {
        ScoredSegmentation& one = found.emplace_back();
        one.score = path.estimate;
        for (std::size_t h = path.next; all[h].arc != kNone; h = all[h].next) {
          add_segment(one.segments, lattice.arcs[all[h].arc].segment(all[h].position));
        }
        if (std::ssize(found) == n) break;
        continue;
      }
      const std::uint32_t end = path.arc == kNone ? path.position : lattice.arcs[path.arc].begin;
      if (end == 0) {
        all.push_back({kNone, top, 0, path.score, path.score});
        push(agenda, all.size() - 1);
      }
      for (std::size_t a = lattice.first[end]; a != kNone; a = lattice.arcs[a].next) {
        const auto score = static_cast<float>(lattice.arcs[a].score);
        all.push_back({a, top, end, score + path.score, best_arc[a] + path.score});
        push(agenda, all.size() - 1);
      }
      if (agenda.size() >= kMostHypotheses) {
        kept.clear();
        const auto count = to_size(std::min<Index>(kFewestHypotheses, 10 * std::min<Index>(n, kFewestHypotheses)));
        for (std::size_t i = 0; i < count; ++i) push(kept, pop());
        agenda.swap(kept);
      }
    }
    return found;
  }

  /// A random segmentation: one with log-probability s has a probability proportional to exp(alpha s). Alpha 0 makes
  /// all equally probable, a large alpha the most probable one nearly certain. Sums the probabilities of all from left
  /// to right and draws pieces from right to left (forward filtering, backward sampling). Takes a number for each
  /// piece. Throws ValueError for an alpha whose product with the scores is not finite.
  [[nodiscard]] Segmentation sample(std::string_view text, double alpha, Rng& rng) const {
    require(std::isfinite(alpha), kName, "sample: alpha must be finite: ", alpha);
    const Lattice lattice = this->lattice(text);
    // forward[i]: the logarithm of the sum over the segmentations of the first i bytes.
    std::vector<double> forward(text.size() + 1, -std::numeric_limits<double>::infinity());
    forward[0] = 0;
    std::vector<double> terms;
    for (std::size_t end = 1; end <= text.size(); ++end) {
      terms.clear();
      for (std::size_t a = lattice.first[end]; a != kNone; a = lattice.arcs[a].next) {
        terms.push_back(forward[lattice.arcs[a].begin] + alpha * lattice.arcs[a].score);
      }
      if (terms.empty()) continue;
      const double largest = *std::max_element(terms.begin(), terms.end());
      double sum = 0;
      for (const double term : terms) sum += std::exp(term - largest);
      forward[end] = largest + std::log(sum);
    }
    require(std::isfinite(forward.back()), kName, "sample: alpha times the scores must not overflow: ", alpha);
    Segmentation reversed;
    for (std::size_t end = text.size(); end > 0;) {
      double left = rng.uniform();
      std::size_t drawn = lattice.first[end];
      for (std::size_t a = drawn; a != kNone; a = lattice.arcs[a].next) {
        drawn = a;
        left -= std::exp(forward[lattice.arcs[a].begin] + alpha * lattice.arcs[a].score - forward[end]);
        if (left < 0) break;
      }
      reversed.push_back(lattice.arcs[drawn].segment(static_cast<std::uint32_t>(end)));
      end = lattice.arcs[drawn].begin;
    }
    Segmentation segments;
    for (std::size_t i = reversed.size(); i-- > 0;) add_segment(segments, reversed[i]);
    return segments;
  }

 private:
  static constexpr const char* kName = "unigram";
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t kMostHypotheses = 10000;
  static constexpr Index kFewestHypotheses = 512;

  /// The number of bytes of the character that begins with this byte.
  [[nodiscard]] static constexpr std::size_t character_length(char first) {
    const auto byte = static_cast<unsigned char>(first);
    return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
  }

  static void check_size(std::string_view text) {
    require(text.size() < to_size(std::numeric_limits<std::int32_t>::max()), kName, "a text must be shorter than ",
            std::numeric_limits<std::int32_t>::max(), " bytes: ", text.size());
  }

  /// Adds a segment, or makes the last one longer if both are unknown.
  void add_segment(Segmentation& segments, const Segment& segment) const {
    if (options_.fuse_unknown && segment.id == options_.unknown && !segments.empty() &&
        segments.back().id == options_.unknown) {
      segments.back().end = segment.end;
    } else {
      segments.push_back(segment);
    }
  }

  /// Calls use(length, piece) for each piece with which text[begin, ..) begins, the shortest first; then, if none of
  /// them is a single character, use(length, -1) for that character, which is unknown.
  template <class Use>
  void pieces_at(std::string_view text, std::size_t begin, std::size_t character, const Use& use) const {
    bool has_character = false;
    trie_.walk(text.substr(begin), [&](std::size_t length, std::int32_t piece) {
      has_character = has_character || length == character;
      use(length, piece);
    });
    if (!has_character) use(character, std::int32_t{-1});
  }

  /// Viterbi's algorithm: endings[i] is the last piece of the best segmentation of the first i bytes.
  template <class Sum, class Ending>
  void search(std::string_view text, std::vector<Ending>& endings, Segmentation& segments) const {
    segments.clear();
    check_size(text);
    endings.assign(text.size() + 1, Ending{Sum{0}, -1, 0});
    const double* const scores = scores_.data();
    const TokenId* const ids = ids_.data();
    for (std::size_t begin = 0; begin < text.size();) {
      const Sum before = endings[begin].score;
      const std::size_t character = std::min(character_length(text[begin]), text.size() - begin);
      pieces_at(text, begin, character, [&](std::size_t length, std::int32_t piece) {
        Ending& ending = endings[begin + length];
        const Sum score = static_cast<Sum>(piece < 0 ? options_.unknown_score : at(scores, piece)) + before;
        if (ending.begin < 0 || score > ending.score) {
          ending = {score, static_cast<std::int32_t>(begin), piece < 0 ? options_.unknown : at(ids, piece)};
        }
      });
      begin += character;
    }
    for (std::size_t end = text.size(); end > 0;) {
      const Ending& ending = endings[end];
      const auto begin = static_cast<std::uint32_t>(ending.begin);
      if (options_.fuse_unknown && ending.id == options_.unknown && !segments.empty() &&
          segments.back().id == options_.unknown) {
        segments.back().begin = begin;
      } else {
        segments.push_back({begin, static_cast<std::uint32_t>(end), ending.id});
      }
      end = begin;
    }
    std::reverse(segments.begin(), segments.end());
  }

  /// All pieces that occur in a text. first[i] is the first piece that ends at byte i, in the order in which they
  /// begin.
  struct Arc {
    std::uint32_t begin;
    TokenId id;
    double score;
    std::size_t next;  // that ends at the same byte
    [[nodiscard]] Segment segment(std::uint32_t end) const { return {begin, end, id}; }
  };
  struct Lattice {
    std::vector<Arc> arcs;
    std::vector<std::size_t> first;
  };
  [[nodiscard]] double lattice_score(std::int32_t piece) const {
    if (piece < 0) return options_.unknown_score;
    const auto found = lattice_scores_.find(to_size(piece));
    return found != lattice_scores_.end() ? found->second : at(scores_, piece);
  }
  [[nodiscard]] Lattice lattice(std::string_view text) const {
    check_size(text);
    Lattice lattice{{}, std::vector<std::size_t>(text.size() + 1, kNone)};
    std::vector<std::size_t> last(text.size() + 1, kNone);
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t character = std::min(character_length(text[begin]), text.size() - begin);
      pieces_at(text, begin, character, [&](std::size_t length, std::int32_t piece) {
        const std::size_t end = begin + length, arc = lattice.arcs.size();
        lattice.arcs.push_back({static_cast<std::uint32_t>(begin), piece < 0 ? options_.unknown : at(ids_, piece),
                                lattice_score(piece), kNone});
        (last[end] == kNone ? lattice.first[end] : lattice.arcs[last[end]].next) = arc;
        last[end] = arc;
      });
      begin += character;
    }
    return lattice;
  }

  UnigramOptions options_;
  detail::ByteTrie trie_;
  std::vector<TokenId> ids_;  // of each piece
  std::vector<double> scores_;
  std::unordered_map<std::size_t, double> lattice_scores_;  // of the pieces that have one of their own
};

}}  // namespace rapt::RAPT_ABI
