#!/usr/bin/env python3
"""Writes zero_shot.safetensors: a small CLIP, how its tokenizer cuts texts, and how transformers' pipeline for zero-shot
classification of images scores labels with it.

    python tests/golden/make_zero_shot.py [folder]        # default: the folder of this script

The tokenizer is learned here and laid out by CLIPTokenizer, as those of published folders. The file:

    clip/param/<name>       F32, the parameters; pretrained_cases.py tells the metadata "info", which further has
                            "tokenizer": tokenizer.json, "processor": preprocessor_config.json, "texts", "labels",
                            "description"
    ids, row_splits         I64, the texts' tokens
    image<i>                U8 [height, width, channels]
    pixels<i>               F32 [C * H * W], the image preprocessed
    scores                  F32 [images, labels], with the description; plain_scores: with the pipeline's own
"""

import json
import pathlib
import sys
import tempfile

import numpy
import tokenizers
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from pretrained_cases import config_json, randomise, stored_names

BEGIN, END = "<|startoftext|>", "<|endoftext|>"
CORPUS = ["This is a photo of a cat.", "a drawing of the dogs", "it's the cat's photograph", "two cats and 3 dogs",
          "this is the photo that they've taken", "Hello, World!"] * 3
LABELS = ["cat", "two dogs", "Caf\u00e9 & Bar", "nothing"]
DESCRIPTION = "a drawing of the {}!"
TEXTS = ["", "a", "This is a photo of a cat.", "  a   photo\n\tof THE Cats ", "it's they've 'S don't 12 3dogs",
         "Cafe\u0301 \u00c4\u00d6 \u2014 \u732b\U0001f431!!", "a<|endoftext|>b", "<|startoftext|> dog", "x" * 30]
SIZES = [(11, 17, 3), (20, 9, 3), (10, 10, 1)]


def learn_tokenizer():
    """Vocabulary and merges, as CLIPTokenizer takes them."""
    clip = transformers.CLIPTokenizer().backend_tokenizer
    learner = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token=END, end_of_word_suffix="</w>"))
    learner.normalizer, learner.pre_tokenizer = clip.normalizer, clip.pre_tokenizer
    learner.train_from_iterator(CORPUS, tokenizers.trainers.BpeTrainer(vocab_size=110, end_of_word_suffix="</w>",
                                                                     show_progress=False))
    model = json.loads(learner.to_str())["model"]
    vocabulary = dict(model["vocab"])
    for token in (BEGIN, END):
        vocabulary[token] = len(vocabulary)
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=[tuple(merge) for merge in model["merges"]])


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    tokenizer = learn_tokenizer()
    processor = CLIPImageProcessorPil(size={"shortest_edge": 8}, crop_size={"height": 6, "width": 6})
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": 40, "hidden_size": 8, "intermediate_size": 12,
            "num_hidden_layers": 1, "num_attention_heads": 2, "bos_token_id": len(tokenizer) - 2,
            "eos_token_id": len(tokenizer) - 1}
    vision = {"image_size": 6, "patch_size": 3, "hidden_size": 8, "intermediate_size": 10, "num_hidden_layers": 1,
              "num_attention_heads": 2}
    model = transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=6))
    randomise(model, 1)
    model.logit_scale.data.fill_(2.5)  # so that the images show in the scores
    model.eval()
    random = numpy.random.default_rng(1)
    arrays = [random.integers(0, 256, size, dtype=numpy.uint8) for size in SIZES]
    images = [Image.fromarray(array.squeeze(-1) if array.shape[-1] == 1 else array) for array in arrays]
    pipeline = transformers.pipeline("zero-shot-image-classification", model=model, tokenizer=tokenizer,
                                     image_processor=processor)

    def scores(**options):
        rows = []
        for image in images:
            found = {one["label"]: one["score"] for one in pipeline(image, candidate_labels=LABELS, **options)}
            rows.append([found[label] for label in LABELS])
        return torch.tensor(rows)

    tensors = {f"clip/param/{name}": value.detach().contiguous() for name, value in stored_names(model).items()}
    for i, (array, image) in enumerate(zip(arrays, images, strict=True)):
        tensors[f"image{i}"] = torch.from_numpy(array)
        tensors[f"pixels{i}"] = processor(images=image, return_tensors="pt").pixel_values.reshape(-1).contiguous()
    tensors["scores"], tensors["plain_scores"] = scores(hypothesis_template=DESCRIPTION), scores()
    encoded = [tokenizer(one).input_ids for one in TEXTS]
    tensors["ids"] = torch.tensor(sum(encoded, []), dtype=torch.int64)
    tensors["row_splits"] = torch.tensor([0, *numpy.cumsum([len(one) for one in encoded])], dtype=torch.int64)
    with tempfile.TemporaryDirectory() as saved:
        tokenizer.save_pretrained(saved)
        layout = json.loads((pathlib.Path(saved) / "tokenizer.json").read_text())
    info = {"torch": torch.__version__, "transformers": transformers.__version__,
            "cases": {"clip": config_json(model.config, "CLIPModel")}, "tokenizer": layout,
            "processor": processor.to_dict(), "texts": TEXTS, "labels": LABELS, "description": DESCRIPTION}
    path = folder / "zero_shot.safetensors"
    save_file(tensors, path, metadata={"info": json.dumps(info)})
    print(f"{path}: {path.stat().st_size} bytes, {len(tokenizer)} tokens\n{tensors['scores']}")


if __name__ == "__main__":
    main()
