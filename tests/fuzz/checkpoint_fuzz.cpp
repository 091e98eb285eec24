/// \file
/// libFuzzer target: whatever a checkpoint holds, loading it either works, and training can go on, or throws
/// rapt::Error and has changed nothing.
///
/// An input that begins with '{' is the trainer's state in a good checkpoint, every other one is the whole file.
///
///     sh tests/fuzz/run.sh 120 checkpoint  # -max_len=16384
#include <cstdint>
#include <string>
#include <vector>

#include "rapt/data/batching.hpp"
#include "rapt/models/transformer.hpp"
#include "rapt/train/checkpoint.hpp"
#include "tests/common/adam_moments.hpp"
#include "tests/fuzz/fuzz_files.hpp"

namespace {

/// A small model in training.
struct Run {
  std::vector<rapt::TokenPair> pairs = {{{3, 4}, {4, 3}}, {{4}, {4}}, {{3, 3}, {3, 3}}};
  rapt::Rng rng{1};
  rapt::Transformer<float> model{{.source_vocabulary = 5,
                                  .target_vocabulary = 5,
                                  .d_model = 2,
                                  .heads = 1,
                                  .d_ff = 2,
                                  .encoder_layers = 1,
                                  .decoder_layers = 1,
                                  .dropout = 0.1f},
                                 rng};
  rapt::BatchStream stream{pairs, {.tokens = 6}};
  rapt::Trainer<rapt::Transformer<float>> trainer{model, {.average_decay = 0.9}};

  /// All numbers that training changes.
  [[nodiscard]] std::vector<float> state() {
    std::vector<float> all = {static_cast<float>(trainer.steps()), static_cast<float>(stream.position().epoch),
                              static_cast<float>(stream.position().batch)};
    const auto add = [&](const auto& tensor) { all.insert(all.end(), tensor.values().begin(), tensor.values().end()); };
    rapt::for_each_parameter(std::as_const(model), [&](const std::string&, const auto& p) { add(p.value()); });
    rapt_test::for_each_moments(trainer.adam(), [&](const std::string&, const auto& m, const auto& v) {
      add(m);
      add(v);
    });
    trainer.average()->for_each_state([&](const std::string&, const auto& average) { add(average); });
    return all;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const rapt_fuzz::Folder folder;
  const std::string input(reinterpret_cast<const char*>(data), size);
  const auto path = folder.path() / "checkpoint.safetensors";
  Run run;
  const std::vector<float> before = run.state();
  try {
    if (input.starts_with('{')) {
      std::vector<rapt::SafetensorsEntry> entries = rapt::parameter_entries(std::as_const(run.model));
      rapt_test::for_each_moments(run.trainer.adam(), [&](const std::string& name, const auto& m, const auto& v) {
        entries.emplace_back("adam.m." + name, m.view());
        entries.emplace_back("adam.v." + name, v.view());
      });
      run.trainer.average()->for_each_state([&](const std::string& name, const auto& average) {
        entries.emplace_back("average." + name, average.view());
      });
      rapt::write_safetensors(path, entries, {{"trainer", input}});
    } else {
      folder.write("checkpoint.safetensors", input);
    }
    rapt::load_checkpoint(path, run.trainer, run.stream);
  } catch (const rapt::Error&) {
    const std::vector<float> after = run.state();
    rapt_fuzz::expect(std::memcmp(before.data(), after.data(), before.size() * sizeof(float)) == 0);
    return 0;
  }
  for (rapt::Index i = 0; i <= run.stream.batches_per_epoch(); ++i) std::ignore = run.stream.next();
  rapt::save_checkpoint(folder.path() / "again.safetensors", run.trainer);
  rapt::load_checkpoint(folder.path() / "again.safetensors", run.trainer, run.stream);
  return 0;
}
