// Writes every model of tests/common/saved_models.hpp as a Hugging Face folder, and beside its files run.safetensors:
// `input/<name>` and `output/<name>`. check_pretrained.py compiles and runs it.
//
//   save_models FOLDER
#include <cstdio>

#include "tests/common/saved_models.hpp"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  rapt::set_precision(rapt::Precision::highest);
  rapt_test::for_each_saved_model<double>([&](const std::string& name, const auto& model) {
    const auto folder = std::filesystem::path(argv[1]) / name;
    rapt::save_pretrained(folder, model);
    const auto run = rapt_test::run_saved(model);
    std::vector<rapt::SafetensorsEntry> entries;
    for (const auto& [input, ids] : run.ids) {
      entries.emplace_back("input/" + input, rapt::TensorView<const std::int64_t>(
                                                 ids.data(), rapt::Shape{static_cast<rapt::Index>(ids.size())}));
    }
    for (const auto& [input, numbers] : run.numbers) entries.emplace_back("input/" + input, numbers.view());
    for (const auto& [output, numbers] : run.outputs) entries.emplace_back("output/" + output, numbers.view());
    rapt::write_safetensors(folder / "run.safetensors", entries);
  });
}
