/// \file
/// GradientExchanger: how processes that share a training step add up their gradients, and divide the parameters among
/// them.
///
/// Every process owns a shard: a range of elements of each parameter, cut at multiples of kernels::kElementGrain, such
/// that all shards are about equally large. The owner of a range adds the gradients of all processes there, in the
/// order of GradientTree, and passes the sums on to the others; or it alone updates the parameters there and passes on
/// what they have become.
///
/// Parameters are exchanged in groups, from the last to the first, which is about the order in which backward is done
/// with them. Shards are cut in each group, which therefore has at least kElementGrain elements for each process.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rapt/autograd/variable.hpp"
#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/distributed/collectives.hpp"
#include "rapt/distributed/communicator.hpp"
#include "rapt/distributed/reduce_scatter.hpp"
#include "rapt/optim/gradient_sum.hpp"
#include "rapt/optim/optimizer.hpp"
#include "rapt/train/step_exchange.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Exchanges the gradients of the parameters of one model. All processes must have the same model, call the same
/// functions in the same order, and have frozen the same parameters.
///
/// Gradients travel in buckets, for which there are two buffers: of what is sent, and of what is added to it. With
/// gradients in bfloat16, `gather_values` has a third one. Each is of `bucket_bytes` at most, or of one element of each
/// process if that is more. Frozen parameters and those without a gradient on any process cost a byte each. Nothing is
/// allocated from the second step on, but for the gradients of parameters that had none on this process.
///
/// Everything throws CommunicationError if a process is lost or failed.
template <class T>
class GradientExchanger {
 public:
  /// Keeps a reference to the communicator. `names` and `nodes` are those of the model's parameters. Throws ValueError,
  /// the same on all processes, if two names are of one parameter, and if a parameter is frozen on some processes
  /// alone; for the latter so do `add_up` and `add_up_group`.
  GradientExchanger(std::vector<std::string> names, std::vector<std::shared_ptr<Node<T>>> nodes,
                    Communicator& communicator, const ExchangeOptions& options)
      : names_(std::move(names)),
        nodes_(std::move(nodes)),
        communicator_(&communicator),
        options_(options),
        cuts_(nodes_.size() * to_size(communicator.size() + 1)),
        has_own_(nodes_.size()),
        bounds_(to_size(communicator.size() + 1)) {
    std::unordered_map<const Node<T>*, std::size_t> numbers;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const auto [found, is_new] = numbers.emplace(nodes_[i].get(), i);
      require(is_new, "trainer", "processes can share a model that names each of its parameters once: '", names_[i],
              "' is the same parameter as '", names_[found->second], "'");
    }
    Group all(nodes_.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    find_present(all);  // before groups are made of what is frozen
    make_groups(/*trainable=*/true);
    make_groups(/*trainable=*/false);  // they may be unfrozen
  }

  /// The processes among which gradients are exchanged.
  [[nodiscard]] Communicator& communicator() const { return *communicator_; }
  /// The model's parameters.
  [[nodiscard]] std::span<const std::shared_ptr<Node<T>>> nodes() const { return nodes_; }
  /// The elements of a parameter, counted in the order of the model, that a process owns.
  [[nodiscard]] ElementRange shard(std::size_t parameter, Index rank) const {
    const Index* cuts = cuts_.data() + parameter * to_size(communicator_->size() + 1);
    return {cuts[rank], cuts[rank + 1]};
  }

  /// All processes tell one another what they know of a step.
  [[nodiscard]] StepHead agree(const StepHead& own) {
    heads_.resize(to_size(communicator_->size()));
    const std::array<double, 4> words{own.loss, own.learning_rate, own.signals.stop ? 1.0 : 0.0,
                                      own.signals.time_is_over ? 1.0 : 0.0};
    all_gather(*communicator_, std::span(&words, 1), heads_);
    StepHead all;
    all.learning_rate = heads_[0][1];
    all.signals.time_is_over = heads_[0][3] != 0;
    for (const auto& head : heads_) all.signals.stop = all.signals.stop || head[2] != 0;
    const std::size_t contributors = to_size(options_.contributors);
    for (std::size_t width = 1; width < contributors; width *= 2) {
      for (std::size_t p = 0; p < contributors; p += 2 * width) heads_[p][0] += heads_[p + width][0];
    }
    all.loss = heads_[0][0];
    return all;
  }

