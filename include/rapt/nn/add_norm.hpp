/// \file
/// The "Add & Norm" box of the paper's figure 1: residual connection, dropout and normalisation around a sublayer.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "rapt/autograd/ops/dropout.hpp"
#include "rapt/autograd/ops/scaled_residual.hpp"
#include "rapt/nn/norm.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Where the norm stands.
enum class NormPlacement {
  post,  ///< Norm(x + Dropout(Sublayer(x))), the paper
  pre,   ///< x + Dropout(Sublayer(Norm(x))): trains without warm-up (Xiong et al. 2020)
  /// x + Dropout(Norm'(Sublayer(Norm(x)))), with a second norm of its own (Ding et al. 2021; Gemma 2)
  sandwich,
};

[[nodiscard]] inline std::string to_string(NormPlacement placement) {
  return placement == NormPlacement::post ? "post" : placement == NormPlacement::pre ? "pre" : "sandwich";
}

/// Which norm a residual connection has, and where it stands.
struct AddNormOptions {
  Index d_model = 512;
  NormKind kind = NormKind::layer;                ///< the formula of the norm
  NormPlacement placement = NormPlacement::post;  ///< where the norm stands
  double epsilon = 1e-5;                          ///< what the norm adds to the variance, or to the mean square
  float dropout = 0.f;                            ///< rate of the dropout of the sublayer's output
  /// Rate at which whole sequences skip the sublayer in Training (stochastic depth, Huang et al. 2016). Sequences must
  /// be of one length.
  float drop_path = 0.f;
  /// If > 0: the sublayer's output is multiplied by a learned vector, which begins with this number everywhere
  /// (Touvron et al. 2021).
  double layer_scale = 0;
};

/// `add_norm(x, [&](const auto& h) { return sublayer(h); })`
template <class T = float, BlockKinds kKinds = kAllKinds>
class AddNorm {
 public:
  explicit AddNorm(const AddNormOptions& options)
      : norm_(options.d_model, options.kind, options.epsilon), options_(options) {
    require(kKinds.scaled_residuals || (options.layer_scale <= 0 && options.drop_path == 0.f), "add_norm",
            "the block is compiled without layer_scale and drop_path: ", options.layer_scale, ", ", options.drop_path);
    require(options.dropout >= 0.f && options.dropout < 1.f && options.drop_path >= 0.f && options.drop_path < 1.f &&
                options.layer_scale >= 0 && options.epsilon > 0,
            "add_norm",
            "dropout and drop_path must be in [0, 1), layer_scale not negative and epsilon positive: ", options.dropout,
            ", ", options.drop_path, ", ", options.layer_scale, ", ", options.epsilon);
    if (options.placement == NormPlacement::sandwich) {
      require(options.layer_scale == 0 && options.drop_path == 0.f, "add_norm",
              "a sublayer between two norms has no layer_scale and drop_path: ", options.layer_scale, ", ",
              options.drop_path);
      outer_norm_.emplace(options.d_model, options.kind, options.epsilon);
    }
    if (options.layer_scale == 0) return;
    scale_ = Parameter<T>(init::constant<T>(Shape{options.d_model}, static_cast<T>(options.layer_scale)));
  }

  /// [N, D] from x [N, D] and a sublayer that keeps the shape. `sequences`, which drop path alone reads: how many
  /// sequences of one length the rows of x are.
  template <class Sublayer>
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, const Sublayer& sublayer, Index sequences = 1) const {
    const bool post = options_.placement == NormPlacement::post;
    if constexpr (kKinds.scaled_residuals) {
      if (scale_.defined() || options_.drop_path > 0.f) {
        if (post) return norm_(scaled(x, sublayer(x), sequences));
        return scaled(x, sublayer(norm_(x)), sequences);
      }
    }
    if (post) return norm_(x, sublayer(x), options_.dropout);
    Variable<T> result = sublayer(norm_(x));
    if (outer_norm_) result = (*outer_norm_)(result);
    return residual_add(x, std::move(result), options_.dropout);
  }

  /// The norm; where there are two, the one before the sublayer.
  [[nodiscard]] const Norm<T, kKinds>& norm() const { return norm_; }
  /// True if the rate of `drop_path` is above 0: then calls need the number of sequences.
  [[nodiscard]] bool drops_paths() const { return options_.drop_path > 0.f; }
  /// Where the norm stands.
  [[nodiscard]] NormPlacement placement() const { return options_.placement; }

  /// The norm's parameters alone; `visit_outer_norm` visits those of a sandwich's second norm and `visit_scale` the
  /// vector of layer scale, which have names of their own.
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    Norm<T, kKinds>::visit(self.norm_, visitor);
  }
  /// Visits the second norm of a sandwich under this name; of others an optional without value.
  template <class Self, class Visitor>
  static void visit_outer_norm(Self& self, std::string_view name, Visitor&& visitor) {
    visitor(name, self.outer_norm_);
  }
  /// Visits the vector of layer scale under this name; it is undefined where there is none.
  template <class Self, class Visitor>
  static void visit_scale(Self& self, std::string_view name, Visitor&& visitor) {
    visitor(name, self.scale_);
  }

 private:
  /// x + scale * factor of the sequence * Dropout(sublayer)   // [N, D]
  [[nodiscard]] Variable<T> scaled(const Variable<T>& x, Variable<T> sublayer, Index sequences) const {
    const Variable<T> dropped = dropout(std::move(sublayer), options_.dropout);
    return scaled_residual<T>(x, dropped, scale_, drop_path_factors<T>(sequences, options_.drop_path));
  }

  Norm<T, kKinds> norm_;
  AddNormOptions options_;
  std::optional<Norm<T, kKinds>> outer_norm_;  // of a sandwich
  Parameter<T> scale_;                         // [D], if there is layer scale
};
static_assert(Module<AddNorm<float>>);

}}  // namespace rapt::RAPT_ABI
