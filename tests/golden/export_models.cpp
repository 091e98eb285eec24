// Writes every model of tests/common/saved_models.hpp, and those that no Hugging Face folder holds, as ONNX graphs in a
// folder of its own, and beside them run.safetensors: `input/<name>`, `output/<name>` and, of models that generate,
// `greedy` and `beam`, what the two searches find, and `marks/<name>`, the tokens that they obey. check_onnx.py
// compiles and runs it.
//
//   export_models FOLDER
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "rapt/data/patch_masking.hpp"
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

/// What a masked autoencoder gives beside the run of saved_models.hpp.
template <class Run>
void add_masked_images(Run& run, const rapt::Mae<float>& model) {
  const rapt::MaeConfig& config = model.config();
  const rapt::Tensor<float>& noise = run.numbers.at("noise");
  const auto mask = rapt::mask_by_noise(noise.values(), config.grid.patches(), config.mask_ratio);
  rapt::Tensor<float> is_hidden(noise.shape(), 0.f);
  for (const std::int32_t patch : mask.masked()) rapt::at(is_hidden.values(), patch) = 1;
  run.outputs["mask"] = std::move(is_hidden);
  if (!config.decoder) return;
  const auto images = rapt_test::saved_images<float>(config.grid.image);
  run.outputs["reconstruction"] = model.reconstruct(images, mask).pixels();
}

/// Log-probabilities of each text read token by token   // [N, V]
[[nodiscard]] rapt::Tensor<float> step_by_step(const rapt::TransformerXl<float>& model, const rapt::TokenBatch& texts) {
  rapt::Tensor<float> rows(rapt::Shape{texts.size(), model.config().vocabulary});
  for (rapt::Index s = 0; s < texts.sequences(); ++s) {
    auto state = model.empty_state(1);
    for (rapt::Index i = 0; i < texts.row_splits.length(s); ++i) {
      const rapt::Tensor<float> next = model.step(state, texts.sequence(s).subspan(rapt::to_size(i), 1));
      std::copy(next.values().begin(), next.values().end(), rows.row(texts.row_splits.begin(s) + i));
    }
  }
  return rows;
}

template <class M>
void write_run(const std::filesystem::path& folder, const M& model) {
  std::ignore = rapt::onnx::export_onnx(model, folder);
  auto run = rapt_test::run_saved(model);
  Entries entries;
  rapt::TokenBatch source;
  if (run.ids.contains("input_ids")) {
    const Ids &ids = run.ids.at("input_ids"), &splits = run.ids.at("input_ids.splits");
    for (std::size_t s = 0; s + 1 < splits.size(); ++s) {
      source.push_back(std::vector<rapt::TokenId>(ids.begin() + splits[s], ids.begin() + splits[s + 1]));
    }
  }
  if constexpr (std::is_same_v<M, rapt::Mae<float>>) add_masked_images(run, model);
  if constexpr (std::is_same_v<M, rapt::TransformerXl<float>>) {
    run.numbers["steps"] = step_by_step(model, source);
    const rapt::TransformerXlConfig& config = model.config();
    entries.add("marks/zeros", Ids{config.begins_with_zeros ? config.memory_length : 0});
  }
  for (const auto& [input, ids] : run.ids) entries.add("input/" + input, ids);
  for (const auto& [input, numbers] : run.numbers) entries.add("input/" + input, numbers);
  for (const auto& [output, numbers] : run.outputs) entries.add("output/" + output, numbers);
  if (run.generated.sequences() > 0) {
    entries.add("greedy", run.generated);
    if constexpr (rapt::DecodingModel<M>) add_searches(entries, model, source);
  }
  entries.write(folder / "run.safetensors");
}

/// A model with the config of `base` changed by `change`, in a folder of its own.
template <class M, class Change>
void write_case(const std::filesystem::path& folder, typename M::Config config, const Change& change) {
  change(config);
  rapt::Rng rng(1);
  M model(config, rng);
  rapt_test::randomise(model);
  write_run(folder, std::as_const(model));
}

void write_transformers(const std::filesystem::path& out) {
  const auto with = [&](const char* name, const auto& change) {
    write_case<rapt::Transformer<float>>(out / name,
                                         {.source_vocabulary = 17,
                                          .target_vocabulary = 17,
                                          .d_model = 8,
                                          .heads = 2,
                                          .d_ff = 12,
                                          .encoder_layers = 2,
                                          .decoder_layers = 2},
                                         change);
  };
  with("transformer_plain", [](auto&) {});
  with("transformer_pre_norm", [](auto& c) {
    c.norm = rapt::NormPlacement::pre, c.tie_embeddings = false, c.target_vocabulary = 15, c.output_bias = true;
  });
  with("transformer_tied_output", [](auto& c) {
    c.tie_embeddings = false, c.tie_output = true, c.final_norm = true, c.decoder_heads = 4, c.decoder_d_ff = 10;
    c.activation = rapt::Activation::gelu, c.norm_epsilon = 1e-3;
  });
  with("transformer_learned_positions", [](auto& c) {
    c.learned_positions = 12, c.unused_positions = 2, c.embedding_norm = c.output_bias = true,
    c.scale_embeddings = false;
  });
  with("transformer_sinusoids",
       [](auto& c) { c.positions = {.layout = rapt::SinusoidLayout::concatenated, .first_position = 3}; });
}

/// Those that Hugging Face's code cannot run, which begins with zeros.
void write_transformer_xls(const std::filesystem::path& out) {
  const auto with = [&](const char* name, const auto& change) {
    write_case<rapt::TransformerXl<float>>(out / name,
                                           {.vocabulary = 17,
                                            .cutoffs = {5, 9},
                                            .div_val = 2,
                                            .d_model = 8,
                                            .d_embed = 8,
                                            .heads = 2,
                                            .head_dim = 4,
                                            .d_ff = 12,
                                            .layers = 2,
                                            .memory_length = 4,
                                            .clamp_length = 0,
                                            .same_length = false},
                                           change);
  };
  with("transformer_xl_behind_nothing", [](auto&) {});
  with("transformer_xl_one_table", [](auto& c) { c.div_val = 1, c.d_embed = 6, c.memory_length = 20; });
  with("transformer_xl_no_memory", [](auto& c) { c.memory_length = 0; });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::filesystem::path out = argv[1];
  rapt::set_precision(rapt::Precision::highest);
  rapt_test::for_each_saved_model<float>(
      [&](const std::string& name, const auto& model) { write_run(out / name, model); });
  write_transformers(out);
  write_transformer_xls(out);
}
