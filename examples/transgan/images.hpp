// Images that a generator makes: as a dataset, on the way from one to another, and beside the training images that are
// most like them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <rapt/images/dataset.hpp>
#include <rapt/images/grid.hpp>
#include <rapt/images/png.hpp>
#include <rapt/models/transgan.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// Generators make numbers from -1, black, to 1.
inline rapt::Normalization generator_normalization() { return {.mean = {0.5}, .standard_deviation = {0.5}}; }

/// Random vectors   // [count, latent]
inline rapt::Tensor<float> draw_vectors(const rapt::TransGanGenerator<float>& generator, rapt::Index count,
                                        std::uint64_t seed) {
  rapt::Tensor<float> vectors(rapt::Shape{count, generator.latent_columns()});
  rapt::Rng(seed).fill_normal(vectors.values(), 0.0, 1.0);
  return vectors;
}

/// The images of vectors, as bytes. Their labels mean nothing.
inline rapt::ImageDataset generate(const rapt::TransGanGenerator<float>& generator,
                                   const rapt::Tensor<float>& vectors) {
  constexpr rapt::Index kTogether = 125;
  const rapt::ImageShape& shape = generator.config().image;
  std::vector<std::uint8_t> bytes;
  bytes.reserve(rapt::to_size(vectors.rows() * shape.size()));
  for (rapt::Index begin = 0; begin < vectors.rows(); begin += kTogether) {
    const rapt::Index count = std::min(kTogether, vectors.rows() - begin);
    const rapt::Tensor<float> some(vectors.view().middle_rows(begin, count));
    const rapt::ImageBatch<float> made(rapt::Tensor<float>(generator(some).value()), shape);
    std::vector<std::uint8_t> planes(rapt::to_size(shape.size()));
    for (rapt::Index i = 0; i < count; ++i) {
      to_planes(to_image(made, i, generator_normalization()), planes);
      bytes.insert(bytes.end(), planes.begin(), planes.end());
    }
  }
  return {shape, std::move(bytes), std::vector<std::int32_t>(rapt::to_size(vectors.rows())), 10};
}

/// A grid of the first images of a dataset.
inline void write_grid(const std::string& file, const rapt::ImageDataset& images, rapt::Index count,
                       rapt::Index columns) {
  std::vector<rapt::Image> cells;
  for (rapt::Index i = 0; i < count; ++i) cells.push_back(images.image(i));
  rapt::write_png(file, rapt::image_grid(cells, {.columns = columns, .scale = 2}));
}

/// Rows from one image to another. On the way a vector is cos(t) a + sin(t) b, which is normal as a and b are.
inline void write_interpolations(const std::string& file, const rapt::TransGanGenerator<float>& generator,
                                 rapt::Index rows, rapt::Index columns, std::uint64_t seed) {
  const rapt::Tensor<float> ends = draw_vectors(generator, 2 * rows, seed);
  rapt::Tensor<float> vectors(rapt::Shape{rows * columns, ends.cols()});
  for (rapt::Index i = 0; i < vectors.rows(); ++i) {
    const rapt::Index row = i / columns;
    const double t = std::acos(0.0) * static_cast<double>(i % columns) / static_cast<double>(columns - 1);
    for (rapt::Index j = 0; j < ends.cols(); ++j) {
      vectors(i, j) =
          static_cast<float>(std::cos(t)) * ends(2 * row, j) + static_cast<float>(std::sin(t)) * ends(2 * row + 1, j);
    }
  }
  write_grid(file, generate(generator, vectors), vectors.rows(), columns);
}

/// A training image, and how far it is from another: the mean squared difference of pixels between 0 and 1.
struct Neighbour {
  double distance = 0;
  rapt::Index number = 0;
};

/// The `count` nearest training images of an image, the nearest first.
inline std::vector<Neighbour> nearest(const rapt::ImageDataset& training, std::span<const std::uint8_t> image,
                                      rapt::Index count) {
  std::vector<Neighbour> all(rapt::to_size(training.images()));
  rapt::parallel_for(training.images(), 256, [&](rapt::Index begin, rapt::Index end) {
    for (rapt::Index i = begin; i < end; ++i) {
      const auto other = training.planes(i);
      std::int64_t sum = 0;
      for (std::size_t j = 0; j < image.size(); ++j) {
        const int difference = int{image[j]} - int{other[j]};
        sum += std::int64_t{difference} * difference;
      }
      rapt::at(all, i) = {static_cast<double>(sum) / (65025.0 * static_cast<double>(image.size())), i};
    }
  });
  count = std::min(count, training.images());
  std::partial_sort(all.begin(), all.begin() + count, all.end(), [](const Neighbour& a, const Neighbour& b) {
    return std::pair(a.distance, a.number) < std::pair(b.distance, b.number);
  });
  all.resize(rapt::to_size(count));
  return all;
}

/// The mean distance from the nearest training image, over the first images of a dataset.
inline double mean_nearest_distance(const rapt::ImageDataset& training, const rapt::ImageDataset& images,
                                    rapt::Index count) {
  double sum = 0;
  count = std::min(count, images.images());
  for (rapt::Index i = 0; i < count; ++i) sum += nearest(training, images.planes(i), 1).front().distance;
  return sum / static_cast<double>(count);
}

/// A row for each of the first images, framed: beside it the training images that are most like it.
inline void write_neighbours(const std::string& file, const rapt::ImageDataset& training,
                             const rapt::ImageDataset& images, rapt::Index rows) {
  constexpr rapt::Index kColumns = 8;
  std::vector<rapt::Image> cells;
  std::vector<std::optional<rapt::Colour>> frames;
  for (rapt::Index i = 0; i < rows; ++i) {
    cells.push_back(images.image(i));
    frames.push_back(rapt::Colour{40, 160, 70});
    for (const Neighbour& neighbour : nearest(training, images.planes(i), kColumns - 1)) {
      cells.push_back(training.image(neighbour.number));
      frames.emplace_back();
    }
  }
  rapt::write_png(file, rapt::image_grid(cells, {.columns = kColumns, .scale = 2}, frames));
}
