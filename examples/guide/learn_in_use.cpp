// Answers from one thread while another one goes on learning: the use of a word has changed.
// needs: tune_classifier
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <rapt/pipelines/tokenizer.hpp>
#include <rapt/pretrained/bert.hpp>
#include <rapt/rapt.hpp>
#include <rapt/train/live_model.hpp>
#include <thread>
#include <utility>

int main() {
  auto model = rapt::from_pretrained<rapt::Bert<float>>("mood");
  const auto tokenizer = rapt::AnyTokenizer::load("mood");
  const std::vector<std::string> labels = model.config().labels;
  rapt::LiveModel live(model);
  const auto label_of = [&](const std::string& text) {  // from any thread
    const rapt::TokenBatch tokens = tokenizer.encode_batch(std::span(&text, 1));
    const auto reading = live.read();  // the parameters as they were last published
    const auto scores = reading->class_logits(reading->hidden(tokens), tokens.row_splits).value();  // [1, labels]
    return rapt::at(labels, std::max_element(scores.data(), scores.data() + scores.size()) - scores.data());
  };
  const auto show = [&] {
    for (const char* const text : {"The garden was fine.", "The garden was great.", "The garden was bad."}) {
      std::printf("%-22s %s\n", text, label_of(text).c_str());
    }
  };
  show();

  std::atomic<bool> is_learning = true;
  std::thread learner([&] {  // from now on "fine" is said to blame; what was right stays right
    rapt::LabelledText batch;
    for (const char* const thing : {"film", "book", "street", "song"}) {
      for (const auto& [adjective, label] :
           {std::pair{"fine", "blame"}, std::pair{"great", "praise"}, std::pair{"bad", "blame"}}) {
        batch.input.push_back(tokenizer.encode("The " + std::string(thing) + " was " + adjective + "."));
        batch.labels.push_back(
            static_cast<std::int32_t>(std::find(labels.begin(), labels.end(), label) - labels.begin()));
      }
    }
    rapt::Trainer trainer(model, {.learning_rate = [](rapt::Index) { return 1e-3; }});
    for (int step = 1; step <= 60; ++step) {
      trainer.step(batch);
      if (step % 5 == 0) live.publish();
    }
    is_learning = false;
  });
  rapt::Index answers = 0;
  do {
    answers += !label_of("The garden was fine.").empty();
  } while (is_learning);
  learner.join();
  while (!live.publish()) std::this_thread::yield();  // nobody reads any more
  std::printf("answers meanwhile: %s\n", answers > 0 ? "yes" : "no");
  show();
}
