/// \file
/// LiveModel: copies of a model that answer while the model itself goes on learning.
///
/// ```cpp
/// rapt::LiveModel live(model);       // the trainer's thread trains `model` ...
/// trainer.step(batch);
/// live.publish();                    // ... and now and then copies what it has learned
///
/// const auto reading = live.read();  // any other thread, at any time
/// const auto logits = (*reading)(input);
/// ```
///
/// There are a few copies, of which one is the current one. A reader takes the current copy and may use it as long as
/// it likes; it stays as it is. `publish` writes the model's parameters into a copy that nobody reads, and makes it the
/// current one. Neither side waits for the other: `read` is one atomic addition, without a lock or a loop; `publish`
/// returns false if readers still have all the other copies, and the next call brings what was learned meanwhile.
/// Parameters that are frozen at construction (nn/freeze.hpp) are kept once for all copies. What a reader computes
/// takes memory from the pool, which has a lock for the time of a few instructions; a thread that has a ThreadMemory
/// (core/memory.hpp) does without it, but for tensors of more than 1 MB.
///
/// How it is known that nobody reads a copy: an atomic word holds the number of the current copy and, beside it, how
/// many readers have taken that copy since it became the current one. A reader adds one to the count and learns from
/// the same operation which copy it has. Publishing exchanges the word for the new copy's with a count of zero, and so
/// learns how many readers have taken the former copy in all. Each copy counts the readers that have left it. Nobody
/// reads a copy that is not the current one once as many have left it as have taken it, and nobody can take it before
/// it is published again.
///
/// Memory orders: the exchange is a release and the reader's addition an acquire, so that a reader sees all that was
/// written into the copy before. (Between them there are only additions of other readers, which continue the release
/// sequence.) A reader leaves with a release, and `publish` looks at the number of those that have left with an
/// acquire, so that whatever they read happened before the copy is written to.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rapt/autograd/packed_weight.hpp"
#include "rapt/autograd/variable.hpp"
#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Many threads may read while one thread trains the model and publishes. Knows the parameters that the model had at
/// construction, as optimizers do. Only parameters are copied later: what else the model has stays as it was at
/// construction. Of a parameter that is frozen at construction, readers always have the value that it had then: it must
/// stay frozen.
template <Module M>
class LiveModel {
  using T = typename M::ScalarType;

  struct alignas(64) Copy {  // a cache line of its own
    explicit Copy(const M& from) : model(from) {
      for_each_parameter(model, [&](const std::string&, Parameter<T>& parameter) { parameters.push_back(&parameter); });
    }

    /// Keeps parameter i packed as `source` is, that of the model. A form that does not depend on the precision is the
    /// same one.
    void pack_as(std::size_t i, const Variable<T>& source) {
      if (!is_kept_packed(source)) return;
      const kernels::MatrixFormat format = source.node()->packed()->format();
      PackedWeight<T>& own = *parameters[i]->node()->packed();
      if (format != nullptr && !source.requires_grad()) {
        own.keep(kernels::PackedOperand<T>(packed_operand(source)));
      } else {
        own.keep(true, format);
      }
    }

    /// The frozen parameters, in whose place are then some without elements.
    [[nodiscard]] std::vector<Variable<T>> take_frozen() {
      std::vector<Variable<T>> variables;
      for (Parameter<T>* const parameter : parameters) {
        if (!parameter->is_frozen()) continue;
        variables.push_back(*parameter);
        Parameter<T> empty(Tensor<T>::without_elements(parameter->shape()));
        empty.set_frozen(true);
        *parameter = std::move(empty);
      }
      return variables;
    }
    /// Makes the frozen parameters those of another copy: the same numbers, not a copy of them.
    void set_frozen_to(const std::vector<Variable<T>>& frozen) {
      auto next = frozen.begin();
      for (Parameter<T>* const parameter : parameters) {
        if (parameter->is_frozen()) static_cast<Variable<T>&>(*parameter) = *next++;
      }
    }

    M model;
    std::vector<Parameter<T>*> parameters;
    Index version = 0;
    std::uint64_t taken = 0;  // by readers, up to when it was last replaced; for `publish` alone
    std::atomic<std::uint64_t> left{0};
  };

 public:
  /// A copy of the model that stays as it is as long as this object lives, whatever is published meanwhile. For one
  /// thread at a time; must not outlive the LiveModel.
  class [[nodiscard]] Reading {
   public:
    Reading(Reading&& other) noexcept : copy_(std::exchange(other.copy_, nullptr)) {}
    /// Takes the other's copy of the model; the copy that was read so far is given back when `other` ends.
    Reading& operator=(Reading&& other) noexcept {
      std::swap(copy_, other.copy_);
      return *this;
    }
    ~Reading() {
      if (copy_ != nullptr) copy_->left.fetch_add(1, std::memory_order_release);
    }

    /// The model, which stays as it is; the reference must not outlive this object.
    [[nodiscard]] const M& operator*() const { return copy_->model; }
    [[nodiscard]] const M* operator->() const { return &copy_->model; }
    /// How often the model was published until this copy became the current one; 0 for that of construction.
    [[nodiscard]] Index version() const { return copy_->version; }

