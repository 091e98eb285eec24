/// \file
/// What the pickles of torch.save mean: dictionaries, lists, tuples, numbers, texts and descriptions of tensors, and
/// nothing else. A pickle can ask for any function of Python to be called; here only the names of `is_known` mean
/// something, each to code of this file, and any other name is an error that says it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "rapt/core/shape.hpp"
#include "rapt/io/pickle_machine.hpp"
#include "rapt/io/tensor_record.hpp"
#include "rapt/io/torch_object.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A pickle of torch.save.
class TorchPickle final : public PickleMachine {
 public:
  /// Throws IoError `[where] file: ...` for anything but a pickle of what is listed above. `where`, `file` and `bytes`
  /// must live as long as this.
  TorchPickle(std::string_view where, std::string_view file, std::string_view bytes)
      : PickleMachine(where, file, bytes) {
    execute();
  }

 private:
  // Of a tensor's sizes, and of the bytes of a storage's key, which is a number.
  static constexpr std::size_t kMostSizes = 64, kMostKey = 64;

  /// True for a name that has a meaning here.
  [[nodiscard]] static bool is_known(std::string_view name) {
    constexpr std::string_view kKnown[] = {"collections.OrderedDict",
                                           "torch._utils._rebuild_tensor",
                                           "torch._utils._rebuild_tensor_v2",
                                           "torch._utils._rebuild_tensor_v3",
                                           "torch._utils._rebuild_parameter",
                                           "torch._utils._rebuild_parameter_with_state",
                                           "torch.Size",
                                           "torch.device",
                                           "torch.storage.UntypedStorage"};
    if (std::find(std::begin(kKnown), std::end(kKnown), name) != std::end(kKnown)) return true;
    return name.starts_with("torch.") && torch_dtype(name.substr(6)) != nullptr;
  }
  void push_name(std::string_view module, std::string_view name) override {
    const std::string full = std::string(module) + "." + std::string(name);
    check(is_known(full), "refers to ", quote_name(full),
          ", which is refused: it is none of the names that torch.save writes for dictionaries, lists, numbers, texts "
          "and tensors, and loading it in Python can run code");
    push_text(*names_.insert(full).first, Kind::name);
  }

  [[nodiscard]] const Object& argument(const std::vector<Id>& arguments, std::size_t i, Kind kind,
                                       std::string_view what) const {
    check(i < arguments.size() && object(arguments[i]).kind == kind, "argument ", i, " must be ", what);
    return object(arguments[i]);
  }
  [[nodiscard]] std::vector<Index> indices(const std::vector<Id>& arguments, std::size_t i) const {
    const std::vector<Id>& items = argument(arguments, i, Kind::tuple, "a tuple of sizes").items;
    check(items.size() <= kMostSizes, "a tensor has ", items.size(), " sizes or strides, at most ", kMostSizes,
          " are read");
    std::vector<Index> values;
    for (const Id id : items) {
      check(object(id).kind == Kind::integer && object(id).integer >= 0,
            "a size must not be negative: ", object(id).integer);
      values.push_back(object(id).integer);
    }
    return values;
  }

  /// ('storage', type, key, device, elements).
  void push_persistent(Id id) override {
    check(object(id).kind == Kind::tuple && object(id).items.size() == 5, "refers to what is no storage");
    const std::vector<Id>& parts = object(id).items;
    check(argument(parts, 0, Kind::text, "\"storage\"").text == "storage", "refers to what is no storage");
    const std::string_view type = argument(parts, 1, Kind::name, "a storage's type").text;
    const TorchDtype* dtype = torch_dtype(type.substr(std::min<std::size_t>(type.size(), 6)));
    const bool is_untyped = type == "torch.storage.UntypedStorage";
    check(is_untyped || (dtype != nullptr && type.substr(6) == dtype->storage), quote_name(type), " is no storage");
    const std::string_view key = argument(parts, 2, Kind::text, "a storage's key").text;
    check(key.size() <= kMostKey, "a storage's key has ", key.size(), " bytes, at most ", kMostKey, " are read");
    const std::int64_t elements = argument(parts, 4, Kind::integer, "a number of elements").integer;
    check(elements >= 0, "a storage must not have a negative number of elements: ", elements);
    push({.kind = Kind::storage, .integer = elements, .text = key, .dtype = is_untyped ? nullptr : dtype});
  }

  void call(std::string_view name, const std::vector<Id>& arguments) override {
    if (name == "collections.OrderedDict") {
      check(arguments.empty(), "OrderedDict has ", arguments.size(), " arguments, wanted are none");
      push({.kind = Kind::dictionary});
    } else if (name == "torch.Size") {
      std::ignore = argument(arguments, 0, Kind::tuple, "a tuple");
      push_again(arguments[0]);
    } else if (name == "torch.device") {
      push_text(argument(arguments, 0, Kind::text, "a device").text);
    } else if (name.starts_with("torch._utils._rebuild_parameter")) {
      std::ignore = argument(arguments, 0, Kind::tensor, "a tensor");
      push_again(arguments[0]);
    } else if (name.starts_with("torch._utils._rebuild_tensor")) {
      call_rebuild(name, arguments);
    } else {
      check(false, "calls ", quote_name(name), ", which is no function");
    }
  }
  /// The last argument of a tensor whose elements are not as the storage has them: {"conj": True, "neg": True}, say.
  void refuse_flags(const std::vector<Id>& arguments, std::size_t i) const {
    if (i >= arguments.size() || object(arguments[i]).kind == Kind::none) return;
    const std::vector<Id>& items = argument(arguments, i, Kind::dictionary, "a dictionary of flags").items;
    for (std::size_t k = 0; k < items.size(); k += 2) {
      const Object& value = object(items[k + 1]);
      check(value.kind == Kind::boolean && value.integer == 0, "a tensor has the flag ",
            quote_name(object(items[k]).text),
            ", by which its elements are not those that the file has: save tensor.resolve_conj().resolve_neg()");
    }
  }
  /// (storage, offset, sizes, strides, needs a gradient, hooks), the type in v3, and flags where some are set.
  void call_rebuild(std::string_view name, const std::vector<Id>& arguments) {
    const Object& storage = argument(arguments, 0, Kind::storage, "a storage");
    const TorchDtype* dtype = storage.dtype;
    if (name.ends_with("_v3")) {
      const std::string_view type = argument(arguments, 6, Kind::name, "an element type").text;
      dtype = torch_dtype(type.substr(std::min<std::size_t>(type.size(), 6)));
    }
    check(dtype != nullptr, "a tensor has a storage without a type");
    refuse_flags(arguments, name.ends_with("_v3") ? 7 : 6);
    const std::int64_t offset = argument(arguments, 1, Kind::integer, "an offset").integer;
    check(offset >= 0, "an offset must not be negative: ", offset);
    Object tensor{.kind = Kind::tensor,
                  .integer = offset,
                  .items = {arguments[0]},
                  .dtype = dtype,
                  .sizes = indices(arguments, 2),
                  .strides = indices(arguments, 3)};
    check(tensor.sizes.size() == tensor.strides.size(), "a tensor has ", tensor.sizes.size(), " sizes and ",
          tensor.strides.size(), " strides; wanted are as many");
    push(std::move(tensor));
  }

  std::set<std::string> names_;  // texts of names that are known, of which there are few
};

}}}  // namespace rapt::RAPT_ABI::detail
