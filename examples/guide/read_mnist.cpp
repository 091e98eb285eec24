// Reads images and labels in the files of MNIST: those that are given, or else two small ones that it writes itself.
//
//   read_mnist [train-images-idx3-ubyte.gz train-labels-idx1-ubyte.gz]
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <rapt/images/batches.hpp>
#include <rapt/images/idx.hpp>
#include <vector>

/// Two zero bytes, 8 for unsigned bytes, the number of sizes, each size in four bytes, and then the values.
void write_idx(const char* path, const std::vector<std::uint8_t>& sizes, const std::vector<std::uint8_t>& values) {
  std::vector<std::uint8_t> bytes = {0, 0, 8, static_cast<std::uint8_t>(sizes.size())};
  for (const std::uint8_t size : sizes) bytes.insert(bytes.end(), {0, 0, 0, size});
  bytes.insert(bytes.end(), values.begin(), values.end());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

int main(int argc, char** argv) {
  const char* const images = argc > 2 ? argv[1] : "images-idx3-ubyte";
  const char* const labels = argc > 2 ? argv[2] : "labels-idx1-ubyte";
  if (argc <= 2) {
    std::vector<std::uint8_t> pixels;
    for (const char* rows : {" ## #  ##  # ## ", "  #  ##   #   # ", "### #  ##  # ###"}) {
      for (const char* c = rows; *c != '\0'; ++c) pixels.push_back(*c == '#' ? 255 : 0);
    }
    write_idx(images, {3, 4, 4}, pixels);
    write_idx(labels, {3}, {0, 1, 0});
  }

  const rapt::ImageDataset dataset = rapt::read_idx_dataset(images, labels);
  std::printf("%td images of %s\n", dataset.images(), to_string(dataset.shape()).c_str());
  const std::vector<rapt::Index> counts = rapt::class_counts(dataset);
  for (std::size_t label = 0; label < counts.size(); ++label) {
    if (counts[label] > 0) std::printf("digit %zu: %td\n", label, counts[label]);
  }
  std::printf("the second one is a %d:\n", dataset.label(1));
  for (rapt::Index y = 0; y < dataset.shape().height; ++y) {
    for (rapt::Index x = 0; x < dataset.shape().width; ++x) {
      std::putchar(dataset.planes(1)[static_cast<std::size_t>(y * dataset.shape().width + x)] > 127 ? '#' : '.');
    }
    std::putchar('\n');
  }
  const rapt::Normalization normalization = rapt::normalization_of(dataset);
  rapt::ImageBatches<float> batches(dataset, {.batch_size = 2, .normalization = normalization});
  const rapt::LabelledImages<float>& batch = batches.next();  // shuffled, the next one prepared in the background
  std::printf("a batch is %s numbers\n", to_string(batch.images.pixels().shape()).c_str());
}
