#!/usr/bin/env python3
"""Writes a file for each family of text encoders: small random models of transformers with every head, their outputs,
losses and gradients.

    python tests/golden/make_encoders.py [--only FILE] [folder]        # default: all, in the folder of this script

pretrained_cases.py tells what a file holds. `types` are token types, of families that have them, and `hidden` is the
last hidden state [N, D]. Then, by architecture: `pooled` [B, D]; `tokens` [N, V] and `rows`, `targets` of a
masked-language loss; `next` [B, 2] and `is_random` [B]; `classes` [B, labels] or [N, labels], and `labels` or, of
regression and multiple labels, `values` [B, labels]; `replaced` [N, 1] and `labels` [N]; `answers` [N, 2] and `starts`, `ends` [B], where a number that is
not below the sequence's length counts for nothing. `loss` is the sum of these outputs' losses; of a bare model it is
the sum of `hidden` times `upstream` [N, D] and of `pooled` times `upstream_pooled` [B, D].
"""

import argparse
import pathlib

import torch
import transformers
from torch.nn import functional

from pretrained_cases import Cases, config_json, random_sequences, randomise

VOCABULARY = 17
LENGTHS = [5, 2, 7]
BERT = {"vocab_size": VOCABULARY, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 6, "max_position_embeddings": 9, "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0}
THREE = {"id2label": {0: "against", 1: "for", 2: "neither"}, "label2id": {"against": 0, "for": 1, "neither": 2}}
ONE = {"id2label": {0: "score"}, "label2id": {"score": 0}}
MULTIPLE = THREE | {"problem_type": "multi_label_classification"}

DISTIL = {"vocab_size": VOCABULARY, "dim": 8, "n_layers": 1, "n_heads": 2, "hidden_dim": 6,
          "max_position_embeddings": 9}
ALBERT = BERT | {"embedding_size": 6, "num_hidden_layers": 2}

MODERN = {"vocab_size": VOCABULARY, "hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2,
          "intermediate_size": 6, "max_position_embeddings": 16, "local_attention": 4, "pad_token_id": 0,
          "bos_token_id": None, "eos_token_id": None, "cls_token_id": None, "sep_token_id": None}

# file -> (settings, cases: name -> (class, further settings))
FAMILIES = {
    "bert_heads": (BERT, {
        "question": ("BertForQuestionAnswering", {"num_hidden_layers": 2}),
        "regression": ("BertForSequenceClassification", ONE),
        "numbers": ("BertForSequenceClassification", THREE | {"problem_type": "regression"}),
        "multiple": ("BertForSequenceClassification", MULTIPLE),
    }),
    "roberta": (BERT | {"type_vocab_size": 1}, {
        "bare": ("RobertaModel", {"num_hidden_layers": 2}),
        "masked": ("RobertaForMaskedLM", {"hidden_act": "relu", "pad_token_id": 0, "layer_norm_eps": 1e-5}),
        "sequences": ("RobertaForSequenceClassification", THREE),
        "words": ("RobertaForTokenClassification", THREE | {"type_vocab_size": 2}),
        "question": ("XLMRobertaForQuestionAnswering", {}),
        "multiple": ("XLMRobertaForSequenceClassification", MULTIPLE),
    }),
    "distilbert": (DISTIL, {
        "bare": ("DistilBertModel", {"n_layers": 2}),
        "masked": ("DistilBertForMaskedLM", {"activation": "relu"}),
        "sequences": ("DistilBertForSequenceClassification", THREE),
        "words": ("DistilBertForTokenClassification", THREE),
        "question": ("DistilBertForQuestionAnswering", {}),
    }),
    "electra": (BERT | {"embedding_size": 6}, {
        "bare": ("ElectraModel", {"num_hidden_layers": 2}),
        "bare_wide": ("ElectraModel", {"embedding_size": 8}),
        "generator": ("ElectraForMaskedLM", {"hidden_act": "relu"}),
        "discriminator": ("ElectraForPreTraining", {"hidden_act": "relu"}),
        "sequences": ("ElectraForSequenceClassification", ONE),
        "words": ("ElectraForTokenClassification", THREE),
        "question": ("ElectraForQuestionAnswering", {}),
    }),
    "albert": (ALBERT, {
        "bare": ("AlbertModel", {"num_hidden_layers": 4, "num_hidden_groups": 2}),
        "masked": ("AlbertForMaskedLM", {"hidden_act": "gelu", "embedding_size": 8}),
        "pretraining": ("AlbertForPreTraining", {"num_hidden_layers": 3, "layer_norm_eps": 1e-3}),
        "sequences": ("AlbertForSequenceClassification", THREE),
        "words": ("AlbertForTokenClassification", THREE),
        "question": ("AlbertForQuestionAnswering", {}),
    }),
    "modern_bert": (MODERN, {
        "bare": ("ModernBertModel", {"global_attn_every_n_layers": 2, "global_rope_theta": 50.0,
                                     "local_rope_theta": 20.0}),
        "masked": ("ModernBertForMaskedLM", {"hidden_activation": "gelu_new", "norm_eps": 1e-3}),
        "biases": ("ModernBertForMaskedLM", {"num_hidden_layers": 2, "norm_bias": True, "attention_bias": True,
                                             "mlp_bias": True, "classifier_bias": True, "decoder_bias": False,
                                             "classifier_activation": "silu"}),
        "sequences": ("ModernBertForSequenceClassification", THREE | {"num_hidden_layers": 2}),
        "mean": ("ModernBertForSequenceClassification", MULTIPLE | {"num_hidden_layers": 2,
                                                                    "classifier_pooling": "mean"}),
        "words": ("ModernBertForTokenClassification", THREE | {"num_hidden_layers": 1}),
        "question": ("ModernBertForQuestionAnswering", {"num_hidden_layers": 1}),
    }),
}


def outputs_of(model, tokens, types):
    """The results of one sequence, by name."""
    inputs = {"input_ids": tokens[None]} | ({} if types is None else {"token_type_ids": types[None]})
    core = model.base_model(**inputs)
    parts = {"hidden": core.last_hidden_state[0]}
    if model.base_model is model:
        if core.get("pooler_output") is not None:
            parts["pooled"] = core.pooler_output
        return parts
    head = model(**inputs)
    kind = type(model).__name__
    if kind.endswith("ForQuestionAnswering"):
        parts["answers"] = torch.stack([head.start_logits[0], head.end_logits[0]], dim=1)
    elif kind.endswith("Classification"):
        parts["classes"] = head.logits.reshape(-1, head.logits.shape[-1])
    elif kind.endswith("ForMaskedLM"):
        parts["tokens"] = head.logits[0]
    elif kind == "ElectraForPreTraining":
        parts["replaced"] = head.logits[0][:, None]
    elif kind == "AlbertForPreTraining":
        parts["tokens"], parts["next"] = head.prediction_logits[0], head.sop_logits
    else:
        raise ValueError(kind)
    return parts


def add_loss(model, results, generator):
    """The loss of all results, and the batch's integers, by name; adds what the loss multiplies with to the results."""
    batch, loss = {}, 0
    draw = lambda most, count: torch.randint(0, most, (count,), generator=generator).tolist()
    if "tokens" in results:
        batch["rows"] = [1, 3, 6, 7, 13]
        batch["targets"] = draw(VOCABULARY, 5)
        loss = loss + functional.cross_entropy(results["tokens"][batch["rows"]], torch.tensor(batch["targets"]))
    if "next" in results:
        batch["is_random"] = [1, 0, 1]
        loss = loss + functional.cross_entropy(results["next"], torch.tensor(batch["is_random"]))
    if "replaced" in results:
        batch["labels"] = draw(2, sum(LENGTHS))
        labels = torch.tensor(batch["labels"])[:, None].double()
        loss = loss + functional.binary_cross_entropy_with_logits(results["replaced"], labels)
    if "classes" in results:
        scores = results["classes"]
        problem = model.config.problem_type or ("regression" if scores.shape[1] == 1 else "single_label_classification")
        if problem == "single_label_classification":
            batch["labels"] = draw(scores.shape[1], scores.shape[0])
            loss = loss + functional.cross_entropy(scores, torch.tensor(batch["labels"]))
        elif problem == "regression":
            results["values"] = torch.randn(scores.shape, generator=generator).double()
            loss = loss + functional.mse_loss(scores, results["values"])
        else:
            results["values"] = torch.randint(0, 2, scores.shape, generator=generator).double()
            loss = loss + functional.binary_cross_entropy_with_logits(scores, results["values"])
    if "answers" in results:
        batch["starts"], batch["ends"] = [3, 5, 2], [4, 1, 7]  # the second's start and the third's end are not there
        for column, name in enumerate(["starts", "ends"]):
            losses = [functional.cross_entropy(scores[None], torch.tensor([place]))
                      for scores, place in zip(results["answers"][:, column].split(LENGTHS), batch[name])
                      if place < len(scores)]
            loss = loss + sum(losses) / len(losses) / 2
    if model.base_model is model:
        for name, upstream in [("hidden", "upstream"), ("pooled", "upstream_pooled")]:
            if name in results:
                results[upstream] = torch.randn(results[name].shape, generator=generator).double()
                loss = loss + (results[name] * results[upstream]).sum()
    return loss, batch


def make(common, families_cases):
    cases = Cases()
    for number, (case, (kind, settings)) in enumerate(families_cases.items()):
        of_kind = getattr(transformers, kind)
        config = of_kind.config_class(attn_implementation="eager", **(common | settings))
        model = randomise(of_kind(config).double(), number).eval()
        # No padding among the tokens: its embedding gets no gradient there.
        sequences, splits = random_sequences(LENGTHS, VOCABULARY, 100 + number, first=2)
        generator = torch.Generator().manual_seed(200 + number)
        types = [None] * len(LENGTHS)
        if hasattr(config, "type_vocab_size"):
            types = [torch.randint(0, config.type_vocab_size, (length,), generator=generator).sort().values
                     for length in LENGTHS]
        parts = [outputs_of(model, *both) for both in zip(sequences, types)]
        results = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        loss, batch = add_loss(model, results, generator)
        batch |= {"ids": torch.cat(sequences).tolist(), "row_splits": splits}
        if types[0] is not None:
            batch["types"] = torch.cat(types).tolist()
        cases.add(case, config_json(config, kind), model, results, loss, batch)
    # A key's bias adds the same to all scores of a query: what is there is noise.
    for name in [name for name in cases.tensors if "/grad/" in name and name.endswith(("key.bias", "k_lin.bias"))]:
        del cases.tensors[name]
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="the one file to write")
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    arguments = parser.parse_args()
    for file, (common, families_cases) in FAMILIES.items():
        if arguments.only in ("", file):
            make(common, families_cases).write(arguments.folder / f"{file}.safetensors")


if __name__ == "__main__":
    main()
