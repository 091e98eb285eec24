#!/usr/bin/env python3
"""Writes bert.safetensors: small random BERTs of transformers with every head, their outputs, losses and gradients.

    python tests/golden/make_bert.py [folder]        # default: the folder of this script

pretrained_cases.py tells what the file holds. `types` are token types, `hidden` is the last hidden state [N, D]. Then,
by architecture: `pooled` [B, D]; `tokens` [N, V] and `rows`, `targets` of a masked-language loss; `next` [B, 2] and
`is_random` [B]; `classes` [B, labels] or [N, labels] and `labels`. `loss` is the sum of the cross-entropies; of a bare
model it is the sum of `sentences` (mean of the hidden states, normalised) and, if it has a pooler, `pooled`, times
`upstream` [B, D].
"""

import pathlib
import sys

import torch
import transformers
from torch.nn import functional

from pretrained_cases import Cases, config_json, random_sequences, randomise

VOCABULARY = 23
CASES = {
    "bare": ("BertModel", {"hidden_act": "silu", "num_hidden_layers": 1, "type_vocab_size": 1}),
    "no_pooler": ("BertModel", {"hidden_act": "gelu_new", "num_hidden_layers": 3, "num_attention_heads": 4,
                                "type_vocab_size": 3}),
    "masked": ("BertForMaskedLM", {"hidden_act": "relu", "layer_norm_eps": 1e-3, "intermediate_size": 7}),
    "pretraining": ("BertForPreTraining", {}),
    "next_sentence": ("BertForNextSentencePrediction", {"num_attention_heads": 1, "num_hidden_layers": 1}),
    "sequences": ("BertForSequenceClassification", {
        "num_hidden_layers": 1, "id2label": {0: "against", 1: "for", 2: "neither"},
        "label2id": {"against": 0, "for": 1, "neither": 2}, "classifier_dropout": 0.0}),
    "words": ("BertForTokenClassification", {"num_hidden_layers": 1, "hidden_act": "quick_gelu"}),
}
LENGTHS = [5, 2, 8]


def run(model, architecture, sequences, types, generator):
    """results, loss and batch of a case; every sequence by itself."""
    parts = {"hidden": [], "pooled": [], "tokens": [], "next": [], "classes": [], "sentences": []}
    for tokens, kinds in zip(sequences, types):
        core = model if architecture == "BertModel" else model.bert
        output = core(tokens[None], token_type_ids=kinds[None])
        parts["hidden"].append(output.last_hidden_state[0])
        if output.pooler_output is not None:
            parts["pooled"].append(output.pooler_output)
        head = model(tokens[None], token_type_ids=kinds[None])
        if architecture == "BertForPreTraining":
            parts["tokens"].append(head.prediction_logits[0])
            parts["next"].append(head.seq_relationship_logits)
        elif architecture == "BertForMaskedLM":
            parts["tokens"].append(head.logits[0])
        elif architecture == "BertForNextSentencePrediction":
            parts["next"].append(head.logits)
        elif architecture == "BertModel":
            mean = output.last_hidden_state[0].mean(dim=0, keepdim=True)
            parts["sentences"].append(functional.normalize(mean, dim=1))
        else:
            parts["classes"].append(head.logits.reshape(-1, head.logits.shape[-1]))
    results = {name: torch.cat(rows) for name, rows in parts.items() if rows}

    batch, loss = {}, 0
    if "tokens" in results:
        batch["rows"] = [1, 3, 6, 7, 14]
        batch["targets"] = torch.randint(0, VOCABULARY, (5,), generator=generator).tolist()
        loss = loss + functional.cross_entropy(results["tokens"][batch["rows"]], torch.tensor(batch["targets"]))
    if "next" in results:
        batch["is_random"] = [1, 0, 1]
        loss = loss + functional.cross_entropy(results["next"], torch.tensor(batch["is_random"]))
    if "classes" in results:
        count = results["classes"].shape
        batch["labels"] = torch.randint(0, count[1], (count[0],), generator=generator).tolist()
        loss = loss + functional.cross_entropy(results["classes"], torch.tensor(batch["labels"]))
    if "sentences" in results:
        upstream = torch.randn(results["sentences"].shape, generator=generator).double()
        loss = ((results["sentences"] + results.get("pooled", 0)) * upstream).sum()
        results["upstream"] = upstream
    return results, loss, batch


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    cases = Cases()
    for number, (case, (architecture, settings)) in enumerate(CASES.items()):
        options = {"num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 16, **settings}
        config = transformers.BertConfig(vocab_size=VOCABULARY, hidden_size=12, max_position_embeddings=9,
                                         hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
                                         attn_implementation="eager", **options)
        extra = {"add_pooling_layer": False} if case == "no_pooler" else {}
        model = randomise(getattr(transformers, architecture)(config, **extra).double(), number).eval()
        # No padding among the tokens: its embedding gets no gradient there.
        sequences, splits = random_sequences(LENGTHS, VOCABULARY, 100 + number, first=1)
        generator = torch.Generator().manual_seed(200 + number)
        types = [torch.randint(0, config.type_vocab_size, (length,), generator=generator).sort().values
                 for length in LENGTHS]
        results, loss, batch = run(model, architecture, sequences, types, generator)
        batch.update({"ids": torch.cat(sequences).tolist(), "row_splits": splits, "types": torch.cat(types).tolist()})
        cases.add(case, config_json(config, architecture), model, results, loss, batch)
        for name in [name for name in cases.tensors if name.endswith(".self.key.bias") and "/grad/" in name]:
            del cases.tensors[name]  # softmax cancels it: what is there is noise
    cases.write(folder / "bert.safetensors")


if __name__ == "__main__":
    main()
