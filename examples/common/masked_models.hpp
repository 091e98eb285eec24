// Small models that learn from masked patches of digits, and what they are made for afterwards: BEiT with the visual
// tokens of a codebook, masked autoencoders.
#pragma once

#include <rapt/data/patch_masking.hpp>
#include <rapt/models/beit.hpp>
#include <rapt/models/mae.hpp>
#include <rapt/models/vit.hpp>
#include <rapt/nn/transfer.hpp>
#include <string>
#include <vector>

#include "codebook.hpp"
#include "digits.hpp"

inline rapt::BeitConfig small_beit(const rapt::ImageShape& image) {
  rapt::BeitConfig config;
  config.grid = {.image = image, .patch_height = 4, .patch_width = 4};
  config.d_model = 64;
  config.layers = 4;
  config.heads = 4;
  config.d_ff = 128;
  config.drop_path = 0;
  config.norm_epsilon = 1e-6;
  config.init_std = 0.1;
  config.mask_token = config.shared_relative_positions = true;
  return config;
}

inline rapt::Tensor<float> patches_of(const rapt::ImageBatch<float>& images, const rapt::PatchGrid& grid) {
  return rapt::unfold_patches(images, grid.patch_height, grid.patch_width).value();  // [B P, pixels]
}

/// Blocks of masked patches.
inline rapt::PatchMask draw_blocks(rapt::Index images, const rapt::PatchGrid& grid, double mask_ratio, rapt::Rng& rng) {
  return rapt::block_patch_mask(images, grid.rows(), grid.cols(), rng, {.ratio = mask_ratio, .smallest = 4});
}

/// The visual tokens of the masked patches.
inline std::vector<rapt::TokenId> masked_tokens(const rapt::ImageBatch<float>& images, const rapt::PatchMask& mask,
                                                const rapt::PatchGrid& grid, const Codebook& codebook) {
  const std::vector<rapt::TokenId> all = codebook.encode(patches_of(images, grid));
  std::vector<rapt::TokenId> tokens;
  for (const rapt::TokenId patch : mask.masked()) tokens.push_back(all[static_cast<std::size_t>(patch)]);
  return tokens;
}

/// Gives a classifier everything that a BEiT has learned but its masked-patch head.
inline void copy_encoder(const rapt::Beit<float>& beit, rapt::Beit<float>& classifier) {
  rapt::copy_parameters(beit, classifier, [](const std::string& name) { return !name.starts_with("masked_patch."); });
}

inline rapt::MaeConfig small_mae(const rapt::ImageShape& image) {
  return {.grid = {.image = image, .patch_height = 4, .patch_width = 4},
          .d_model = 64,
          .layers = 4,
          .heads = 4,
          .d_ff = 128,
          .decoder_width = 48,
          .decoder_layers = 2,
          .decoder_heads = 4,
          .decoder_d_ff = 96,
          .norm_epsilon = 1e-6};
}

/// A classifier of digits whose encoder is the autoencoder's.
inline rapt::VitConfig classifier_of(const rapt::MaeConfig& config) {
  return {.grid = config.grid,
          .d_model = config.d_model,
          .layers = config.layers,
          .heads = config.heads,
          .d_ff = config.d_ff,
          .norm_epsilon = config.norm_epsilon,
          .init_std = 0.1,
          .pooling = rapt::ImagePooling::mean,
          .labels = digit_names()};
}
