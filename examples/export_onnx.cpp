// Writes the model of a Hugging Face folder as ONNX graphs, which ONNX Runtime, OpenVINO and others run.
//
//   export_onnx FOLDER OUT
//
// "model_type" in FOLDER/config.json decides which model it is. A model of one part becomes OUT/model.onnx, an
// encoder-decoder three graphs, with the names and inputs that Hugging Face's optimum gives them. Prints the files that
// were written, with their sizes.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <rapt/onnx/export_onnx.hpp>
#include <rapt/pretrained/bart.hpp>
#include <rapt/pretrained/beit.hpp>
#include <rapt/pretrained/bert.hpp>
#include <rapt/pretrained/clip.hpp>
#include <rapt/pretrained/deit.hpp>
#include <rapt/pretrained/gemma.hpp>
#include <rapt/pretrained/gpt.hpp>
#include <rapt/pretrained/image_gpt.hpp>
#include <rapt/pretrained/llama.hpp>
#include <rapt/pretrained/mae.hpp>
#include <rapt/pretrained/marian.hpp>
#include <rapt/pretrained/modern_bert.hpp>
#include <rapt/pretrained/t5.hpp>
#include <rapt/pretrained/transformer_xl.hpp>
#include <rapt/pretrained/vit.hpp>
#include <rapt/pretrained/whisper.hpp>
#include <string>
#include <string_view>

namespace {

/// Exports the folder's model if it is an M; returns whether it is one.
template <template <class> class M>
bool export_if(std::string_view type, const std::filesystem::path& folder, const std::filesystem::path& out) {
  using Config = typename M<float>::Config;
  if (!rapt::is_model_type<Config>(type)) return false;
  for (const auto& path : rapt::onnx::export_onnx(rapt::from_pretrained<M<float>>(folder), out)) {
    std::printf("%s  %.1f MB\n", path.c_str(), static_cast<double>(std::filesystem::file_size(path)) / 1e6);
  }
  return true;
}

template <template <class> class... Models>
void export_one_of(const std::filesystem::path& folder, const std::filesystem::path& out) {
  const std::string type = rapt::pretrained_type(folder);
  if ((export_if<Models>(type, folder, out) || ...)) return;
  std::string known;
  const auto add = [&](const auto& types) {
    for (const std::string_view name : types) known += (known.empty() ? "" : ", ") + std::string(name);
  };
  (add(rapt::model_types<typename Models<float>::Config>()), ...);
  rapt::fail("export_onnx", folder.string(), ": models of the type ", type, " are not exported; these are: ", known);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s FOLDER OUT\n", argv[0]);
    return 2;
  }
  try {
    export_one_of<rapt::Bert, rapt::ModernBert, rapt::Gpt, rapt::Llama, rapt::Gemma, rapt::Marian, rapt::Bart, rapt::T5,
                  rapt::Vit, rapt::Deit, rapt::Beit, rapt::Mae, rapt::ImageGpt, rapt::Clip, rapt::Whisper,
                  rapt::TransformerXl>(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
