/// \file
/// GradientExchanger: how processes that share a training step add up their gradients, and divide the parameters among
/// them.
///
/// Every process owns a shard: a range of elements of each parameter, cut at multiples of kernels::kElementGrain, such
/// that all shards are about equally large. The owner of a range adds the gradients of all processes there, in the
/// order of GradientTree, and passes the sums on to the others; or it alone updates the parameters there and passes on
/// what they have become.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "rapt/autograd/variable.hpp"
#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/distributed/collectives.hpp"
#include "rapt/distributed/communicator.hpp"
#include "rapt/optim/gradient_sum.hpp"
#include "rapt/optim/optimizer.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What a process may want to end a training run for. Processes that share a step agree: if one wants it, all do.
struct StepSignals {
  bool stop = false;          ///< somebody asked for it
  bool time_is_over = false;  ///< of the plan; rank 0's clock counts
};

/// Exchanges the gradients of the parameters of one model. All processes must have the same model, call the same
/// functions in the same order, and have frozen the same parameters.
///
/// Gradients travel in buckets, for which there are two buffers of `bucket_bytes` at most. Frozen parameters and those
/// without a gradient on any process cost nothing. Nothing is allocated from the second step on, but for the gradients
/// of parameters that had none on this process.
///
/// Everything throws CommunicationError if a process is lost or failed.
template <class T>
class GradientExchanger {
 public:
  struct Options {
    Index contributors = 1;  ///< the first ranks, a power of two, whose gradients are added
    GradientExchange exchange = GradientExchange::float32;
    Index bucket_bytes = Index{32} << 20;
  };
  /// What all processes know of a step behind its backward passes.
  struct Agreement {
    double loss = 0;  ///< the sum of all processes' losses, in the order of the tree
    StepSignals signals;
  };

  /// Keeps a reference to the communicator. `names` and `nodes` are those of the model's parameters.
  GradientExchanger(std::vector<std::string> names, std::vector<std::shared_ptr<Node<T>>> nodes,
                    Communicator& communicator, const Options& options)
      : names_(std::move(names)),
        nodes_(std::move(nodes)),
        communicator_(&communicator),
        options_(options),
        cuts_(nodes_.size() * to_size(communicator.size() + 1)),
        has_own_(nodes_.size()),
        bounds_(to_size(communicator.size() + 1)) {
    divide(/*trainable=*/true);
    divide(/*trainable=*/false);  // they may be unfrozen
    const Index word =
        options.exchange == GradientExchange::bfloat16 ? Index{sizeof(kernels::Bfloat16Bits)} : Index{sizeof(T)};
    piece_ = std::max<Index>(1, options.bucket_bytes / word / communicator.size());
  }

  [[nodiscard]] Communicator& communicator() const { return *communicator_; }
  /// The elements of a parameter, counted in the order of the model, that a process owns.
  [[nodiscard]] ElementRange shard(std::size_t parameter, Index rank) const {
    const Index* cuts = cuts_.data() + parameter * to_size(communicator_->size() + 1);
    return {cuts[rank], cuts[rank + 1]};
  }

  /// All processes tell one another their losses, signals, and which parameters have gradients. Throws ValueError, the
  /// same on all processes, if a parameter is frozen on some of them alone.
  [[nodiscard]] Agreement agree(double loss, const StepSignals& signals) {
    const Index size = communicator_->size(), rank = communicator_->rank();
    const std::size_t length = kHeadBytes + nodes_.size();
    notices_.resize(length * to_size(size));
    std::byte* own = notices_.data() + length * to_size(rank);
    std::memcpy(own, &loss, sizeof loss);
    own[sizeof loss] = std::byte{signals.stop};
    own[sizeof loss + 1] = std::byte{signals.time_is_over && rank == 0};
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      has_own_[i] = nodes_[i]->requires_grad && !nodes_[i]->grad.empty();
      own[kHeadBytes + i] = has_own_[i] ? kPresent : nodes_[i]->requires_grad ? kAbsent : kFrozen;
    }
    all_gather(*communicator_, std::span<const std::byte>(own, length), notices_);

