/// \file
/// Writes the attention page of an untrained Transformer whose tokens are called as the arguments say, and prints the
/// same weights as JSON, for attention_page_browser_test.py:
///
///     sample_page FILE TITLE SOURCE TARGET source tokens... -- target tokens...
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "rapt/core/atomic_file.hpp"
#include "rapt/rapt.hpp"
#include "rapt/visualization/attention_page.hpp"

namespace {

std::vector<std::vector<rapt::TokenId>> some_ids(std::size_t count) {
  std::vector<rapt::TokenId> ids;
  for (std::size_t i = 0; i < count; ++i) ids.push_back(static_cast<rapt::TokenId>(7 * i % 31));
  return {ids};
}

void print(const char* name, const std::vector<rapt::Tensor<float>>& layers) {
  std::printf("\"%s\": [", name);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    std::printf("%s[", i > 0 ? ", " : "");
    for (rapt::Index j = 0; j < layers[i].size(); ++j) {
      std::printf("%s%.9g", j > 0 ? ", " : "", static_cast<double>(layers[i].data()[j]));
    }
    std::printf("]");
  }
  std::printf("]");
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto separator = std::find(arguments.begin(), arguments.end(), "--");
  if (arguments.size() < 5 || separator == arguments.end()) return 2;
  const std::vector<std::string> source(arguments.begin() + 4, separator), target(separator + 1, arguments.end());

  rapt::Rng rng(1);
  rapt::Transformer model({.source_vocabulary = 31,
                           .target_vocabulary = 31,
                           .d_model = 24,
                           .heads = 3,
                           .d_ff = 32,
                           .encoder_layers = 2,
                           .decoder_layers = 2},
                          rng);
  const auto maps =
      model.attention_maps(rapt::TokenBatch(some_ids(source.size())), rapt::TokenBatch(some_ids(target.size() - 1)));
  const std::string page = rapt::attention_page(
      {.title = arguments[1], .source = arguments[2], .target = arguments[3]},
      rapt::translation_sections(source, target, maps.encoder_self, maps.decoder_self, maps.decoder_cross));
  rapt::AtomicFile file(arguments[0]);
  file.write(page.data(), page.size());
  file.commit();

  std::printf("{");
  print("encoder_self", maps.encoder_self);
  std::printf(", ");
  print("decoder_self", maps.decoder_self);
  std::printf(", ");
  print("decoder_cross", maps.decoder_cross);
  std::printf("}\n");
}
