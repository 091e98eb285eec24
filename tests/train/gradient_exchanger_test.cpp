/// \file
/// The exchange of gradients between threads in the place of processes: against the tree over all of them.
#include "rapt/train/gradient_exchanger.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/distributed/local_communicator.hpp"
#include "rapt/optim/clip.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/random.hpp"

namespace {

using rapt::Communicator;
using rapt::ElementRange;
using rapt::GradientExchange;
using rapt::Index;
using rapt::Parameter;
using rapt::Shape;
using rapt::StepSignals;
using rapt::Tensor;

constexpr Index kGrain = rapt::kernels::kElementGrain;

/// Parameters of many sizes; "frozen" is frozen.
template <class T>
struct Some {
  using ScalarType = T;
  Parameter<T> large{Tensor<T>(Shape{5, 3 * kGrain / 4}, T(1))};
  Parameter<T> small{Tensor<T>(Shape{3}, T(1))};
  Parameter<T> frozen{Tensor<T>(Shape{2 * kGrain}, T(1))};
  Parameter<T> idle{Tensor<T>(Shape{100}, T(1))};
  Parameter<T> medium{Tensor<T>(Shape{kGrain + 1}, T(1))};
  Some() { frozen.set_frozen(true); }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("large", self.large);
    visitor("small", self.small);
    visitor("frozen", self.frozen);
    visitor("idle", self.idle);
    visitor("medium", self.medium);
  }
};

template <class T>
std::vector<std::shared_ptr<rapt::Node<T>>> nodes_of(Some<T>& model) {
  std::vector<std::shared_ptr<rapt::Node<T>>> nodes;
  rapt::for_each_parameter(model,
                           [&](const std::string&, Parameter<T>& parameter) { nodes.push_back(parameter.node()); });
  return nodes;
}

template <class T>
rapt::GradientExchanger<T> exchanger_of(Some<T>& model, Communicator& communicator,
                                        const rapt::ExchangeOptions& options) {
  std::vector<std::string> names;
  rapt::for_each_parameter(model, [&](const std::string& name, const auto&) { names.push_back(name); });
  return {std::move(names), nodes_of(model), communicator, options};
}

/// Gradients of micro-batch i: "idle" has none, "small" none of the odd ones.
template <class T>
void set_gradients(Some<T>& model, Index i) {
  std::uint64_t seed = static_cast<std::uint64_t>(10 * i);
  rapt::for_each_parameter(model, [&](const std::string& name, Parameter<T>& parameter) {
    ++seed;
    parameter.clear_grad();
    if (name == "frozen" || name == "idle" || (name == "small" && i % 2 == 1)) return;
    parameter.node()->grad = rapt_test::random_tensor<T>(parameter.shape(), seed);
  });
}

template <class T>
void expect_sums(Index processes, Index contributors, GradientExchange exchange, Index bucket_bytes, bool everywhere) {
  SCOPED_TRACE(std::to_string(processes) + " processes, buckets of " + std::to_string(bucket_bytes));
  Some<T> expected;
  rapt::GradientTree<T> tree(nodes_of(expected), contributors, exchange);
  for (Index i = 0; i < contributors; ++i) {
    set_gradients(expected, i);
    tree.take(i);
  }
  const double norm = rapt::gradient_norm(expected);
  rapt::run_local(processes, [&](Communicator& communicator) {
    Some<T> model;
    const Index rank = communicator.rank();
    auto exchanger = exchanger_of(model, communicator,
                                  {.contributors = contributors, .exchange = exchange, .bucket_bytes = bucket_bytes});
    rapt::GradientTree<T> leaf(nodes_of(model), 1, exchange);
    for (int step = 0; step < 2; ++step) {
      rapt::clear_gradients(model);
      if (rank < contributors) {
        set_gradients(model, rank);
        leaf.take(0);
      }
      const auto agreed = exchanger.agree({.loss = rank < contributors ? 0.1 * static_cast<double>(rank + 1) : 0,
                                           .learning_rate = static_cast<double>(7 + rank),
                                           .signals = {}});
      EXPECT_EQ(agreed.learning_rate, 7);  // rank 0's
      EXPECT_NEAR(agreed.loss, 0.05 * static_cast<double>(contributors * (contributors + 1)), 1e-12);
      exchanger.add_up(everywhere);
      EXPECT_EQ(exchanger.norm(), norm);
      const auto ours = nodes_of(model), theirs = nodes_of(expected);
      for (std::size_t i = 0; i < ours.size(); ++i) {
        ASSERT_EQ(ours[i]->grad.empty(), theirs[i]->grad.empty()) << i;
        if (ours[i]->grad.empty()) continue;
        const ElementRange range = everywhere ? ElementRange{0, ours[i]->value.size()} : exchanger.shard(i, rank);
        const auto part = [&](const Tensor<T>& x) {
          return x.values().subspan(rapt::to_size(range.begin), rapt::to_size(range.size()));
        };
        EXPECT_TRUE(rapt_test::same_bits(part(ours[i]->grad), part(theirs[i]->grad))) << i << " on " << rank;
      }
    }
  });
}

