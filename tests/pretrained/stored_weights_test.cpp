/// \file
/// Folders in 16 bits whose matrices stay in that type, and matrices that are quantised while they are loaded.
// covers: pretrained/pretrained.hpp
#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "rapt/core/memory.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/kernels/gemm/half.hpp"
#include "rapt/kernels/gemm/int4.hpp"
#include "rapt/kernels/gemm/int8.hpp"
#include "rapt/models/gpt.hpp"
#include "rapt/models/llama.hpp"
#include "rapt/pretrained/gpt.hpp"
#include "rapt/pretrained/llama.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/settings.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt::Gpt;
using rapt::Index;
using rapt::Llama;
using rapt::LoadedWeights;
using rapt::TokenBatch;
using rapt::kernels::Half;
using rapt::kernels::HalfType;
using rapt_test::error_text;
using rapt_test::relative_error;

/// The model in a folder, with its tensors in a type of 16 bits.
template <class M>
void save_in_16_bits(const std::filesystem::path& folder, const M& model, HalfType type) {
  rapt::save_pretrained(folder, model);
  const std::filesystem::path path = folder / "model.safetensors";
  std::vector<std::vector<Half>> bits;
  std::vector<rapt::SafetensorsEntry> entries;
  {
    const rapt::SafetensorsFile file(path);
    for (const std::string& name : file.names()) {
      std::vector<Half>& to = bits.emplace_back();
      const rapt::Tensor<float> tensor = file.read<float>(name);
      for (const float x : tensor.values()) to.push_back(rapt::kernels::to_half(type, x));
      entries.emplace_back(name, type == HalfType::float16 ? "F16" : "BF16", file.sizes(name),
                           std::as_bytes(std::span(to)));
    }
  }
  rapt::write_safetensors(path, entries);
}

Gpt<float> some_gpt() {  // its matrices are stored transposed
  rapt::Rng rng(1);
  return Gpt<float>({.vocabulary = 61, .positions = 40, .d_model = 48, .layers = 2, .heads = 4}, rng);
}
Llama<float> some_llama() {  // queries, keys and values are tensors of their own in files
  rapt::Rng rng(2);
  return Llama<float>({.vocabulary = 300, .d_model = 64, .layers = 2, .heads = 4, .key_value_heads = 2, .d_ff = 96},
                      rng);
}

const TokenBatch& sequences() {
  static const TokenBatch batch({{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5}, {8, 9}});
  return batch;
}

template <class M>
void expect_the_same_in_16_bits(const M& made) {
  const rapt_test::HighestPrecision scope;
  for (const HalfType type : {HalfType::float16, HalfType::bfloat16}) {
    const rapt_test::TemporaryFolder folder;
    save_in_16_bits(folder.path(), made, type);
    const auto computed = rapt::from_pretrained<M>(folder.path());
    const auto stored = rapt::from_pretrained<M>(folder.path(), {.weights = LoadedWeights::stored});
    EXPECT_LE(relative_error(stored(sequences()).value(), computed(sequences()).value()), 1e-5);
    const rapt::GenerationOptions options{.extra_length = 8};
    rapt::SearchRequest request;
    request.marks = computed.sequence_marks();
    request.marks->ends.clear();
    const auto expected = rapt::greedy_search(computed, sequences(), options, request);
    const auto found = rapt::greedy_search(stored, sequences(), options, request);
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i].tokens, expected[i].tokens);
      EXPECT_NEAR(found[i].log_probability, expected[i].log_probability, 1e-3);
    }
    // Its loss, which frozen matrices may be below or in, is that of the numbers in the file.
    const std::vector<rapt::TokenId> targets{1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 7, 9, 3};
    const rapt::LanguageBatch batch{.input = sequences(), .targets = targets, .rows = {}};
    EXPECT_NEAR(stored.loss(batch).item(), computed.loss(batch).item(), 1e-5);
    rapt::for_each_parameter(stored, [](const std::string& name, const auto& parameter) {
      EXPECT_EQ(parameter.value().has_elements(), parameter.shape().rank() != 2) << name;
    });
  }
}

