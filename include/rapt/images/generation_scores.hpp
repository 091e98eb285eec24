/// \file
/// How near generated images come to real ones, in the features of a network that tells images apart: the Fréchet
/// distance (Heusel et al. 2017) and the inception score (Salimans et al. 2016). Numbers are comparable only if they
/// are of one network.
#pragma once

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/tensor.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The mean and the covariance (divided by n - 1, as numpy.cov does) of features of n images, which are added batch by
/// batch. Sums are in double, of differences from the first image's features, so that they lose few digits.
class FeatureStatistics {
 public:
  /// Rows are images. Throws ShapeError for other columns than those before, and ValueError for numbers that are not
  /// finite; nothing is added then.
  template <class T>
  void add(TensorView<const T> features) {
    constexpr std::string_view kWhere = "feature_statistics";
    if (features.rows() == 0) return;
    require<ShapeError>(count_ == 0 || features.cols() == origin_.size(), kWhere, "features ", features.shape(),
                        ", those before have ", origin_.size(), " columns");
    const Eigen::MatrixXd rows = features.matrix().template cast<double>();
    require(rows.allFinite(), kWhere, "features must be finite numbers");
    if (count_ == 0) {
      origin_ = rows.row(0).transpose();
      sum_ = Eigen::VectorXd::Zero(origin_.size());
      products_ = Eigen::MatrixXd::Zero(origin_.size(), origin_.size());
    }
    const Eigen::MatrixXd centred = rows.rowwise() - origin_.transpose();
    sum_ += centred.colwise().sum().transpose();
    products_.noalias() += centred.transpose() * centred;
    count_ += rows.rows();
  }
  template <class T>
  void add(const Tensor<T>& features) {
    add<T>(features.view());
  }

  /// n, the number of images that were added.
  [[nodiscard]] Index count() const { return count_; }
  /// Throws ValueError without images   // [F]
  [[nodiscard]] Eigen::VectorXd mean() const {
    require(count_ > 0, "feature_statistics", "the mean needs an image at least");
    return origin_ + sum_ / static_cast<double>(count_);
  }
  /// Throws ValueError for fewer than two images   // [F, F]
  [[nodiscard]] Eigen::MatrixXd covariance() const {
    require(count_ > 1, "feature_statistics", "a covariance needs two images at least: ", count_);
    const auto n = static_cast<double>(count_);
    return (products_ - sum_ * sum_.transpose() / n) / (n - 1);
  }

 private:
  Index count_ = 0;
  Eigen::VectorXd origin_, sum_;  // of differences from the origin
  Eigen::MatrixXd products_;      // sums of their products
};

namespace detail {

/// S^(1/2) of a symmetric matrix; eigenvalues that rounding has made negative count as 0.
[[nodiscard]] inline Eigen::MatrixXd symmetric_square_root(const Eigen::MatrixXd& s) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(s);
  require(solver.info() == Eigen::Success, "frechet_distance", "no eigenvalues of a covariance of ", s.rows(),
          " columns were found");
  const Eigen::VectorXd roots = solver.eigenvalues().cwiseMax(0.0).cwiseSqrt();
  return solver.eigenvectors() * roots.asDiagonal() * solver.eigenvectors().transpose();
}

}  // namespace detail

/// The squared Fréchet distance of two normal distributions with the means and covariances given,
///   |m_a - m_b|^2 + trace(S_a + S_b - 2 (S_a S_b)^(1/2)),
/// never negative. The square root is of a matrix that is not symmetric; but (S_a S_b)^(1/2) and (R S_b R)^(1/2) with
/// R = S_a^(1/2) have the same eigenvalues, thus the same trace, and the second is symmetric. Throws ShapeError unless
/// both have the same number of features.
[[nodiscard]] inline double frechet_distance(const Eigen::VectorXd& mean_a, const Eigen::MatrixXd& covariance_a,
                                             const Eigen::VectorXd& mean_b, const Eigen::MatrixXd& covariance_b) {
  const Index size = mean_a.size();
  require<ShapeError>(size > 0 && mean_b.size() == size && covariance_a.rows() == size && covariance_a.cols() == size &&
                          covariance_b.rows() == size && covariance_b.cols() == size,
                      "frechet_distance", "means of ", mean_a.size(), " and ", mean_b.size(), " features, covariances ",
                      covariance_a.rows(), " x ", covariance_a.cols(), " and ", covariance_b.rows(), " x ",
                      covariance_b.cols());
  const Eigen::MatrixXd root = detail::symmetric_square_root(covariance_a), product = root * covariance_b * root;
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver((product + product.transpose()) / 2,
                                                              Eigen::EigenvaluesOnly);
  require(solver.info() == Eigen::Success, "frechet_distance", "no eigenvalues of a product of ", size,
          " columns were found");
  const double trace_of_root = solver.eigenvalues().cwiseMax(0.0).cwiseSqrt().sum();
  const double distance =
      (mean_a - mean_b).squaredNorm() + covariance_a.trace() + covariance_b.trace() - 2 * trace_of_root;
  return std::max(distance, 0.0);
}
/// The same of two sets of images' features. It is larger for few images: compare equal numbers of them.
[[nodiscard]] inline double frechet_distance(const FeatureStatistics& a, const FeatureStatistics& b) {
  return frechet_distance(a.mean(), a.covariance(), b.mean(), b.covariance());
}

/// exp(mean over images of KL(p(y | x) || p(y))), with p(y) the mean of the probabilities p(y | x): 1 if all images
/// look alike to the classifier, the number of classes if it is sure of each image and sees all classes equally often.
/// Throws ValueError unless rows are probabilities   // probabilities [n, classes]
template <class T>
[[nodiscard]] double inception_score(const Tensor<T>& probabilities) {
  constexpr std::string_view kWhere = "inception_score";
  require(probabilities.rows() > 0 && probabilities.cols() > 0, kWhere,
          "there are no probabilities: ", probabilities.shape());
  const Eigen::MatrixXd p = probabilities.view().matrix().template cast<double>();
  for (Index i = 0; i < p.rows(); ++i) {
    require(p.row(i).minCoeff() >= 0 && std::abs(p.row(i).sum() - 1) < 1e-3, kWhere, "row ", i,
            " must be probabilities: its least is ", p.row(i).minCoeff(), ", its sum ", p.row(i).sum());
  }
  const Eigen::RowVectorXd mean = p.colwise().mean();
  double divergence = 0;
  for (Index i = 0; i < p.rows(); ++i) {
    for (Index c = 0; c < p.cols(); ++c) {
      if (p(i, c) > 0) divergence += p(i, c) * std::log(p(i, c) / mean(c));
    }
  }
  return std::exp(divergence / static_cast<double>(p.rows()));
}

}}  // namespace rapt::RAPT_ABI
