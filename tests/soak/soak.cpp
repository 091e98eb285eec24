// A soak: does the resident memory of a program stay flat while it decodes a million sequences in threads that are
// born and end, and trains now and then? Run by tests/soak/run.sh.
//
//     soak [DECODES [THREADS]]
//
// Rounds follow one another until DECODES sequences (1,000,000) are decoded. In each round THREADS threads (4) are
// made, decode with one model that all share, and end; a second model then makes one training step. Every decoded
// sequence must be the one that was found first for its source. The resident memory is printed at 50 points. The
// program fails if a sequence differs, or if in the second half of the points the memory is ever larger by more than 2
// MiB than the largest of the first half.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <rapt/rapt.hpp>
#include <thread>
#include <vector>

namespace {

/// Resident memory of this process in KiB, as Linux tells it; 0 where it does not.
long resident_kib() {
  std::ifstream file("/proc/self/statm");
  long total = 0, resident = 0;
  file >> total >> resident;
  return file ? resident * (::sysconf(_SC_PAGESIZE) / 1024) : 0;
}

/// Sequences of `shortest` to `shortest + 6` random letters, the ids 3 to 15.
std::vector<rapt::TokenPair> sequences(int count, int shortest, rapt::Rng& rng) {
  std::vector<rapt::TokenPair> pairs(static_cast<std::size_t>(count));
  for (auto& [source, target] : pairs) {
    const int length = shortest + static_cast<int>(rng.below(7));
    for (int i = 0; i < length; ++i) source.push_back(static_cast<rapt::TokenId>(3 + rng.below(13)));
    target.assign(source.rbegin(), source.rend());
  }
  return pairs;
}

rapt::TransformerConfig config() {
  rapt::TransformerConfig result = rapt::TransformerConfig::tiny(/*vocabulary=*/16);
  result.d_model = 32;
  result.d_ff = 64;
  result.encoder_layers = result.decoder_layers = 1;
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  const long decodes = argc > 1 ? std::atol(argv[1]) : 1'000'000;
  const int threads = argc > 2 ? std::atoi(argv[2]) : 4;
  if (decodes < 50 || threads < 1 || threads > 256) {
    std::fprintf(stderr, "soak [DECODES [THREADS]]: 50 decodes at least, 1 to 256 threads\n");
    return 2;
  }
  rapt::Rng rng(1);
  const rapt::Transformer model(config(), rng);
  rapt::Transformer learner(config(), rng);
  rapt::Adam adam(learner);

  constexpr int kBatch = 8, kBatches = 16;
  std::vector<rapt::TokenBatch> sources;
  std::vector<std::vector<rapt::Hypothesis>> expected;
  const auto decode = [&](const rapt::TokenBatch& source) {
    return rapt::greedy_search(model, source, {.extra_length = 4});
  };
  for (int i = 0; i < kBatches; ++i) {
    sources.push_back(rapt::make_batch(sequences(kBatch, 2 + i % 4, rng)).source);
    expected.push_back(decode(sources.back()));
  }

  const auto begin = std::chrono::steady_clock::now();
  std::atomic<long> done{0}, different{0};
  std::vector<long> memory;
  long born = 0;
  while (done < decodes) {
    std::vector<std::thread> workers;
    for (int t = 0; t < threads; ++t) {
      workers.emplace_back([&, t] {
        for (std::size_t i = 0; i < kBatches; ++i) {
          const std::size_t at = (i + static_cast<std::size_t>(t)) % kBatches;
          const std::vector<rapt::Hypothesis> found = decode(sources[at]);
          for (std::size_t s = 0; s < found.size(); ++s) different += found[s].tokens != expected[at][s].tokens;
          done += kBatch;
        }
      });
    }
    for (std::thread& worker : workers) worker.join();
    born += threads;
    {
      const rapt::Training training(rng);
      rapt::backward(learner.loss(rapt::make_batch(sequences(kBatch, 2, rng))));
      adam.step(1e-3);
    }
    while (static_cast<long>(memory.size()) < std::min(50L, done * 50 / decodes)) {
      memory.push_back(resident_kib());
      const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
      std::printf("%9ld decoded  %8ld threads born  %7.1f s  resident %7ld KiB\n", done.load(), born, time.count(),
                  memory.back());
      std::fflush(stdout);
    }
  }
  const auto middle = memory.begin() + static_cast<std::ptrdiff_t>(memory.size() / 2);
  const long first = *std::max_element(memory.begin(), middle), second = *std::max_element(middle, memory.end());
  std::printf("%ld sequences decoded in %ld threads, %ld different\n", done.load(), born, different.load());
  std::printf("largest resident memory: first half %ld KiB, second half %ld KiB\n", first, second);
  if (first == 0) std::printf("this system does not tell the resident memory\n");
  return different == 0 && first > 0 && second <= first + 2048 ? 0 : 1;
}
