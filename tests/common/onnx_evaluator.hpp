/// \file
/// Reads an ONNX file and computes what its graph says, operator by operator with plain loops, so that tests can
/// compare exported models with the models themselves. Integers and truth values are kept as doubles, too. It knows the
/// operators that rapt::onnx writes, and throws for any other.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/io/protobuf.hpp"

namespace rapt_test {

/// A tensor of any rank, row by row.
struct OnnxTensor {
  std::vector<rapt::Index> dims = {};
  std::vector<double> values = {};

  [[nodiscard]] rapt::Index rank() const { return std::ssize(dims); }
  [[nodiscard]] static rapt::Index count(const std::vector<rapt::Index>& dims) {
    return std::accumulate(dims.begin(), dims.end(), rapt::Index{1}, std::multiplies<>());
  }
  static OnnxTensor zeros(std::vector<rapt::Index> dims) {
    std::vector<double> values(rapt::to_size(count(dims)));
    return {std::move(dims), std::move(values)};
  }
};

class OnnxModel {
 public:
  using Tensors = std::map<std::string, OnnxTensor>;

  explicit OnnxModel(const std::filesystem::path& path) : folder_(path.parent_path()), file_(read(path)) {
    rapt::detail::ProtobufReader model(file_, "model");
    while (const auto field = model.next()) {
      if (field->number() == 1) ir_version = field->integer();
      if (field->number() == 7) read_graph(field->message());
      if (field->number() != 8) continue;
      auto opset_message = field->message();
      while (const auto part = opset_message.next()) {
        if (part->number() == 2) opset = part->integer();
      }
    }
  }

  /// The values of all results, by their names. Inputs that the graph does not declare are refused.
  [[nodiscard]] Tensors operator()(Tensors values) const {
    for (const auto& [name, tensor] : values) {
      const auto declared = inputs.find(name);
      if (declared == inputs.end() || declared->second.size() != tensor.dims.size()) {
        throw std::runtime_error("no such input: " + name);
      }
    }
    values.insert(constants_.begin(), constants_.end());
    for (const Node& node : nodes_) run(node, values);
    Tensors results;
    for (const auto& [name, dims] : outputs) results[name] = values.at(name);
    return results;
  }

  std::int64_t ir_version = 0, opset = 0;
  std::map<std::string, std::vector<std::string>> inputs = {}, outputs = {};  ///< sizes, as numbers or names
  [[nodiscard]] const Tensors& constants() const { return constants_; }
  [[nodiscard]] std::size_t external_tensors() const { return external_; }

 private:
  using Index = rapt::Index;
  using Dims = std::vector<Index>;
  struct Node {
    std::string op = {};
    std::vector<std::string> inputs = {}, outputs = {};
    std::map<std::string, std::vector<double>> numbers = {};
    std::map<std::string, std::string> texts = {};

    [[nodiscard]] Index integer(const char* name, Index otherwise) const {
      const auto found = numbers.find(name);
      return found == numbers.end() ? otherwise : static_cast<Index>(found->second.at(0));
    }
  };

