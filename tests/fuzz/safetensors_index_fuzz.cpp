/// \file
/// libFuzzer target: whatever a Hugging Face folder holds, opening it and loading its model either works or throws
/// rapt::Error.
///
/// The first byte of an input tells the file that the rest becomes; the others are good: 'a' one of two safetensors
/// files, 'm' model.safetensors, which makes the index superfluous, anything else model.safetensors.index.json.
///
///     sh tests/fuzz/run.sh 120 safetensors_index  # -max_len=8192
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "rapt/pretrained/gpt.hpp"
#include "tests/fuzz/fuzz_files.hpp"

namespace {

/// A folder of a small model in two files, "a.safetensors" and "b.safetensors".
class ModelFolder {
 public:
  ModelFolder() {
    rapt::Rng rng(1);
    rapt::save_pretrained(
        path(),
        rapt::Gpt<float>({.vocabulary = 3, .positions = 2, .d_model = 2, .layers = 1, .heads = 1, .d_ff = 2}, rng));
    const rapt::SafetensorsFile whole(path() / "model.safetensors");
    std::vector<rapt::Tensor<float>> tensors;
    for (const std::string& name : whole.names()) tensors.push_back(whole.read<float>(name));
    std::vector<rapt::SafetensorsEntry> entries[2];
    nlohmann::json map;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      entries[i % 2].emplace_back(whole.names()[i], std::as_const(tensors[i]));
      map[whole.names()[i]] = i % 2 == 0 ? "a.safetensors" : "b.safetensors";
    }
    rapt::write_safetensors(path() / "a.safetensors", entries[0]);
    rapt::write_safetensors(path() / "b.safetensors", entries[1]);
    good_index_ = nlohmann::json{{"weight_map", map}}.dump();
    std::ifstream file(path() / "a.safetensors", std::ios::binary);
    good_part_ = {std::istreambuf_iterator<char>(file), {}};
  }

  [[nodiscard]] const std::filesystem::path& path() const { return folder_.path(); }
  void fill(std::string_view input) const {
    const char kind = input.empty() ? '\0' : input.front();
    if (kind == 'a' || kind == 'm') input.remove_prefix(1);
    std::filesystem::remove(path() / "model.safetensors");
    folder_.write("a.safetensors", kind == 'a' ? input : good_part_);
    folder_.write("model.safetensors.index.json", kind == 'a' ? std::string_view(good_index_) : input);
    if (kind == 'm') folder_.write("model.safetensors", input);
  }

 private:
  rapt_fuzz::Folder folder_;
  std::string good_index_, good_part_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const ModelFolder folder;
  folder.fill({reinterpret_cast<const char*>(data), size});
  try {
    const rapt::PretrainedFolder opened(folder.path());
    for (const std::string& name : opened.names()) rapt_fuzz::expect(opened.file_of(name).contains(name));
    const auto model = rapt::from_pretrained<rapt::Gpt<float>>(folder.path());
    rapt::for_each_parameter(model,
                             [](const std::string&, const auto& p) { rapt_fuzz::expect(p.value().has_elements()); });
  } catch (const rapt::Error&) {
  }
  return 0;
}
