/// \file
/// Threads in the place of processes: errors end all of them, in bounded time and with the first cause.
// covers: distributed/communicator.hpp, distributed/communication_errors.hpp
#include "rapt/distributed/local_communicator.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "rapt/distributed/collectives.hpp"
#include "rapt/distributed/communication_errors.hpp"

namespace {

using rapt::CommunicationError;
using rapt::Communicator;
using rapt::Index;

template <class Error>
std::string text_of(const auto& operation) {
  try {
    operation();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(LocalCommunicator, HasRankAndSize) {
  std::array<int, 3> seen{};
  rapt::run_local(3, [&](Communicator& communicator) {
    EXPECT_EQ(communicator.size(), 3);
    rapt::at(seen, communicator.rank()) += 1;
  });
  EXPECT_EQ(seen, (std::array{1, 1, 1}));
}

TEST(LocalCommunicator, SendingDoesNotWait) {
  rapt::run_local(2, [](Communicator& communicator) {
    const Index other = 1 - communicator.rank();
    const int sent[3] = {1, 2, 3};
    for (const int& value : sent) {
      const rapt::OutgoingMessage message{other, std::as_bytes(std::span(&value, 1))};
      communicator.exchange({&message, 1}, {});
    }
    for (const int expected : sent) {
      int value = 0;
      const rapt::IncomingMessage message{other, std::as_writable_bytes(std::span(&value, 1))};
      communicator.exchange({}, {&message, 1});
      EXPECT_EQ(value, expected);
    }
  });
}

TEST(LocalCommunicator, AThreadThatThrowsEndsTheOthersWithItsCause) {
  for (const Index size : {1, 2, 5, 8}) {
    std::mutex mutex;
    std::vector<std::string> texts;
    const auto run = [&] {
      rapt::run_local(size, [&](Communicator& communicator) {
        if (communicator.rank() == size - 1) throw std::logic_error("the disk is full");
        for (int attempt = 0; attempt < 2; ++attempt) {  // after a failure no operation succeeds
          const std::string text = text_of<CommunicationError>([&] { rapt::barrier(communicator); });
          const std::lock_guard lock(mutex);
          texts.push_back(text);
        }
      });
    };
    EXPECT_EQ(text_of<std::logic_error>(run), "the disk is full");
    ASSERT_EQ(std::ssize(texts), 2 * (size - 1));
    const std::string first = "[local] rank " + std::to_string(size - 1) + " has ended: the disk is full";
    Index named = 0;
    for (const std::string& text : texts) {
      named += text == first;
      EXPECT_TRUE(text == first || text.find("no operation succeeds after one that has failed") != std::string::npos)
          << text;
    }
    EXPECT_EQ(named, size - 1);
  }
}

TEST(LocalCommunicator, AnExceptionOfAnyTypeIsThrownAgain) {
  bool is_seven = false;
  try {
    rapt::run_local(2, [](Communicator& communicator) {
      if (communicator.rank() == 1) throw 7;
      rapt::barrier(communicator);
    });
  } catch (int value) {
    is_seven = value == 7;
  }
  EXPECT_TRUE(is_seven);
}

TEST(LocalCommunicator, OnlyTheFirstAnnouncementCounts) {
  rapt::run_local(3, [](Communicator& communicator) {
    if (communicator.rank() == 2) {
      communicator.announce_failure("first");
      communicator.announce_failure("second");
      return;
    }
    const std::string text = text_of<CommunicationError>([&] {
      int value = 0;
      const rapt::IncomingMessage message{2, std::as_writable_bytes(std::span(&value, 1))};
      communicator.exchange({}, {&message, 1});
    });
    EXPECT_EQ(text, "[local] rank 2 has ended: first");
  });
}

TEST(LocalCommunicator, TimeOutNamesWhoWasWaitedFor) {
  const auto start = std::chrono::steady_clock::now();
  const auto run = [] {
    rapt::run_local(4,
                    [](Communicator& communicator) {
                      if (communicator.rank() != 3) return;
                      int values[3] = {};
                      std::vector<rapt::IncomingMessage> messages;
                      for (Index p = 0; p < 3; ++p) {
                        messages.push_back({2 - p, std::as_writable_bytes(std::span(&rapt::at(values, p), 1))});
                      }
                      communicator.exchange({}, messages);
                    },
                    {.timeout_seconds = 0.2});
  };
  EXPECT_EQ(text_of<CommunicationError>(run), "[local] no answer within 0.2 s from ranks 0, 1, 2");
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(200));
}

TEST(LocalCommunicator, AMessageOfAnotherLengthIsAnError) {
  for (const int sent : {3, 5}) {
    const auto run = [&] {
      rapt::run_local(2, [&](Communicator& communicator) {
        std::vector<char> values(communicator.rank() == 0 ? static_cast<std::size_t>(sent) : 4);
        rapt::broadcast(communicator, values);
        rapt::barrier(communicator);
      });
    };
    EXPECT_EQ(text_of<CommunicationError>(run),
              "[local] rank 0 has sent a message of another length than the 4 bytes expected: all processes must call "
              "the same operations in the same order");
  }
}

TEST(LocalCommunicator, ArgumentsAreChecked) {
  const auto nothing = [](Communicator&) {};
  EXPECT_EQ(text_of<rapt::ValueError>([&] { rapt::run_local(0, nothing); }),
            "[run_local] there must be at least one process: 0");
  EXPECT_EQ(text_of<rapt::ValueError>([&] { rapt::run_local(1, nothing, {.timeout_seconds = 0}); }),
            "[local] timeout_seconds must lie in (0, 1e9]: 0");
  EXPECT_EQ(text_of<rapt::ValueError>([&] { rapt::run_local(1, nothing, {.timeout_seconds = 1e10}); }),
            "[local] timeout_seconds must lie in (0, 1e9]: 1e+10");
}

TEST(RankList, NamesEachRankOnce) {
  EXPECT_EQ(rapt::detail::rank_list({2}), "rank 2");
  EXPECT_EQ(rapt::detail::rank_list({3, 1, 3}), "ranks 1, 3");
  std::vector<Index> many;
  for (Index p = 0; p < 14; ++p) many.push_back(p);
  EXPECT_EQ(rapt::detail::rank_list(many), "ranks 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 4 more");
}

}  // namespace
