/// \file
/// Parameters, and the one `visit` from which everything about a layer derives: names, counting, saving, loading,
/// optimizer state. A layer is a value type that names its members once:
///
///     template <class Self, class Visitor>
///     static void visit(Self& self, Visitor&& visitor) {
///       visitor("self_attn", self.self_attention_);
///       visitor("norm1", self.norm1_);
///     }
///
/// Members are parameters, layers, optionals or vectors of layers; their names are joined by dots. A layer with a
/// matrix that its ops read as a whole says so in `kMatrixUse`.
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "rapt/autograd/finite_check.hpp"
#include "rapt/autograd/packed_weight.hpp"
#include "rapt/autograd/parameter_names.hpp"
#include "rapt/autograd/variable.hpp"
#include "rapt/kernels/gemm/int8.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A leaf that is learned, unless it is frozen. A value type: copying copies the numbers and whether it is frozen;
/// assigning to one writes numbers into its place, so that an optimizer which knows it goes on with the new numbers,
/// and leaves it frozen or not as it was.
template <class T>
class Parameter : public Variable<T> {
 public:
  Parameter() = default;
  explicit Parameter(Tensor<T> value)
      : Variable<T>(std::allocate_shared<ParameterNode<T>>(detail::PoolAllocator<ParameterNode<T>>{})) {
    this->node_->value = std::move(value);
    this->node_->requires_grad = true;
  }
  Parameter(const Parameter& other) : Variable<T>() {
    if (!other.defined()) return;
    *this = Parameter(Tensor<T>(other.value()));
    set_frozen(other.is_frozen());
  }
  Parameter(Parameter&&) noexcept = default;
  /// Writes `other`'s numbers into this parameter's place and forgets the gradient. If one of the two is undefined,
  /// this becomes a copy of `other`.
  Parameter& operator=(const Parameter& other) {
    if (this == &other) return *this;
    if (this->defined() && other.defined()) {
      mutable_value() = other.value();
      this->clear_grad();
    } else {
      *this = Parameter(other);
    }
    return *this;
  }
  Parameter& operator=(Parameter&&) noexcept = default;
  ~Parameter() = default;

  /// The numbers, to write to. What `pack_weights` keeps of them is dropped: ask again before each change.
  [[nodiscard]] Tensor<T>& mutable_value() {
    this->node_->packed()->drop();
    return this->node_->value;
  }

  /// True if training leaves the parameter as it is, see `freeze`.
  [[nodiscard]] bool is_frozen() const { return !this->requires_grad(); }
  /// Freezing forgets the gradient.
  void set_frozen(bool frozen) {
    this->node_->requires_grad = !frozen;
    if (frozen) this->clear_grad();
  }
};

/// How a layer's ops read the first parameter that its `visit` names: the layer's `static constexpr MatrixUse
/// kMatrixUse`. All other parameters are read element by element.
enum class MatrixUse {
  elements,    ///< anyhow
  linear_map,  ///< [out, in]: by the op `linear` and by losses of linear maps
  table,       ///< [rows, D]: by row numbers, and as a linear map's weight
};

