/// \file
/// The norm of a block: layer normalisation, root mean square normalisation or none, as an option says.
#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "rapt/nn/block_kinds.hpp"
#include "rapt/nn/layer_norm.hpp"
#include "rapt/nn/rms_norm.hpp"

namespace rapt { inline namespace RAPT_ABI {

enum class NormKind {
  layer,            ///< (x - mean) / sqrt(variance + epsilon) * weight + bias, row by row (Ba et al. 2016)
  layer_unbiased,   ///< the same without bias (ModernBERT)
  rms,              ///< x / sqrt(mean(x^2) + epsilon) * weight, row by row (Zhang and Sennrich 2019)
  rms_unit_offset,  ///< the same times 1 + weight, whose weights begin at 0 (Gemma)
  none,             ///< x itself
};

[[nodiscard]] inline std::string to_string(NormKind kind) {
  constexpr const char* kNames[] = {"layer", "layer_unbiased", "rms", "rms_unit_offset", "none"};
  return kNames[static_cast<int>(kind)];
}

/// A norm of any kind; parameters are called as LayerNorm's and RmsNorm's.
template <class T = float, BlockKinds kKinds = kAllKinds>
class Norm {
 public:
  Norm(Index d_model, NormKind kind, double epsilon) {
    if (kind == NormKind::layer || kind == NormKind::layer_unbiased) {
      layer_norm_.emplace(d_model, epsilon, kind == NormKind::layer);
    } else if (kind != NormKind::none) {
      require(kKinds.rms_norm, "norm", "the block is compiled without norms of the kind ", to_string(kind));
      if constexpr (kKinds.rms_norm) rms_norm_.emplace(d_model, epsilon, kind == NormKind::rms_unit_offset);
    }
  }

  /// Each row of x normalised; without a norm x itself   // [N, D] from [N, D]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x) const {
    if constexpr (kKinds.rms_norm) {
      if (rms_norm_) return (*rms_norm_)(x);
    }
    return layer_norm_ ? (*layer_norm_)(x) : x;
  }
  /// Norm(x + Dropout(sublayer))   // all [N, D]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, Variable<T> sublayer, float dropout) const {
    if (layer_norm_) return (*layer_norm_)(x, std::move(sublayer), dropout);
    Variable<T> sum = residual_add(x, std::move(sublayer), dropout);
    if constexpr (kKinds.rms_norm) {
      if (rms_norm_) return (*rms_norm_)(sum);
    }
    return sum;
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    if (self.layer_norm_) LayerNorm<T>::visit(*self.layer_norm_, visitor);
    if constexpr (kKinds.rms_norm) {
      if (self.rms_norm_) RmsNorm<T>::visit(*self.rms_norm_, visitor);
    }
  }

 private:
  struct LeftOut {};
  // At most one of them is set; none: x itself.
  std::optional<LayerNorm<T>> layer_norm_;
  std::conditional_t<kKinds.rms_norm, std::optional<RmsNorm<T>>, LeftOut> rms_norm_;
};
static_assert(Module<Norm<float>>);

}}  // namespace rapt::RAPT_ABI
