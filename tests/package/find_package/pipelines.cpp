/// \file
/// Saves a model as a folder, loads it, and uses a tokenizer, with the component pipelines of an installed rapt alone.
#include <rapt/pipelines/sentence_encoder.hpp>
#include <rapt/pretrained/gpt.hpp>

#include <cstdio>

int main() {
  rapt::Rng rng(1);
  const rapt::Gpt<float> model({.vocabulary = 7, .positions = 4, .d_model = 4, .layers = 1, .heads = 1}, rng);
  rapt::save_pretrained("consumer_folder", model);
  const auto again = rapt::from_pretrained<rapt::Gpt<float>>("consumer_folder");
  const rapt::WordPiece tokenizer({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"});
  const rapt::TokenBatch batch({tokenizer.encode("a b")});
  std::printf("read back: %td parameters, %td tokens\n", rapt::count_parameters(again), batch.size());
  return again(batch).value().rows() == batch.size() ? 0 : 1;
}
