/// \file
/// Builds an ONNX graph (https://onnx.ai) node by node and writes it as a file. A model is a protobuf message; the
/// numbers of its fields stand beside the code that writes them, and are those of onnx.proto.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/core/atomic_file.hpp"
#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/io/protobuf.hpp"
#include "rapt/onnx/initializer.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace onnx {

/// The version of ONNX's operators that graphs are made of, the first that has Gelu.
inline constexpr std::int64_t kOpset = 20;

/// A tensor that flows through a graph, by its name; without a name it is an optional input that is left out.
struct Value {
  std::string name = {};
  /// False for an input that is left out.
  [[nodiscard]] bool is_defined() const { return !name.empty(); }
};

/// A size of an input or output: a number, or a name for a size that each call chooses.
using Dimension = std::variant<Index, std::string>;

/// A constant setting of a node.
struct Attribute {
  std::string_view name;  ///< what the operator calls it
  /// Of the type that the operator asks for.
  std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>> value;
};

/// How a graph is written to files.
struct WriteOptions {
  /// A model with more bytes than this keeps its larger tensors in a second file beside it, `<file>.data`: protobuf has
  /// no messages of 2 GiB and more.
  std::size_t most_bytes_in_one_file = (std::size_t{1} << 31) - (std::size_t{1} << 24);
};

/// A graph under construction. Nodes are listed in the order in which they are made, so that each one's inputs stand
/// before it. Tensors of a model that were added must live until the graph is written.
class Graph {
 public:
  explicit Graph(std::string name) : name_(std::move(name)) {}

  /// An input that each call brings. Names of inputs, outputs and parameters must be unique.
  Value input(const std::string& name, ElementType type, const std::vector<Dimension>& shape) {
    use_name(name);
    declarations_.bytes(11, value_info(name, type, shape).written());  // GraphProto.input
    return {name};
  }
  /// Makes a value a result of the graph under this name.
  void output(const Value& value, const std::string& name, ElementType type, const std::vector<Dimension>& shape) {
    use_name(name);
    add_node("Identity", {value}, {{name}}, {});
    declarations_.bytes(12, value_info(name, type, shape).written());  // GraphProto.output
  }

  /// A node with one result.
  Value apply(std::string_view op, std::initializer_list<Value> inputs,
              std::initializer_list<Attribute> attributes = {}) {
    return apply(op, std::vector<Value>(inputs), 1, attributes).front();
  }
  /// A node with so many results.
  std::vector<Value> apply(std::string_view op, const std::vector<Value>& inputs, Index results,
                           std::initializer_list<Attribute> attributes = {}) {
    std::vector<Value> outputs;
    for (Index i = 0; i < results; ++i) outputs.push_back({std::string(op) + "_" + std::to_string(values_++)});
    add_node(op, inputs, outputs, attributes);
    return outputs;
  }

  /// A list of integers, such as axes or a shape   // [values]
  Value integers(const std::vector<std::int64_t>& values) {
    std::string name = "integers";
    for (const std::int64_t value : values) name += "_" + std::to_string(value);
    return constant(name, {std::ssize(values)}, std::span<const std::int64_t>(values));
  }
  /// One integer of 64 bits   // []
  Value integer(std::int64_t value) {
    return constant("integer_" + std::to_string(value), {}, std::span<const std::int64_t>(&value, 1));
  }
  /// One number, rounded to float32   // []
  Value number(double value) {
    const auto rounded = static_cast<float>(value);
    const std::string name = "number_" + std::to_string(std::bit_cast<std::uint32_t>(rounded));
    return constant(name, {}, std::span<const float>(&rounded, 1));
  }
  /// A list of numbers   // [values]
  Value numbers(const std::vector<float>& values) {
    return constant("numbers_" + std::to_string(values_++), {std::ssize(values)}, std::span<const float>(values));
  }
  /// A constant of a name of its own, `values` row by row; if the graph has it already, `values` are not read.
  template <class Element>
  Value constant(const std::string& name, std::vector<Index> dims, std::span<const Element> values) {
    if (names_.insert(name).second) initializers_.emplace_back(name, std::move(dims), values);
    return {name};
  }
  /// A tensor of a model; the second time the name alone is read.
  Value parameter(const std::string& name, TensorView<const float> view, bool transposed = false) {
    if (names_.insert(name).second) initializers_.emplace_back(name, view, transposed);
    return {name};
  }

