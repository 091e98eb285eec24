/// \file
/// The exchange of gradients in a thread: the same sums as without, in whatever order parameters become ready.
#include "rapt/train/background_exchange.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/rng.hpp"
#include "rapt/distributed/local_communicator.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/fork.hpp"
#include "tests/common/random.hpp"

namespace {

using rapt::BackgroundExchange;
using rapt::Communicator;
using rapt::GradientExchanger;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;

constexpr auto kNothing = [](std::size_t) {};

using Nodes = std::vector<std::shared_ptr<rapt::Node<float>>>;

/// Ten parameters of unlike sizes with the gradients of a process. The fifth one has none on odd ranks.
Nodes parameters_of(Index rank) {
  Nodes nodes;
  for (std::uint64_t i = 0; i < 10; ++i) {
    nodes.push_back(std::make_shared<rapt::Node<float>>());
    nodes.back()->value = Tensor<float>(Shape{static_cast<Index>(7000 * i + 3)}, 0.f);
    nodes.back()->requires_grad = true;
    if (i == 5 && rank % 2 == 1) continue;
    nodes.back()->grad =
        rapt_test::random_tensor<float>(nodes.back()->value.shape(), 100 * static_cast<std::uint64_t>(rank) + i);
  }
  return nodes;
}

std::unique_ptr<GradientExchanger<float>> exchanger_of(const Nodes& nodes, Communicator& communicator) {
  return std::make_unique<GradientExchanger<float>>(std::vector<std::string>(nodes.size(), "parameter"), nodes,
                                                    communicator,
                                                    rapt::ExchangeOptions{.contributors = 2, .bucket_bytes = 100'000});
}

TEST(BackgroundExchange, GivesTheSumsOfAddUp) {
  rapt::run_local(2, [](Communicator& communicator) {
    const Index rank = communicator.rank();
    const Nodes expected = parameters_of(rank);
    const auto plain = exchanger_of(expected, communicator);
    plain->add_up(/*everywhere=*/true);
    ASSERT_GT(plain->groups().size(), 3u);

    const Nodes actual = parameters_of(rank);
    const auto exchanger = exchanger_of(actual, communicator);
    std::vector<std::size_t> prepared;
    Nodes fresh;
    BackgroundExchange<float> background(*exchanger, [&](std::size_t i) {
      prepared.push_back(i);
      actual[i]->grad = fresh[i]->grad;
    });
    EXPECT_FALSE(background.is_running());
    rapt::Rng rng(static_cast<std::uint64_t>(rank));
    for (int step = 0; step < 10; ++step) {
      fresh = parameters_of(rank);
      prepared.clear();
      for (std::size_t i = 0; i < fresh.size(); ++i) actual[i]->grad = Tensor<float>();
      background.start(/*everywhere=*/true);
      EXPECT_TRUE(background.is_running());
      // Gradients come in an order of each process's own; some only in the end.
      std::vector<std::size_t> order{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
      rng.shuffle(std::span(order));
      for (const std::size_t i : std::span(order).first(7)) {
        background.make_ready(*actual[i]);
        background.make_ready(*actual[i]);  // the second call does nothing
      }
      background.make_ready(rapt::Node<float>());  // nor does one for what is no parameter
      background.finish();
      EXPECT_FALSE(background.is_running());
      std::sort(prepared.begin(), prepared.end());
      EXPECT_EQ(prepared, (std::vector<std::size_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
      for (std::size_t i = 0; i < actual.size(); ++i) {
        EXPECT_TRUE(rapt_test::same_bits(actual[i]->grad, expected[i]->grad)) << i;
      }
    }
  });
}

TEST(BackgroundExchange, CanBeAbandoned) {
  rapt::run_local(2, [](Communicator& communicator) {
    const Nodes nodes = parameters_of(communicator.rank());
    const auto exchanger = exchanger_of(nodes, communicator);
    BackgroundExchange<float> background(*exchanger, kNothing);
    background.abandon();  // nothing runs
    background.start(true);
    ASSERT_GT(exchanger->groups().size(), 1u);
    background.make_ready(*nodes[0]);  // of the last group: no exchange begins
    background.abandon();
    EXPECT_FALSE(background.is_running());
    background.start(true);  // and its destructor does it
  });
}

/// Passes everything on to another communicator and counts the threads that exchange anything.
class ThreadCounter final : public Communicator {
 public:
  explicit ThreadCounter(Communicator& inner) : inner_(inner) {}
  [[nodiscard]] Index rank() const override { return inner_.rank(); }
  [[nodiscard]] Index size() const override { return inner_.size(); }
  void exchange(std::span<const rapt::OutgoingMessage> outgoing,
                std::span<const rapt::IncomingMessage> incoming) override {
    thread_local const ThreadCounter* counted_by = nullptr;
    if (std::exchange(counted_by, this) != this) ++threads;
    inner_.exchange(outgoing, incoming);
  }
  void announce_failure(std::string_view cause) noexcept override { inner_.announce_failure(cause); }
  int threads = 0;

 private:
  Communicator& inner_;
};

TEST(BackgroundExchange, OneThreadServesAllExchanges) {
  rapt::run_local(2, [](Communicator& inner) {
    ThreadCounter communicator(inner);
    const Nodes nodes = parameters_of(communicator.rank());
    const auto exchanger = exchanger_of(nodes, communicator);
    EXPECT_EQ(communicator.threads, 1);
    BackgroundExchange<float> background(*exchanger, kNothing);
    for (int step = 0; step < 5; ++step) {
      background.start(true);
      background.finish();
      background.start(true);  // and goes on after what was abandoned
      background.abandon();
    }
    EXPECT_EQ(communicator.threads, 2);
  });
}

/// Throws unless f throws that no exchange is under way; also for a forked child, where a failed EXPECT is not seen.
template <class F>
void expect_refusal(const F& f) {
  try {
    f();
  } catch (const rapt::ValueError& error) {
    if (std::string_view(error.what()).starts_with("[trainer] no exchange is under way in this process")) return;
    throw;
  }
  throw std::logic_error("there was no error");
}

TEST(BackgroundExchange, AForkedChildHasAThreadOfItsOwn) {
  rapt::run_local(2, [](Communicator& communicator) {
    const Nodes nodes = parameters_of(communicator.rank());
    const auto exchanger = exchanger_of(nodes, communicator);
    auto background = std::make_unique<BackgroundExchange<float>>(*exchanger, kNothing);
    background->start(true);
    background->finish();
    if (communicator.rank() == 0) {
      EXPECT_EQ(rapt_test::exit_of_child([&] { background.reset(); }), 0);
      EXPECT_EQ(rapt_test::exit_of_child([&] {
                  background->start(true);
                  background->abandon();
                  background.reset();
                }),
                0);
    }
    background->start(true);  // the parent's goes on
    background->finish();
    background->start(true);
    if (communicator.rank() == 0) {
      EXPECT_EQ(rapt_test::exit_of_child([&] { background->abandon(); }), 0);  // of an exchange that is the parent's
      EXPECT_EQ(rapt_test::exit_of_child([&] { expect_refusal([&] { background->make_ready(*nodes[0]); }); }), 0);
      EXPECT_EQ(rapt_test::exit_of_child([&] { expect_refusal([&] { background->finish(); }); }), 0);
    }
    for (const auto& node : nodes) background->make_ready(*node);
    if (communicator.rank() == 0) {  // all parameters are ready: the child would only have to wait
      EXPECT_EQ(rapt_test::exit_of_child([&] { expect_refusal([&] { background->finish(); }); }), 0);
    }
    background->finish();
    expect_refusal([&] { background->finish(); });  // of what is over
  });
}

TEST(BackgroundExchange, AFailureIsThrownByFinish) {
  std::atomic<int> thrown = 0;
  EXPECT_THROW(rapt::run_local(2,
                               [&](Communicator& communicator) {
                                 const Nodes nodes = parameters_of(communicator.rank());
                                 const auto exchanger = exchanger_of(nodes, communicator);
                                 if (communicator.rank() == 1) rapt::fail("test", "it fails");
                                 BackgroundExchange<float> background(*exchanger, kNothing);
                                 background.start(true);
                                 try {
                                   background.finish();
                                 } catch (const rapt::CommunicationError& error) {
                                   EXPECT_NE(std::string(error.what()).find("rank 1"), std::string::npos);
                                   ++thrown;
                                   throw;
                                 }
                               }),
               rapt::ValueError);
  EXPECT_EQ(thrown, 1);
}

}  // namespace
