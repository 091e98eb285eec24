/// \file
/// Pieces of a text out of the matches at which it is split.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "rapt/text/encoding.hpp"
#include "rapt/text/pre_tokenizer_steps.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Makes pieces of a text out of the matches in it.
class PieceCutter {
 public:
  PieceCutter(std::size_t begin, SplitBehavior behavior, std::vector<TextSpan>& pieces)
      : behavior_(behavior), pieces_(pieces), done_(begin) {}

  /// A match. They come in order; what lies between them is no match.
  void match(std::size_t begin, std::size_t end, bool invert) {
    if (begin > done_) part(done_, begin, invert);
    part(begin, end, !invert);
    done_ = end;
  }
  void finish(std::size_t end, bool invert) {
    if (end > done_) part(done_, end, invert);
    if (has_waiting_) keep(waiting_.begin, waiting_.end);
  }

 private:
  void keep(std::size_t begin, std::size_t end) {
    if (end > begin) pieces_.push_back({begin, end});
  }
  void wait(std::size_t begin, std::size_t end) {
    waiting_ = {begin, end};
    has_waiting_ = true;
  }
  void part(std::size_t begin, std::size_t end, bool is_match) {
    const bool follows_match = std::exchange(previous_is_match_, is_match);
    switch (behavior_) {
      case SplitBehavior::removed:
        if (!is_match) keep(begin, end);
        break;
      case SplitBehavior::isolated:
        keep(begin, end);
        break;
      case SplitBehavior::contiguous:
        if (has_waiting_ && follows_match == is_match) {
          waiting_.end = end;
          break;
        }
        if (has_waiting_) keep(waiting_.begin, waiting_.end);
        wait(begin, end);
        break;
      case SplitBehavior::merged_with_previous:
        if (is_match && !follows_match && has_waiting_) {
          keep(waiting_.begin, end);
          has_waiting_ = false;
        } else if (is_match) {
          keep(begin, end);
        } else {
          if (has_waiting_) keep(waiting_.begin, waiting_.end);
          wait(begin, end);
        }
        break;
      case SplitBehavior::merged_with_next:
        if (has_waiting_) {
          has_waiting_ = false;
          if (!is_match) {
            keep(waiting_.begin, end);
            break;
          }
          keep(waiting_.begin, waiting_.end);
        }
        if (is_match) {
          wait(begin, end);
        } else {
          keep(begin, end);
        }
        break;
    }
  }

  SplitBehavior behavior_;
  std::vector<TextSpan>& pieces_;
  std::size_t done_;
  TextSpan waiting_;
  bool has_waiting_ = false, previous_is_match_ = false;
};

}}}  // namespace rapt::RAPT_ABI::detail
