// Shows which keys each query attends to: sequences without padding, and the masks that a call can bring.
#include <array>
#include <cstdio>
#include <limits>
#include <rapt/rapt.hpp>
#include <string>
#include <tuple>

constexpr rapt::Index kLength = 6;
const auto kLengths = rapt::RowSplits::from_lengths(std::array<rapt::Index, 2>{kLength, 3});  // rows 0 .. 5 and 6 .. 8

/// One row of characters for each query, one character for each key: '#' is attended to, '.' has probability 0.
void show(const char* title, const rapt::MultiHeadAttentionOptions& options, const rapt::AttentionMask<float>& mask) {
  rapt::Rng rng(1);
  const rapt::MultiHeadAttention<float> attention(options, rng);
  rapt::Tensor<float> x(rapt::Shape{kLengths.rows(), options.d_model}), weights;
  rng.fill_normal(x.values(), 0, 1);
  std::ignore = attention(rapt::Variable(x), kLengths, mask, {.weights = &weights});  // [sequences, heads, 6, 6]

  std::printf("%s\n", title);
  for (rapt::Index query = 0; query < kLength; ++query) {
    std::string line;
    for (rapt::Index sequence = 0; sequence < 2 && query < kLengths.length(sequence); ++sequence) {
      const float* const row = weights.data() + (sequence * kLength + query) * kLength;
      if (sequence > 0) line += "  ";
      for (rapt::Index key = 0; key < kLengths.length(sequence); ++key) line += row[key] > 0 ? '#' : '.';
    }
    std::printf("  %s\n", line.c_str());
  }
}

int main() {
  const rapt::MultiHeadAttentionOptions options{.d_model = 8, .heads = 1};
  show("no mask", options, {});
  show("causal", options, {.causal = true});

  auto narrow = options;
  narrow.window = 1;
  show("window of 1", narrow, {});
  show("window of 1, causal", narrow, {.causal = true});

  rapt::Tensor<bool> hidden(rapt::Shape{kLength, kLength}, false);  // true: may not attend
  for (rapt::Index query = 0; query < kLength; ++query) hidden(query, 1) = query != 1;
  show("boolean mask: nobody else sees key 1", options, {.mask = hidden.view()});

  rapt::Tensor<float> added(rapt::Shape{kLength, kLength}, 0.f);  // is added to the scores before softmax
  for (rapt::Index query = 0; query < kLength; ++query) {
    for (rapt::Index key = 0; key < kLength; ++key) {
      if ((query + key) % 2 == 1) added(query, key) = -std::numeric_limits<float>::infinity();
    }
  }
  show("additive mask: even and odd positions apart", options, {.additive_mask = added.view()});
}
