#!/usr/bin/env python3
"""Writes resize.json: small random images, resized by Pillow and cropped by transformers.

    python tests/golden/make_resize.py [folder]        # default: the folder of this script

    version     Pillow's
    images      name -> {"height", "width", "channels", "bytes": rows of pixels, a list}
    resized     {"image": its name, "height", "width", "filter", "bytes"}
    shortest    the same with "length": by get_resize_output_image_size of transformers
    cropped     {"image", "height", "width", "bytes"}: by center_crop of transformers
"""

import json
import pathlib
import sys

import numpy
import PIL
from PIL import Image
from transformers.image_transforms import center_crop, get_resize_output_image_size

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
SIZES = {"noise": (7, 5, 3), "gray": (9, 12, 1), "edges": (6, 8, 3)}


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    random = numpy.random.default_rng(1)
    arrays = {name: random.integers(0, 256, size, dtype=numpy.uint8) for name, size in SIZES.items()}
    arrays["edges"] = (arrays["edges"] > 127).astype(numpy.uint8) * 255  # where a cubic filter overshoots
    pictures = {name: Image.fromarray(array.squeeze(-1) if array.shape[-1] == 1 else array)
                for name, array in arrays.items()}
    listed = lambda values: numpy.asarray(values).reshape(-1).tolist()
    result = {"version": PIL.__version__, "images": {}, "resized": [], "shortest": [], "cropped": []}
    for name, array in arrays.items():
        height, width, channels = array.shape
        result["images"][name] = {"height": height, "width": width, "channels": channels, "bytes": listed(array)}
        for kind, resample in FILTERS.items():
            for height, width in [(3, 4), (11, 13), (4, array.shape[1]), (array.shape[0], 3), (1, 1), (2, 15)]:
                size = {"height": height, "width": width, "filter": kind}
                result["resized"].append({"image": name, **size,
                                          "bytes": listed(pictures[name].resize((width, height), resample))})
        for length in (4, 10):
            height, width = get_resize_output_image_size(array, length, default_to_square=False,
                                                         input_data_format="channels_last")
            result["shortest"].append({"image": name, "length": length, "filter": "bicubic", "height": height,
                                       "width": width,
                                       "bytes": listed(pictures[name].resize((width, height), FILTERS["bicubic"]))})
        for height, width in [(4, 4), (3, 5), (10, 9), (2, 15), (16, 3), (7, 8)]:
            cropped = center_crop(array, (height, width), input_data_format="channels_last")
            result["cropped"].append({"image": name, "height": height, "width": width, "bytes": listed(cropped)})
    path = folder / "resize.json"
    path.write_text(json.dumps(result, separators=(",", ":")) + "\n")
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