    Agreement all;
    losses_.resize(to_size(options_.contributors));
    present_.clear();
    for (Index p = 0; p < size; ++p) {
      const std::byte* notice = notices_.data() + length * to_size(p);
      if (p < options_.contributors) std::memcpy(&at(losses_, p), notice, sizeof loss);
      all.signals.stop |= notice[sizeof loss] != std::byte{0};
      all.signals.time_is_over |= notice[sizeof loss + 1] != std::byte{0};
    }
    for (std::size_t width = 1; width < losses_.size(); width *= 2) {
      for (std::size_t p = 0; p < losses_.size(); p += 2 * width) losses_[p] += losses_[p + width];
    }
    all.loss = losses_[0];
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      bool is_present = false;
      for (Index p = 0; p < size; ++p) {
        const std::byte state = notices_[length * to_size(p) + kHeadBytes + i];
        is_present = is_present || state == kPresent;
        require((state == kFrozen) == (notices_[kHeadBytes + i] == kFrozen), "trainer",
                "all processes must train the same parameters: '", names_[i], "' is frozen on rank ",
                state == kFrozen ? p : 0, " and not on rank ", state == kFrozen ? 0 : p);
      }
      if (is_present) present_.push_back(i);
    }
    return all;
  }

  /// Adds the gradients of all processes. Then the gradients of this process's shard are the sums; with `everywhere`
  /// those of the others are, too. Parameters have a gradient if they had one on any process.
  void add_up(bool everywhere) {
    if constexpr (std::same_as<T, float>) {
      if (options_.exchange == GradientExchange::bfloat16) return add_up_in(bfloat16_, everywhere);
    }
    add_up_in(words_, everywhere);
  }

  /// The Euclidean norm of the sums, behind `add_up`: the same as `gradient_norm` of the whole, bit for bit.
  [[nodiscard]] double norm() {
    const Index size = communicator_->size(), rank = communicator_->rank();
    for (Index p = 0; p < size; ++p) {
      Index parts = 0;
      for (const std::size_t i : present_) parts += kernels::element_parts(shard(i, p).size());
      at(bounds_, p + 1) = at(bounds_, p) + parts;
    }
    squares_.resize(to_size(bounds_.back()));
    double* own = squares_.data() + at(bounds_, rank);
    for (double* to = own; const std::size_t i : present_) {
      const ElementRange range = shard(i, rank);
      kernels::sums_of_parts(
          std::as_const(nodes_[i]->grad).data() + range.begin, range.size(), [](double g) { return g * g; }, to);
      to += kernels::element_parts(range.size());
    }
    all_gather(*communicator_, std::span<const double>(own, to_size(at(bounds_, rank + 1) - at(bounds_, rank))),
               std::span<const Index>(bounds_), squares_);
    double squares = 0;
    std::vector<Index>& next = bounds_;  // of each process: the sum that comes next; the last bound stays unused
    for (const std::size_t i : present_) {
      double sum = 0;
      for (Index p = 0; p < size; ++p) {
        for (Index n = kernels::element_parts(shard(i, p).size()); n > 0; --n) sum += at(squares_, at(next, p)++);
      }
      squares += sum;
    }
    bounds_[0] = 0;
    return std::sqrt(squares);
  }

  /// Fetches the values of the parameters that had gradients from their owners, which have updated them.
  void gather_values() {
    for_each_bucket(words_, [&](Bucket<T>& bucket) {
      copy_piece(bucket, communicator_->rank(), [](const Node<T>& node, Index begin, T* word, Index count) {
        kernels::copy(node.value.data() + begin, word, count);
      });
      gather_bucket(bucket, [](Node<T>& node, Index begin, const T* word, Index count) {
        kernels::copy(word, node.value.data() + begin, count);
      });
    });
  }

 private:
  static constexpr std::byte kFrozen{0}, kAbsent{1}, kPresent{2};
  static constexpr std::size_t kHeadBytes = sizeof(double) + 2;

  /// The place of a process's shard up to which elements have been taken.
  struct Cursor {
    std::size_t parameter = 0;  // of present_
    Index offset = 0;
  };
  /// The buffers of a kind of numbers, and the bucket that is in them: a piece of each process's shard. All pieces lie
  /// one behind the other, from `bounds_` to `bounds_`.
  template <class Word>
  struct Bucket {
    std::vector<Word> words, room;
    std::vector<Cursor> begins;  // of each process's piece
  };

  /// Divides the parameters that are trained now, or those that are not: a part of kElementGrain elements at place s of
  /// all N elements is process floor(s P / N)'s.
  void divide(bool trainable) {
    constexpr Index kGrain = kernels::kElementGrain;
    const Index size = communicator_->size();
    Index total = 0, start = 0;
    for (const auto& node : nodes_) total += node->requires_grad == trainable ? node->value.size() : 0;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i]->requires_grad != trainable) continue;
      const Index count = nodes_[i]->value.size();
      Index* cuts = cuts_.data() + i * to_size(size + 1);
      for (Index p = 1; p < size; ++p) {
        const Index first = (p * total + size - 1) / size - start;  // of all parts that begin here or later
        cuts[p] = std::clamp<Index>((first + kGrain - 1) / kGrain * kGrain, 0, count);
      }
      cuts[size] = count;
      start += count;
    }
  }

  /// f(node number, first element, count) for the next `count` elements of a process's shard.
  template <class F>
  void take(Cursor& cursor, Index rank, Index count, const F& f) const {
    while (count > 0) {
      const std::size_t i = present_[cursor.parameter];
      const ElementRange range = shard(i, rank);
      const Index taken = std::min(count, range.size() - cursor.offset);
      if (taken > 0) f(i, range.begin + cursor.offset, taken);
      count -= taken;
      cursor.offset += taken;
      if (cursor.offset == range.size()) cursor = {cursor.parameter + 1, 0};
    }
  }

  /// f(bucket) for one bucket after the other, until all shards have been covered.
  template <class Word, class F>
  void for_each_bucket(Bucket<Word>& bucket, const F& f) {
    const Index size = communicator_->size();
    bucket.begins.assign(to_size(size), {});
    const auto elements_of = [&](Index p) {
      Index elements = 0;
      for (const std::size_t i : present_) elements += shard(i, p).size();
      return elements;
    };
    Index longest = 0;
    for (Index p = 0; p < size; ++p) longest = std::max(longest, elements_of(p));
    for (Index done = 0; done < longest; done += piece_) {
      for (Index p = 0; p < size; ++p) {
        at(bounds_, p + 1) = at(bounds_, p) + std::clamp<Index>(elements_of(p) - done, 0, piece_);
      }
      if (std::ssize(bucket.words) < bounds_.back()) bucket.words.resize(to_size(bounds_.back()));
      f(bucket);
      for (Index p = 0; p < size; ++p) {
        take(at(bucket.begins, p), p, at(bounds_, p + 1) - at(bounds_, p), [](std::size_t, Index, Index) {});
      }
    }
  }

  /// copy(node, first element, word, count) for the parameters in a process's piece.
  template <class Word, class Copy>
  void copy_piece(Bucket<Word>& bucket, Index rank, const Copy& copy) {
    Word* word = bucket.words.data() + at(bounds_, rank);
    Cursor cursor = at(bucket.begins, rank);
    take(cursor, rank, at(bounds_, rank + 1) - at(bounds_, rank), [&](std::size_t i, Index begin, Index count) {
      copy(*nodes_[i], begin, word, count);
      word += count;
    });
  }
  /// Passes this process's piece on to the others and receives theirs, which are copied.
  template <class Word, class Copy>
  void gather_bucket(Bucket<Word>& bucket, const Copy& copy) {
    const Index rank = communicator_->rank();
    const std::span<Word> words = std::span(bucket.words).first(to_size(bounds_.back()));
    all_gather(*communicator_, detail::piece_of(std::span<const Word>(words), std::span<const Index>(bounds_), rank),
               std::span<const Index>(bounds_), words);
    for (Index p = 0; p < communicator_->size(); ++p) {
      if (p != rank) copy_piece(bucket, p, copy);
    }
  }

  template <class Word>
  void add_up_in(Bucket<Word>& bucket, bool everywhere) {
    constexpr bool kRounds = !std::same_as<Word, T>;
    const Index rank = communicator_->rank(), size = communicator_->size();
    const auto write = [&](Node<T>& node, Index begin, const Word* word, Index count) {
      if constexpr (kRounds) {
        kernels::from_bfloat16(word, node.grad.data() + begin, count);
      } else {
        kernels::copy(word, node.grad.data() + begin, count);
      }
    };
    for (const std::size_t i : present_) {
      if (nodes_[i]->grad.empty()) nodes_[i]->grad = Tensor<T>(nodes_[i]->value.shape());
    }
    for_each_bucket(bucket, [&](Bucket<Word>&) {
      for (Index p = 0; p < size && rank < options_.contributors; ++p) {
        Word* word = bucket.words.data() + at(bounds_, p);
        Cursor cursor = at(bucket.begins, p);
        take(cursor, p, at(bounds_, p + 1) - at(bounds_, p), [&](std::size_t i, Index begin, Index count) {
          const T* gradient = std::as_const(nodes_[i]->grad).data() + begin;
          if (has_own_[i] == 0) {
            std::fill_n(word, count, kNothing<Word>);
          } else if constexpr (kRounds) {
            kernels::to_bfloat16(gradient, word, count);
          } else {
            kernels::copy(gradient, word, count);
          }
          word += count;
        });
      }
      const std::span<Word> words = std::span(bucket.words).first(to_size(bounds_.back()));
      const Index room = (options_.contributors - 1) * (at(bounds_, rank + 1) - at(bounds_, rank));
      if (std::ssize(bucket.room) < room) bucket.room.resize(to_size(room));
      reduce_scatter(
          *communicator_, words, std::span<const Index>(bounds_), std::span<Word>(bucket.room),
          [&](std::span<Word> sum, std::span<const Word> gradient) {
            if constexpr (kRounds) {
              kernels::add_rounded(sum.data(), gradient.data(), std::ssize(sum));
            } else {
              add_gradient(sum.data(), gradient.data(), std::ssize(sum), GradientExchange::float32);
            }
          },
          options_.contributors);
      copy_piece(bucket, rank, write);
      if (everywhere) gather_bucket(bucket, write);
    });
  }

  /// -0, which changes no number that it is added to: what travels for a gradient that only other processes have.
  template <class Word>
  static constexpr Word kNothing = std::same_as<Word, T> ? static_cast<Word>(-0.0) : static_cast<Word>(0x8000);

  std::vector<std::string> names_;
  std::vector<std::shared_ptr<Node<T>>> nodes_;
  Communicator* communicator_;
  Options options_;
  Index piece_ = 1;                   // elements of a process's shard in a bucket
  std::vector<Index> cuts_;           // [parameters][P + 1]: where the shards of a parameter begin and end
  std::vector<char> has_own_;         // of each parameter: this process has a gradient of its own
  std::vector<std::size_t> present_;  // the parameters of which a process has one, in the order of the model
  std::vector<Index> bounds_;         // [P + 1] of the processes' pieces in a bucket; the first is 0
  std::vector<std::byte> notices_;
  std::vector<double> losses_, squares_;
  Bucket<T> words_;
  Bucket<kernels::Bfloat16Bits> bfloat16_;
};

}}  // namespace rapt::RAPT_ABI
