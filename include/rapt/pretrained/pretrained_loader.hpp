/// \file
/// Filling a model from a Hugging Face folder.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/core/work_report.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/io/tensor_file.hpp"
#include "rapt/kernels/gemm/half.hpp"
#include "rapt/kernels/gemm/int4.hpp"
#include "rapt/kernels/gemm/int8.hpp"
#include "rapt/nn/module.hpp"
#include "rapt/pretrained/folder_contents.hpp"
#include "rapt/pretrained/pretrained_folder.hpp"
#include "rapt/pretrained/pretrained_format.hpp"
#include "rapt/pretrained/stored_blocks.hpp"
#include "rapt/pretrained/stored_name.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What the matrices of a loaded model are kept in.
enum class LoadedWeights {
  computed,  ///< the type that the model computes with
  /// F16, BF16, or GGUF's Q8_0, Q4_0, Q4_1, Q4_K or Q6_K where a file has a matrix in one of them, in the mapped file
  /// itself unless it arranges the matrix otherwise; any other matrix as `computed`
  stored,
  int8,  ///< as `quantize_weights` keeps them
  int4
};

/// How `from_pretrained` loads a model.
struct PretrainedOptions {
  /// Anything but `computed` is for float32 models that serve, or whose matrices are frozen while adapters are trained:
  /// see `drop_unpacked_weights` for what they can no longer do. Matrices that become packed in
  /// another type than the file's are held in float32 one at a time: as the file's tensor, and, if that is only a part
  /// of the matrix or its transpose, put together beside it. In `stored`, a matrix whose parts have different types in
  /// the file becomes float32.
  LoadedWeights weights = LoadedWeights::computed;
  WorkReport report = {};  ///< is told the numbers of the parameters that are loaded
};

namespace detail {

/// The shape without leading ones: [1, V] is as good as [V].
[[nodiscard]] inline Shape without_leading_ones(const Shape& shape) {
  Shape result;
  for (Index i = 0; i < shape.rank(); ++i) {
    if (shape[i] != 1 || result.rank() > 0 || i + 1 == shape.rank()) result.push_back(shape[i]);
  }
  return result;
}

/// Transposes `from` [cols, rows] into `to` [rows, cols], in squares that stay in the cache.
template <class T>
void transpose_into(TensorView<const T> from, TensorView<T> to) {
  constexpr Index kSide = 32;
  parallel_for(to.rows(), kSide, [&](Index begin, Index end) {
    for (Index left = 0; left < to.cols(); left += kSide) {
      for (Index i = begin; i < end; ++i) {
        for (Index j = left; j < std::min(left + kSide, to.cols()); ++j) to.row(i)[j] = from.row(j)[i];
      }
    }
  });
}

/// Fills a model from a folder.
template <ConfiguredModel M>
class PretrainedLoader {
 public:
  using T = typename M::ScalarType;
  using Format = PretrainedFormat<typename M::Config>;

  PretrainedLoader(M& model, const PretrainedFolder& folder, const PretrainedOptions& options)
      : model_(model), folder_(folder), options_(options), table_(Format::stored_names(model.config())) {
    require(options.weights == LoadedWeights::computed || std::is_same_v<T, float>, kWhere,
            "only float32 models keep their weights in 16 bits or less: ", folder.path());
    // The folder of a bare model has its names without the prefix that a model with a head puts before them.
    const std::string_view prefix = base_prefix_of(model.config());
    const std::vector<std::string> names = folder.names();
    const bool has_prefix =
        std::any_of(names.begin(), names.end(), [&](const auto& n) { return n.starts_with(prefix); });
    if (!has_prefix) prefix_ = prefix;
  }

  /// Nothing is changed unless everything fits.
  void load() {
    check();
    std::set<const Parameter<T>*> packed;
    Index done = 0;
    const auto count = [&, total = count_parameters(model_)](const Parameter<T>& parameter) {
      done += parameter.size();
      if (options_.report) options_.report(done, total);
    };
    if constexpr (std::is_same_v<T, float>) {
      for_each_packable_matrix(model_, [&](const std::string& name, Parameter<T>& parameter) {
        if (!fill_packed(name, parameter)) return;
        packed.insert(&parameter);
        count(parameter);
      });
    }
    for_each_parameter(model_, [&](const std::string& name, Parameter<T>& parameter) {
      if (packed.contains(&parameter)) return;
      fill(name, parameter);
      count(parameter);
    });
    release_unused_memory();  // what the tensors were read into
  }

 private:
  static constexpr std::string_view kWhere = "pretrained";

