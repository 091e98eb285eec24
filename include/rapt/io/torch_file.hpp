/// \file
/// TorchFile: what torch.save wrote (PyTorch 1.6 and later), e.g. pytorch_model.bin: a ZIP file of a pickle, which
/// describes tensors, and of their elements.
///
/// ```cpp
/// const rapt::TorchFile file("pytorch_model.bin");
/// rapt::Tensor<float> weight = file.read<float>("encoder.weight");
/// ```
///
/// Opening runs no code that the file names: see torch_pickle.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/io/tensor_file.hpp"
#include "rapt/io/torch_pickle.hpp"
#include "rapt/io/zip_directory.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A number, a text or nothing (None) beside the tensors of a file.
using TorchValue = std::variant<std::monostate, bool, std::int64_t, double, std::string>;

/// A file opened for reading. Within dictionaries and lists, the name of a tensor is the way to it: "model.weight" is
/// what Python calls file["model"]["weight"], "steps.0" file["steps"][0]. A tensor that was saved alone has no name.
/// Tensors may share a storage and be views of it; every one reads as Python's.
class TorchFile : public TensorFile {
 public:
  /// Throws IoError that says what is wrong: no such file, what the pickle refers to that is refused, or tensors that
  /// do not lie in the file.
  explicit TorchFile(const std::filesystem::path& path)
      : TensorFile(kWhere, "float64, float32, float16, bfloat16, integers and bool", path) {
    refuse_other_formats();
    const auto read = [this](std::uint64_t offset, void* target, std::uint64_t bytes) {
      read_bytes(offset, target, bytes);
    };
    const detail::ZipDirectory zip(kWhere, this->path(), file_bytes(), read);
    constexpr std::string_view kPickle = "data.pkl";
    for (const auto& [name, member] : zip.members()) {
      const std::size_t slash = name.find('/');
      const std::string_view rest = std::string_view(name).substr(slash == name.npos ? 0 : slash + 1);
      check(rest != "constants.pkl",
            "is a TorchScript program, no file of tensors: save the model's state_dict() with torch.save");
      if (slash != name.npos && rest == kPickle) {
        check(root_.empty(), "has several pickles");
        root_ = name.substr(0, slash + 1);
      }
    }
    check(!root_.empty(), "is a ZIP file, but none that torch.save wrote: it has no data.pkl");
    if (const auto order = zip.members().find(root_ + "byteorder"); order != zip.members().end()) {
      const std::string text = read_text(order->second, 16);
      check(text == "little", "has the byte order ", detail::quote_name(text), ", wanted is \"little\"");
    }
    const std::string pickle = read_text(zip.members().at(root_ + std::string(kPickle)), kMostPickle);
    add_all(detail::TorchPickle(kWhere, this->path(), pickle), zip);
  }

  /// What the file holds besides tensors, by name as tensors.
  [[nodiscard]] const std::map<std::string, TorchValue>& values() const { return values_; }

 private:
  using Object = detail::PickleObject;
  using Kind = Object::Kind;
  static constexpr std::string_view kWhere = "torch_file";
  // Bounds for the memory that a file can ask for: bytes of the pickle, bytes of what it describes (about), nested
  // containers, and elements of a view that repeats some.
  static constexpr std::uint64_t kMostPickle = std::uint64_t{1} << 26;
  static constexpr std::size_t kMostDescribed = std::size_t{1} << 28, kBytesOfItem = 256;
  static constexpr std::size_t kMostDepth = 64;
  static constexpr Index kMostRepeated = Index{1} << 20;

  template <class... Pieces>
  void check(bool condition, const Pieces&... pieces) const {
    if (!condition) fail<IoError>(kWhere, path(), ": ", pieces...);
  }