  /// Writes the model; the file appears whole or not at all. Returns the paths of the files, of which the first is the
  /// model and the second, where it is too large for one file, its tensors. Then both are written before either takes
  /// its place.
  [[nodiscard]] std::vector<std::filesystem::path> write(const std::filesystem::path& path,
                                                         const WriteOptions& options = {}) const {
    std::size_t tensor_bytes = 0;
    for (const Initializer& tensor : initializers_) tensor_bytes += tensor.bytes();
    if (tensor_bytes + nodes_.written().size() <= options.most_bytes_in_one_file) {
      AtomicFile file(path);
      write_model(file, "");
      file.commit();
      return {path};
    }
    std::filesystem::path data_path = path;
    data_path += ".data";
    AtomicFile data(data_path), file(path);
    std::size_t offset = 0;
    const std::string padding(kPage, '\0');
    for (const Initializer& tensor : initializers_) {
      if (tensor.bytes() < kLeastExternal) continue;
      data.write(padding.data(), padded(offset) - offset);
      tensor.write_to(data);
      offset = padded(offset) + tensor.bytes();
    }
    write_model(file, data_path.filename().string());
    data.commit();
    file.commit();
    return {path, data_path};
  }

 private:
  static constexpr std::string_view kWhere = "onnx";
  static constexpr std::size_t kLeastExternal = 1024;  // smaller tensors stay in the model's own file
  static constexpr std::size_t kPage = 4096;           // runtimes map tensors that begin at a page

  [[nodiscard]] static std::size_t padded(std::size_t offset) { return (offset + kPage - 1) / kPage * kPage; }

  void use_name(const std::string& name) {
    require(names_.insert(name).second, kWhere, "the name '", name, "' stands for two values of the graph");
  }

  void add_node(std::string_view op, const std::vector<Value>& inputs, const std::vector<Value>& outputs,
                std::initializer_list<Attribute> attributes) {
    detail::ProtobufWriter node;
    for (const Value& value : inputs) node.bytes(1, value.name);
    for (const Value& value : outputs) node.bytes(2, value.name);
    node.bytes(3, outputs.front().name);  // the node's own name
    node.bytes(4, op);
    for (const Attribute& attribute : attributes) node.bytes(5, attribute_proto(attribute).written());
    nodes_.bytes(1, node.written());
  }
  /// AttributeProto: name = 1, f = 2, i = 3, s = 4, ints = 8, type = 20.
  [[nodiscard]] static detail::ProtobufWriter attribute_proto(const Attribute& attribute) {
    detail::ProtobufWriter message;
    message.bytes(1, attribute.name);
    std::int64_t type = 0;
    if (const auto* const number = std::get_if<float>(&attribute.value)) message.real(2, *number), type = 1;
    if (const auto* const integer = std::get_if<std::int64_t>(&attribute.value)) message.integer(3, *integer), type = 2;
    if (const auto* const text = std::get_if<std::string>(&attribute.value)) message.bytes(4, *text), type = 3;
    if (const auto* const list = std::get_if<std::vector<std::int64_t>>(&attribute.value)) {
      for (const std::int64_t value : *list) message.integer(8, value);
      type = 7;
    }
    message.integer(20, type);
    return message;
  }
  /// ValueInfoProto {name = 1, type = 2 {tensor_type = 1 {elem_type = 1, shape = 2 {dim = 1}}}}, where a dimension is
  /// {dim_value = 1} or {dim_param = 2}.
  [[nodiscard]] static detail::ProtobufWriter value_info(const std::string& name, ElementType type,
                                                         const std::vector<Dimension>& shape) {
    detail::ProtobufWriter dimensions, tensor, any, message;
    for (const Dimension& dimension : shape) {
      detail::ProtobufWriter size;
      if (const auto* const number = std::get_if<Index>(&dimension)) size.integer(1, *number);
      if (const auto* const text = std::get_if<std::string>(&dimension)) size.bytes(2, *text);
      dimensions.bytes(1, size.written());
    }
    tensor.integer(1, static_cast<std::int32_t>(type));
    tensor.bytes(2, dimensions.written());
    any.bytes(1, tensor.written());
    message.bytes(1, name);
    message.bytes(2, any.written());
    return message;
  }

