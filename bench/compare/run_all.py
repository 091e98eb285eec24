#!/usr/bin/env python3
"""Times rapt beside PyTorch, ONNX Runtime and CTranslate2 on the same work: a table and an image (bench/README.md).

    python bench/compare/run_all.py OUTPUT_FOLDER [--data FOLDER] [--quick]
"""

import attention
import decoding
import distributed
import encoder_inference
import matmul
import training
from common import Report, main


def measure(settings):
    report = Report()
    for script in (training, distributed, attention, matmul, encoder_inference, decoding):
        report.add(script.measure(settings))
    return report


if __name__ == "__main__":
    main(measure, __doc__.splitlines()[0], "results")
