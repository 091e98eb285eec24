/// \file
/// Gaussian processes against scikit-learn and closed forms, and expected improvement against numbers.
#include "rapt/search/gaussian_process.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "rapt/core/rng.hpp"

#include "tests/common/expect_close.hpp"

namespace {

using rapt::expected_improvement;
using rapt::GaussianProcess;
using rapt::Index;
using rapt::Matern52;

Eigen::MatrixXd matrix_of(const nlohmann::json& rows) {
  Eigen::MatrixXd matrix(std::ssize(rows), std::ssize(rows.at(0)));
  for (Index i = 0; i < matrix.rows(); ++i) {
    for (Index j = 0; j < matrix.cols(); ++j) {
      matrix(i, j) = rows[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)].get<double>();
    }
  }
  return matrix;
}
Eigen::VectorXd vector_of(const nlohmann::json& list) {
  const auto values = list.get<std::vector<double>>();
  return Eigen::Map<const Eigen::VectorXd>(values.data(), std::ssize(values));
}

TEST(GaussianProcess, AgreesWithScikitLearn) {
  const auto golden = nlohmann::json::parse(std::ifstream(std::string(RAPT_GOLDEN_DIR) + "/gaussian_process.json"));
  ASSERT_EQ(golden["cases"].size(), 3u);
  for (const auto& test : golden["cases"]) {
    const GaussianProcess process(matrix_of(test["x"]), vector_of(test["y"]),
                                  {.length_scales = vector_of(test["length_scales"]),
                                   .variance = test["variance"].get<double>(),
                                   .noise = test["noise"].get<double>()});
    EXPECT_NEAR(process.log_marginal_likelihood(), test["log_marginal_likelihood"].get<double>(), 1e-9);
    const Eigen::MatrixXd points = matrix_of(test["points"]);
    for (Index i = 0; i < points.rows(); ++i) {
      const auto found = process.predict(points.row(i).transpose());
      EXPECT_NEAR(found.mean, vector_of(test["mean"])[i], 1e-9);
      EXPECT_NEAR(found.standard_deviation, vector_of(test["standard_deviation"])[i], 1e-8);
      EXPECT_NEAR(process.predict_mean(points.row(i).transpose()), found.mean, 1e-12);
    }
  }
}

// With one observation y at distance r: mean m + k(r) (y - m) / (1 + noise), variance v (1 - k(r)^2 / (1 + noise)).
TEST(GaussianProcess, OneObservationInClosedForm) {
  const GaussianProcess process(
      Eigen::MatrixXd::Constant(1, 1, 0.5), Eigen::VectorXd::Constant(1, 3),
      {.length_scales = Eigen::VectorXd::Constant(1, 2), .variance = 4, .noise = 0.25, .mean = 1});
  const double r = std::sqrt(5.0) * 1.0 / 2, k = (1 + r + r * r / 3) * std::exp(-r);
  const auto found = process.predict(Eigen::VectorXd::Constant(1, 1.5));
  EXPECT_NEAR(found.mean, 1 + k * 2 / 1.25, 1e-14);
  EXPECT_NEAR(found.standard_deviation, 2 * std::sqrt(1 - k * k / 1.25), 1e-14);
  EXPECT_NEAR(process.log_marginal_likelihood(), -0.5 * 4 / 5 - 0.5 * std::log(2 * 3.14159265358979323846 * 5), 1e-12);
}

TEST(GaussianProcess, ExpectedImprovement) {
  EXPECT_NEAR(expected_improvement({.mean = 0, .standard_deviation = 1}, 0), 0.3989422804014327, 1e-15);
  EXPECT_NEAR(expected_improvement({.mean = 0, .standard_deviation = 1}, 1), 1.0833154705876864, 1e-14);
  EXPECT_NEAR(expected_improvement({.mean = 3, .standard_deviation = 2}, 1), 0.16663094117537252, 1e-14);
  EXPECT_EQ(expected_improvement({.mean = 3, .standard_deviation = 0}, 5), 2);
  EXPECT_EQ(expected_improvement({.mean = 3, .standard_deviation = 0}, 1), 0);
  EXPECT_GE(expected_improvement({.mean = 50, .standard_deviation = 1}, 0), 0);
}