  [[nodiscard]] std::vector<StoredPart> parts_of(const std::string& name, Index rows) const {
    std::vector<StoredPart> parts = stored_parts(table_, name, rows);
    const auto cut = [&](std::string& stored) {
      if (!prefix_.empty() && stored.starts_with(prefix_)) stored.erase(0, prefix_.size());
    };
    for (StoredPart& part : parts) {
      cut(part.name);
      for (std::string& copy : part.copies) {
        cut(copy);
        if (!folder_.contains(part.name) && folder_.contains(copy)) part.name.swap(copy);
      }
    }
    return parts;
  }

  /// What the file must say of a part.
  [[nodiscard]] static Shape stored_shape(const Parameter<T>& parameter, const StoredPart& part) {
    Shape shape = parameter.shape();
    if (shape.rank() == 1) return Shape{part.rows};
    if (part.rows != shape.rows()) shape = Shape{part.rows, shape.cols()};
    return part.transposed ? Shape{shape.cols(), shape.rows()} : shape;
  }
  [[nodiscard]] static Index rows_of(const Parameter<T>& parameter) {
    return parameter.shape().rank() == 1 ? parameter.size() : parameter.rows();
  }

  /// True for a tensor that folders of such models may have although it is no parameter.
  [[nodiscard]] bool is_surplus(const std::string& name) const {
    if constexpr (requires { Format::is_surplus(model_.config(), name); }) {
      return Format::is_surplus(model_.config(), name);
    } else {
      return false;
    }
  }

  void check() const {
    std::vector<std::string> missing, surplus;
    std::set<std::string, std::less<>> used;
    for_each_parameter(std::as_const(model_), [&](const std::string& name, const Parameter<T>& parameter) {
      for (const StoredPart& part : parts_of(name, rows_of(parameter))) {
        used.insert(part.name);
        used.insert(part.copies.begin(), part.copies.end());
        if (!folder_.contains(part.name)) {
          missing.push_back(part.name);
          continue;
        }
        const TensorFile& file = folder_.file_of(part.name);
        file.require_readable(part.name);
        const Shape stored = file.shape(part.name), wanted = stored_shape(parameter, part);
        require<ShapeError>(without_leading_ones(stored) == without_leading_ones(wanted), kWhere, file.path(), ": ",
                            quote_name(part.name), " has shape ", stored, ", config.json wants ", wanted);
      }
    });
    require<IoError>(missing.empty(), kWhere, folder_.path(), ": tensors are missing: ", some_of(missing));
    for (const std::string& name : folder_.names()) {
      if (!used.contains(name) && !is_surplus(name)) surplus.push_back(name);
    }
    require<IoError>(surplus.empty(), kWhere, folder_.path(), ": the model has no place for ", some_of(surplus));
  }

  void fill(const std::string& name, Parameter<T>& parameter) {
    const std::vector<StoredPart> parts = parts_of(name, rows_of(parameter));
    Tensor<T>& value = parameter.mutable_value();
    const Shape shape = value.shape();
    const bool is_matrix = shape.rank() > 1;
    if (is_matrix && lies_whole(parts)) {  // the file's own memory, where types are the same
      const TensorFile& file = folder_.file_of(parts[0].name);
      value = file.template borrow<T>(parts[0].name, mapping_of(file));
      value.reshape(shape);
      return;
    }
    // Small or arranged otherwise: read, not mapped, so that pages which nobody needs any more do not stay.
    if (!value.has_elements()) value = Tensor<T>(shape);
    if (is_matrix) return read_parts(parts, value);
    for (const StoredPart& part : parts) {
      const Tensor<T> stored = folder_.file_of(part.name).template read<T>(part.name);
      std::copy_n(stored.data(), part.rows, value.data() + part.first_row);
    }
  }

