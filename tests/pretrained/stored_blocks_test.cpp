/// \file
/// GGUF files whose quantised matrices are served as they are: outputs are those of the dequantised model.
#include "rapt/pretrained/stored_blocks.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "rapt/core/memory.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/io/gguf.hpp"
#include "rapt/io/gguf_blocks.hpp"
#include "rapt/kernels/gemm/half.hpp"
#include "rapt/models/llama.hpp"
#include "rapt/pretrained/llama.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/gguf_bytes.hpp"
#include "tests/common/settings.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt::LoadedWeights;
using rapt_test::GgufBytes;

constexpr std::uint64_t kWidth = 256, kWords = 40;

/// Adds tensors one behind the other.
class QuantisedFile {
 public:
  GgufBytes file;

  void ones(const std::string& name) {
    file.tensor(name, {kWidth}, std::vector<float>(kWidth, 1.f), offset_);
    offset_ += kWidth * sizeof(float);
  }
  /// Random blocks of a type, whose scales are such that numbers are at most about 0.1.
  void matrix(const std::string& name, std::uint64_t rows, const std::string& type) {
    struct Scales {
      std::vector<std::size_t> at;
      float size;
    };
    static const std::map<std::string, Scales> all{{"Q4_0", {{0}, 0.01f}},      {"Q4_1", {{0, 2}, 0.008f}},
                                                   {"Q5_0", {{0}, 0.005f}},     {"Q8_0", {{0}, 0.0008f}},
                                                   {"Q4_K", {{0, 2}, 0.0001f}}, {"Q6_K", {{208}, 0.00003f}}};
    const Scales& scales = all.at(type);
    for (const rapt::detail::GgufType& known : rapt::detail::kGgufTypes) {
      if (known.name != type) continue;
      const std::size_t blocks = rows * kWidth / static_cast<std::size_t>(known.blocks->elements);
      std::string bytes(blocks * known.blocks->bytes, ' ');
      for (char& byte : bytes) byte = static_cast<char>(rng_.below(256));
      for (std::size_t i = 0; i < blocks; ++i) {
        for (const std::size_t at : scales.at) {
          const float sign = rng_.below(2) == 0 ? 1.f : -1.f;
          const auto bits = rapt::kernels::to_half(rapt::kernels::HalfType::float16, sign * scales.size);
          std::memcpy(bytes.data() + i * known.blocks->bytes + at, &bits, sizeof bits);
        }
      }
      file.tensor(name, {kWidth, rows}, known.number, bytes, offset_);
      offset_ += (bytes.size() + 31) / 32 * 32;
    }
  }

 private:
  std::uint64_t offset_ = 0;
  rapt::Rng rng_{3};
};

/// A Llama of three layers: types of queries, keys and values, and of all other matrices of each.
std::filesystem::path write_llama(const rapt_test::TemporaryFolder& folder) {
  QuantisedFile made;
  made.file.set("general.architecture", "llama");
  for (const auto& [name, value] : std::map<std::string, std::uint32_t>{{"embedding_length", 256},
                                                                        {"block_count", 3},
                                                                        {"attention.head_count", 4},
                                                                        {"attention.head_count_kv", 2},
                                                                        {"feed_forward_length", 256},
                                                                        {"context_length", 64}}) {
    made.file.set("llama." + name, value);
  }
  made.matrix("token_embd.weight", kWords, "Q8_0");
  made.matrix("output.weight", kWords, "Q6_K");
  made.ones("output_norm.weight");
  const std::vector<std::vector<std::string>> types{
      {"Q4_0", "Q4_0", "Q4_1"}, {"Q4_K", "Q4_K", "Q8_0"}, {"Q6_K", "Q5_0", "Q4_0"}};
  for (std::size_t i = 0; i < types.size(); ++i) {
    const std::string layer = "blk." + std::to_string(i) + ".";
    made.ones(layer + "attn_norm.weight");
    made.ones(layer + "ffn_norm.weight");
    made.matrix(layer + "attn_q.weight", 256, types[i][0]);
    made.matrix(layer + "attn_k.weight", 128, types[i][0]);
    made.matrix(layer + "attn_v.weight", 128, types[i][1]);
    for (const char* name : {"attn_output", "ffn_gate", "ffn_up", "ffn_down"}) {
      made.matrix(layer + name + ".weight", 256, types[i][2]);
    }
  }
  const std::filesystem::path path = folder.path() / "llama.gguf";
  std::ofstream(path, std::ios::binary) << made.file.bytes();
  return path;
}

TEST(StoredBlocks, AQuantisedLlamaIsTheSameUndequantised) {
  const rapt_test::HighestPrecision scope;
  const rapt_test::TemporaryFolder folder;
  const std::filesystem::path path = write_llama(folder);
  const auto computed = rapt::from_pretrained<rapt::Llama<float>>(path);
  const auto stored = rapt::from_pretrained<rapt::Llama<float>>(path, {.weights = LoadedWeights::stored});
  rapt::TokenBatch few({{3, 1, 4, 1, 5}}), many({{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5}, {8, 9, 39, 0}});
  for (const rapt::TokenBatch& batch : {few, many}) {  // fewer tokens than are worth unpacking columns, and more
    EXPECT_LE(rapt_test::relative_error(stored(batch).value(), computed(batch).value()), 1e-5);
  }
  std::set<std::string> unpacked;
  rapt::for_each_packable_matrix(stored, [&](const std::string& name, const auto& parameter) {
    if (parameter.value().has_elements()) unpacked.insert(name);
  });
  // Queries, keys and values are one matrix here, and those of the last layer are of two types.
  EXPECT_EQ(unpacked.size(), 1u);
}

TEST(StoredBlocks, MatricesStayInTheMappedFile) {
  const rapt_test::TemporaryFolder folder;
  const std::filesystem::path path = write_llama(folder);
  const rapt::GgufFile file(path);
  const std::shared_ptr<const void> mapping = file.map();
  const auto blocks = file.borrow_blocks("blk.0.attn_output.weight", mapping);
  EXPECT_EQ(blocks.shape(), (rapt::Shape{256, 8 * 20}));
  EXPECT_EQ(blocks.data(), file.borrow_blocks("blk.0.attn_output.weight", mapping).data());
  const auto read = static_cast<const rapt::TensorFile&>(file).bytes("blk.0.attn_output.weight");
  EXPECT_EQ(std::memcmp(blocks.data(), read.data(), read.size()), 0);
  EXPECT_EQ(file.blocks_of_rows("output_norm.weight"), nullptr);
  rapt_test::expect_message<rapt::IoError>(
      [&] { static_cast<void>(file.borrow_blocks("output_norm.weight", mapping)); },
      "\"output_norm.weight\": has elements of \"F32\", wanted are rows of quantised blocks");
  // Queries, keys and values, and gates and values of the inner layer, are put together from parts in memory.
  const auto memory_of = [&](LoadedWeights weights) {
    const std::size_t before = rapt::memory_stats().in_use;
    const auto model = rapt::from_pretrained<rapt::Llama<float>>(path, {.weights = weights});
    return rapt::memory_stats().in_use - before;
  };
  EXPECT_LT(3 * memory_of(LoadedWeights::stored), memory_of(LoadedWeights::computed));
}

TEST(StoredBlocks, OtherTypesHaveNone) {
  EXPECT_EQ(rapt::detail::find_store_blocks(nullptr), nullptr);
  EXPECT_EQ(rapt::detail::find_store_blocks(&rapt::detail::kQ5_0), nullptr);
  EXPECT_NE(rapt::detail::find_store_blocks(&rapt::detail::kQ4_K), nullptr);
}

}  // namespace
