"""Writes resize.json beside this script: images that Pillow has resized.

    python make_resize.py                          # needs Pillow 13, numpy 2

    cases        from     channels, height, width of the image, whose bytes `sample_image` gives
                 to       height, width
                 filters  {filter's name: bytes [height, width, channels] in base64}
"""

import base64
import json
import pathlib

import numpy
from PIL import Image

FILTERS = {"nearest": Image.Resampling.NEAREST, "lanczos": Image.Resampling.LANCZOS, "bilinear": Image.Resampling.BILINEAR,
           "bicubic": Image.Resampling.BICUBIC, "box": Image.Resampling.BOX, "hamming": Image.Resampling.HAMMING}


def sample_image(channels, height, width):
    """Any image, the same as that of tests/images/sample_image.hpp   # [height, width, channels]"""
    y, x, c = numpy.meshgrid(numpy.arange(height), numpy.arange(width), numpy.arange(channels), indexing="ij")
    return ((x * x * 7 + y * 13 + x * y * (c + 3) + c * 31 + (x // 5 + y // 7) % 2 * 120) % 256).astype(numpy.uint8)


def main():
    cases = []
    for channels, height, width, to in [(3, 13, 17, (7, 5)), (1, 20, 20, (20, 9)), (3, 5, 4, (11, 10)), (1, 40, 3, (4, 3)),
                                        (3, 61, 47, (8, 8)), (1, 1, 1, (3, 2)), (3, 9, 16, (10, 15)),
                                        (3, 23, 19, (16, 16)), (3, 20, 18, (16, 16)), (1, 21, 9, (10, 12))]:
        pixels = sample_image(channels, height, width)
        image = Image.fromarray(pixels if channels == 3 else pixels[:, :, 0])
        cases.append({"from": [channels, height, width], "to": to, "filters": {
            name: base64.b64encode(image.resize((to[1], to[0]), filter).tobytes()).decode()
            for name, filter in FILTERS.items()}})
    path = pathlib.Path(__file__).with_name("resize.json")
    path.write_text(json.dumps({"cases": cases}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