namespace detail {

template <class Layer>
[[nodiscard]] constexpr MatrixUse matrix_use() {
  if constexpr (requires { Layer::kMatrixUse; }) {
    return Layer::kMatrixUse;
  } else {
    return MatrixUse::elements;
  }
}

struct AnyVisitor {
  template <class Member>
  void operator()(std::string_view, Member&&) const {}
};

template <class T>
inline constexpr bool kIsParameter = false;
template <class T>
inline constexpr bool kIsParameter<Parameter<T>> = true;
template <class T>
inline constexpr bool kIsVector = false;
template <class T>
inline constexpr bool kIsVector<std::vector<T>> = true;
template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;

/// The name of a part of what is called `whole`, which is empty for the module itself.
[[nodiscard, gnu::noinline]] inline std::string name_of_part(const std::string& whole, std::string_view part) {
  return whole.empty() ? std::string(part) : whole + "." + std::string(part);
}

/// f(name, parameter, use) for the parameters of a member; `use` is that of the member itself, if it is a parameter.
template <class Member, class F>
void visit_member(const std::string& name, const Member& member, MatrixUse use, const F& f) {
  if constexpr (kIsParameter<Member>) {
    if (!member.defined()) return;
    if (checks_finite()) parameter_names().note(member.node(), name);
    f(name, member, use);
  } else if constexpr (kIsOptional<Member>) {
    if (member) visit_member(name, *member, use, f);
  } else if constexpr (kIsVector<Member>) {
    for (std::size_t i = 0; i < member.size(); ++i)
      visit_member(name_of_part(name, std::to_string(i)), member[i], use, f);
  } else {
    MatrixUse next = matrix_use<Member>();
    Member::visit(member, [&](std::string_view part, const auto& inner) {
      visit_member(name_of_part(name, part), inner, std::exchange(next, MatrixUse::elements), f);
    });
  }
}

/// Refers to a function of (name, parameter, use) whatever its type, so that a model is visited by one instantiation
/// of the functions above, not by one for each thing that is done with its parameters.
template <class T>
class ParameterFunction {
 public:
  template <class F>
  explicit ParameterFunction(const F& f)
      : object_(&f),
        call_([](const void* object, const std::string& name, const Parameter<T>& parameter, MatrixUse use) {
          (*static_cast<const F*>(object))(name, parameter, use);
        }) {}
  void operator()(const std::string& name, const Parameter<T>& parameter, MatrixUse use) const {
    call_(object_, name, parameter, use);
  }

 private:
  const void* object_;
  void (*call_)(const void*, const std::string&, const Parameter<T>&, MatrixUse);
};

/// f(name, parameter, use) for the parameters of a module, which are as const as the module.
template <class M, class F>
void visit_parameters(M& module, const F& f) {
  const auto visit = [&](const std::string& name, const auto& parameter, MatrixUse use) {
    if constexpr (std::is_const_v<M>) {
      f(name, parameter, use);
    } else {
      f(name, const_cast<std::remove_cvref_t<decltype(parameter)>&>(parameter), use);  // a part of `module`
    }
  };
  if constexpr (requires { typename M::ScalarType; }) {
    visit_member(std::string(), module, MatrixUse::elements, ParameterFunction<typename M::ScalarType>(visit));
  } else {
    visit_member(std::string(), module, MatrixUse::elements, visit);
  }
}

}  // namespace detail

/// A type with a `visit`.
template <class M>
concept Module = requires(M& module, const M& constant) {
  M::visit(module, detail::AnyVisitor{});
  M::visit(constant, detail::AnyVisitor{});
};

/// f(name, parameter) for every parameter of a module, in the order of `visit`, with its dotted name.
template <class M, class F>
requires Module<std::remove_const_t<M>>
void for_each_parameter(M& module, const F& f) {
  detail::visit_parameters(module, [&](const std::string& name, auto& parameter, MatrixUse) { f(name, parameter); });
}

/// f(name, weight) for every weight [out, in] of a linear map of the module, i.e. of every Linear and of the
/// projections of every attention layer.
template <class M, class F>
requires Module<std::remove_const_t<M>>
void for_each_linear_weight(M& module, const F& f) {
  detail::visit_parameters(module, [&](const std::string& name, auto& parameter, MatrixUse use) {
    if (use == MatrixUse::linear_map) f(name, parameter);
  });
}

/// f(name, parameter) for every matrix of the module that may be kept in packed form alone: the weights of linear maps
/// and the tables of embeddings.
template <class M, class F>
requires Module<std::remove_const_t<M>>
void for_each_packable_matrix(M& module, const F& f) {
  detail::visit_parameters(module, [&](const std::string& name, auto& parameter, MatrixUse use) {
    if (use != MatrixUse::elements) f(name, parameter);
  });
}

/// How many numbers a module learns.
template <Module M>
[[nodiscard]] Index count_parameters(const M& module) {
  Index count = 0;
  for_each_parameter(module, [&](const std::string&, const auto& parameter) { count += parameter.size(); });
  return count;
}

namespace detail {

/// True for a matrix whose numbers are there; one that is kept in packed form alone stays as it is.
template <class T>
[[nodiscard]] bool may_pack(const Parameter<T>& parameter) {
  return parameter.shape().rank() == 2 && parameter.value().has_elements();
}

}  // namespace detail