TEST(GradientExchanger, AddsAsOneProcessDoes) {
  for (const bool everywhere : {true, false}) {
    expect_sums<float>(2, 2, GradientExchange::float32, Index{32} << 20, everywhere);
    expect_sums<float>(3, 2, GradientExchange::float32, 100'000, everywhere);
    expect_sums<float>(4, 4, GradientExchange::float32, 4000, everywhere);
    expect_sums<float>(8, 8, GradientExchange::float32, 300'000, everywhere);
    expect_sums<float>(5, 4, GradientExchange::bfloat16, 50'000, everywhere);
    expect_sums<double>(4, 4, GradientExchange::float32, 200'000, everywhere);
  }
}

/// From 64 contributors on small pieces travel by recursive halving and doubling.
TEST(GradientExchanger, ManyProcessesAddAsOneDoes) {
  expect_sums<float>(64, 64, GradientExchange::bfloat16, 300'000, /*everywhere=*/true);
  expect_sums<float>(65, 64, GradientExchange::float32, 600'000, /*everywhere=*/false);
}

TEST(GradientExchanger, ShardsAreEquallyLargeAndCutAtPartsOfKernels) {
  for (const Index bucket_bytes : {1 << 25, 1000}) {
    for (const Index processes : {2, 3, 4, 7}) {
      rapt::run_local(processes, [&](Communicator& communicator) {
        Some<float> model;
        const auto exchanger = exchanger_of(model, communicator, {.contributors = 2, .bucket_bytes = bucket_bytes});
        const auto nodes = nodes_of(model);
        Index trained = 0;
        std::vector<Index> elements(rapt::to_size(processes));
        for (std::size_t i = 0; i < nodes.size(); ++i) {
          Index next = 0;
          for (Index p = 0; p < processes; ++p) {
            const ElementRange range = exchanger.shard(i, p);
            EXPECT_EQ(range.begin, next);
            EXPECT_TRUE(range.begin % kGrain == 0 || range.begin == nodes[i]->value.size());
            next = range.end;
            if (nodes[i]->requires_grad) rapt::at(elements, p) += range.size();
          }
          EXPECT_EQ(next, nodes[i]->value.size());
          if (nodes[i]->requires_grad) trained += nodes[i]->value.size();
        }
        for (const Index count : elements) EXPECT_LE(std::abs(count - trained / processes), kGrain);
      });
    }
  }
}

TEST(GradientExchanger, AModelOfManyMegabytesHasSeveralGroups) {
  rapt::run_local(2, [](Communicator& communicator) {
    std::vector<std::shared_ptr<rapt::Node<float>>> nodes;
    for (const Index size : {1 << 20, 3, 1 << 20, 1 << 19, 1 << 18}) {
      nodes.push_back(std::make_shared<rapt::Node<float>>());
      nodes.back()->value = Tensor<float>(Shape{size}, 0.f);
      nodes.back()->requires_grad = true;
    }
    const rapt::GradientExchanger<float> exchanger(std::vector<std::string>(5, "parameter"), nodes, communicator, {});
    const std::vector<std::vector<std::size_t>> expected{{4, 3, 2}, {1, 0}};
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), exchanger.groups().begin(), exchanger.groups().end()));
  });
}

TEST(GradientExchanger, ValuesComeFromTheirOwners) {
  rapt::run_local(3, [&](Communicator& communicator) {
    Some<double> model;
    auto exchanger = exchanger_of(model, communicator, {.contributors = 2, .bucket_bytes = 70'000});
    if (communicator.rank() < 2) set_gradients(model, communicator.rank());
    exchanger.add_up(/*everywhere=*/false);
    const auto nodes = nodes_of(model);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const ElementRange range = exchanger.shard(i, communicator.rank());
      for (Index k = range.begin; k < range.end; ++k) nodes[i]->value.data()[k] = static_cast<double>(k) + 0.5;
    }
    exchanger.gather_values();
    for (const std::size_t i : {0u, 1u, 4u}) {
      for (Index k = 0; k < nodes[i]->value.size(); ++k) {
        ASSERT_EQ(nodes[i]->value.data()[k], static_cast<double>(k) + 0.5) << i;
      }
    }
    // What had no gradient stays as each process had it.
    const ElementRange own = exchanger.shard(3, communicator.rank());
    for (Index k = 0; k < 100; ++k) {
      const bool is_own = own.begin <= k && k < own.end;
      ASSERT_EQ(nodes[3]->value.data()[k], is_own ? static_cast<double>(k) + 0.5 : 1);
    }
  });
}

/// Passes everything on to another communicator and notes the most bytes that were sent or received in one exchange.
class Measured : public Communicator {
 public:
  explicit Measured(Communicator& inner) : inner_(inner) {}
  [[nodiscard]] Index rank() const override { return inner_.rank(); }
  [[nodiscard]] Index size() const override { return inner_.size(); }
  void exchange(std::span<const rapt::OutgoingMessage> outgoing,
                std::span<const rapt::IncomingMessage> incoming) override {
    Index sent = 0, received = 0;
    for (const auto& message : outgoing) sent += std::ssize(message.bytes);
    for (const auto& message : incoming) received += std::ssize(message.bytes);
    most = std::max({most, sent, received});
    inner_.exchange(outgoing, incoming);
  }
  void announce_failure(std::string_view cause) noexcept override { inner_.announce_failure(cause); }
  Index most = 0;

 private:
  Communicator& inner_;
};

TEST(GradientExchanger, BucketsHaveTheirSizeForEitherKindOfNumbers) {
  constexpr Index kBucket = 12'000;
  for (const GradientExchange exchange : {GradientExchange::float32, GradientExchange::bfloat16}) {
    rapt::run_local(3, [&](Communicator& inner) {
      Measured communicator(inner);
      Some<float> model;
      auto exchanger =
          exchanger_of(model, communicator, {.contributors = 2, .exchange = exchange, .bucket_bytes = kBucket});
      if (inner.rank() < 2) set_gradients(model, inner.rank());
      const auto expect_full_buckets = [&] {
        EXPECT_LE(communicator.most, kBucket);
        EXPECT_GE(communicator.most, kBucket / 3);
        communicator.most = 0;
      };
      communicator.most = 0;
      exchanger.add_up(/*everywhere=*/false);
      expect_full_buckets();
      exchanger.gather_values();
      expect_full_buckets();
    });
  }
}

TEST(GradientExchanger, SignalsOfOneReachAll) {
  rapt::run_local(3, [&](Communicator& communicator) {
    Some<float> model;
    auto exchanger = exchanger_of(model, communicator, {.contributors = 2});
    const auto agreed = [&](bool stops, bool is_over) {
      return exchanger.agree({.signals = {.stop = stops, .time_is_over = is_over}}).signals;
    };
    const Index rank = communicator.rank();
    EXPECT_FALSE(agreed(false, false).stop);
    EXPECT_TRUE(agreed(rank == 2, false).stop);
    EXPECT_FALSE(agreed(false, false).stop);
    EXPECT_FALSE(agreed(false, rank != 0).time_is_over);  // rank 0's clock counts
    EXPECT_TRUE(agreed(false, rank == 0).time_is_over);
  });
}

TEST(GradientExchanger, AllMustTrainTheSame) {
  std::atomic<int> thrown = 0;
  for (const bool from_the_beginning : {true, false}) {
    rapt::run_local(3, [&](Communicator& communicator) {
      Some<float> model;
      const auto freeze = [&] { model.small.set_frozen(communicator.rank() == 2); };
      if (from_the_beginning) freeze();
      rapt_test::expect_message<rapt::ValueError>(
          [&] {
            auto exchanger = exchanger_of(model, communicator, {.contributors = 2});
            freeze();
            exchanger.add_up(/*everywhere=*/true);
          },
          "[trainer] all processes must train the same parameters: 'small' is frozen on rank 2 and not on rank 0");
      ++thrown;
    });
  }
  EXPECT_EQ(thrown, 6);
}

TEST(GradientExchanger, WhatIsUnfrozenIsExchanged) {
  rapt::run_local(2, [](Communicator& communicator) {
    Some<float> model;
    auto exchanger = exchanger_of(model, communicator, {.contributors = 2, .bucket_bytes = 1000});
    model.frozen.set_frozen(false);
    const float own = communicator.rank() == 0 ? 1.f : 2.f;
    model.frozen.node()->grad = Tensor<float>(model.frozen.shape(), own);
    exchanger.add_up(/*everywhere=*/true);
    for (const float g : model.frozen.grad().values()) ASSERT_EQ(g, 3);
  });
}

}  // namespace
