/// \file
/// What the pickles of torch.save consist of: PyTorch's element types, and objects.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "rapt/core/shape.hpp"
#include "rapt/io/dtype.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// PyTorch's element types: torch.float32, and torch.FloatStorage, which is a list of them.
struct TorchDtype {
  std::string_view name, storage;  ///< no storage: the type has only bytes without a type
  Dtype dtype;
  std::uint64_t bytes;
};
inline constexpr auto kTorchDtypes =
    std::to_array<TorchDtype>({{"float64", "DoubleStorage", Dtype::kF64, 8},
                               {"float32", "FloatStorage", Dtype::kF32, 4},
                               {"float16", "HalfStorage", Dtype::kF16, 2},
                               {"bfloat16", "BFloat16Storage", Dtype::kBF16, 2},
                               {"int64", "LongStorage", Dtype::kI64, 8},
                               {"int32", "IntStorage", Dtype::kI32, 4},
                               {"int16", "ShortStorage", Dtype::kI16, 2},
                               {"int8", "CharStorage", Dtype::kI8, 1},
                               {"uint64", "", Dtype::kU64, 8},
                               {"uint32", "", Dtype::kU32, 4},
                               {"uint16", "", Dtype::kU16, 2},
                               {"uint8", "ByteStorage", Dtype::kU8, 1},
                               {"bool", "BoolStorage", Dtype::kBool, 1},
                               {"float8_e5m2", "", Dtype::kF8E5M2, 1},
                               {"float8_e4m3fn", "", Dtype::kF8E4M3, 1},
                               {"float8_e8m0fnu", "", Dtype::kF8E8M0, 1},
                               {"float8_e5m2fnuz", "", Dtype::kF8E5M2FNUZ, 1},
                               {"float8_e4m3fnuz", "", Dtype::kF8E4M3FNUZ, 1},
                               {"complex64", "ComplexFloatStorage", Dtype::kC64, 8},
                               {"complex128", "ComplexDoubleStorage", Dtype::kUnknown, 16}});

/// The type of torch.NAME; null for other names.
[[nodiscard]] inline const TorchDtype* torch_dtype(std::string_view name) {
  const auto found = std::find_if(kTorchDtypes.begin(), kTorchDtypes.end(), [&](const TorchDtype& one) {
    return one.name == name || (!one.storage.empty() && one.storage == name);
  });
  return found == kTorchDtypes.end() ? nullptr : &*found;
}

/// An object of a pickle.
struct PickleObject {
  using Id = std::uint32_t;
  enum class Kind : std::uint8_t {
    none,
    boolean,
    integer,
    number,
    text,
    bytes,
    tuple,
    list,
    dictionary,
    name,     ///< of a function or a class, in `text`
    storage,  ///< the member `text` of the file, of `integer` elements of the type `dtype`, or of bytes without one
    tensor,   ///< a view of the storage items[0]: `integer` elements behind its begin, of the type `dtype`
  };
  Kind kind = Kind::none;
  std::int64_t integer = 0;  ///< 0 or 1 for boolean
  double number = 0;
  std::string_view text = {};  ///< in the bytes of the pickle, or a name that the reader of the pickle keeps
  std::vector<Id> items = {};  ///< of tuples and lists; of dictionaries, keys and values by turns
  const TorchDtype* dtype = nullptr;
  std::vector<Index> sizes = {}, strides = {};
};

}}}  // namespace rapt::RAPT_ABI::detail
