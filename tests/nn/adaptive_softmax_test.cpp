/// \file
/// Adaptive embedding and adaptive softmax against their definitions in double, and their gradients against central
/// differences, with everything that can be tied.
// covers: nn/adaptive_embedding.hpp
#include "rapt/nn/adaptive_softmax.hpp"

#include <gtest/gtest.h>

#include "rapt/autograd/gradcheck.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::AdaptiveEmbedding;
using rapt::AdaptiveSoftmax;
using rapt::AdaptiveSoftmaxOptions;
using rapt::AdaptiveVocabulary;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt::TokenId;
using rapt::Variable;

struct Case {
  AdaptiveVocabulary vocabulary;
  AdaptiveSoftmaxOptions options;
};

std::vector<Case> cases() {
  const auto vocabulary = [](std::vector<Index> cutoffs, Index d_embed, Index div_val) {
    return AdaptiveVocabulary{
        .vocabulary = 11, .cutoffs = std::move(cutoffs), .d_model = 4, .d_embed = d_embed, .div_val = div_val};
  };
  return {{vocabulary({}, 4, 1), {}},
          {vocabulary({}, 3, 1), {.tie_weights = false}},
          {vocabulary({4, 7}, 4, 1), {}},
          {vocabulary({4, 7}, 3, 1), {.tie_projections = {false, true, true}}},
          {vocabulary({4, 7}, 3, 1), {.tie_projections = {true, false, true}}},
          {vocabulary({5, 8}, 6, 2), {.tie_projections = {false, true, true}}},
          {vocabulary({2}, 4, 4), {.tie_weights = false, .tie_projections = {}}}};
}

template <class T>
struct Model {
  AdaptiveEmbedding<T> embedding;
  AdaptiveSoftmax<T> softmax;

  Model(const Case& c, rapt::Rng rng) : embedding(c.vocabulary, rng), softmax(c.vocabulary, c.options, rng) {
    rapt_test::randomize(*this, 5, 0.7);
  }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("embedding", self.embedding);
    visitor("softmax", self.softmax);
  }
  [[nodiscard]] Tensor<T> parameter(const std::string& name) const {
    Tensor<T> found;
    rapt::for_each_parameter(*this, [&](const std::string& n, const auto& p) {
      if (n == name) found = p.value();
    });
    return found;
  }
};

/// log P of every token at every row, from the parameters by name.
Tensor<double> by_definition(const Case& c, const Model<double>& model, const Tensor<double>& hidden) {
  const AdaptiveVocabulary& v = c.vocabulary;
  const auto logits = [&](Index cluster, Index row, Index i) {  // token i of a cluster; behind the first: tails
    const std::string table = std::to_string(v.has_one_table() ? 0 : cluster), number = std::to_string(cluster);
    Tensor<double> weights =
        model.parameter((c.options.tie_weights ? "embedding.weights." : "softmax.weights.") + table);
    Tensor<double> bias = model.parameter("softmax.biases." + table);
    Index at = v.has_one_table() ? v.begin(cluster) + i : i;
    if (cluster == 0 && i >= v.size(0)) {
      weights = model.parameter("softmax.cluster_weight");
      bias = model.parameter("softmax.cluster_bias");
      at = i - v.size(0);
    }
    Tensor<double> projection = model.parameter("softmax.projections." + number);
    if (projection.empty()) projection = model.parameter("embedding.projections." + table);
    double logit = bias.data()[at];
    for (Index e = 0; e < v.width(cluster); ++e) {
      double h = v.is_projected() ? 0 : hidden(row, e);
      for (Index d = 0; v.is_projected() && d < v.d_model; ++d) h += hidden(row, d) * projection(d, e);
      logit += h * weights(at, e);
    }
    return logit;
  };
  const auto log_softmax = [&](Index cluster, Index row, Index i) {
    double sum = 0;
    for (Index j = 0; j < v.size(cluster) + (cluster == 0 ? v.clusters() - 1 : 0); ++j) {
      sum += std::exp(logits(cluster, row, j));
    }
    return logits(cluster, row, i) - std::log(sum);
  };
  Tensor<double> result(Shape{hidden.rows(), v.vocabulary});
  for (Index row = 0; row < hidden.rows(); ++row) {
    for (Index cluster = 0; cluster < v.clusters(); ++cluster) {
      for (Index i = 0; i < v.size(cluster); ++i) {
        result(row, v.begin(cluster) + i) =
            log_softmax(cluster, row, i) + (cluster > 0 ? log_softmax(0, row, v.size(0) + cluster - 1) : 0.0);
      }
    }
  }
  return result;
}