  /// Adds the gradients of all processes. Then the gradients of this process's shard are the sums; with `everywhere`
  /// those of the others are, too. Parameters have a gradient if they had one on any process.
  void add_up(bool everywhere) {
    for (std::size_t g = 0; g < groups_.size(); ++g) add_up_group(g, everywhere);
  }

  /// The groups of parameters, counted in the order of the model, in the order of their exchange.
  [[nodiscard]] std::span<const std::vector<std::size_t>> groups() const { return groups_; }
  /// `add_up` for one group; it must follow the group before it.
  void add_up_group(std::size_t number, bool everywhere) {
    if (number == 0) present_.clear();
    find_present(groups_[number]);
    for (const std::size_t i : group_present_) {
      if (nodes_[i]->grad.empty()) nodes_[i]->grad = Tensor<T>(nodes_[i]->value.shape());
    }
    present_.insert(present_.end(), group_present_.begin(), group_present_.end());
    if (number + 1 == groups_.size()) std::sort(present_.begin(), present_.end());
    if constexpr (std::same_as<T, float>) {
      if (options_.exchange == GradientExchange::bfloat16) return add_up_in(bfloat16_, everywhere);
    }
    add_up_in(words_, everywhere);
  }

  /// The Euclidean norm of the sums, after `add_up`: the same as `gradient_norm` of the whole, bit for bit.
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
    const auto read = [&](std::size_t i, Index begin, T* word, Index count) {
      kernels::copy(std::as_const(nodes_[i]->value).data() + begin, word, count);
    };
    const auto write = [&](std::size_t i, Index begin, const T* word, Index count) {
      kernels::copy(word, nodes_[i]->value.data() + begin, count);
    };
    for_each_bucket(words_, present_, [&] {
      copy_piece(words_, present_, communicator_->rank(), read);
      gather_bucket(words_, present_, write);
    });
  }

 private:
  static constexpr std::byte kFrozen{0}, kAbsent{1}, kPresent{2};

  using Group = std::vector<std::size_t>;
  /// The place up to which elements of a process's shard of a group have been taken.
  struct Cursor {
    std::size_t place = 0;  // in the group
    Index offset = 0;
  };
  /// The buffers of a kind of numbers, and the bucket that is in them: a piece of each process's shard of a group. The
  /// pieces lie one after the other: piece p is the words bounds_[p] .. bounds_[p + 1].
  template <class Word>
  struct Bucket {
    std::vector<Word> words, room;
    std::vector<Cursor> begins;  // of each process's piece
  };

  /// Groups of the parameters that are trained now, or one group of all others. A group has about a bucket's size, or
  /// more if its shards would be less than a part of kElementGrain elements, for then few processes would own all.
  void make_groups(bool trainable) {
    const Index part_bytes = kernels::kElementGrain * Index{sizeof(T)};
    const Index least_bytes = std::max(options_.bucket_bytes, communicator_->size() * part_bytes);
    const std::size_t first = groups_.size();
    Index bytes = 0;  // of the last group
    for (std::size_t i = nodes_.size(); i-- > 0;) {
      if (nodes_[i]->requires_grad != trainable) continue;
      if (groups_.size() == first || (trainable && bytes >= least_bytes)) {
        groups_.emplace_back();
        bytes = 0;
      }
      groups_.back().push_back(i);
      bytes += nodes_[i]->value.size() * Index{sizeof(T)};
    }
    for (std::size_t g = first; g < groups_.size(); ++g) divide(groups_[g]);
  }
  /// A part of kElementGrain elements at place s of a group's N elements is process floor(s P / N)'s.
  void divide(const Group& group) {
    constexpr Index kGrain = kernels::kElementGrain;
    const Index size = communicator_->size();
    Index total = 0, start = 0;
    for (const std::size_t i : group) total += nodes_[i]->value.size();
    for (const std::size_t i : group) {
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

  /// All processes tell one another of which parameters of the group they have gradients.
  void find_present(const Group& group) {
    const Index size = communicator_->size();
    states_.resize(group.size() * to_size(size));
    const std::span<std::byte> own =
        std::span(states_).subspan(group.size() * to_size(communicator_->rank()), group.size());
    for (std::size_t k = 0; k < group.size(); ++k) {
      const Node<T>& node = *nodes_[group[k]];
      const bool has_own = node.requires_grad && !node.grad.empty();
      has_own_[group[k]] = has_own ? 1 : 0;
      own[k] = has_own ? kPresent : node.requires_grad ? kAbsent : kFrozen;
    }
    all_gather(*communicator_, std::span<const std::byte>(own), states_);
    group_present_.clear();
    for (std::size_t k = 0; k < group.size(); ++k) {
      bool is_present = false;
      for (Index p = 0; p < size; ++p) {
        const std::byte state = states_[group.size() * to_size(p) + k];
        is_present = is_present || state == kPresent;
        require((state == kFrozen) == (states_[k] == kFrozen), "trainer",
                "all processes must train the same parameters: '", names_[group[k]], "' is frozen on rank ",
                state == kFrozen ? p : 0, " and not on rank ", state == kFrozen ? 0 : p);
      }
      if (is_present) group_present_.push_back(group[k]);
    }
  }

  /// f(parameter, first element, count) for the next `count` elements of a process's shard of a group.
  template <class F>
  void take(const Group& group, Cursor& cursor, Index rank, Index count, const F& f) const {
    while (count > 0) {
      const std::size_t i = group[cursor.place];
      const ElementRange range = shard(i, rank);
      const Index taken = std::min(count, range.size() - cursor.offset);
      if (taken > 0) f(i, range.begin + cursor.offset, taken);
      count -= taken;
      cursor.offset += taken;
      if (cursor.offset == range.size()) cursor = {cursor.place + 1, 0};
    }
  }

  /// f() for one bucket after the other, until all shards of a group have been covered.
  template <class Word, class F>
  void for_each_bucket(Bucket<Word>& bucket, const Group& group, const F& f) {
    const Index size = communicator_->size();
    bucket.begins.assign(to_size(size), {});
    const auto elements_of = [&](Index p) {
      Index elements = 0;
      for (const std::size_t i : group) elements += shard(i, p).size();
      return elements;
    };
    const Index piece = std::max<Index>(1, options_.bucket_bytes / Index{sizeof(Word)} / size);  // of each shard
    Index longest = 0;
    for (Index p = 0; p < size; ++p) longest = std::max(longest, elements_of(p));
    for (Index done = 0; done < longest; done += piece) {
      for (Index p = 0; p < size; ++p) {
        at(bounds_, p + 1) = at(bounds_, p) + std::clamp<Index>(elements_of(p) - done, 0, piece);
      }
      if (std::ssize(bucket.words) < bounds_.back()) bucket.words.resize(to_size(bounds_.back()));
      f();
      for (Index p = 0; p < size; ++p) {
        take(group, at(bucket.begins, p), p, at(bounds_, p + 1) - at(bounds_, p), [](std::size_t, Index, Index) {});
      }
    }
  }

  /// copy(parameter, first element, word, count) for the elements of a process's piece.
  template <class Word, class Copy>
  void copy_piece(Bucket<Word>& bucket, const Group& group, Index rank, const Copy& copy) {
    Word* word = bucket.words.data() + at(bounds_, rank);
    Cursor cursor = at(bucket.begins, rank);
    take(group, cursor, rank, at(bounds_, rank + 1) - at(bounds_, rank), [&](std::size_t i, Index begin, Index count) {
      copy(i, begin, word, count);
      word += count;
    });
  }
  /// Passes this process's piece on to the others and receives theirs, which are copied.
  template <class Word, class Copy>
  void gather_bucket(Bucket<Word>& bucket, const Group& group, const Copy& copy) {
    const Index rank = communicator_->rank();
    const std::span<Word> words = std::span(bucket.words).first(to_size(bounds_.back()));
    all_gather(*communicator_, detail::piece_of(std::span<const Word>(words), std::span<const Index>(bounds_), rank),
               std::span<const Index>(bounds_), words);
    for (Index p = 0; p < communicator_->size(); ++p) {
      if (p != rank) copy_piece(bucket, group, p, copy);
    }
  }

  /// Adds up the group of `group_present_`.
  template <class Word>
  void add_up_in(Bucket<Word>& bucket, bool everywhere) {
    constexpr bool kRounds = !std::same_as<Word, T>;
    const Index rank = communicator_->rank(), size = communicator_->size();
    const auto read = [&](std::size_t i, Index begin, Word* word, Index count) {
      const T* gradient = std::as_const(nodes_[i]->grad).data() + begin;
      if (has_own_[i] == 0) {
        std::fill_n(word, count, kNothing<Word>);
      } else if constexpr (kRounds) {
        kernels::to_bfloat16(gradient, word, count);
      } else {
        kernels::copy(gradient, word, count);
      }
    };
    const auto write = [&](std::size_t i, Index begin, const Word* word, Index count) {
      T* gradient = nodes_[i]->grad.data() + begin;
      if constexpr (kRounds) {
        kernels::from_bfloat16(word, gradient, count);
      } else {
        kernels::copy(word, gradient, count);
      }
    };
    const auto add = [](std::span<Word> sum, std::span<const Word> gradient) {
      if constexpr (kRounds) {
        kernels::add_rounded(sum.data(), gradient.data(), std::ssize(sum));
      } else {
        add_gradient(sum.data(), gradient.data(), std::ssize(sum), GradientExchange::float32);
      }
    };
    for_each_bucket(bucket, group_present_, [&] {
      for (Index p = 0; p < size && rank < options_.contributors; ++p) copy_piece(bucket, group_present_, p, read);
      const std::span<Word> words = std::span(bucket.words).first(to_size(bounds_.back()));
      const Index room =
          reduce_scatter_room<Word>(*communicator_, std::span<const Index>(bounds_), options_.contributors);
      if (std::ssize(bucket.room) < room) bucket.room.resize(to_size(room));
      reduce_scatter(*communicator_, words, std::span<const Index>(bounds_), std::span<Word>(bucket.room), add,
                     options_.contributors);
      copy_piece(bucket, group_present_, rank, write);
      if (everywhere) gather_bucket(bucket, group_present_, write);
    });
  }

  /// -0, which changes no number that it is added to: what travels for a gradient that only other processes have.
  template <class Word>
  static constexpr Word kNothing = std::same_as<Word, T> ? static_cast<Word>(-0.0) : static_cast<Word>(0x8000);

  std::vector<std::string> names_;
  std::vector<std::shared_ptr<Node<T>>> nodes_;
  Communicator* communicator_;
  ExchangeOptions options_;
  std::vector<Index> cuts_;    // [parameters][P + 1]: where the shards of a parameter begin and end
  std::vector<Group> groups_;  // in the order of their exchange
  std::vector<char> has_own_;  // of each parameter: this process has a gradient of its own
  Group present_;              // the parameters of which a process has one, in the order of the model
  Group group_present_;        // those of the group that was exchanged last
  std::vector<Index> bounds_;  // [P + 1] of the processes' pieces in a bucket; the first is 0
  std::vector<std::byte> states_;
  std::vector<std::array<double, 4>> heads_;  // [P] of the last step: loss, learning rate, signals
  std::vector<double> squares_;
  Bucket<T> words_;
  Bucket<kernels::Bfloat16Bits> bfloat16_;
};

}}  // namespace rapt::RAPT_ABI