  /// A tensor's message up to its elements, which follow for those that have none in `data_file`.
  struct TensorPiece {
    std::string begin;
    const Initializer* elements;  // nullptr: they are in the other file
  };

  /// ModelProto {ir_version = 1, producer_name = 2, graph = 7, opset_import = 8 {version = 2}}, GraphProto {node = 1,
  /// name = 2, initializer = 5, input = 11, output = 12}. With `data_file` larger tensors are in that file.
  void write_model(AtomicFile& file, const std::string& data_file) const {
    std::vector<TensorPiece> pieces;
    detail::ProtobufWriter graph_name, opset, model;
    graph_name.bytes(2, name_);
    std::size_t graph_size = nodes_.written().size() + declarations_.written().size() + graph_name.written().size();
    std::size_t offset = 0;
    for (const Initializer& tensor : initializers_) {
      detail::ProtobufWriter message = tensor.header(), field;
      const bool is_external = !data_file.empty() && tensor.bytes() >= kLeastExternal;
      if (is_external) {
        offset = padded(offset);
        add_location(message, data_file, offset, tensor.bytes());
        offset += tensor.bytes();
      } else {
        message.begin_bytes(9, tensor.bytes());  // TensorProto.raw_data
      }
      const std::size_t behind = is_external ? 0 : tensor.bytes();
      field.begin_bytes(5, message.written().size() + behind);
      pieces.push_back({field.written() + message.written(), is_external ? nullptr : &tensor});
      graph_size += pieces.back().begin.size() + behind;
    }
    opset.bytes(1, "");  // the domain of ONNX itself
    opset.integer(2, kOpset);
    model.integer(1, kIrVersion);
    model.bytes(2, "rapt");
    model.bytes(8, opset.written());
    model.begin_bytes(7, graph_size);
    for (const std::string& part : {model.written(), nodes_.written(), graph_name.written()}) {
      file.write(part.data(), part.size());
    }
    for (const TensorPiece& piece : pieces) {
      file.write(piece.begin.data(), piece.begin.size());
      if (piece.elements != nullptr) piece.elements->write_to(file);
    }
    file.write(declarations_.written().data(), declarations_.written().size());
  }
  /// TensorProto: external_data = 13 {key = 1, value = 2}, data_location = 14.
  static void add_location(detail::ProtobufWriter& message, const std::string& file, std::size_t offset,
                           std::size_t bytes) {
    const std::pair<std::string_view, std::string> entries[] = {
        {"location", file}, {"offset", std::to_string(offset)}, {"length", std::to_string(bytes)}};
    for (const auto& [key, value] : entries) {
      detail::ProtobufWriter entry;
      entry.bytes(1, key);
      entry.bytes(2, value);
      message.bytes(13, entry.written());
    }
    message.integer(14, 1);
  }

  static constexpr std::int64_t kIrVersion = 9;  // the one that came with opset 20

  std::string name_;
  std::set<std::string> names_;
  Index values_ = 0;
  detail::ProtobufWriter nodes_, declarations_;
  std::vector<Initializer> initializers_;
};

}}}  // namespace rapt::RAPT_ABI::onnx
