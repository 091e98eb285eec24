/// \file
/// Fréchet distance and inception score against numpy and scipy, closed forms, and errors.
#include "rapt/images/generation_scores.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/common/gradients.hpp"

namespace {

using rapt::FeatureStatistics;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;

Tensor<double> tensor_of(const nlohmann::json& rows) {
  Tensor<double> tensor(Shape{std::ssize(rows), std::ssize(rows.at(0))});
  for (Index i = 0; i < tensor.rows(); ++i) {
    for (Index j = 0; j < tensor.cols(); ++j) tensor(i, j) = rapt::at(rapt::at(rows, i), j).get<double>();
  }
  return tensor;
}

/// The statistics of all rows, added in two parts.
FeatureStatistics statistics_of(const Tensor<double>& features) {
  FeatureStatistics statistics;
  const Index half = features.rows() / 2;
  statistics.add(features.view().middle_rows(0, half));
  statistics.add(features.view().middle_rows(half, features.rows() - half));
  return statistics;
}

TEST(GenerationScores, AgreeWithNumpyAndScipy) {
  const auto golden = nlohmann::json::parse(std::ifstream(std::string(RAPT_GOLDEN_DIR) + "/generation_scores.json"));
  ASSERT_EQ(golden["distances"].size(), 3u);
  for (const auto& test : golden["distances"]) {
    const FeatureStatistics a = statistics_of(tensor_of(test["a"])), b = statistics_of(tensor_of(test["b"]));
    const Tensor<double> covariance = tensor_of(test["covariance"]);
    EXPECT_EQ(a.count(), std::ssize(test["a"]));
    for (Index i = 0; i < covariance.rows(); ++i) {
      EXPECT_NEAR(a.mean()(i), rapt::at(test["mean"], i).get<double>(), 1e-12);
      for (Index j = 0; j < covariance.cols(); ++j) EXPECT_NEAR(a.covariance()(i, j), covariance(i, j), 1e-12);
    }
    const double expected = test["distance"].get<double>();
    EXPECT_NEAR(frechet_distance(a, b), expected, 1e-6 * expected);
    EXPECT_NEAR(frechet_distance(b, a), expected, 1e-6 * expected);
    EXPECT_NEAR(frechet_distance(a, a), 0, 1e-6);
  }
  ASSERT_EQ(golden["scores"].size(), 2u);
  for (const auto& test : golden["scores"]) {
    EXPECT_NEAR(rapt::inception_score(tensor_of(test["probabilities"])), test["score"].get<double>(), 1e-12);
  }
}

// Of diagonal covariances: |m_a - m_b|^2 + sum of (s_a - s_b)^2 for the standard deviations s.
TEST(GenerationScores, DistanceInClosedForm) {
  const Eigen::VectorXd a = Eigen::Vector3d(1, 2, 0), b = Eigen::Vector3d(0, 2, 2);
  const Eigen::VectorXd deviations_a = Eigen::Vector3d(1, 3, 0), deviations_b = Eigen::Vector3d(2, .5, 4);
  const Eigen::MatrixXd s_a = deviations_a.cwiseAbs2().asDiagonal(), s_b = deviations_b.cwiseAbs2().asDiagonal();
  EXPECT_NEAR(rapt::frechet_distance(a, s_a, b, s_b), 5 + 1 + 6.25 + 16, 1e-12);
}

TEST(GenerationScores, FeaturesFarFromZeroLoseNoDigits) {
  Tensor<double> near = rapt_test::normal_tensor<double>({50, 3}, 1), far = near;
  for (double& v : far.values()) v += 1e6;
  EXPECT_NEAR((statistics_of(near).covariance() - statistics_of(far).covariance()).norm(), 0, 1e-8);
}

TEST(GenerationScores, ScoreIsFromOneToTheClasses) {
  Tensor<float> sure(Shape{6, 3}, 0.f), unsure(Shape{6, 3}, 1.f / 3), one_class(Shape{6, 3}, 0.f);
  for (Index i = 0; i < 6; ++i) sure(i, i % 3) = 1, one_class(i, 1) = 1;
  EXPECT_NEAR(rapt::inception_score(sure), 3, 1e-6);
  EXPECT_NEAR(rapt::inception_score(unsure), 1, 1e-6);
  EXPECT_NEAR(rapt::inception_score(one_class), 1, 1e-12);
}

TEST(GenerationScores, SayWhatDoesNotFit) {
  FeatureStatistics statistics;
  statistics.add(Tensor<double>(Shape{1, 3}, 2.0));
  const auto not_a_number = Tensor<double>(Shape{1, 3}, std::numeric_limits<double>::quiet_NaN());
  rapt_test::expect_errors({
      {"columns",
       [&] {
         statistics.add(Tensor<double>(Shape{2, 4}, 0.0));
       },
       {"[2, 4]", "3 columns"}},
      {"not finite", [&] { statistics.add(not_a_number); }, {"finite"}},
      {"none", [] { std::ignore = FeatureStatistics().mean(); }, {"mean"}},
      {"one", [&] { std::ignore = statistics.covariance(); }, {"two images", "1"}},
      {"sizes",
       [] {
         std::ignore = rapt::frechet_distance(Eigen::VectorXd::Zero(2), Eigen::MatrixXd::Zero(2, 2),
                                              Eigen::VectorXd::Zero(3), Eigen::MatrixXd::Zero(3, 3));
       },
       {"2 and 3", "3 x 3"}},
      {"probabilities",
       [] {
         std::ignore = rapt::inception_score(Tensor<float>(Shape{2, 2}, .4f));
       },
       {"row 0", "0.8"}},
  });
  EXPECT_EQ(statistics.count(), 1);
}

}  // namespace
