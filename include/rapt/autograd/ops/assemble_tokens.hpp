/// \file
/// Token rows of a vision model put together: learned tokens, embedded patches, positions.
#pragma once

#include <array>
#include <cstdint>

#include "rapt/autograd/ops/unfold_patches.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Of each image the extra tokens (class, distillation), then its patches, each plus its position, in one pass:
///   y_(b, e) = extra_e + positions_e,   y_(b, k) = patches_(b, k) + positions_(E + visible_(b, k))
///   // [B (E + K), D] from patches [B K, D], extra tokens of D elements each, positions [E + P, D]
/// `positions` undefined: none are added. `visible`: the number among P of each patch row, as in `unfold_patches`;
/// empty: 0, 1, ..
template <class T>
[[nodiscard]] Variable<T> assemble_tokens(const Variable<T>& patches,
                                          std::type_identity_t<std::span<const Variable<T>>> extra,
                                          const Variable<T>& positions, Index images,
                                          std::span<const std::int32_t> visible = {}) {
  constexpr std::string_view kWhere = "assemble_tokens";
  constexpr std::size_t kMostExtra = Node<T>::kMaxInputs - 2;
  static_assert(kMostExtra == 6);
  const Index cols = patches.cols(), extras = static_cast<Index>(extra.size());
  require(extra.size() <= kMostExtra, kWhere, "at most ", kMostExtra, " extra tokens: ", extra.size());
  require<ShapeError>(images > 0 && patches.rows() % images == 0, kWhere, "patches of shape ", patches.shape(), " for ",
                      images, " images");
  const Index per_image = patches.rows() / images;
  if (positions.defined()) {
    const Index known = positions.rows() - extras;
    require<ShapeError>(positions.cols() == cols && known >= 0, kWhere, "patches of shape ", patches.shape(),
                        ", positions ", positions.shape(), ", ", extras, " extra tokens");
    require<ShapeError>(detail::visible_patches(kWhere, known, images, visible) == per_image, kWhere, per_image,
                        " patches of each image, ", visible.empty() ? known : static_cast<Index>(visible.size()),
                        visible.empty() ? " positions of patches" : " visible ones in all");
  }
  Tensor<T> tokens(Shape{std::max<Index>(extras, 1), cols});
  std::array<Variable<T>, kMostExtra> in;
  for (std::size_t e = 0; e < extra.size(); ++e) {
    require<ShapeError>(extra[e].size() == cols, kWhere, "patches of shape ", patches.shape(), ", extra token ", e,
                        " of shape ", extra[e].shape());
    in[e] = extra[e];
    std::copy_n(extra[e].value().data(), cols, tokens.row(static_cast<Index>(e)));
  }
  const Tensor<T> none;
  const Tensor<T>& table = positions.defined() ? positions.value() : none;
  Tensor<T> y(Shape{images * (extras + per_image), cols});
  kernels::assemble_tokens<T>(patches.value(), tokens.view().middle_rows(0, extras), table, visible, images, y);

  const detail::Inputs<T> inputs = {patches, positions, in[0], in[1], in[2], in[3], in[4], in[5]};
  std::vector<std::int32_t> kept;
  if (will_record<T>(inputs)) kept.assign(visible.begin(), visible.end());
  const auto backward = [kept = std::move(kept), extras, images](Node<T>& out) {
    const auto gradient_of = [&](std::size_t i) {
      Node<T>* node = out.inputs[i].get();
      return node != nullptr && node->requires_grad ? node->grad_sum().view() : TensorView<T>();
    };
    Tensor<T> d_tokens;
    for (std::size_t e = 0; e < static_cast<std::size_t>(extras); ++e) {
      if (out.inputs[2 + e]->requires_grad) d_tokens = Tensor<T>(Shape{extras, out.grad.cols()}, T(0));
    }
    kernels::assemble_tokens_backward<T>(out.grad, gradient_of(0), d_tokens, gradient_of(1), extras, kept, images);
    for (std::size_t e = 0; e < static_cast<std::size_t>(extras); ++e) {
      const TensorView<T> to = gradient_of(2 + e);
      if (to.data() == nullptr) continue;
      kernels::add_scaled(to.data(), d_tokens.row(static_cast<Index>(e)), T(1), d_tokens.cols());
    }
  };
  return overwritable(record("assemble_tokens", std::move(y), inputs, backward));
}

}}  // namespace rapt::RAPT_ABI