  void refuse_other_formats() const {
    std::array<char, 16> begin{};
    read_bytes(0, begin.data(), std::min<std::uint64_t>(file_bytes(), begin.size()));
    const std::string_view text(begin.data(), begin.size());
    // The number that PyTorch wrote first before 1.6, as a pickle.
    constexpr std::string_view kOld("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14);
    check(!text.starts_with(kOld),
          "has the format of PyTorch before 1.6, which is not read. Without running code, this writes the newer one: "
          "python3 -c \"import sys, torch; torch.save(torch.load(sys.argv[1], map_location='cpu', weights_only=True), "
          "sys.argv[2])\" OLD NEW");
    check(text.starts_with("PK"), "is no file of torch.save: it begins with ", detail::quote_name(text.substr(0, 4)));
  }

  [[nodiscard]] std::string read_text(const detail::ZipMember& member, std::uint64_t most) const {
    check(member.bytes <= most, "a member of the ZIP file has ", member.bytes, " bytes; at most ", most, " are read");
    std::string text(member.bytes, ' ');
    read_bytes(member.begin, text.data(), member.bytes);
    return text;
  }

  void add_all(const detail::TorchPickle& pickle, const detail::ZipDirectory& zip) {
    std::vector<detail::TensorRecord> records;
    std::string name;
    std::size_t spent = 0;
    add(pickle, zip, pickle.root(), 0, name, spent, records);
    set_records(std::move(records), 0);
  }

  /// An object and all in it, which may be there several times, and even in itself.
  void add(const detail::TorchPickle& pickle, const detail::ZipDirectory& zip, Object::Id id, std::size_t depth,
           std::string& name, std::size_t& spent, std::vector<detail::TensorRecord>& records) {
    check(depth <= kMostDepth, detail::quote_name(name), ": containers are nested more than ", kMostDepth, " deep");
    const Object& object = pickle.object(id);
    spent += kBytesOfItem + name.size() + object.text.size() + 4 * sizeof(Index) * object.sizes.size();
    check(spent <= kMostDescribed, "what the pickle describes takes more than ", kMostDescribed, " bytes");
    const std::size_t length = name.size();
    const auto add_item = [&](const std::string& key, Object::Id item) {
      (name += length == 0 ? "" : ".") += key;
      add(pickle, zip, item, depth + 1, name, spent, records);
      name.resize(length);
    };
    switch (object.kind) {
      case Kind::tensor:
        records.push_back(record_of(object, pickle.object(object.items[0]), zip, name));
        return;
      case Kind::dictionary:
        for (std::size_t i = 0; i < object.items.size(); i += 2) {
          const Object& key = pickle.object(object.items[i]);
          add_item(key.kind == Kind::text ? std::string(key.text) : std::to_string(key.integer), object.items[i + 1]);
        }
        return;
      case Kind::tuple:
      case Kind::list:
        for (std::size_t i = 0; i < object.items.size(); ++i) add_item(std::to_string(i), object.items[i]);
        return;
      case Kind::none:
        values_[name] = std::monostate();
        return;
      case Kind::boolean:
        values_[name] = object.integer != 0;
        return;
      case Kind::integer:
        values_[name] = object.integer;
        return;
      case Kind::number:
        values_[name] = object.number;
        return;
      case Kind::text:
      case Kind::bytes:
      case Kind::name:  // of an element type, "torch.float32"
        values_[name] = std::string(object.text);
        return;
      case Kind::storage:  // has no sizes: tensors are what is read
        return;
    }
  }

  [[nodiscard]] detail::TensorRecord record_of(const Object& tensor, const Object& storage,
                                               const detail::ZipDirectory& zip, const std::string& name) const {
    const std::string quoted = detail::quote_name(name);
    const auto member = zip.members().find(root_ + "data/" + std::string(storage.text));
    check(member != zip.members().end(), quoted, ": the file has no storage ", detail::quote_name(storage.text));
    const detail::TorchDtype& dtype = *tensor.dtype;
    const std::uint64_t stored = member->second.bytes / dtype.bytes;  // elements
    const std::uint64_t element = storage.dtype != nullptr ? storage.dtype->bytes : 1;
    check(static_cast<std::uint64_t>(storage.integer) <= member->second.bytes / element, quoted, ": its storage ",
          detail::quote_name(storage.text), " must have ", storage.integer, " elements of ", element,
          " bytes, and has ", member->second.bytes, " bytes");
    // The elements that the view spans, and how many it has.
    constexpr std::uint64_t kMostElements = std::uint64_t{1} << 58;
    const bool is_empty = std::find(tensor.sizes.begin(), tensor.sizes.end(), 0) != tensor.sizes.end();
    std::uint64_t count = 1, last = 0;
    for (std::size_t i = 0; i < tensor.sizes.size(); ++i) {
      const auto size = static_cast<std::uint64_t>(tensor.sizes[i]);
      const auto stride = static_cast<std::uint64_t>(tensor.strides[i]);
      if (size < 2) continue;
      check(count <= kMostElements / size, quoted, ": has too many elements");
      count *= size;
      if (is_empty) continue;
      check(stride <= (stored - last) / (size - 1), quoted, ": size ", size, " with stride ", stride,
            " does not lie in its storage of ", stored, " elements");
      last += stride * (size - 1);
    }
    const auto offset = static_cast<std::uint64_t>(tensor.integer);
    const std::uint64_t span = is_empty ? 0 : last + 1;
    check(offset <= stored && span <= stored - offset, quoted, ": its ", span, " elements from ", offset,
          " on do not lie in its storage of ", stored);
    check(is_empty || count <= std::max(stored, static_cast<std::uint64_t>(kMostRepeated)), quoted, ": repeats the ",
          stored, " elements of its storage to ", count, ", at most ", kMostRepeated, " are read");
    detail::TensorRecord record{.name = name,
                                .dtype_name = std::string(dtype.name),
                                .dtype = dtype.dtype,
                                .sizes = tensor.sizes,
                                .begin = member->second.begin + offset * dtype.bytes};
    record.end = record.begin + span * dtype.bytes;
    if (!is_empty && !is_row_major(tensor)) {
      record.view_sizes = tensor.sizes;
      record.view_strides = tensor.strides;
      record.view_unit = dtype.bytes;
    }
    return record;
  }

  [[nodiscard]] static bool is_row_major(const Object& tensor) {
    Index stride = 1;
    for (std::size_t i = tensor.sizes.size(); i-- > 0;) {
      if (tensor.sizes[i] != 1 && tensor.strides[i] != stride) return false;
      stride *= tensor.sizes[i];
    }
    return true;
  }

  std::string root_;  // of the names of members, with the slash
  std::map<std::string, TorchValue> values_;
};

}}  // namespace rapt::RAPT_ABI
