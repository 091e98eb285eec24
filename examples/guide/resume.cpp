// A training that is killed in the middle goes on from its folder, and the model comes out the same, bit for bit.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <rapt/rapt.hpp>
#include <rapt/train/job.hpp>
#include <span>
#include <vector>

/// Learns to reverse sequences in 60 steps, with a checkpoint every 20, and returns the parameters. Before step
/// `killed_at` the process is killed, as by a power cut.
std::vector<float> train(const std::filesystem::path& folder, bool resume, rapt::Index killed_at = -1) {
  rapt::TrainingJob job({.folder = folder, .resume = resume, .checkpoint_every = 20, .messages = stdout});
  rapt::Rng rng(1);
  std::vector<rapt::TokenPair> pairs(200);
  for (auto& [source, target] : pairs) {
    for (int i = 0; i < 6; ++i) source.push_back(static_cast<rapt::TokenId>(3 + rng.below(13)));
    target.assign(source.rbegin(), source.rend());
  }
  rapt::TransformerConfig config = rapt::TransformerConfig::tiny(/*vocabulary=*/16);
  config.d_model = 32;
  config.encoder_layers = config.decoder_layers = 1;
  rapt::Transformer model(config, rng);
  const rapt::CosineSchedule schedule{.peak = 3e-3, .warmup = 10, .steps = 60};
  const auto learning_rate = [&](rapt::Index step) {
    if (step == killed_at) ::raise(SIGKILL);
    return schedule(step);
  };
  rapt::Trainer trainer(model, {.learning_rate = learning_rate});
  rapt::BatchStream batches(pairs, {.tokens = 300});
  job.run(trainer, batches, {.steps = 60});

  std::vector<float> numbers;
  rapt::for_each_parameter(model, [&](const std::string&, const auto& parameter) {
    const std::span<const float> values = parameter.value().values();
    numbers.insert(numbers.end(), values.begin(), values.end());
  });
  return numbers;
}

int main() {
  const pid_t child = ::fork();
  if (child == 0) {
    train("killed", /*resume=*/false, /*killed_at=*/45);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  std::printf("the first process was %s\n", WIFSIGNALED(status) ? "killed" : "not killed");
  const std::vector<float> resumed = train("killed", /*resume=*/true);
  const std::vector<float> undisturbed = train("undisturbed", /*resume=*/false);
  std::printf("%zu parameters, %s\n", resumed.size(),
              resumed == undisturbed ? "all the same bits as those of an undisturbed run" : "which differ");
}
