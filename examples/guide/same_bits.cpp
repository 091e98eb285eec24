// The same bits with one thread and with two, and after a run that stopped and went on from a checkpoint.
#include <cstdio>
#include <cstring>
#include <rapt/rapt.hpp>
#include <rapt/train/checkpoint.hpp>

/// Forty sequences of five letters, each with its reverse.
std::vector<rapt::TokenPair> sequences() {
  rapt::Rng rng(7);
  std::vector<rapt::TokenPair> pairs(40);
  for (auto& [source, target] : pairs) {
    for (int i = 0; i < 5; ++i) source.push_back(static_cast<rapt::TokenId>(3 + rng.below(13)));
    target.assign(source.rbegin(), source.rend());
  }
  return pairs;
}

/// A model, its batches and its training, made anew as when a program starts.
struct Run {
  std::vector<rapt::TokenPair> pairs = sequences();
  rapt::Rng rng{1};
  rapt::Transformer<float> model{rapt::TransformerConfig::tiny(/*vocabulary=*/16), rng};
  rapt::BatchStream batches{pairs, {.tokens = 80, .seed = 3}};
  rapt::Trainer<rapt::Transformer<float>> trainer{model, {.learning_rate = rapt::PaperSchedule{128, 20}, .seed = 5}};

  void train_to(rapt::Index step) {
    trainer.run(
        batches, {.steps = step}, /*validate=*/[] { return 0.0; }, /*report=*/[](const rapt::Progress&) {});
  }
};

void compare(const char* what, const Run& a, const Run& b) {
  std::vector<float> x, y;
  const auto into = [](std::vector<float>& all) {
    return [&all](const auto&, const auto& p) { all.insert(all.end(), p.value().data(), p.value().data() + p.size()); };
  };
  rapt::for_each_parameter(a.model, into(x));
  rapt::for_each_parameter(b.model, into(y));
  const bool same = x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0;
  std::printf("%s: %s\n", what, same ? "the same bits" : "other bits");
}

int main() {
  Run one, two, stopped, resumed;
  rapt::set_threads(1);
  one.train_to(30);
  rapt::set_threads(2);
  two.train_to(30);
  compare("one thread and two", one, two);

  stopped.train_to(10);
  rapt::save_checkpoint("checkpoint.safetensors", stopped.trainer);
  rapt::load_checkpoint("checkpoint.safetensors", resumed.trainer, resumed.batches);
  compare("after step 10", one, resumed);
  resumed.train_to(30);
  compare("resumed to step 30", one, resumed);
}
