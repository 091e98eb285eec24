/// \file
/// The norm of a block: layer normalisation or root mean square normalisation, as an option says.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "rapt/nn/layer_norm.hpp"
#include "rapt/nn/rms_norm.hpp"

namespace rapt { inline namespace RAPT_ABI {

enum class NormKind {
  layer,  ///< (x - mean) / sqrt(variance + epsilon) * weight + bias, row by row (Ba et al. 2016)
  rms,    ///< x / sqrt(mean(x^2) + epsilon) * weight, row by row (Zhang and Sennrich 2019)
};

[[nodiscard]] inline std::string to_string(NormKind kind) { return kind == NormKind::layer ? "layer" : "rms"; }

/// A norm of either kind; parameters are called as LayerNorm's and RmsNorm's.
template <class T = float>
class Norm {
 public:
  Norm(Index d_model, NormKind kind, double epsilon) : norm_(made(d_model, kind, epsilon)) {}

  [[nodiscard]] Variable<T> operator()(const Variable<T>& x) const {  // [N, D] from [N, D]
    if (const auto* const layer = std::get_if<LayerNorm<T>>(&norm_)) return (*layer)(x);
    return std::get<RmsNorm<T>>(norm_)(x);
  }
  /// Norm(x + Dropout(sublayer))   // all [N, D]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, Variable<T> sublayer, float dropout) const {
    if (const auto* const layer = std::get_if<LayerNorm<T>>(&norm_)) return (*layer)(x, std::move(sublayer), dropout);
    return std::get<RmsNorm<T>>(norm_)(residual_add(x, std::move(sublayer), dropout));
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    if (auto* const layer = std::get_if<LayerNorm<T>>(&self.norm_)) return LayerNorm<T>::visit(*layer, visitor);
    RmsNorm<T>::visit(*std::get_if<RmsNorm<T>>(&self.norm_), visitor);
  }

 private:
  using Kinds = std::variant<LayerNorm<T>, RmsNorm<T>>;
  static Kinds made(Index d_model, NormKind kind, double epsilon) {
    if (kind == NormKind::layer) return LayerNorm<T>(d_model, epsilon);
    return RmsNorm<T>(d_model, epsilon);
  }

  Kinds norm_;
};
static_assert(Module<Norm<float>>);

}}  // namespace rapt::RAPT_ABI
