/// \file
/// Which tokens may follow in a hypothesis, as a user of a search says: grammars, automata, lists of answers.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A constraint with a state for each hypothesis, as an automaton has. `start(source)` is the state of a hypothesis
/// without tokens of that source of the batch; `advance(state, token)` moves a state to the hypothesis that is one
/// token longer; `allow(state, allowed)` writes false to allowed[token] of each token that must not come next. A
/// state is copied where hypotheses fork, and should be small. `allow` is called from several threads at once, `start`
/// and `advance` by one thread of a search. End tokens are never given to `advance`.
/// `advance` is called for the tokens of a prefix, too, and may throw ValueError for one that it does not allow.
template <class C>
concept StatefulConstraint = requires(const C& constraint, typename C::State& state, const typename C::State& constant,
                                      Index source, TokenId token, std::span<bool> allowed) {
  requires std::copy_constructible<typename C::State>;
  { constraint.start(source) } -> std::same_as<typename C::State>;
  constraint.advance(state, token);
  constraint.allow(constant, allowed);
};

/// A constraint without a state: a function of the source's number and of all tokens that a hypothesis has so far, its
/// prefix included, which writes false to allowed[token] of each token that must not come next. It is called from
/// several threads at once.
template <class C>
concept TokensConstraint = std::invocable<const C&, Index, std::span<const TokenId>, std::span<bool>>;

/// Any constraint of either kind, or none. Copies share one constraint, which is never changed. What costs more than a
/// few operations for each step is better kept in a state: a function without one reads all tokens at every step.
///
/// End tokens are asked for like others. What other rules of a search forbid stays forbidden, and tokens that are
/// determined are not asked for: a prefix, a forced begin token, and the forced end tokens at the longest length.
class DecodingConstraint {
 public:
  /// No constraint: every token may follow.
  DecodingConstraint() = default;
  template <class C>
  requires(!std::same_as<C, DecodingConstraint> && (StatefulConstraint<C> || TokensConstraint<C>))
      DecodingConstraint(C constraint) {                         // NOLINT(google-explicit-constructor)
    if constexpr (std::constructible_from<C, std::nullptr_t>) {  // an empty std::function is no constraint
      if (constraint == nullptr) return;
    }
    rule_ = std::make_shared<const RuleOf<C>>(std::move(constraint));
  }

  /// False if there is no constraint.
  [[nodiscard]] explicit operator bool() const { return rule_ != nullptr; }
  /// True if hypotheses have states, which `start` and `next` give; else `allow` reads their tokens.
  [[nodiscard]] bool has_states() const { return rule_ != nullptr && rule_->has_states(); }

  /// A state of the constraint, whose type it alone knows.
  using AnyState = std::shared_ptr<const void>;
  /// The state of a hypothesis of a source that has no tokens. Needs `has_states()`, as does `next`.
  [[nodiscard]] AnyState start(Index source) const { return rule_->start(source); }
  /// The state behind one more token.
  [[nodiscard]] AnyState next(const AnyState& state, TokenId token) const { return rule_->next(state.get(), token); }
  /// Writes false to allowed[token] of each token that must not follow a hypothesis, given its state, or its tokens if
  /// there are no states.
  void allow(Index source, const AnyState& state, std::span<const TokenId> tokens, std::span<bool> allowed) const {
    rule_->allow(source, state.get(), tokens, allowed);
  }

  /// The same constraint for a batch of some of its sources, those with the given numbers.
  template <class Number>
  [[nodiscard]] DecodingConstraint of_sources(const std::vector<Number>& numbers) const {
    DecodingConstraint some;
    if (rule_)
      some.rule_ = std::make_shared<const RuleOfSome>(rule_, std::vector<Index>(numbers.begin(), numbers.end()));
    return some;
  }

 private:
  struct Rule {
    Rule() = default;
    Rule(const Rule&) = delete;
    Rule& operator=(const Rule&) = delete;
    virtual ~Rule() = default;
    [[nodiscard]] virtual bool has_states() const = 0;
    [[nodiscard]] virtual AnyState start(Index source) const = 0;
    [[nodiscard]] virtual AnyState next(const void* state, TokenId token) const = 0;
    virtual void allow(Index source, const void* state, std::span<const TokenId> tokens,
                       std::span<bool> allowed) const = 0;
  };

  template <class C>
  struct RuleOf final : Rule {
    explicit RuleOf(C rule) : constraint(std::move(rule)) {}
    [[nodiscard]] bool has_states() const override { return StatefulConstraint<C>; }
    [[nodiscard]] AnyState start(Index source) const override {
      if constexpr (StatefulConstraint<C>) {
        return std::make_shared<const typename C::State>(constraint.start(source));
      } else {
        return nullptr;
      }
    }
    [[nodiscard]] AnyState next(const void* state, TokenId token) const override {
      if constexpr (StatefulConstraint<C>) {
        auto longer = std::make_shared<typename C::State>(*static_cast<const typename C::State*>(state));
        constraint.advance(*longer, token);
        return longer;
      } else {
        return nullptr;
      }
    }
    void allow(Index source, const void* state, std::span<const TokenId> tokens,
               std::span<bool> allowed) const override {
      if constexpr (StatefulConstraint<C>) {
        constraint.allow(*static_cast<const typename C::State*>(state), allowed);
      } else {
        constraint(source, tokens, allowed);
      }
    }

    C constraint;
  };

  struct RuleOfSome final : Rule {
    RuleOfSome(std::shared_ptr<const Rule> rule, std::vector<Index> sources)
        : all(std::move(rule)), numbers(std::move(sources)) {}
    [[nodiscard]] bool has_states() const override { return all->has_states(); }
    [[nodiscard]] AnyState start(Index source) const override { return all->start(at(numbers, source)); }
    [[nodiscard]] AnyState next(const void* state, TokenId token) const override { return all->next(state, token); }
    void allow(Index source, const void* state, std::span<const TokenId> tokens,
               std::span<bool> allowed) const override {
      all->allow(at(numbers, source), state, tokens, allowed);
    }

    std::shared_ptr<const Rule> all;
    std::vector<Index> numbers;
  };

  std::shared_ptr<const Rule> rule_;
};

}}  // namespace rapt::RAPT_ABI
