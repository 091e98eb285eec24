// Writes every model of tests/common/saved_models.hpp as a Hugging Face folder, and beside its files run.safetensors:
// `input/<name>`, `output/<name>` and, of models that generate, `generated`. check_pretrained.py compiles and runs it.
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
    const auto add_ids = [&](const std::string& tensor, const std::vector<std::int64_t>& ids) {
      entries.emplace_back(
          tensor, rapt::TensorView<const std::int64_t>(ids.data(), rapt::Shape{static_cast<rapt::Index>(ids.size())}));
    };
    for (const auto& [input, ids] : run.ids) add_ids("input/" + input, ids);
    for (const auto& [input, numbers] : run.numbers) entries.emplace_back("input/" + input, numbers.view());
    for (const auto& [output, numbers] : run.outputs) entries.emplace_back("output/" + output, numbers.view());
    const auto offsets = run.generated.row_splits.offsets();
    const std::vector<std::int64_t> generated(run.generated.tokens.begin(), run.generated.tokens.end()),
        splits(offsets.begin(), offsets.end());
    if (splits.size() > 1) add_ids("generated", generated), add_ids("generated.splits", splits);
    rapt::write_safetensors(folder / "run.safetensors", entries);
  });
}
