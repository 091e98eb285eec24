/// \file
/// All of rapt that needs nothing but Eigen and threads. Text and files are included on their own:
/// rapt/text/..., rapt/io/....
#pragma once

#include "rapt/autograd/backward.hpp"
#include "rapt/autograd/finite_check.hpp"
#include "rapt/autograd/gradcheck.hpp"
#include "rapt/autograd/ops/activation.hpp"
#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/add_norm.hpp"
#include "rapt/autograd/ops/add_rows.hpp"
#include "rapt/autograd/ops/attention.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/ops/dropout.hpp"
#include "rapt/autograd/ops/embedding.hpp"
#include "rapt/autograd/ops/linear.hpp"
#include "rapt/autograd/ops/matmul.hpp"
#include "rapt/autograd/ops/multiply.hpp"
#include "rapt/autograd/ops/softmax.hpp"
#include "rapt/autograd/ops/sum.hpp"
#include "rapt/core/build_info.hpp"
#include "rapt/data/batching.hpp"
#include "rapt/generation/alignment.hpp"
#include "rapt/generation/batches.hpp"
#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/ensemble.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/generation/sampling.hpp"
#include "rapt/generation/scoring.hpp"
#include "rapt/models/transformer.hpp"
#include "rapt/optim/adam.hpp"
#include "rapt/optim/averaging.hpp"
#include "rapt/optim/clip.hpp"
#include "rapt/optim/schedule.hpp"
#include "rapt/train/progress.hpp"
#include "rapt/train/trainer.hpp"

#ifdef RAPT_PRECOMPILED  // by linking rapt::precompiled
#include "rapt/precompiled/declarations.hpp"
#endif
