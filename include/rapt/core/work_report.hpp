/// \file
/// WorkReport: how long work tells what is done.
#pragma once

#include <functional>

#include "rapt/core/index.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Is called now and then while work is being done, by one thread at a time, not always the same one: so much is done,
/// of so much in all. `WorkLine` (train/progress.hpp) shows it as a line of text. May be empty.
using WorkReport = std::function<void(Index done, Index total)>;

}}  // namespace rapt::RAPT_ABI
