/// \file
/// The mean loss over batches: any number of processes that share them finds the same bits.
#include "rapt/train/mean_loss.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <list>
#include <ranges>
#include <utility>
#include <vector>

#include "rapt/distributed/local_communicator.hpp"
#include "rapt/train/processes.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/next_token.hpp"

namespace {

using rapt::Communicator;
using rapt::Index;
using rapt::LanguageBatch;
using rapt::TokenPair;

/// The next target token from the last one; counts its calls.
struct NextTarget : rapt_test::NextToken {
  explicit NextTarget() {
    rapt::Rng rng(2);
    for (float& x : table.mutable_value().values()) x = static_cast<float>(rng.below(1000)) / 300;
  }
  using rapt_test::NextToken::loss;
  [[nodiscard]] rapt::Variable<float> loss(const rapt::TranslationBatch& batch) const {
    ++calls;
    return rapt::cross_entropy<float>(rapt::gather_rows<float>(table, batch.target_input.tokens), batch.target_output);
  }
  mutable int calls = 0;
};

std::vector<TokenPair> some_pairs() {
  std::vector<TokenPair> pairs(40);
  rapt::Rng rng(7);
  for (TokenPair& pair : pairs) {
    for (Index i = 0; i < 1 + static_cast<Index>(rng.below(6)); ++i) pair.source.push_back(3);
    for (Index i = 0; i < 1 + static_cast<Index>(rng.below(6)); ++i) {
      pair.target.push_back(static_cast<rapt::TokenId>(3 + rng.below(2)));
    }
  }
  return pairs;
}

TEST(SharedMeanLoss, IsTheSameForAnyNumberOfProcesses) {
  const std::vector<TokenPair> pairs = some_pairs();
  const std::vector<rapt::TokenId> text = rapt_test::some_text();
  std::vector<LanguageBatch> windows = rapt::all_windows(text, 3, 4);
  windows.insert(windows.begin() + 1, LanguageBatch{});  // without targets
  const NextTarget model;
  const rapt::BatchOptions cut{.tokens = 20};
  const double of_pairs = rapt::mean_loss(model, pairs, cut), of_windows = rapt::mean_loss(model, windows);
  EXPECT_GT(of_pairs, 0);
  const int batches = model.calls;
  ASSERT_GT(batches, 8);
  EXPECT_EQ(rapt::mean_loss(model, std::list<LanguageBatch>(windows.begin(), windows.end())), of_windows);
  for (const Index processes : {1, 2, 3, 4, 7, 100}) {
    std::atomic<int> calls = 0;
    rapt::run_local(processes, [&](Communicator& communicator) {
      const NextTarget own;
      EXPECT_EQ(rapt::mean_loss(own, windows, &communicator), of_windows);
      EXPECT_EQ(rapt::mean_loss(own, pairs, cut, &communicator), of_pairs);
      calls += own.calls;
    });
    EXPECT_EQ(calls, batches);  // none is computed twice
  }
  rapt::run_local(2, [&](Communicator& communicator) {
    rapt_test::expect_message<rapt::ValueError>(
        [&] { std::ignore = rapt::mean_loss(model, std::vector<LanguageBatch>(3), &communicator); }, "0 targets");
  });
}

/// Batches that can be gone through only once.
struct Once {
  struct End {
    const LanguageBatch* at;
  };
  struct Iterator {
    using iterator_concept = std::input_iterator_tag;
    using value_type = LanguageBatch;
    using difference_type = std::ptrdiff_t;
    const LanguageBatch& operator*() const { return *at; }
    Iterator& operator++() {
      ++at;
      return *this;
    }
    void operator++(int) { ++at; }
    friend bool operator==(const Iterator& a, const End& b) { return a.at == b.at; }
    const LanguageBatch* at = nullptr;
  };
  [[nodiscard]] Iterator begin() { return {std::exchange(first, nullptr)}; }
  [[nodiscard]] End end() const { return {last}; }
  const LanguageBatch *first, *last;
};
static_assert(std::ranges::input_range<Once> && !std::ranges::forward_range<Once>);

TEST(SharedMeanLoss, TakesBatchesThatComeOnlyOnce) {
  const NextTarget model;
  const std::vector<rapt::TokenId> text = rapt_test::some_text();
  const std::vector<LanguageBatch> windows = rapt::all_windows(text, 3, 4);
  EXPECT_EQ(rapt::mean_loss(model, Once{windows.data(), windows.data() + windows.size()}),
            rapt::mean_loss(model, windows));
}

TEST(SharedMeanLoss, WeighsByTargets) {
  const NextTarget model;
  const std::vector<rapt::TokenId> text = rapt_test::some_text();
  double sum = 0, count = 0;
  for (std::size_t i = 0; i + 1 < text.size(); ++i, ++count) {
    const float* row = model.table.value().row(text[i]);
    double total = 0;
    for (Index j = 0; j < 5; ++j) total += std::exp(static_cast<double>(row[j]));
    sum += std::log(total) - static_cast<double>(row[text[i + 1]]);
  }
  EXPECT_NEAR(rapt::mean_loss(model, rapt::all_windows(text, 3, 4)), sum / count, 1e-6);
}

}  // namespace