const std::vector<TokenId> kTargets{0, 10, 3, 7, 7, 2, 9};

TEST(AdaptiveSoftmax, IsItsDefinition) {
  for (const Case& c : cases()) {
    const Model<double> model(c, rapt::Rng(1));
    const Variable<double> hidden(rapt_test::normal_tensor<double>({7, 4}, 3));
    const Tensor<double> expected = by_definition(c, model, hidden.value());
    rapt_test::expect_close(model.softmax.log_probabilities(hidden, model.embedding), expected, 1e-13);
    const auto of_targets = model.softmax.target_log_probabilities(hidden, kTargets, model.embedding);
    double sum = 0;
    for (std::size_t i = 0; i < kTargets.size(); ++i) {
      EXPECT_NEAR(of_targets[i], expected(static_cast<Index>(i), kTargets[i]), 1e-12);
      sum -= of_targets[i];
    }
    EXPECT_NEAR(model.softmax.loss(hidden, kTargets, model.embedding).item(), sum / 7, 1e-12);
    for (Index row = 0; row < 7; ++row) {
      double total = 0;
      for (Index j = 0; j < 11; ++j) total += std::exp(expected(row, j));
      EXPECT_NEAR(total, 1.0, 1e-12);
    }
  }
}

TEST(AdaptiveSoftmax, ManyRowsGoInBlocks) {
  const Case c = cases()[5];
  const Model<float> model(c, rapt::Rng(1));
  const Variable<float> hidden(rapt_test::normal_tensor<float>({300, 4}, 3));
  const auto targets = rapt_test::random_ids(300, 11, 4);
  const Tensor<float> all = model.softmax.log_probabilities(hidden, model.embedding);
  const auto of_targets = model.softmax.target_log_probabilities(hidden, targets, model.embedding);
  for (std::size_t i = 0; i < targets.size(); ++i) {
    EXPECT_NEAR(of_targets[i], static_cast<double>(all(static_cast<Index>(i), targets[i])), 1e-5) << i;
  }
}

/// Differentiates by every parameter and by the hidden states, through embedding and softmax together.
TEST(AdaptiveSoftmax, Gradients) {
  const std::vector<TokenId> tokens{1, 10, 6, 6, 0, 4, 8};
  for (const Case& c : cases()) {
    for (const std::vector<TokenId>& targets : {kTargets, std::vector<TokenId>{0, 1, 0, 1, 1, 0, 0}}) {
      Model<double> model(c, rapt::Rng(1));
      const Variable<double> hidden(rapt_test::normal_tensor<double>({7, 4}, 3), true);
      const auto loss = [&](const Variable<double>& h) {
        return model.softmax.loss(multiply(h, model.embedding(tokens)), targets, model.embedding);
      };
      {
        const rapt::Recording scope;
        rapt::backward(loss(hidden));
      }
      const double step = 1e-5;
      const auto slope = [&](double& x, const Variable<double>& h) {
        const double before = x;
        x = before + step;
        const double above = loss(h).item();
        x = before - step;
        const double below = loss(h).item();
        x = before;
        return (above - below) / (2 * step);
      };
      rapt::for_each_parameter(model, [&](const std::string& name, auto& parameter) {
        for (Index i = 0; i < parameter.size(); ++i) {
          const double analytic = parameter.grad().empty() ? 0.0 : parameter.grad().data()[i];
          EXPECT_NEAR(analytic, slope(parameter.mutable_value().data()[i], hidden), 1e-8) << name << " " << i;
        }
      });
      Tensor<double> moved = hidden.value();
      for (Index i = 0; i < moved.size(); ++i) {
        const double h = moved.data()[i];
        double difference = 0;
        for (const double sign : {1.0, -1.0}) {
          moved.data()[i] = h + sign * step;
          difference += sign * loss(Variable<double>(moved)).item();
        }
        moved.data()[i] = h;
        EXPECT_NEAR(hidden.grad().data()[i], difference / (2 * step), 1e-8);
      }
    }
  }
}

