#!/usr/bin/env python3
"""Writes resize.json: images that Pillow has resized and transformers has cut to their middle.

    python tests/golden/make_resize.py [folder]        # default: the folder of this script; needs Pillow 13

Bytes of images [height, width, channels] are in base64.

    version     Pillow's
    cases       "from": channels, height, width of the image, whose bytes `sample_image` gives; "to": height, width;
                "filters": {filter's name: bytes}
    images      random ones: name -> {"height", "width", "channels", "bytes"}
    resized     {"image": its name, "height", "width", "filter", "bytes"}
    shortest    the same with "length": by get_resize_output_image_size of transformers
    cropped     {"image", "height", "width", "bytes"}: by center_crop of transformers
"""

import base64
import json
import pathlib
import sys

import numpy
import PIL
from PIL import Image
from transformers.image_transforms import center_crop, get_resize_output_image_size

FILTERS = {"nearest": Image.Resampling.NEAREST, "lanczos": Image.Resampling.LANCZOS, "bilinear": Image.Resampling.BILINEAR,
           "bicubic": Image.Resampling.BICUBIC, "box": Image.Resampling.BOX, "hamming": Image.Resampling.HAMMING}
SAMPLES = [(3, 13, 17, (7, 5)), (1, 20, 20, (20, 9)), (3, 5, 4, (11, 10)), (1, 40, 3, (4, 3)), (3, 61, 47, (8, 8)),
           (1, 1, 1, (3, 2)), (3, 9, 16, (10, 15)), (3, 23, 19, (16, 16)), (3, 20, 18, (16, 16)), (1, 21, 9, (10, 12))]
SIZES = {"noise": (7, 5, 3), "gray": (9, 12, 1), "edges": (6, 8, 3)}


def sample_image(channels, height, width):
    """Any image, the same as that of tests/images/sample_image.hpp   # [height, width, channels]"""
    y, x, c = numpy.meshgrid(numpy.arange(height), numpy.arange(width), numpy.arange(channels), indexing="ij")
    return ((x * x * 7 + y * 13 + x * y * (c + 3) + c * 31 + (x // 5 + y // 7) % 2 * 120) % 256).astype(numpy.uint8)


def encoded(values):
    return base64.b64encode(numpy.ascontiguousarray(values).tobytes()).decode()


def resized(array, height, width, kind):
    image = Image.fromarray(array.squeeze(-1) if array.shape[-1] == 1 else array)
    return encoded(image.resize((width, height), FILTERS[kind]))


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    result = {"version": PIL.__version__, "cases": [], "images": {}, "resized": [], "shortest": [], "cropped": []}
    for channels, height, width, to in SAMPLES:
        array = sample_image(channels, height, width)
        result["cases"].append({"from": [channels, height, width], "to": to,
                                "filters": {kind: resized(array, *to, kind) for kind in FILTERS}})
    random = numpy.random.default_rng(1)
    arrays = {name: random.integers(0, 256, size, dtype=numpy.uint8) for name, size in SIZES.items()}
    arrays["edges"] = (arrays["edges"] > 127).astype(numpy.uint8) * 255  # where a cubic filter overshoots
    for name, array in arrays.items():
        height, width, channels = array.shape
        result["images"][name] = {"height": height, "width": width, "channels": channels, "bytes": encoded(array)}
        for kind in ("bilinear", "bicubic"):
            for height, width in [(3, 4), (11, 13), (4, array.shape[1]), (array.shape[0], 3), (1, 1), (2, 15)]:
                result["resized"].append({"image": name, "height": height, "width": width, "filter": kind,
                                          "bytes": resized(array, height, width, kind)})
        for length in (4, 10):
            height, width = get_resize_output_image_size(array, length, default_to_square=False,
                                                         input_data_format="channels_last")
            result["shortest"].append({"image": name, "length": length, "height": height, "width": width,
                                       "filter": "bicubic", "bytes": resized(array, height, width, "bicubic")})
        for height, width in [(4, 4), (3, 5), (10, 9), (2, 15), (16, 3), (7, 8)]:
            cropped = center_crop(array, (height, width), input_data_format="channels_last")
            result["cropped"].append({"image": name, "height": height, "width": width, "bytes": encoded(cropped)})
    path = folder / "resize.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
