/// \file
/// Which kinds of parts the code of a block is compiled for.
#pragma once

namespace rapt { inline namespace RAPT_ABI {

/// A template argument of blocks, stacks and their parts: options choose among these kinds when a block is made, and
/// throw ValueError for one that is left out. A program pays with compile time only for the kinds of the models that it
/// uses, as each has kernels of its own for every instruction set.
struct BlockKinds {
  bool rotary = true;            ///< rotary positions
  bool query_key_norm = true;    ///< norms of queries and keys
  bool rms_norm = true;          ///< root mean square norms beside layer norms
  bool gated = true;             ///< gated feed-forward networks beside plain ones
  bool scaled_residuals = true;  ///< drop path and layer scale
};

/// Every kind of block.
inline constexpr BlockKinds kAllKinds = {};
/// What the paper's figure 1 needs: the Transformer, BERT, GPT and ViT are made of it.
inline constexpr BlockKinds kPaperKinds = {
    .rotary = false, .query_key_norm = false, .rms_norm = false, .gated = false, .scaled_residuals = false};

}}  // namespace rapt::RAPT_ABI
