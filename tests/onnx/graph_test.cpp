/// \file
/// The files that graphs are written to, read back without rapt::onnx.
// covers: onnx/initializer.hpp, onnx/export_options.hpp
#include "rapt/onnx/graph.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "rapt/onnx/export_options.hpp"

#include "tests/common/onnx_case.hpp"

namespace {

using rapt::Index;
using rapt::onnx::ElementType;
using rapt::onnx::Graph;
using rapt::onnx::Value;
using rapt_test::OnnxModel;
using rapt_test::OnnxTensor;

class OnnxGraph : public rapt_test::OnnxTest {};

/// y = x W^T + 1 with a W of 20 x 30, of which rows 5 .. 15 are read.
Graph product_graph(const rapt::Tensor<float>& weight) {
  Graph graph("product");
  const Value x = graph.input("x", ElementType::float32, {"rows", Index{30}});
  const Value transposed = graph.parameter("weight", weight.view().middle_rows(5, 10), /*transposed=*/true);
  const Value y = graph.apply("Add", {graph.apply("MatMul", {x, transposed}), graph.number(1)});
  graph.output(y, "y", ElementType::float32, {"rows", Index{10}});
  return graph;
}

rapt::Tensor<float> counting(const rapt::Shape& shape) {
  rapt::Tensor<float> tensor(shape);
  std::iota(tensor.values().begin(), tensor.values().end(), -7.f);
  return tensor;
}

void expect_product(const OnnxModel& model, const rapt::Tensor<float>& weight) {
  OnnxTensor x = OnnxTensor::zeros({2, 30});
  std::iota(x.values.begin(), x.values.end(), 1.0);
  const OnnxTensor y = model({{"x", x}}).at("y");
  ASSERT_EQ(y.dims, (std::vector<Index>{2, 10}));
  for (Index i = 0; i < 2; ++i) {
    for (Index j = 0; j < 10; ++j) {
      double sum = 1;
      for (Index k = 0; k < 30; ++k) sum += rapt::at(x.values, i * 30 + k) * static_cast<double>(weight(j + 5, k));
      EXPECT_EQ(rapt::at(y.values, i * 10 + j), sum);
    }
  }
}

TEST_F(OnnxGraph, IsReadBackAsItWasBuilt) {
  const rapt::Tensor<float> weight = counting({20, 30});
  const auto path = folder() / "a.onnx";
  EXPECT_EQ(product_graph(weight).write(path), std::vector<std::filesystem::path>{path});
  const OnnxModel model(path);
  EXPECT_EQ(model.ir_version, 9);
  EXPECT_EQ(model.opset, 20);
  EXPECT_EQ(model.inputs.at("x"), (std::vector<std::string>{"rows", "30"}));
  EXPECT_EQ(model.outputs.at("y"), (std::vector<std::string>{"rows", "10"}));
  EXPECT_EQ(model.constants().at("weight").dims, (std::vector<Index>{30, 10}));
  expect_product(model, weight);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder()), {}), 1) << "a temporary file is left";
}

TEST_F(OnnxGraph, KeepsLargeTensorsInASecondFileAboveTheLimit) {
  const rapt::Tensor<float> weight = counting({20, 30}), more = counting({64, 8});
  const auto path = folder() / "b.onnx";
  Graph graph = product_graph(weight);
  const Value tail = graph.apply("Identity", {graph.parameter("more", more.view())});
  graph.output(tail, "tail", ElementType::float32, {Index{64}, Index{8}});
  const auto paths = graph.write(path, {.most_bytes_in_one_file = 3000});
  ASSERT_EQ(paths.size(), 2u);
  EXPECT_EQ(paths[1], folder() / "b.onnx.data");
  const OnnxModel model(path);
  EXPECT_EQ(model.external_tensors(), 2u);
  EXPECT_EQ(std::filesystem::file_size(paths[1]), 4096u + 64 * 8 * 4) << "the second tensor begins at a page";
  EXPECT_LT(std::filesystem::file_size(path), 1000u);
  expect_product(model, weight);
  OnnxTensor x = OnnxTensor::zeros({1, 30});
  EXPECT_TRUE(rapt_test::same_bits(model({{"x", x}}).at("tail").values, rapt_test::onnx_tensor(more, {64, 8}).values));
}

TEST_F(OnnxGraph, WritesAttributesOfEachType) {
  Graph graph("attributes");
  const Value x = graph.input("x", ElementType::float32, {Index{2}, Index{3}});
  const Value turned = graph.apply("Transpose", {x}, {{"perm", std::vector<std::int64_t>{1, 0}}});
  const Value normed = graph.apply("LayerNormalization", {turned, graph.numbers({2, 2})}, {{"epsilon", 0.5f}});
  const std::vector<Value> rows = graph.apply("Split", {normed}, 3, {{"axis", std::int64_t{0}}});
  const Value last = graph.apply("Gelu", {rows[2]}, {{"approximate", std::string("tanh")}});
  graph.output(last, "y", ElementType::float32, {Index{1}, Index{2}});
  std::ignore = graph.write(folder() / "c.onnx");
  const OnnxTensor y = OnnxModel(folder() / "c.onnx")({{"x", {{2, 3}, {1, 2, 3, 5, 7, 9}}}}).at("y");
  const double z = 2 * 3 / std::sqrt(9.5);  // of 3 and 9, which are 3 away from their mean
  const auto gelu = [](double v) { return v / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v))); };
  EXPECT_NEAR(y.values.at(0), gelu(-z), 1e-12);
  EXPECT_NEAR(y.values.at(1), gelu(z), 1e-12);
}

TEST_F(OnnxGraph, RefusesANameThatIsTaken) {
  Graph graph("twice");
  const Value x = graph.input("x", ElementType::float32, {Index{1}});
  rapt_test::expect_message<rapt::ValueError>([&] { graph.output(x, "x", ElementType::float32, {Index{1}}); },
                                              "[onnx] the name 'x' stands for two values of the graph");
}

TEST_F(OnnxGraph, LeavesWhatWasThereIfItCannotBeWritten) {
  const rapt::Tensor<float> weight = counting({20, 30});
  std::filesystem::create_directories(folder() / "taken.onnx.data");
  std::ofstream(folder() / "taken.onnx") << "before";
  EXPECT_THROW(std::ignore = product_graph(weight).write(folder() / "taken.onnx", {.most_bytes_in_one_file = 0}),
               rapt::IoError);
  EXPECT_EQ(std::filesystem::file_size(folder() / "taken.onnx"), 6u);
  rapt_test::expect_message<rapt::IoError>([&] { rapt::onnx::make_folder(folder() / "taken.onnx"); }, "taken.onnx");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder()), {}), 2) << "a temporary file is left";
}

}  // namespace