/// Prepares a model for serving: from now on the first product with a weight outside of training keeps the weight in
/// the order that products read, at the precision in force, so that later ones need not arrange it again. Pays for few
/// tokens at a time (a sentence, a decoding step); costs the weights' memory a second time. A weight that changes is
/// arranged anew. `keep` = false gives the memory back. Not while other threads use the model.
template <Module M>
void pack_weights(M& module, bool keep = true) {
  for_each_parameter(module, [&](const std::string&, auto& parameter) {
    if (detail::may_pack(parameter)) parameter.node()->packed()->keep(keep);
  });
}

/// As `pack_weights`, with weights of linear maps and tables of embeddings in a smaller format whatever the precision.
/// A format is a function, such as those below, whose header the program includes. For float: in double the first
/// product throws ValueError.
///
/// store_int8 (kernels/gemm/int8.hpp): y_ij = s_i t_j sum_k q_ik r_jk with integers q, r of -127 .. 127, a scale s for
/// each row of x (found anew in each product) and one t for each output. A quarter of float32's memory and twice
/// bfloat16's rate where the processor has AVX-512's dot products of bytes; elsewhere it works and is slow. Products
/// are off by less than 1 % of the largest.
///
/// store_int4 (kernels/gemm/int4.hpp): groups of 32 weights of four bits with a scale and an offset, by x in eight
/// bits: 4.5 bits a weight. Products of normal weights are off by a tenth of their standard deviation.
///
/// store_float16, store_bfloat16 (kernels/gemm/half.hpp): the weights rounded to 16 bits, by x in float32, or by x in
/// the precision in force where there are more than eight rows.
///
/// Matrices that are kept in packed form alone, as `drop_unpacked_weights` and `from_pretrained` leave them, stay in
/// the format that they have.
template <Module M>
void quantize_weights(M& module, kernels::MatrixFormat format = kernels::store_int8) {
  pack_weights(module);
  for_each_packable_matrix(module, [&](const std::string&, auto& parameter) {
    if (detail::may_pack(parameter)) parameter.node()->packed()->keep(true, format);
  });
}

/// After `pack_weights` or `quantize_weights`: packs every matrix of a linear map and every table of embeddings now, in
/// the precision in force, and gives its own numbers back. What is left of them takes half of float32's memory in
/// `medium`. The model can then compute in this precision; these matrices can no longer be changed, trained, copied for
/// use, or saved. Frozen, they may take part in the training of other parameters, as those of adapters.
template <Module M>
void drop_unpacked_weights(M& module) {
  for_each_packable_matrix(module, [](const std::string& name, auto& parameter) {
    if (!detail::may_pack(parameter)) return;
    require(parameter.node()->packed()->is_kept(), "drop_unpacked_weights", name,
            ": pack_weights or quantize_weights comes first");
    std::ignore = parameter.node()->packed()->of(parameter.value());
    auto& value = parameter.node()->value;
    value = std::remove_cvref_t<decltype(value)>::without_elements(value.shape());
  });
  release_unused_memory();
}

/// Throws ValueError that names the parameter if its numbers are asked for, but it is kept in packed form alone.
template <class T>
void require_elements(const Variable<T>& parameter, std::string_view name, std::string_view where) {
  require(parameter.value().has_elements(), where, name, " of shape ", parameter.shape(),
          " is kept in packed form alone: its numbers are no longer there");
}

/// Lets messages about values that are not finite (FiniteCheck, `set_checks`) name the parameters of a module.
/// Optimizers, trainers and readers of files do it while values are checked; a program that makes a model and only
/// computes with it calls this.
template <Module M>
void name_parameters(const M& module) {
  const FiniteCheck noting;
  for_each_parameter(module, [](const std::string&, const auto&) {});
}

/// Forgets all gradients.
template <Module M>
void clear_gradients(M& module) {
  for_each_parameter(module, [](const std::string&, auto& parameter) { parameter.clear_grad(); });
}

}}  // namespace rapt::RAPT_ABI