  /// Fills the packed form of a matrix alone, and returns false if the options or the file's type want its numbers.
  [[nodiscard]] bool fill_packed(const std::string& name, Parameter<T>& parameter) {
    if (options_.weights == LoadedWeights::computed) return false;
    const std::vector<StoredPart> parts = parts_of(name, rows_of(parameter));
    const Shape shape = parameter.shape();
    if (options_.weights != LoadedWeights::stored) {
      Tensor<T> value;
      if (lies_whole(parts)) {
        value = read_elements<T>(parts[0].name);
        value.reshape(shape);
      } else {
        value = Tensor<T>(shape);
        read_parts(parts, value);
      }
      const bool is_int4 = options_.weights == LoadedWeights::int4;
      set_packed(parameter, kernels::PackedOperand<T>(kernels::transposed(value),
                                                      is_int4 ? kernels::store_int4 : kernels::store_int8));
      return true;
    }
    if (fill_blocks(parts, parameter)) return true;
    const Dtype dtype = folder_.file_of(parts[0].name).dtype(parts[0].name);
    if (dtype != Dtype::kF16 && dtype != Dtype::kBF16) return false;
    for (const StoredPart& part : parts) {
      if (folder_.file_of(part.name).dtype(part.name) != dtype) return false;
    }
    const kernels::HalfType type = dtype == Dtype::kF16 ? kernels::HalfType::float16 : kernels::HalfType::bfloat16;
    Tensor<kernels::Half> halves;
    if (lies_whole(parts)) {
      const TensorFile& file = folder_.file_of(parts[0].name);
      halves = file.borrow_bits(parts[0].name, mapping_of(file));
      halves.reshape(shape);
    } else {
      halves = Tensor<kernels::Half>(shape);
      read_parts(parts, halves);
    }
    set_packed(parameter,
               kernels::PackedOperand<T>(std::make_shared<const kernels::HalfMatrix>(std::move(halves), type)));
    return true;
  }

  /// Keeps a matrix in the quantised blocks of the file, and returns false if its parts are not rows of one type that
  /// has a kernel.
  [[nodiscard]] bool fill_blocks(const std::vector<StoredPart>& parts, Parameter<T>& parameter) {
    const auto* const blocks = folder_.file_of(parts[0].name).blocks_of_rows(parts[0].name);
    const StoreBlocks store = find_store_blocks(blocks);
    if (store == nullptr) return false;
    for (const StoredPart& part : parts) {
      const TensorFile& file = folder_.file_of(part.name);
      const bool has_rows = file.blocks_of_rows(part.name) == blocks && !part.transposed;
      if (!has_rows || file.sizes(part.name)[1] != parameter.cols()) return false;
    }
    const auto rows_of_part = [&](const StoredPart& part) {
      const TensorFile& file = folder_.file_of(part.name);
      return file.borrow_blocks(part.name, mapping_of(file));
    };
    Tensor<std::uint8_t> rows;
    if (lies_whole(parts)) {
      rows = rows_of_part(parts[0]);
    } else {
      for (const StoredPart& part : parts) {
        const Tensor<std::uint8_t> some = rows_of_part(part);
        if (rows.empty()) rows = Tensor<std::uint8_t>(Shape{parameter.rows(), some.cols()});
        std::copy_n(some.data(), some.size(), rows.row(part.first_row));
      }
    }
    set_packed(parameter, kernels::PackedOperand<T>(store(std::move(rows))));
    return true;
  }

  static void set_packed(Parameter<T>& parameter, kernels::PackedOperand<T> operand) {
    parameter.mutable_value() = Tensor<T>::without_elements(parameter.shape());
    parameter.node()->packed()->keep(std::move(operand));
  }

  /// True for a matrix that is one tensor of the file with its rows as they are.
  [[nodiscard]] static bool lies_whole(const std::vector<StoredPart>& parts) {
    return parts.size() == 1 && !parts[0].transposed;
  }

  /// Reads the parts of a matrix into their rows: numbers, or the bits of numbers of 16 bits.
  template <class Element>
  void read_parts(const std::vector<StoredPart>& parts, Tensor<Element>& matrix) const {
    for (const StoredPart& part : parts) {
      const Tensor<Element> stored = read_elements<Element>(part.name);
      const TensorView<Element> rows = matrix.view().middle_rows(part.first_row, part.rows);
      if (part.transposed) {
        transpose_into<Element>({stored.data(), Shape{matrix.cols(), part.rows}}, rows);
      } else {
        std::copy_n(stored.data(), stored.size(), rows.data());
      }
    }
  }
  template <class Element>
  [[nodiscard]] Tensor<Element> read_elements(const std::string& name) const {
    const TensorFile& file = folder_.file_of(name);
    if constexpr (std::is_same_v<Element, kernels::Half>) {
      return file.read_bits(name);
    } else {
      return file.template read<Element>(name);
    }
  }

  [[nodiscard]] const std::shared_ptr<const void>& mapping_of(const TensorFile& file) {
    std::shared_ptr<const void>& mapping = mappings_[file.path()];
    if (mapping == nullptr) mapping = file.map();
    return mapping;
  }

  M& model_;
  const PretrainedFolder& folder_;
  PretrainedOptions options_;
  StoredNames table_;
  std::string prefix_;  // to be left out of names
  std::map<std::string, std::shared_ptr<const void>> mappings_;
};

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
