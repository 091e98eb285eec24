/// \file
/// A matrix put together from the rows of several others, or a vector from elements.
#pragma once

#include <array>
#include <vector>

#include "rapt/autograd/record.hpp"
#include "rapt/core/thread_pool.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Rows, and where each of them goes.
template <class T>
struct PlacedRows {
  Variable<T> rows;           ///< [n, D], or elements [n]
  std::vector<Index> places;  ///< [n]
};

/// y_(places_k[i]) = rows_k[i]   // [N, D], N being the number of all rows
/// Every row of y must be given once. At most `Node<T>::kMaxInputs` parts.
template <class T>
[[nodiscard]] Variable<T> place_rows(std::vector<PlacedRows<T>> parts) {
  constexpr std::string_view kWhere = "place_rows";
  constexpr std::size_t kMost = Node<T>::kMaxInputs;
  static_assert(kMost == 8);
  require(!parts.empty() && parts.size() <= kMost, kWhere, "from 1 to ", kMost, " parts: ", parts.size());
  const bool is_vector = parts[0].rows.shape().rank() == 1;
  const Index width = is_vector ? 1 : parts[0].rows.cols();
  Index rows = 0;
  for (const auto& [part, places] : parts) {
    const auto count = static_cast<Index>(places.size());
    require<ShapeError>((part.shape().rank() == 1) == is_vector && part.size() == count * width, kWhere, count,
                        " places for shape ", part.shape(), " beside ", parts[0].rows.shape());
    rows += count;
  }
  std::vector<bool> given(static_cast<std::size_t>(rows));
  for (const PlacedRows<T>& part : parts) {
    for (const Index place : part.places) {
      require(place >= 0 && place < rows && !given[static_cast<std::size_t>(place)], kWhere, "place ", place, " of ",
              rows, " is outside, or given twice");
      given[static_cast<std::size_t>(place)] = true;
    }
  }

  Tensor<T> y(is_vector ? Shape{rows} : Shape{rows, width});
  std::array<Variable<T>, kMost> in;
  std::array<std::vector<Index>, kMost> places;
  for (std::size_t k = 0; k < parts.size(); ++k) {
    in[k] = std::move(parts[k].rows);
    places[k] = std::move(parts[k].places);
    const T* from = in[k].value().data();
    parallel_for(static_cast<Index>(places[k].size()), 64, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        std::copy_n(from + i * width, width, y.data() + places[k][static_cast<std::size_t>(i)] * width);
      }
    });
  }
  auto gather = [places = std::move(places), width](Node<T>& out) {  // drows_k[i] += dy_(places_k[i])
    for (std::size_t k = 0; k < kMost; ++k) {
      Node<T>* part = out.inputs[k].get();
      if (part == nullptr || !part->requires_grad) continue;
      T* to = part->grad_sum().data();
      parallel_for(static_cast<Index>(places[k].size()), 64, [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) {
          const T* from = out.grad.data() + places[k][static_cast<std::size_t>(i)] * width;
          for (Index c = 0; c < width; ++c) to[i * width + c] += from[c];
        }
      });
    }
  };
  return overwritable(
      record("place_rows", std::move(y), {in[0], in[1], in[2], in[3], in[4], in[5], in[6], in[7]}, std::move(gather)));
}

}}  // namespace rapt::RAPT_ABI
