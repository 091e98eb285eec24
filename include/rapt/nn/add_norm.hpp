/// \file
/// The "Add & Norm" box of the paper's figure 1: residual connection, dropout and layer normalisation around a
/// sublayer.
#pragma once

#include "rapt/nn/layer_norm.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Where the norm stands.
enum class NormPlacement {
  post,  ///< LayerNorm(x + Dropout(Sublayer(x))), the paper
  pre,   ///< x + Dropout(Sublayer(LayerNorm(x))): trains without warm-up (Xiong et al. 2020)
};

[[nodiscard]] inline std::string to_string(NormPlacement placement) {
  return placement == NormPlacement::post ? "post" : "pre";
}

/// `add_norm(x, [&](const auto& h) { return sublayer(h); })`
template <class T = float>
class AddNorm {
 public:
  AddNorm(Index d_model, NormPlacement placement, float dropout, double epsilon)
      : norm_(d_model, epsilon), placement_(placement), dropout_(dropout) {}

  template <class Sublayer>
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, const Sublayer& sublayer) const {
    if (placement_ == NormPlacement::post) return norm_(x, sublayer(x), dropout_);
    return residual_add(x, sublayer(norm_(x)), dropout_);
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    LayerNorm<T>::visit(self.norm_, visitor);
  }

 private:
  LayerNorm<T> norm_;
  NormPlacement placement_;
  float dropout_;
};
static_assert(Module<AddNorm<float>>);

}}  // namespace rapt::RAPT_ABI
