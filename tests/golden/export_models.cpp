// Writes every model of tests/common/saved_models.hpp that rapt::onnx exports as ONNX graphs in a folder of its own,
// and beside them run.safetensors: `input/<name>`, `output/<name>` and, of models that generate, `greedy` and `beam`,
// what the two searches find, and `marks/<name>`, the tokens that they obey. check_onnx.py compiles and runs it.
//
//   export_models FOLDER
#include <cstdio>

#include "rapt/generation/beam_search.hpp"
#include "rapt/onnx/export_onnx.hpp"

#include "tests/common/saved_models.hpp"

namespace {

using Ids = std::vector<std::int64_t>;

class Entries {
 public:
  void add(const std::string& name, const Ids& ids) {
    kept_.push_back(std::make_unique<Ids>(ids));
    entries_.emplace_back(
        name, rapt::TensorView<const std::int64_t>(kept_.back()->data(), rapt::Shape{std::ssize(*kept_.back())}));
  }
  void add(const std::string& name, const rapt::TokenBatch& batch) {
    const auto offsets = batch.row_splits.offsets();
    add(name, Ids(batch.tokens.begin(), batch.tokens.end()));
    add(name + ".splits", Ids(offsets.begin(), offsets.end()));
  }
  void add(const std::string& name, const rapt::Tensor<float>& numbers) { entries_.emplace_back(name, numbers.view()); }
  void write(const std::filesystem::path& path) const { rapt::write_safetensors(path, entries_); }

 private:
  std::vector<std::unique_ptr<Ids>> kept_;
  std::vector<rapt::SafetensorsEntry> entries_;
};

/// What beam search finds in texts that all have kGenerated tokens.
template <class M>
[[nodiscard]] rapt::TokenBatch beams(const M& model, const rapt::TokenBatch& source) {
  rapt::TokenBatch found;
  const rapt::BeamSearchOptions options{
      .beam_size = 3,
      .length_penalty = 0,
      .generation = {.max_length = rapt_test::kGenerated, .min_length = rapt_test::kGenerated}};
  for (const auto& best : rapt::beam_search(model, source, options)) found.push_back(best.tokens);
  return found;
}

template <class M>
void add_searches(Entries& entries, const M& model, const rapt::TokenBatch& source) {
  entries.add("beam", beams(model, source));
  const rapt::SequenceMarks marks = model.sequence_marks();
  entries.add("marks/begin", marks.begin ? Ids{*marks.begin} : Ids{});
  entries.add("marks/ends", Ids(marks.ends.begin(), marks.ends.end()));
  entries.add("marks/forced", marks.forced_begin ? Ids{*marks.forced_begin} : Ids{});
  entries.add("marks/suppressed", Ids(marks.suppressed.begin(), marks.suppressed.end()));
  if constexpr (requires { model.config().suppresses_padding(); }) {
    entries.add("marks/padding", model.config().suppresses_padding() ? Ids{*model.config().pad_token} : Ids{});
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  rapt::set_precision(rapt::Precision::highest);
  rapt_test::for_each_saved_model<float>([&](const std::string& name, const auto& model) {
    const auto folder = std::filesystem::path(argv[1]) / name;
    if constexpr (requires { rapt::onnx::export_onnx(model, folder); }) {
      try {
        std::ignore = rapt::onnx::export_onnx(model, folder);
      } catch (const rapt::ValueError& error) {
        std::printf("%s: %s\n", name.c_str(), error.what());
        return;
      }
      const auto run = rapt_test::run_saved(model);
      Entries entries;
      for (const auto& [input, ids] : run.ids) entries.add("input/" + input, ids);
      for (const auto& [input, numbers] : run.numbers) entries.add("input/" + input, numbers);
      for (const auto& [output, numbers] : run.outputs) entries.add("output/" + output, numbers);
      if (run.generated.sequences() > 0) {
        entries.add("greedy", run.generated);
        if constexpr (rapt::DecodingModel<std::remove_cvref_t<decltype(model)>>) {
          rapt::TokenBatch source;
          const Ids &ids = run.ids.at("input_ids"), &splits = run.ids.at("input_ids.splits");
          for (std::size_t s = 0; s + 1 < splits.size(); ++s) {
            source.push_back(std::vector<rapt::TokenId>(ids.begin() + splits[s], ids.begin() + splits[s + 1]));
          }
          add_searches(entries, model, source);
        }
      }
      entries.write(folder / "run.safetensors");
    } else {
      std::printf("%s: rapt::onnx does not export such models\n", name.c_str());
    }
  });
}