TEST(StoredWeights, AGptIsTheSameInSixteenBits) { expect_the_same_in_16_bits(some_gpt()); }
TEST(StoredWeights, ALlamaIsTheSameInSixteenBits) { expect_the_same_in_16_bits(some_llama()); }

TEST(StoredWeights, MatricesStayInTheMappedFile) {
  const rapt_test::TemporaryFolder folder;
  save_in_16_bits(folder.path(), some_llama(), HalfType::bfloat16);
  std::size_t elements = 0;
  const auto memory_of = [&](LoadedWeights weights) {
    const std::size_t before = rapt::memory_stats().in_use;
    const auto model = rapt::from_pretrained<Llama<float>>(folder.path(), {.weights = weights});
    elements = 0;
    rapt::for_each_parameter(model, [&](const std::string&, const auto& parameter) {
      if (parameter.shape().rank() == 2) elements += rapt::to_size(parameter.size());
    });
    return rapt::memory_stats().in_use - before;
  };
  const std::size_t computed = memory_of(LoadedWeights::computed), stored = memory_of(LoadedWeights::stored);
  EXPECT_GT(computed - stored, 3 * elements);  // copies in 16 bits would save two bytes an element
}

TEST(StoredWeights, AFolderInFloat32IsLoadedAsEver) {
  const rapt_test::TemporaryFolder folder;
  const auto made = some_gpt();
  rapt::save_pretrained(folder.path(), made);
  const auto stored = rapt::from_pretrained<Gpt<float>>(folder.path(), {.weights = LoadedWeights::stored});
  EXPECT_TRUE(rapt_test::same_bits(stored(sequences()).value(), made(sequences()).value()));
}

TEST(StoredWeights, QuantisedWhileLoadingIsAsAfterwards) {
  for (const auto& [weights, format] : {std::pair(LoadedWeights::int8, &rapt::kernels::store_int8),
                                        std::pair(LoadedWeights::int4, &rapt::kernels::store_int4)}) {
    const rapt_test::TemporaryFolder folder;
    auto made = some_gpt();
    rapt::save_pretrained(folder.path(), made);
    rapt::Index loaded_numbers = 0, all_numbers = 0;
    const auto report = [&](rapt::Index done, rapt::Index total) {
      EXPECT_GT(done, loaded_numbers);
      loaded_numbers = done, all_numbers = total;
    };
    auto loaded = rapt::from_pretrained<Gpt<float>>(folder.path(), {.weights = weights, .report = report});
    EXPECT_EQ(loaded_numbers, rapt::count_parameters(made));
    EXPECT_EQ(all_numbers, loaded_numbers);
    rapt::pack_weights(loaded);  // as the pipelines do; nothing is there to pack
    rapt::quantize_weights(made, format);
    rapt::drop_unpacked_weights(made);
    EXPECT_TRUE(rapt_test::same_bits(loaded(sequences()).value(), made(sequences()).value()));
  }
}

TEST(StoredWeights, ErrorsNameTheFolder) {
  const rapt_test::TemporaryFolder folder;
  rapt::save_pretrained(folder.path(), some_gpt());
  EXPECT_NE(
      error_text<rapt::ValueError>([&] {
        std::ignore = rapt::from_pretrained<Gpt<double>>(folder.path(), {.weights = LoadedWeights::int4});
      }).find("[pretrained] only float32 models keep their weights in 16 bits or less: " + folder.path().string()),
      std::string::npos);
  const rapt::SafetensorsFile file(folder.path() / "model.safetensors");
  const std::string message = error_text<rapt::IoError>([&] { std::ignore = file.read_bits(file.names().front()); });
  EXPECT_NE(message.find("F32"), std::string::npos) << message;
  EXPECT_NE(message.find("wanted are F16 or BF16"), std::string::npos) << message;
}

}  // namespace
