/// \file
/// Images that Python's tests/golden/make_resize.py can make, too.
#pragma once

#include <cstdint>

#include "rapt/images/image.hpp"

namespace rapt_test {

/// As `sample_image` there.
inline rapt::Image sample_image(rapt::Index channels, rapt::Index height, rapt::Index width) {
  rapt::Image image(height, width, channels);
  for (rapt::Index y = 0; y < height; ++y) {
    for (rapt::Index x = 0; x < width; ++x) {
      for (rapt::Index c = 0; c < channels; ++c) {
        const rapt::Index value = x * x * 7 + y * 13 + x * y * (c + 3) + c * 31 + (x / 5 + y / 7) % 2 * 120;
        image.pixel(y, x)[c] = static_cast<std::uint8_t>(value % 256);
      }
    }
  }
  return image;
}

}  // namespace rapt_test