TEST(AdaptiveEmbedding, ProjectsEachClusterByItsOwn) {
  for (const Case& c : cases()) {
    const AdaptiveVocabulary& v = c.vocabulary;
    const Model<double> model(c, rapt::Rng(2));
    const std::vector<TokenId> tokens{0, 10, 4, 7, 4, 2};
    const Tensor<double> y = model.embedding(tokens).value();
    ASSERT_EQ(y.shape(), (Shape{6, 4}));
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const Index cluster = v.cluster_of(tokens[i]), table = v.has_one_table() ? 0 : cluster;
      const Index row = v.has_one_table() ? tokens[i] : tokens[i] - v.begin(cluster);
      const auto weights = model.parameter("embedding.weights." + std::to_string(table));
      const auto projection = model.parameter("embedding.projections." + std::to_string(table));
      for (Index d = 0; d < 4; ++d) {
        double expected = v.is_projected() ? 0 : weights(row, d);
        for (Index e = 0; v.is_projected() && e < v.width(cluster); ++e) expected += projection(d, e) * weights(row, e);
        EXPECT_NEAR(y(static_cast<Index>(i), d), 2 * expected, 1e-12);
      }
    }
    EXPECT_EQ(model.embedding({}).shape(), (Shape{0, 4}));
  }
}

TEST(AdaptiveSoftmax, WhatIsTiedIsNoParameter) {
  const auto names = [](const Case& c) {
    const Model<float> model(c, rapt::Rng(1));
    std::string all;
    rapt::for_each_parameter(model.softmax, [&](const std::string& name, const auto&) { all += name + " "; });
    return all;
  };
  EXPECT_EQ(names(cases()[0]), "biases.0 ");
  EXPECT_EQ(names(cases()[1]), "weights.0 biases.0 projections.0 ");
  EXPECT_EQ(names(cases()[4]), "cluster_weight cluster_bias biases.0 projections.1 ");
  EXPECT_EQ(names(cases()[5]), "cluster_weight cluster_bias biases.0 biases.1 biases.2 projections.0 ");
}

TEST(AdaptiveSoftmax, ErrorsNameTheValues) {
  rapt::Rng rng(1);
  const Model<float> model(cases()[2], rng);
  const Variable<float> hidden(Tensor<float>(Shape{2, 4}, 0.f));
  const auto make = [&](AdaptiveVocabulary v) {
    return [=] {
      rapt::Rng local(1);
      AdaptiveEmbedding<float> embedding(v, local);
    };
  };
  const std::vector<TokenId> far{1, 11}, one{1};
  rapt_test::expect_errors({
      {"falling", make({.vocabulary = 9, .cutoffs = {5, 3}, .d_model = 4, .d_embed = 4}), {"cluster 1", "5 .. 3"}},
      {"beyond", make({.vocabulary = 9, .cutoffs = {9}, .d_model = 4, .d_embed = 4}), {"cutoffs", "9 .. 9"}},
      {"narrow", make({.vocabulary = 9, .cutoffs = {3}, .d_model = 4, .d_embed = 4, .div_val = 8}), {"div_val 8"}},
      {"many", make({.vocabulary = 99, .cutoffs = {1, 2, 3, 4, 5, 6, 7, 8}, .d_model = 4, .d_embed = 4}), {"7", "8"}},
      {"sizes", make({.vocabulary = 0, .d_model = 4, .d_embed = 4}), {"vocabulary 0"}},
      {"token", [&] { std::ignore = model.embedding(far); }, {"adaptive_embedding", "token id 11"}},
      {"target", [&] { std::ignore = model.softmax.loss(hidden, far, model.embedding); }, {"token id 11"}},
      {"targets", [&] { std::ignore = model.softmax.loss(hidden, one, model.embedding); }, {"1 targets", "[2, 4]"}},
  });
}

}  // namespace
