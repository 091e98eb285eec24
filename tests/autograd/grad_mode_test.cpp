/// \file
/// Training, Recording and Inference: what is recorded, when dropout is on, nesting, and one mode for each thread.
#include "rapt/autograd/grad_mode.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

#include "rapt/autograd/ops/add_norm.hpp"
#include "rapt/autograd/ops/attention.hpp"
#include "rapt/autograd/ops/dropout.hpp"
#include "rapt/autograd/ops/multiply.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Variable;

bool records() {
  const auto x = rapt_test::random_leaf<float>({2, 2}, 1);
  return rapt::multiply(x, x).requires_grad();
}
bool drops() { return rapt::next_dropout(0.5f).active(); }

TEST(GradMode, InferenceIsTheDefault) {
  EXPECT_FALSE(rapt::is_recording());
  EXPECT_FALSE(records());
  EXPECT_FALSE(drops());
}

TEST(GradMode, NothingIsKeptOutsideOfAScope) {
  const auto x = rapt_test::random_leaf<float>({2, 2}, 1);
  const auto y = rapt::multiply(x, x);
  EXPECT_TRUE(y.node()->name.empty());
  EXPECT_EQ(y.node()->inputs[0], nullptr);
  EXPECT_EQ(x.node().use_count(), 1);
}

TEST(GradMode, ScopesNest) {
  rapt::Rng rng(1), other(2);
  {
    const rapt::Training training(rng);
    EXPECT_TRUE(records());
    EXPECT_TRUE(drops());
    {
      const rapt::Inference validation;
      EXPECT_FALSE(records());
      EXPECT_FALSE(drops());
      {
        const rapt::Recording recording;
        EXPECT_TRUE(records());
        EXPECT_FALSE(drops());
        const auto before = rng.state();
        const rapt::Training inner(other);
        EXPECT_TRUE(drops());
        EXPECT_EQ(rng.state(), before);
        EXPECT_EQ(other.state().streams_taken, 1u);
      }
      EXPECT_FALSE(records());
    }
    EXPECT_TRUE(records());
    EXPECT_TRUE(drops());
  }
  EXPECT_FALSE(records());
  EXPECT_FALSE(drops());
}

TEST(GradMode, AnExceptionEndsTheScope) {
  rapt::Rng rng(1);
  try {
    const rapt::Training training(rng);
    throw std::runtime_error("stop");
  } catch (const std::runtime_error&) {
  }
  EXPECT_FALSE(rapt::is_recording());
  EXPECT_FALSE(drops());
}

TEST(GradMode, IsOfOneThread) {
  rapt::Rng rng(1);
  const rapt::Training training(rng);
  bool recorded = true, dropped = true;
  std::thread([&] {
    recorded = records();
    dropped = drops();
    const rapt::Recording scope;  // of that thread only
  }).join();
  EXPECT_FALSE(recorded);
  EXPECT_FALSE(dropped);
  EXPECT_TRUE(records());
  std::thread([&] {
    const rapt::Inference scope;
    recorded = records();
  }).join();
  EXPECT_FALSE(recorded);
  EXPECT_TRUE(records());
}

TEST(GradMode, ConstantsAreNotRecorded) {
  const rapt::Recording scope;
  const Variable<float> constant(rapt_test::normal_tensor<float>({2, 2}, 1));
  EXPECT_FALSE(rapt::multiply(constant, constant).requires_grad());
  EXPECT_TRUE(rapt::multiply(constant, rapt_test::random_leaf<float>({2, 2}, 1)).requires_grad());
}

TEST(GradMode, DropoutIsOffOutsideOfTraining) {
  const auto x = rapt_test::random_leaf<float>({40, 8}, 1), gamma = rapt_test::random_leaf<float>({8}, 2);
  const auto splits = rapt_test::splits_of({40});
  const auto values = [&](float rate) {
    std::vector<rapt::Tensor<float>> results;
    results.push_back(rapt::dropout(x, rate).value());
    results.push_back(rapt::add_norm(x, x, gamma, gamma, rate).value());
    results.push_back(rapt::residual_add(x, x, rate).value());
    results.push_back(rapt::attention(x, x, x, splits, splits, {.heads = 2, .dropout = rate}).value());
    return results;
  };
  const auto plain = values(0.f);
  const auto count_equal = [&](const std::vector<rapt::Tensor<float>>& others) {
    int equal = 0;
    for (std::size_t i = 0; i < plain.size(); ++i) equal += rapt_test::same_bits(plain[i], others[i]) ? 1 : 0;
    return equal;
  };
  EXPECT_EQ(count_equal(values(0.5f)), 4);
  {
    const rapt::Recording scope;
    EXPECT_EQ(count_equal(values(0.5f)), 4);
  }
  rapt::Rng rng(3);
  const rapt::Training scope(rng);
  EXPECT_EQ(count_equal(values(0.5f)), 0);
  EXPECT_EQ(rng.state().streams_taken, 4u);
  EXPECT_EQ(count_equal(values(0.f)), 4);
  EXPECT_EQ(rng.state().streams_taken, 4u) << "rate 0 must draw nothing";
}

TEST(GradMode, DropoutKeepsTheMeanAndTheShareItIsTold) {
  const Variable<float> ones(rapt::Tensor<float>({200, 100}, 1.f));
  rapt::Rng rng(4);
  const rapt::Training scope(rng);
  const auto y = rapt::dropout(ones, 0.3f);
  double zeros = 0, sum = 0;
  for (const float v : y.value().values()) {
    zeros += v == 0.f ? 1 : 0;
    sum += v;
    if (v != 0.f) {
      EXPECT_FLOAT_EQ(v, 1 / 0.7f);
    }
  }
  EXPECT_NEAR(zeros / 20000, 0.3, 4 * std::sqrt(0.3 * 0.7 / 20000));
  EXPECT_NEAR(sum / 20000, 1.0, 0.03);
  EXPECT_FALSE(rapt_test::same_bits(y.value(), rapt::dropout(ones, 0.3f).value())) << "each call draws anew";
}

TEST(GradMode, TheSameGeneratorGivesTheSameDropout) {
  const auto run = [] {
    rapt::Rng rng(5);
    const rapt::Training scope(rng);
    return rapt::dropout(rapt_test::random_leaf<float>({9, 70}, 1), 0.3f).value();
  };
  EXPECT_TRUE(rapt_test::same_bits(run(), run()));
}

TEST(GradMode, LossesDrawStreamsOfTheirOwn) {
  EXPECT_THROW(std::ignore = rapt::next_training_stream(), rapt::ValueError);
  rapt::Rng rng(6);
  {
    const rapt::Training scope(rng);
    EXPECT_EQ(rapt::next_training_stream().stream, 0u);
    EXPECT_EQ(rapt::next_dropout(.5f).stream.stream, 1u);
    EXPECT_EQ(rapt::next_training_stream().stream, 2u);
    const rapt::Inference inner;
    EXPECT_THROW(std::ignore = rapt::next_training_stream(), rapt::ValueError);
  }
  EXPECT_EQ(rng.state().streams_taken, 3u);
}

}  // namespace
