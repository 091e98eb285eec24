#!/usr/bin/env python3
"""Writes image_gpt.safetensors: small random ImageGPTs of transformers with every head, outputs, losses, gradients; and
image_gpt_masked.safetensors: the same with the BERT objective.

    python tests/golden/make_image_gpt.py [folder]        # default: the folder of this script

pretrained_cases.py tells what the file holds. `pixels` with `row_splits` are pictures, `ids` what is read: the begin
symbol and all pixels but the last. `hidden` [N, D] is the last hidden state; `features` [layers + 1, B, D] are, for each
layer, means over a picture of what its attention reads, and the means of `hidden`. By architecture: `logits`
[N, clusters], with the cross-entropy of `pixels` as the loss, and `generated`, 4 tokens of a greedy search behind each
sequence, found without a cache; `classes` [B, labels] and `labels`, with their cross-entropy; of a bare model the loss
is the sum of its features times `upstream`, of the same shape.

The BERT objective, which transformers does not have, is its model with the causal mask switched off and with the
embeddings of masked pixels set to zero (Chen et al. 2020, section 2.2): `ids` with `row_splits` are whole images, the
begin symbol in place of masked pixels; `rows` and `targets` say where these are and what stood there; `hidden`,
`features` and `logits`, of the masked pixels alone, [masked, clusters], are as above.
"""

import pathlib
import sys

import torch
import transformers
from torch.nn import functional

from pretrained_cases import Cases, config_json, random_sequences, randomise

CLUSTERS = 10
CASES = {
    "pixels": ("ImageGPTForCausalImageModeling", {}),
    "by_layer": ("ImageGPTForCausalImageModeling", {
        "scale_attn_by_inverse_layer_idx": True, "activation_function": "gelu_new", "n_layer": 3, "n_inner": 20,
        "layer_norm_epsilon": 1e-2}),
    "unscaled": ("ImageGPTForCausalImageModeling", {
        "scale_attn_weights": False, "activation_function": "relu", "n_head": 4, "n_layer": 1}),
    "upcast": ("ImageGPTForCausalImageModeling", {
        "reorder_and_upcast_attn": True, "scale_attn_by_inverse_layer_idx": True, "n_head": 1,
        "activation_function": "gelu"}),
    "bare": ("ImageGPTModel", {"activation_function": "silu"}),
    "classes": ("ImageGPTForImageClassification", {
        "id2label": {0: "cat", 1: "dog", 2: "newt"}, "label2id": {"cat": 0, "dog": 1, "newt": 2}}),
    "two_classes": ("ImageGPTForImageClassification", {"n_layer": 1, "scale_attn_weights": False}),
}


def greedy(model, sequence, count):
    """The most probable pixels to follow; the whole sequence is read anew for each."""
    for _ in range(count):
        following = model(sequence[None], use_cache=False).logits[0, -1].argmax()
        sequence = torch.cat([sequence, following[None]])
    return sequence[-count:].tolist()


def features(core, output):
    """[layers + 1, D] of one picture."""
    read = [block.ln_1(state[0]) for block, state in zip(core.h, output.hidden_states)]
    return torch.stack([state.mean(dim=0) for state in read + [output.last_hidden_state[0]]])


def run(model, architecture, pictures, generator):
    """results, loss and batch of a case; every picture by itself."""
    core = model if architecture == "ImageGPTModel" else model.transformer
    begin = torch.tensor([CLUSTERS])
    read = [torch.cat([begin, pixels[:-1]]) for pixels in pictures]
    outputs = [core(ids[None], output_hidden_states=True, use_cache=False) for ids in read]
    results = {"hidden": torch.cat([output.last_hidden_state[0] for output in outputs]),
               "features": torch.stack([features(core, output) for output in outputs], dim=1)}
    batch = {"ids": torch.cat(read).tolist(), "pixels": torch.cat(pictures).tolist()}
    if architecture == "ImageGPTForCausalImageModeling":
        results["logits"] = torch.cat([model(ids[None]).logits[0] for ids in read])
        loss = functional.cross_entropy(results["logits"], torch.cat(pictures))
        batch["generated"] = sum((greedy(model, ids, 4) for ids in read), [])
    elif architecture == "ImageGPTForImageClassification":
        results["classes"] = torch.cat([model(ids[None]).logits for ids in read])
        batch["labels"] = [1, 0, results["classes"].shape[1] - 1]
        loss = functional.cross_entropy(results["classes"], torch.tensor(batch["labels"]))
    else:
        results["upstream"] = torch.randn(results["features"].shape, generator=generator).double()
        loss = (results["features"] * results["upstream"]).sum()
    return results, loss, batch


def run_masked(model, pictures, generator):
    """results, loss and batch of the BERT objective; every picture by itself."""
    core = model.transformer
    for block in core.h:
        block.attn.bias.fill_(True)
    hidden, parts, ids, rows, targets = [], [], [], [], []
    for pixels in pictures:
        is_masked = torch.rand(len(pixels), generator=generator) < 0.4
        is_masked[0] = True
        contents = torch.where(is_masked[:, None], 0.0, core.wte(pixels))
        output = core(inputs_embeds=contents[None], output_hidden_states=True, use_cache=False)
        rows += [len(ids) + i for i in is_masked.nonzero().flatten().tolist()]
        ids += torch.where(is_masked, CLUSTERS, pixels).tolist()
        targets += pixels[is_masked].tolist()
        hidden.append(output.last_hidden_state[0])
        parts.append(features(core, output))
    results = {"hidden": torch.cat(hidden), "features": torch.stack(parts, dim=1)}
    results["logits"] = model.lm_head(results["hidden"][rows])
    loss = functional.cross_entropy(results["logits"], torch.tensor(targets))
    return results, loss, {"ids": ids, "rows": rows, "targets": targets}


def make_masked(folder):
    cases = Cases()
    architecture = "ImageGPTForCausalImageModeling"
    config = transformers.ImageGPTConfig(vocab_size=CLUSTERS + 1, n_positions=16, n_embd=12, n_layer=2, n_head=3,
                                         resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, attn_implementation="eager")
    model = randomise(getattr(transformers, architecture)(config).double(), 50).eval()
    pictures, splits = random_sequences([6, 1, 12], CLUSTERS, 150)
    results, loss, batch = run_masked(model, pictures, torch.Generator().manual_seed(250))
    batch["row_splits"] = splits
    cases.add("masked", config_json(config, architecture), model, results, loss, batch)
    cases.write(folder / "image_gpt_masked.safetensors")


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    cases = Cases()
    for number, (case, (architecture, settings)) in enumerate(CASES.items()):
        options = {"n_layer": 2, "n_head": 3, **settings}
        config = transformers.ImageGPTConfig(
            vocab_size=CLUSTERS + 1, n_positions=16, n_embd=12, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
            attn_implementation="eager", **options)
        # transformers' reordered attention works in float32 only
        kind = torch.float32 if config.reorder_and_upcast_attn else torch.float64
        model = randomise(getattr(transformers, architecture)(config).to(kind), number).eval()
        pictures, splits = random_sequences([6, 1, 12], CLUSTERS, 100 + number)
        generator = torch.Generator().manual_seed(200 + number)
        results, loss, batch = run(model, architecture, pictures, generator)
        batch["row_splits"] = splits
        cases.add(case, config_json(config, architecture), model, results, loss, batch)
    cases.write(folder / "image_gpt.safetensors")
    make_masked(folder)


if __name__ == "__main__":
    main()
