// Threads of a program's own use one model beside the threads of rapt: every way of sharing gives the same bits.
#include <atomic>
#include <cstdio>
#include <rapt/rapt.hpp>
#include <set>
#include <thread>
#include <vector>

/// Stands for the pool that the program has: four threads, each of which takes the next request when it is ready.
template <class F>
void on_own_threads(rapt::Index requests, const F& answer) {
  std::atomic<rapt::Index> next = 0;
  const auto work = [&] {
    for (rapt::Index request = next++; request < requests; request = next++) answer(request);
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
}

int main() {
  rapt::Rng rng(1);
  const rapt::Gpt model({.vocabulary = 256, .positions = 128, .d_model = 128, .layers = 2, .heads = 4}, rng);
  std::vector<rapt::TokenBatch> requests(24);
  for (rapt::TokenBatch& request : requests) {
    std::vector<rapt::TokenId> tokens(rapt::to_size(20 + rng.below(100)));
    for (rapt::TokenId& token : tokens) token = static_cast<rapt::TokenId>(rng.below(256));
    request.push_back(tokens);
  }

  std::vector<std::vector<float>> answers(requests.size()), first;
  const auto answer = [&](rapt::Index i) {
    const auto logits = model(rapt::at(requests, i)).value();  // a const model serves any number of threads
    rapt::at(answers, i).assign(logits.values().begin(), logits.values().end());
  };
  const auto report = [&](const char* way) {
    const bool is_first = first.empty();
    if (is_first) first = answers;
    std::printf("%s: %s\n", way, is_first ? "24 answers" : answers == first ? "the same bits" : "other bits");
    for (auto& numbers : answers) numbers.clear();
  };
  rapt::set_threads(2);  // as RAPT_THREADS=2 does; not while another thread computes
  for (rapt::Index i = 0; i < std::ssize(requests); ++i) answer(i);
  report("one caller, each request on rapt's two threads");
  on_own_threads(std::ssize(requests), answer);
  report("four callers, one of which has rapt's two threads");
  rapt::parallel_parts(std::ssize(requests), answer);
  report("rapt's threads, each with a request of its own");

  rapt::parallel_parts(2, [](rapt::Index part) {  // has rapt's threads until both parts are done
    if (part != 0) return;
    std::set<std::thread::id> used;
    const auto note = [&](rapt::Index) { used.insert(std::this_thread::get_id()); };
    std::thread([&] { rapt::parallel_parts(100, note); }).join();
    std::printf("meanwhile another caller computes on %zu thread\n", used.size());
  });
  rapt::set_threads(1);
  on_own_threads(std::ssize(requests), answer);
  report("four callers, each of which computes alone");
}
