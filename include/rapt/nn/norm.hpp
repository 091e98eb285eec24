/// \file
/// The norm of a block: layer normalisation, root mean square normalisation or none, as an option says.
#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

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
  Norm(Index d_model, NormKind kind, double epsilon) : norm_(made(d_model, kind, epsilon)) {}

  [[nodiscard]] Variable<T> operator()(const Variable<T>& x) const {  // [N, D] from [N, D]
    if (!norm_) return x;
    if constexpr (kKinds.rms_norm) {
      if (const auto* const rms = std::get_if<RmsNorm<T>>(&*norm_)) return (*rms)(x);
    }
    return std::get<LayerNorm<T>>(*norm_)(x);
  }
  /// Norm(x + Dropout(sublayer))   // all [N, D]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, Variable<T> sublayer, float dropout) const {
    if (!norm_) return residual_add(x, std::move(sublayer), dropout);
    if constexpr (kKinds.rms_norm) {
      const auto* const rms = std::get_if<RmsNorm<T>>(&*norm_);
      if (rms != nullptr) return (*rms)(residual_add(x, std::move(sublayer), dropout));
    }
    return std::get<LayerNorm<T>>(*norm_)(x, std::move(sublayer), dropout);
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    if (!self.norm_) return;
    std::visit([&](auto& norm) { std::remove_cvref_t<decltype(norm)>::visit(norm, visitor); }, *self.norm_);
  }

 private:
  using Kinds = std::conditional_t<kKinds.rms_norm, std::variant<LayerNorm<T>, RmsNorm<T>>, std::variant<LayerNorm<T>>>;
  static std::optional<Kinds> made(Index d_model, NormKind kind, double epsilon) {
    if (kind == NormKind::none) return std::nullopt;
    const bool is_layer_norm = kind == NormKind::layer || kind == NormKind::layer_unbiased;
    if constexpr (kKinds.rms_norm) {
      if (!is_layer_norm) return RmsNorm<T>(d_model, epsilon, kind == NormKind::rms_unit_offset);
    }
    require(is_layer_norm, "norm", "the block is compiled without norms of the kind ", to_string(kind));
    return LayerNorm<T>(d_model, epsilon, kind == NormKind::layer);
  }

  std::optional<Kinds> norm_;  // unset: x itself
};
static_assert(Module<Norm<float>>);

}}  // namespace rapt::RAPT_ABI
