/// \file
/// Gaussian process regression with a Matern 5/2 kernel, and the expected improvement of a minimum (Rasmussen and
/// Williams 2006, "Gaussian processes for machine learning", chapters 2, 4 and 5; Jones et al. 1998, "Efficient global
/// optimization of expensive black-box functions").
#pragma once

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The covariance of the values at two points x and x':
///
///     variance (1 + sqrt(5) r + 5/3 r^2) exp(-sqrt(5) r)   with   r^2 = sum_d ((x_d - x'_d) / length_scales_d)^2
///
/// and `variance * noise` more where both are the same observation.
struct Matern52 {
  Eigen::VectorXd length_scales = {};  ///< one for each column of the points
  double variance = 1;
  double noise = 1e-6;  ///< relative to `variance`
  double mean = 0;      ///< of the values, before anything is observed
};

/// The posterior of a function at one point.
struct GaussianPrediction {
  /// The mean of the posterior.
  double mean = 0;
  double standard_deviation = 0;  ///< of the function, without the noise of an observation
};

/// E[max(best - f, 0)] for a value f with this distribution: by how much a point improves on the least value `best`.
///
///     (best - mean) Phi(z) + sd phi(z)   with   z = (best - mean) / sd
[[nodiscard]] inline double expected_improvement(const GaussianPrediction& f, double best) {
  const double gain = best - f.mean;
  if (!(f.standard_deviation > 0)) return std::max(gain, 0.0);
  const double z = gain / f.standard_deviation;
  constexpr double kSqrtHalf = 0.70710678118654752440, kDensityAtZero = 0.39894228040143267794;
  return gain * 0.5 * std::erfc(-z * kSqrtHalf) + f.standard_deviation * kDensityAtZero * std::exp(-0.5 * z * z);
}

/// A function of which some values were observed. Immutable, hence for any number of threads.
class GaussianProcess {
 public:
  /// Conditions on the values y at the rows of x, [N, D]. Throws ValueError for sizes that do not fit or numbers that
  /// are not finite. A covariance that rounding makes indefinite gets more noise.
  GaussianProcess(Eigen::MatrixXd x, Eigen::VectorXd y, Matern52 kernel)
      : x_(std::move(x)), y_(std::move(y)), kernel_(std::move(kernel)) {
    require(x_.rows() == y_.size() && x_.rows() > 0 && x_.cols() == kernel_.length_scales.size(), kWhere,
            "a value for each point and a length scale for each column are needed: ", x_.rows(), " x ", x_.cols(),
            " points, ", y_.size(), " values, ", kernel_.length_scales.size(), " length scales");
    require(x_.allFinite() && y_.allFinite() && (kernel_.length_scales.array() > 0).all() && kernel_.variance > 0 &&
                kernel_.noise >= 0,
            kWhere, "points and values must be finite, length scales and variance positive: variance ",
            kernel_.variance, ", noise ", kernel_.noise);
    condition();
  }

  /// The process of largest marginal likelihood. The mean is that of the values, the variance is at its optimum in
  /// closed form, and the noise and a length scale for each group of columns are found by going through short lists,
  /// one after the other, until nothing improves. `groups` has for each column its group, counted from 0.
  [[nodiscard]] static GaussianProcess fit(const Eigen::MatrixXd& x, const Eigen::VectorXd& y,
                                           const std::vector<Index>& groups) {
    require(std::ssize(groups) == x.cols() && y.size() > 0, kWhere, "each of ", x.cols(),
            " columns needs a group: ", groups.size());
    const Index count = groups.empty() ? 0 : *std::max_element(groups.begin(), groups.end()) + 1;
    std::vector<double> scales(to_size(count), 0.4);
    double noise = 1e-2;
    const auto process = [&] {
      Matern52 kernel{.length_scales = Eigen::VectorXd(x.cols()), .noise = noise, .mean = y.mean()};
      for (Index d = 0; d < x.cols(); ++d) kernel.length_scales[d] = at(scales, at(groups, d));
      GaussianProcess made(x, y, std::move(kernel));
      made.set_best_variance();
      return made;
    };
    double best = process().log_marginal_likelihood();
    const auto improve = [&](double& parameter, const auto& candidates) {
      double chosen = parameter;
      bool improves = false;
      for (const double candidate : candidates) {
        parameter = candidate;
        const double likelihood = process().log_marginal_likelihood();
        if (likelihood > best + 1e-9) best = likelihood, chosen = candidate, improves = true;
      }
      parameter = chosen;
      return improves;
    };
    bool improves = true;
    for (int sweep = 0; sweep < kSweeps && improves; ++sweep) {
      improves = improve(noise, kNoises);
      for (double& scale : scales) improves = improve(scale, kScales) || improves;
    }
    return process();
  }