  [[nodiscard]] static std::string read(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  void read_graph(rapt::detail::ProtobufReader graph) {
    while (const auto field = graph.next()) {
      if (field->number() == 1) nodes_.push_back(read_node(field->message()));
      if (field->number() == 5) read_constant(field->message());
      if (field->number() == 11) read_declaration(field->message(), inputs);
      if (field->number() == 12) read_declaration(field->message(), outputs);
    }
  }
  [[nodiscard]] static Node read_node(rapt::detail::ProtobufReader message) {
    Node node;
    while (const auto field = message.next()) {
      if (field->number() == 1) node.inputs.emplace_back(field->bytes());
      if (field->number() == 2) node.outputs.emplace_back(field->bytes());
      if (field->number() == 4) node.op = field->bytes();
      if (field->number() != 5) continue;
      auto attribute = field->message();
      std::string name;
      while (const auto part = attribute.next()) {
        if (part->number() == 1) name = part->bytes();
        if (part->number() == 2) node.numbers[name].push_back(static_cast<double>(part->real()));
        if (part->number() == 3 || part->number() == 8) node.numbers[name].push_back(part->integer());
        if (part->number() == 4) node.texts[name] = part->bytes();
      }
    }
    return node;
  }
  void read_constant(rapt::detail::ProtobufReader message) {
    OnnxTensor tensor;
    std::string name, raw;
    std::map<std::string, std::string> location;
    std::int32_t type = 0;
    while (const auto field = message.next()) {
      if (field->number() == 1) tensor.dims.push_back(field->integer());
      if (field->number() == 2) type = field->integer();
      if (field->number() == 8) name = field->bytes();
      if (field->number() == 9) raw = field->bytes();
      if (field->number() != 13) continue;
      auto entry = field->message();
      const std::string key(entry.next()->bytes());
      location[key] = entry.next()->bytes();
    }
    if (!location.empty()) {
      const std::string all = read(folder_ / location.at("location"));
      raw = all.substr(std::stoul(location.at("offset")), std::stoul(location.at("length")));
      ++external_;
    }
    const auto append = [&](auto number) {
      if (raw.size() != sizeof number * rapt::to_size(OnnxTensor::count(tensor.dims))) {
        throw std::runtime_error(name + " has " + std::to_string(raw.size()) + " bytes");
      }
      for (std::size_t i = 0; i < raw.size(); i += sizeof number) {
        std::memcpy(&number, raw.data() + i, sizeof number);
        tensor.values.push_back(static_cast<double>(number));
      }
    };
    type == 7 ? append(std::int64_t{}) : append(float{});
    constants_[name] = std::move(tensor);
  }
  static void read_declaration(rapt::detail::ProtobufReader message,
                               std::map<std::string, std::vector<std::string>>& into) {
    std::string name;
    while (const auto field = message.next()) {
      if (field->number() == 1) name = field->bytes();
      if (field->number() != 2) continue;
      auto type = field->message();
      auto tensor = type.next()->message();
      std::ignore = tensor.next();  // the type of elements
      auto shape = tensor.next()->message();
      std::vector<std::string>& sizes = into[name];
      while (const auto dimension = shape.next()) {
        auto size = dimension->message();
        const auto value = size.next();
        sizes.push_back(value->number() == 1 ? std::to_string(value->integer()) : std::string(value->bytes()));
      }
    }
  }

  /// Places of a tensor as seen from a larger one that it is broadcast to.
  [[nodiscard]] static Index broadcast_place(Index place, const Dims& large, const Dims& small) {
    Index result = 0, step = 1;
    for (Index i = std::ssize(large) - 1, j = std::ssize(small) - 1; j >= 0; --i, --j) {
      const Index size = rapt::at(large, i), own = rapt::at(small, j);
      if (own != 1 && own != size) throw std::runtime_error("sizes do not broadcast");
      if (own != 1) result += place % size * step;
      place /= size, step *= own;
    }
    return result;
  }
  [[nodiscard]] static Dims broadcast_dims(const std::vector<const OnnxTensor*>& in) {
    Dims dims;
    for (const OnnxTensor* tensor : in) {
      while (std::ssize(dims) < tensor->rank()) dims.insert(dims.begin(), 1);
      for (Index i = 1; i <= tensor->rank(); ++i) {
        Index& size = rapt::at(dims, std::ssize(dims) - i);
        if (size == 1) size = rapt::at(tensor->dims, tensor->rank() - i);
      }
    }
    return dims;
  }
  template <class F>
  [[nodiscard]] static OnnxTensor elementwise(const std::vector<const OnnxTensor*>& in, const F& f) {
    OnnxTensor out = OnnxTensor::zeros(broadcast_dims(in));
    std::vector<double> x(in.size());
    for (Index place = 0; place < std::ssize(out.values); ++place) {
      for (std::size_t i = 0; i < in.size(); ++i) {
        x[i] = rapt::at(in[i]->values, broadcast_place(place, out.dims, in[i]->dims));
      }
      rapt::at(out.values, place) = f(x);
    }
    return out;
  }
  /// Products of the sizes before and behind an axis.
  struct Around {
    Index before = 1, size = 1, behind = 1;
  };
  [[nodiscard]] static Around around(const Dims& dims, Index axis) {
    Around result;
    if (axis < 0) axis += std::ssize(dims);
    for (Index i = 0; i < std::ssize(dims); ++i) {
      (i < axis ? result.before : i == axis ? result.size : result.behind) *= rapt::at(dims, i);
    }
    return result;
  }
  /// Elements of an axis by their numbers.
  [[nodiscard]] static OnnxTensor taken(const OnnxTensor& x, Index axis, const std::vector<Index>& numbers) {
    if (axis < 0) axis += x.rank();
    const Around a = around(x.dims, axis);
    OnnxTensor out{x.dims, {}};
    rapt::at(out.dims, axis) = std::ssize(numbers);
    for (Index i = 0; i < a.before; ++i) {
      for (const Index number : numbers) {
        if (number < 0 || number >= a.size) throw std::runtime_error("Gather or Slice outside of an axis");
        const auto from = x.values.begin() + (i * a.size + number) * a.behind;
        out.values.insert(out.values.end(), from, from + a.behind);
      }
    }
    return out;
  }
  [[nodiscard]] static std::vector<Index> counted(Index begin, Index end) {
    std::vector<Index> numbers(rapt::to_size(std::max<Index>(end - begin, 0)));
    std::iota(numbers.begin(), numbers.end(), begin);
    return numbers;
  }
  [[nodiscard]] static std::vector<Index> indices(const OnnxTensor& x) {
    std::vector<Index> result;
    for (const double value : x.values) {
      result.push_back(value > 1e15 ? Index{1} << 50 : static_cast<Index>(value));
    }
    return result;
  }
  /// Rows of the last axis, each changed by f(row, size).
  template <class F>
  [[nodiscard]] static OnnxTensor by_rows(OnnxTensor x, const F& f) {
    const Index size = x.dims.back();
    for (Index begin = 0; begin < std::ssize(x.values); begin += size) f(x.values.data() + begin, size);
    return x;
  }

  void run(const Node& node, Tensors& values) const {
    std::vector<const OnnxTensor*> in;
    for (const std::string& name : node.inputs) in.push_back(&values.at(name));
    if (node.op == "Split") {
      Index begin = 0;
      const Index axis = node.integer("axis", 0), size = around(in[0]->dims, axis).size,
                  parts = std::ssize(node.outputs);
      for (Index i = 0; i < parts; ++i) {
        const Index count = in.size() > 1 ? indices(*in[1])[rapt::to_size(i)] : size / parts;
        values[rapt::at(node.outputs, i)] = taken(*in[0], axis, counted(begin, begin + count));
        begin += count;
      }
      return;
    }
    if (node.op == "TopK") {
      std::tie(values[node.outputs.at(0)], values[node.outputs.at(1)]) = smallest(node, in);
      return;
    }
    OnnxTensor result = computed(node, in);
    if (OnnxTensor::count(result.dims) != std::ssize(result.values)) throw std::runtime_error(node.op + ": sizes");
    values[node.outputs.at(0)] = std::move(result);
  }

  [[nodiscard]] static OnnxTensor computed(const Node& node, const std::vector<const OnnxTensor*>& in) {
    using Values = std::vector<double>;
    static const std::map<std::string, std::function<double(const Values&)>> functions = {
        {"Identity", [](const Values& x) { return x[0]; }},
        {"Add", [](const Values& x) { return x[0] + x[1]; }},
        {"Sub", [](const Values& x) { return x[0] - x[1]; }},
        {"Mul", [](const Values& x) { return x[0] * x[1]; }},
        {"Div", [](const Values& x) { return x[0] / x[1]; }},
        {"Pow", [](const Values& x) { return std::pow(x[0], x[1]); }},
        {"Max", [](const Values& x) { return std::max(x[0], x[1]); }},
        {"Min", [](const Values& x) { return std::min(x[0], x[1]); }},
        {"And", [](const Values& x) { return x[0] * x[1]; }},
        {"Equal", [](const Values& x) { return x[0] == x[1] ? 1.0 : 0.0; }},
        {"Greater", [](const Values& x) { return x[0] > x[1] ? 1.0 : 0.0; }},
        {"LessOrEqual", [](const Values& x) { return x[0] <= x[1] ? 1.0 : 0.0; }},
        {"Where", [](const Values& x) { return x[0] != 0 ? x[1] : x[2]; }},
        {"Relu", [](const Values& x) { return std::max(x[0], 0.0); }},
        {"Sigmoid", [](const Values& x) { return 1 / (1 + std::exp(-x[0])); }},
        {"Tanh", [](const Values& x) { return std::tanh(x[0]); }},
        {"Sqrt", [](const Values& x) { return std::sqrt(x[0]); }},
        {"Exp", [](const Values& x) { return std::exp(x[0]); }},
        {"Abs", [](const Values& x) { return std::abs(x[0]); }},
        {"Sin", [](const Values& x) { return std::sin(x[0]); }},
        {"Cos", [](const Values& x) { return std::cos(x[0]); }}};
    const OnnxTensor& x = *in[0];
    const std::string& op = node.op;
    if (const auto found = functions.find(op); found != functions.end()) return elementwise(in, found->second);
    if (op == "Cast") {
      const bool to_truth = node.integer("to", 0) == 9;
      return elementwise(in, [&](const Values& v) { return to_truth ? (v[0] != 0 ? 1.0 : 0.0) : v[0]; });
    }
    if (op == "Gelu") {
      const bool approximate = node.texts.contains("approximate");
      return elementwise(in, [&](const Values& v) {
        if (!approximate) return v[0] * (1 + std::erf(v[0] / std::sqrt(2.0))) / 2;
        return v[0] * (1 + std::tanh(std::sqrt(2 / 3.14159265358979323846) * (v[0] + 0.044715 * v[0] * v[0] * v[0]))) /
               2;
      });
    }
    if (op == "Shape") {
      OnnxTensor out{{node.integer("end", 0) - node.integer("start", 0)}, {}};
      for (Index i = node.integer("start", 0); i < node.integer("end", 0); ++i) {
        out.values.push_back(static_cast<double>(x.dims.at(rapt::to_size(i))));
      }
      return out;
    }
    if (op == "Range") {
      OnnxTensor out{{}, {}};
      for (double v = x.values.at(0); v < in[1]->values.at(0); v += in[2]->values.at(0)) out.values.push_back(v);
      out.dims = {std::ssize(out.values)};
      return out;
    }
    if (op == "CumSum") {
      if (x.rank() != 2 || in[1]->values.at(0) != 1) throw std::runtime_error("CumSum of another axis");
      return by_rows(x, [](double* row, Index size) { std::partial_sum(row, row + size, row); });
    }
    if (op == "ArgMax") {  // the first of the largest, of the last axis
      if (x.rank() != 2 || node.integer("axis", 0) != 1) throw std::runtime_error("ArgMax of another axis");
      OnnxTensor out{{x.dims[0], 1}, {}};
      for (auto row = x.values.begin(); row != x.values.end(); row += x.dims[1]) {
        out.values.push_back(static_cast<double>(std::max_element(row, row + x.dims[1]) - row));
      }
      return out;
    }
    if (op == "Softmax") {
      return by_rows(x, [](double* row, Index size) {
        const double most = *std::max_element(row, row + size);
        double sum = 0;
        for (Index i = 0; i < size; ++i) sum += rapt::at(row, i) = std::exp(rapt::at(row, i) - most);
        for (Index i = 0; i < size; ++i) rapt::at(row, i) /= sum;
      });
    }
    if (op == "LogSoftmax") {
      return by_rows(x, [](double* row, Index size) {
        const double most = *std::max_element(row, row + size);
        double sum = 0;
        for (Index i = 0; i < size; ++i) sum += std::exp(rapt::at(row, i) - most);
        for (Index i = 0; i < size; ++i) rapt::at(row, i) -= most + std::log(sum);
      });
    }
    if (op == "LayerNormalization") {
      return by_rows(x, [&](double* row, Index size) {
        const auto n = static_cast<double>(size);
        const double mean = std::accumulate(row, row + size, 0.0) / n;
        double variance = 0;
        for (Index i = 0; i < size; ++i) variance += (rapt::at(row, i) - mean) * (rapt::at(row, i) - mean) / n;
        for (Index i = 0; i < size; ++i) {
          rapt::at(row, i) = (rapt::at(row, i) - mean) / std::sqrt(variance + node.numbers.at("epsilon").at(0)) *
                                 rapt::at(in[1]->values, i) +
                             (in.size() > 2 ? rapt::at(in[2]->values, i) : 0);
        }
      });
    }
    if (op == "Reshape") {
      OnnxTensor out{indices(*in[1]), x.values};
      Index* unknown = nullptr;
      for (Index i = 0; i < out.rank(); ++i) {
        Index& size = rapt::at(out.dims, i);
        if (size == 0) size = rapt::at(x.dims, i);
        if (size == -1) unknown = &size;
      }
      if (unknown != nullptr) *unknown = std::ssize(x.values) / -OnnxTensor::count(out.dims);
      return out;
    }
    if (op == "Unsqueeze") {
      OnnxTensor out = x;
      std::vector<Index> axes = indices(*in[1]);
      for (Index& axis : axes) axis += axis < 0 ? x.rank() + std::ssize(axes) : 0;
      for (const Index axis : axes) out.dims.insert(out.dims.begin() + axis, 1);
      return out;
    }
    if (op == "Squeeze") {
      OnnxTensor out = x;
      for (Index axis : indices(*in[1])) {
        if (axis < 0) axis += x.rank();
        if (rapt::at(out.dims, axis) != 1) throw std::runtime_error("Squeeze of an axis that is not of size 1");
        out.dims.erase(out.dims.begin() + axis);
      }
      return out;
    }
    if (op == "Transpose") return transposed(x, node.numbers.at("perm"));
    if (op == "Expand") {
      const OnnxTensor shape = OnnxTensor::zeros(indices(*in[1]));
      return elementwise({&x, &shape}, [](const Values& v) { return v[0]; });
    }
    if (op == "Concat") return concatenated(in, node.integer("axis", 0));
    if (op == "Gather") {
      const Index axis = node.integer("axis", 0);
      OnnxTensor out = taken(x, axis, indices(*in[1]));
      const auto place = out.dims.begin() + (axis < 0 ? axis + x.rank() : axis);
      out.dims.insert(out.dims.erase(place), in[1]->dims.begin(), in[1]->dims.end());
      return out;
    }
    if (op == "GatherND") {  // rows of each element of the batch
      if (node.integer("batch_dims", 0) != 1 || x.rank() != 3 || in[1]->rank() != 3 || in[1]->dims[2] != 1) {
        throw std::runtime_error("GatherND of anything but rows by one number in a batch");
      }
      OnnxTensor out{{x.dims[0], in[1]->dims[1], x.dims[2]}, {}};
      const std::vector<Index> numbers = indices(*in[1]);
      for (Index i = 0; i < std::ssize(numbers); ++i) {
        const Index row = rapt::at(numbers, i);
        if (row < 0 || row >= x.dims[1]) throw std::runtime_error("GatherND outside of an axis");
        const auto from = x.values.begin() + (i / out.dims[1] * x.dims[1] + row) * x.dims[2];
        out.values.insert(out.values.end(), from, from + x.dims[2]);
      }
      return out;
    }
    if (op == "Slice") {
      const Index axis = indices(*in[3]).at(0), size = around(x.dims, axis).size;
      return taken(x, axis, counted(indices(*in[1]).at(0), std::min(indices(*in[2]).at(0), size)));
    }
    if (op == "ReduceMean" || op == "ReduceSum") return reduced(x, indices(*in[1]).at(0), node);
    if (op == "MatMul") return product(x, *in[1]);
    if (op == "Conv") return convolved(node, in);
    throw std::runtime_error("the evaluator has no operator " + op);
  }

  /// The smallest elements of each row in ascending order, and their places, of equal ones the first first.
  [[nodiscard]] static std::pair<OnnxTensor, OnnxTensor> smallest(const Node& node,
                                                                  const std::vector<const OnnxTensor*>& in) {
    const OnnxTensor& x = *in[0];
    const Index count = indices(*in[1]).at(0), size = x.dims.back();
    if (node.integer("axis", 0) != -1 || node.integer("largest", 1) != 0 || node.integer("sorted", 1) != 1) {
      throw std::runtime_error("TopK of another axis, of the largest or without order");
    }
    OnnxTensor values{x.dims, {}}, places{x.dims, {}};
    values.dims.back() = places.dims.back() = count;
    for (Index begin = 0; begin < std::ssize(x.values); begin += size) {
      std::vector<Index> order = counted(begin, begin + size);
      std::stable_sort(order.begin(), order.end(),
                       [&](Index i, Index j) { return rapt::at(x.values, i) < rapt::at(x.values, j); });
      for (Index i = 0; i < count; ++i) {
        values.values.push_back(rapt::at(x.values, rapt::at(order, i)));
        places.values.push_back(static_cast<double>(rapt::at(order, i) - begin));
      }
    }
    return {std::move(values), std::move(places)};
  }
  [[nodiscard]] static OnnxTensor transposed(const OnnxTensor& x, const std::vector<double>& axes) {
    OnnxTensor out = x;
    std::vector<Index> steps(axes.size(), 1);  // in x, of each axis of the result
    for (std::size_t i = 0; i < axes.size(); ++i) {
      const auto axis = static_cast<Index>(axes[i]);
      out.dims[i] = rapt::at(x.dims, axis);
      steps[i] = around(x.dims, axis).behind;
    }
    for (Index place = 0; place < std::ssize(out.values); ++place) {
      Index rest = place, from = 0;
      for (Index i = out.rank() - 1; i >= 0; --i) {
        from += rest % rapt::at(out.dims, i) * rapt::at(steps, i);
        rest /= rapt::at(out.dims, i);
      }
      rapt::at(out.values, place) = rapt::at(x.values, from);
    }
    return out;
  }
  [[nodiscard]] static OnnxTensor concatenated(const std::vector<const OnnxTensor*>& in, Index axis) {
    if (axis < 0) axis += in[0]->rank();
    OnnxTensor out{in[0]->dims, {}};
    rapt::at(out.dims, axis) = 0;
    for (const OnnxTensor* part : in) rapt::at(out.dims, axis) += rapt::at(part->dims, axis);
    for (Index i = 0; i < around(out.dims, axis).before; ++i) {
      for (const OnnxTensor* part : in) {
        const Index size = rapt::at(part->dims, axis) * around(part->dims, axis).behind;
        out.values.insert(out.values.end(), part->values.begin() + i * size, part->values.begin() + (i + 1) * size);
      }
    }
    return out;
  }
  [[nodiscard]] static OnnxTensor reduced(const OnnxTensor& x, Index axis, const Node& node) {
    if (axis < 0) axis += x.rank();
    const Around a = around(x.dims, axis);
    OnnxTensor out{x.dims, std::vector<double>(rapt::to_size(a.before * a.behind))};
    for (Index i = 0; i < a.before * a.size * a.behind; ++i) {
      rapt::at(out.values, i / (a.size * a.behind) * a.behind + i % a.behind) +=
          rapt::at(x.values, i) / (node.op == "ReduceMean" ? static_cast<double>(a.size) : 1.0);
    }
    rapt::at(out.dims, axis) = 1;
    if (node.integer("keepdims", 1) == 0) out.dims.erase(out.dims.begin() + axis);
    return out;
  }
  /// Matrices of the last two axes; the others broadcast.
  [[nodiscard]] static OnnxTensor product(const OnnxTensor& a, const OnnxTensor& b) {
    const OnnxTensor batch_a = OnnxTensor::zeros({a.dims.begin(), a.dims.end() - 2}),
                     batch_b = OnnxTensor::zeros({b.dims.begin(), b.dims.end() - 2});
    const Dims batch = broadcast_dims({&batch_a, &batch_b});
    const Index rows = a.dims.end()[-2], inner = a.dims.end()[-1], cols = b.dims.end()[-1];
    if (inner != b.dims.end()[-2]) throw std::runtime_error("MatMul: sizes");
    Dims dims = batch;
    dims.insert(dims.end(), {rows, cols});
    OnnxTensor out = OnnxTensor::zeros(dims);
    for (Index m = 0; m < OnnxTensor::count(batch); ++m) {
      const double* const from_a = a.values.data() + broadcast_place(m, batch, batch_a.dims) * rows * inner;
      const double* const from_b = b.values.data() + broadcast_place(m, batch, batch_b.dims) * inner * cols;
      for (Index i = 0; i < rows; ++i) {
        for (Index k = 0; k < inner; ++k) {
          for (Index j = 0; j < cols; ++j) {
            rapt::at(out.values, (m * rows + i) * cols + j) +=
                rapt::at(from_a, i * inner + k) * rapt::at(from_b, k * cols + j);
          }
        }
      }
    }
    return out;
  }
  /// Of images [B, C, H, W], or of sequences [B, C, L] as images of one row.
  [[nodiscard]] static OnnxTensor convolved(const Node& node, const std::vector<const OnnxTensor*>& in) {
    const bool one_row = in[0]->rank() == 3;
    Dims x = in[0]->dims, w = in[1]->dims;
    if (one_row) x.insert(x.begin() + 2, 1), w.insert(w.begin() + 2, 1);
    const auto setting = [&](const char* name, Index axis, Index otherwise) {
      const auto found = node.numbers.find(name);
      if (found == node.numbers.end() || (one_row && axis == 0)) return otherwise;
      return static_cast<Index>(found->second.at(rapt::to_size(one_row ? 0 : axis)));
    };
    const Index step_y = setting("strides", 0, 1), step_x = setting("strides", 1, 1);
    const Index pad_y = setting("pads", 0, 0), pad_x = setting("pads", 1, 0);
    const Index height = (x[2] + 2 * pad_y - w[2]) / step_y + 1, width = (x[3] + 2 * pad_x - w[3]) / step_x + 1;
    OnnxTensor out = OnnxTensor::zeros({x[0], w[0], height, width});
    for (Index place = 0; place < std::ssize(out.values); ++place) {
      const Index col = place % width, row = place / width % height, o = place / (width * height) % w[0],
                  b = place / (width * height * w[0]);
      double sum = in.size() > 2 ? rapt::at(in[2]->values, o) : 0;
      for (Index k = 0; k < w[1] * w[2] * w[3]; ++k) {
        const Index c = k / (w[2] * w[3]), i = row * step_y + k / w[3] % w[2] - pad_y,
                    j = col * step_x + k % w[3] - pad_x;
        if (i < 0 || i >= x[2] || j < 0 || j >= x[3]) continue;
        sum += rapt::at(in[0]->values, ((b * x[1] + c) * x[2] + i) * x[3] + j) *
               rapt::at(in[1]->values, o * w[1] * w[2] * w[3] + k);
      }
      rapt::at(out.values, place) = sum;
    }
    if (one_row) out.dims.erase(out.dims.begin() + 2);
    return out;
  }

  std::filesystem::path folder_;
  std::string file_;
  std::vector<Node> nodes_;
  Tensors constants_;
  std::size_t external_ = 0;
};

}  // namespace rapt_test