/// f(x, y, z) = sin(6 x) + 0.3 y at random points: x matters most, z not at all.
TEST(GaussianProcess, FitFindsWhatMatters) {
  rapt::Rng rng(3);
  constexpr Index kCount = 30;
  Eigen::MatrixXd x(kCount, 3);
  Eigen::VectorXd y(kCount);
  for (Index i = 0; i < kCount; ++i) {
    for (Index d = 0; d < 3; ++d) x(i, d) = rng.uniform();
    y[i] = 100 + 10 * (std::sin(6 * x(i, 0)) + 0.3 * x(i, 1));
  }
  const GaussianProcess process = GaussianProcess::fit(x, y, {0, 1, 2});
  const Eigen::VectorXd& scales = process.kernel().length_scales;
  EXPECT_LT(scales[0], scales[1]);
  EXPECT_LE(scales[1], scales[2]);
  EXPECT_EQ(process.kernel().mean, y.mean());
  for (const double u : {0.2, 0.5, 0.8}) {
    const auto found = process.predict(Eigen::Vector3d(u, 1 - u, u));
    EXPECT_NEAR(found.mean, 100 + 10 * (std::sin(6 * u) + 0.3 * (1 - u)), 0.5);
    EXPECT_LT(found.standard_deviation, 1);
  }
  // No other value of the lists does better, one at a time, and neither does another variance.
  const double best = process.log_marginal_likelihood();
  for (const double factor : {0.5, 2.0}) {
    Matern52 other = process.kernel();
    other.variance *= factor;
    EXPECT_LT(GaussianProcess(x, y, other).log_marginal_likelihood(), best);
    for (Index d = 0; d < 3; ++d) {
      other = process.kernel();
      other.length_scales[d] *= factor;
      if (other.length_scales[d] < 0.1 || other.length_scales[d] > 6.4) continue;  // the ends of the list
      EXPECT_LE(GaussianProcess(x, y, other).log_marginal_likelihood(), best + 1e-9) << d << ' ' << factor;
    }
  }
}

TEST(GaussianProcess, GroupsShareALengthScale) {
  Eigen::MatrixXd x(4, 3);
  x << 0, 1, 0, 0.3, 1, 0, 0.6, 0, 1, 1, 0, 1;
  const GaussianProcess process = GaussianProcess::fit(x, Eigen::Vector4d(1, 2, 8, 9), {0, 1, 1});
  EXPECT_EQ(process.kernel().length_scales[1], process.kernel().length_scales[2]);
}

TEST(GaussianProcess, EqualPointsAndEqualValuesAreBorne) {
  const Eigen::MatrixXd same = Eigen::MatrixXd::Constant(5, 2, 0.5);
  const GaussianProcess process = GaussianProcess::fit(same, Eigen::VectorXd::Constant(5, 7), {0, 1});
  const auto found = process.predict(Eigen::Vector2d(0.1, 0.9));
  EXPECT_NEAR(found.mean, 7, 1e-9);
  EXPECT_TRUE(std::isfinite(found.standard_deviation));
  const GaussianProcess exact(same, Eigen::VectorXd::Constant(5, 7),
                              {.length_scales = Eigen::Vector2d(1, 1), .noise = 0});  // a singular covariance
  EXPECT_NEAR(exact.predict(Eigen::Vector2d(0.5, 0.5)).mean, 7, 1e-3);
}

TEST(GaussianProcess, WhatItBelievesIsNoLongerPromising) {
  Eigen::MatrixXd x(3, 1);
  x << 0, 0.5, 1;
  const GaussianProcess process(x, Eigen::Vector3d(3, 1, 2), {.length_scales = Eigen::VectorXd::Constant(1, 0.3)});
  const Eigen::VectorXd at = Eigen::VectorXd::Constant(1, 0.7);
  const GaussianProcess later = process.with_predictions_at(at.transpose());
  EXPECT_EQ(later.observations(), 4);
  EXPECT_NEAR(later.predict(at).mean, process.predict(at).mean, 1e-4);
  EXPECT_LT(later.predict(at).standard_deviation, 0.01);
  EXPECT_LT(expected_improvement(later.predict(at), 1), 0.1 * expected_improvement(process.predict(at), 1));
}

TEST(GaussianProcess, WhatIsRefused) {
  const Eigen::MatrixXd x = Eigen::MatrixXd::Zero(2, 1);
  const Matern52 kernel{.length_scales = Eigen::VectorXd::Ones(1)};
  EXPECT_THROW(GaussianProcess(x, Eigen::VectorXd::Zero(3), kernel), rapt::ValueError);
  EXPECT_THROW(GaussianProcess(x, Eigen::Vector2d(0, std::numeric_limits<double>::quiet_NaN()), kernel),
               rapt::ValueError);
  EXPECT_THROW(GaussianProcess(x, Eigen::Vector2d(0, 1), {.length_scales = Eigen::VectorXd::Zero(1)}),
               rapt::ValueError);
  EXPECT_THROW(static_cast<void>(GaussianProcess::fit(x, Eigen::Vector2d(0, 1), {})), rapt::ValueError);
  EXPECT_THROW(static_cast<void>(GaussianProcess(x, Eigen::Vector2d(0, 1), kernel).predict(Eigen::Vector2d(0, 0))),
               rapt::ValueError);
}

}  // namespace
