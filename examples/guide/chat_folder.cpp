// Trains a small model that holds a dialogue about a name and a pet, and saves it as a folder with a chat template.
#include <cstdio>
#include <fstream>
#include <rapt/pretrained/chat_template.hpp>
#include <rapt/pretrained/llama.hpp>
#include <rapt/pretrained/save_tokenizer.hpp>
#include <rapt/rapt.hpp>
#include <rapt/text/byte_level_bpe.hpp>

#include "chat_folder/dialogues.hpp"

/// Adds a dialogue to a batch. The targets are the assistant's tokens and the ends of its turns.
void add_dialogue(const std::vector<rapt::TokenId>& tokens, const rapt::ByteLevelBpe& tokenizer,
                  rapt::LanguageBatch& batch) {
  const rapt::TokenId begin = tokenizer.id("assistant\n"), end = tokenizer.id("<|im_end|>");
  const auto first = static_cast<std::int32_t>(batch.input.size());
  bool is_answer = false;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (is_answer) {  // predicted from the token before it
      batch.rows.push_back(first + static_cast<std::int32_t>(i) - 1);
      batch.targets.push_back(tokens[i]);
    }
    is_answer = tokens[i] == begin || (is_answer && tokens[i] != end);
  }
  batch.input.push_back(tokens);
}

int main() {
  const rapt::ByteLevelBpe tokenizer = dialogue_tokenizer();
  const rapt::ChatTemplate chat(kChatTemplate);
  rapt::Rng rng(1);
  rapt::Llama<float> model({.vocabulary = tokenizer.size(),
                            .d_model = 64,
                            .layers = 2,
                            .heads = 4,
                            .d_ff = 128,
                            .rotary = {.max_positions = 128},
                            .tie_embeddings = true,
                            .init_std = 0.08,
                            .end_tokens = {tokenizer.id("<|im_end|>")}},
                           rng);
  rapt::Adam adam(model);
  const rapt::CosineSchedule learning_rate{.peak = 4e-3, .warmup = 20, .steps = 200};
  double loss = 0;
  for (int step = 1; step <= 200; ++step) {
    rapt::LanguageBatch batch;
    for (int i = 0; i < 16; ++i) {
      add_dialogue(tokenizer.encode(chat.render(dialogue(rng), {.begins_answer = false})), tokenizer, batch);
    }
    rapt::Training training(rng);
    const auto mean_loss = model.loss(batch);
    rapt::backward(mean_loss);
    adam.step(learning_rate(step));
    loss = mean_loss.item();
  }
  std::printf("learned: %s\n", loss < 0.05 ? "yes" : "no");
  rapt::save_pretrained("chat", model);
  rapt::save_tokenizer("chat", tokenizer);
  std::ofstream("chat/chat_template.jinja") << kChatTemplate;
}