   private:
    friend LiveModel;
    explicit Reading(Copy& copy) : copy_(&copy) {}

    Copy* copy_;
  };

  /// Copies the model `copies` times; the first copy is the current one. With two copies, one reader that is slow holds
  /// up publishing; each further copy allows for another one. Throws ValueError for fewer than 2 or more than 256
  /// copies, for a model that has parameters without elements (`drop_unpacked_weights`), which cannot be copied unless
  /// they are frozen and in a format of their own (`quantize_weights`), and for one that refers to the parameters of
  /// others, such as WithLora: an adapter goes live as a LiveModel<Lora> beside a model that stays as it is. Copies
  /// keep packed what the model keeps packed at construction (`pack_weights`); trained weights are packed anew by the
  /// first product after each publication.
  explicit LiveModel(const M& model, Index copies = 3) {
    require(copies >= 2 && copies <= kMaxCopies, "live_model", "there must be 2 to ", kMaxCopies, " copies, not ",
            copies);
    for_each_parameter(model, [&](const std::string& name, const Parameter<T>& parameter) {
      if (!parameter.is_frozen() || !is_kept_packed(parameter) || parameter.node()->packed()->format() == nullptr) {
        require_elements(parameter, name, "live_model");
      }
      sources_.push_back({name, parameter, parameter.is_frozen()});
    });
    Copy& first = *copies_.emplace_back(std::make_unique<Copy>(model));
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      const Source& source = sources_[i];
      require(first.parameters[i]->node() != source.parameter.node(), "live_model", source.name,
              " is shared by the model and its copies: the model refers to parameters of another");
      first.pack_as(i, source.parameter);
    }
    const std::vector<Variable<T>> frozen = first.take_frozen();  // so that the others are copied without them
    for (Index copy = 1; copy < copies; ++copy) {
      Copy& made = *copies_.emplace_back(std::make_unique<Copy>(first.model));
      made.set_frozen_to(frozen);
      for (std::size_t i = 0; i < sources_.size(); ++i) {
        if (!sources_[i].is_frozen) made.pack_as(i, sources_[i].parameter);
      }
    }
    first.set_frozen_to(frozen);
  }
  LiveModel(const LiveModel&) = delete;
  LiveModel& operator=(const LiveModel&) = delete;

  /// The model as it was last published. From any thread; wait-free.
  [[nodiscard]] Reading read() const noexcept {
    const std::uint64_t word = current_.fetch_add(kOneReader, std::memory_order_acquire);
    return Reading(*copies_[word % kOneReader]);
  }

  /// Copies the model's trained parameters for the readers that come from now on. Returns false, and does nothing, if
  /// earlier readers still have all the other copies. For the thread that trains; takes no memory. Throws ShapeError
  /// that names a parameter which has another shape than at construction, ValueError for one whose numbers are no
  /// longer there and for one that was frozen at construction and no longer is; then nothing has changed.
  bool publish() {
    const auto spare = std::find_if(copies_.begin(), copies_.end(), [&](const std::unique_ptr<Copy>& copy) {
      return copy.get() != copies_[published_].get() && copy->left.load(std::memory_order_acquire) == copy->taken;
    });
    if (spare == copies_.end()) return false;
    Copy& next = **spare;
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      const auto& [name, source, is_frozen] = sources_[i];
      if (is_frozen) {
        require(!source.requires_grad(), "live_model", name,
                " was frozen at construction, so that it is not published: it must stay frozen");
        continue;
      }
      require_elements(source, name, "live_model");
      require<ShapeError>(source.shape() == next.parameters[i]->shape(), "live_model", name, " has shape ",
                          source.shape(), ", at construction it had ", next.parameters[i]->shape());
    }
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      if (sources_[i].is_frozen) continue;
      const Tensor<T>& value = sources_[i].parameter.value();
      std::copy_n(value.data(), value.size(), next.parameters[i]->mutable_value().data());
    }
    Copy& former = *copies_[published_];
    next.version = former.version + 1;
    published_ = static_cast<std::size_t>(spare - copies_.begin());
    const std::uint64_t word = current_.exchange(published_, std::memory_order_release);
    former.taken += word / kOneReader;
    return true;
  }

  /// How often the model was published. For the thread that trains.
  [[nodiscard]] Index version() const { return copies_[published_]->version; }

 private:
  struct Source {  // a parameter of the model
    std::string name;
    Variable<T> parameter;
    bool is_frozen;  // at construction
  };

  static constexpr Index kMaxCopies = 256;
  /// The current copy's number is the word's lowest byte; the count of readers above it does not overflow in the life
  /// of any machine.
  static constexpr std::uint64_t kOneReader = 256;
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

  std::vector<Source> sources_;
  std::vector<std::unique_ptr<Copy>> copies_;
  std::size_t published_ = 0;  // the current copy's number, for `publish` alone
  alignas(64) mutable std::atomic<std::uint64_t> current_{0};
};

}}  // namespace rapt::RAPT_ABI
