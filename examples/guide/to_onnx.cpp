// Writes a trained Transformer as ONNX graphs, which other runtimes run without rapt.
// needs: pytorch_weights
#include <cstdio>
#include <rapt/io/model_file.hpp>
#include <rapt/onnx/export_onnx.hpp>
#include <rapt/rapt.hpp>

int main() {
  const auto model = rapt::load_model<rapt::Transformer<float>>("reverser.safetensors");
  for (const auto& path : rapt::onnx::export_onnx(model, "reverser-onnx")) {
    std::printf("%s\n", path.c_str());
  }
}