  /// The kernel with its scales.
  [[nodiscard]] const Matern52& kernel() const { return kernel_; }
  /// The number of points that the process has seen.
  [[nodiscard]] Index observations() const { return x_.rows(); }

  /// log p(y): -1/2 (y - m)' K^-1 (y - m) - 1/2 log det K - N/2 log 2 pi
  [[nodiscard]] double log_marginal_likelihood() const {
    const auto n = static_cast<double>(x_.rows());
    constexpr double kLogTwoPi = 1.83787706640934548356;
    return -0.5 * quadratic_ / kernel_.variance - factor_.matrixLLT().diagonal().array().log().sum() -
           0.5 * n * (std::log(kernel_.variance) + kLogTwoPi);
  }

  /// The posterior at a point, whose coordinates are the columns of x.
  [[nodiscard]] GaussianPrediction predict(const Eigen::VectorXd& point) const {
    require(point.size() == x_.cols(), kWhere, "a point has ", x_.cols(), " coordinates: ", point.size());
    const Eigen::VectorXd covariance = correlations(point);
    const double explained = factor_.matrixL().solve(covariance).squaredNorm();
    return {kernel_.mean + covariance.dot(weights_), std::sqrt(kernel_.variance * std::max(0.0, 1 - explained))};
  }
  /// The posterior mean alone, in less time.
  [[nodiscard]] double predict_mean(const Eigen::VectorXd& point) const {
    return kernel_.mean + correlations(point).dot(weights_);
  }

  /// The same process after it has also observed its own mean at these points, [M, D]: what is being tried already is
  /// then no longer promising (the "Kriging believer" of Ginsbourger et al. 2010).
  [[nodiscard]] GaussianProcess with_predictions_at(const Eigen::MatrixXd& points) const {
    Eigen::MatrixXd x(x_.rows() + points.rows(), x_.cols());
    Eigen::VectorXd y(x.rows());
    x << x_, points;
    for (Index i = 0; i < y.size(); ++i) {
      y[i] = i < y_.size() ? y_[i] : predict_mean(points.row(i - y_.size()).transpose());
    }
    return {std::move(x), std::move(y), kernel_};
  }

 private:
  static constexpr const char* kWhere = "gaussian_process";
  static constexpr double kScales[] = {0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4};
  static constexpr double kNoises[] = {1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1};
  static constexpr int kSweeps = 5;

  /// The kernel between all observations and a point, divided by the variance.
  [[nodiscard]] Eigen::VectorXd correlations(const Eigen::VectorXd& point) const {
    const Eigen::VectorXd scaled = point.cwiseQuotient(kernel_.length_scales);
    const Eigen::ArrayXd r = std::sqrt(5.0) * (scaled_x_.rowwise() - scaled.transpose()).rowwise().norm().array();
    return ((1 + r + r.square() / 3) * (-r).exp()).matrix();
  }

  void condition() {
    scaled_x_ = x_ * kernel_.length_scales.cwiseInverse().asDiagonal();
    Eigen::MatrixXd correlation(x_.rows(), x_.rows());
    for (Index i = 0; i < x_.rows(); ++i) correlation.col(i) = correlations(x_.row(i).transpose());
    for (double jitter = 0;; jitter = std::max(1e-10, 10 * jitter)) {
      factor_.compute(correlation + (kernel_.noise + jitter) * Eigen::MatrixXd::Identity(x_.rows(), x_.rows()));
      if (factor_.info() == Eigen::Success) break;
      require(jitter < 1e-2, kWhere, "the covariance of ", x_.rows(), " points is not positive definite");
    }
    weights_ = factor_.solve((y_.array() - kernel_.mean).matrix());
    quadratic_ = weights_.dot((y_.array() - kernel_.mean).matrix());
  }

  /// The variance of largest likelihood: (y - m)' R^-1 (y - m) / N, where K = variance R.
  void set_best_variance() {
    const double least = std::max(1e-24 * y_.squaredNorm(), std::numeric_limits<double>::min());
    kernel_.variance = std::max(quadratic_ / static_cast<double>(y_.size()), least);
  }

  Eigen::MatrixXd x_;  // [N, D]
  Eigen::VectorXd y_;  // [N]
  Matern52 kernel_;
  Eigen::MatrixXd scaled_x_;            // x_, divided by the length scales
  Eigen::LLT<Eigen::MatrixXd> factor_;  // of K / variance
  Eigen::VectorXd weights_;             // (K / variance)^-1 (y - m)
  double quadratic_ = 0;                // (y - m)' (K / variance)^-1 (y - m)
};

}}  // namespace rapt::RAPT_ABI
