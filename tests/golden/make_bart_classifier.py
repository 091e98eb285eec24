#!/usr/bin/env python3
"""Writes bart_classifier.json and bart_classifier.safetensors beside this script: the folder of a small random BART for
natural language inference with its tokenizer, and what transformers' pipelines make of texts with it.

    python make_bart_classifier.py                 # needs transformers 5.24, torch 2.13

make_pipelines.py tells what `files`, `folders` and `texts` are. `labels` are the candidates; `one` and `multi` are of each
text [label's number, score], the best first, of the pipeline "zero-shot-classification", `multi` with the template
"the {} sat" and several right labels; `classify` is that of "text-classification" with the names of the model's classes.
"""

import json

import torch
import transformers
from safetensors.torch import save_file

from make_pipelines import FILES, FOLDERS, HERE, TENSORS, keep, labelled, number, randomized, sample_texts
from make_tokenizers import generated_lines, roberta, small_bpe

CLASSES = ["contradiction", "neutral", "entailment"]
LABELS = ["cats", "small dogs", "x"]


def main():
    torch.set_num_threads(1)
    tokenizer = roberta(small_bpe())
    tokenizer.add_special_tokens(["<pad>", "<unk>"])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=64, unk_token="<unk>", bos_token="<s>", eos_token="</s>",
        sep_token="</s>", pad_token="<pad>", cls_token="<s>", mask_token="<mask>",
        model_input_names=["input_ids", "attention_mask"])
    config = transformers.BartConfig(
        vocab_size=len(tokenizer), d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=12, decoder_ffn_dim=12, max_position_embeddings=64,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        decoder_start_token_id=tokenizer.eos_token_id, forced_eos_token_id=tokenizer.eos_token_id,
        id2label=dict(enumerate(CLASSES)), label2id={name: i for i, name in enumerate(CLASSES)})
    model = randomized(transformers.BartForSequenceClassification(config), 5)
    keep("bart", model, tokenizer)
    texts = [text for text in sample_texts(generated_lines())[::4] if text.strip()][:16]
    zero_shot = transformers.pipeline("zero-shot-classification", model=model, tokenizer=tokenizer)
    classifier = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer)

    def judged(**options):
        return [[[LABELS.index(name), number(score)] for name, score in zip(one["labels"], one["scores"])]
                for one in zero_shot(texts, candidate_labels=LABELS, **options)]

    results = {"labels": LABELS, "classes": CLASSES, "one": judged(),
               "multi": judged(multi_label=True, hypothesis_template="the {} sat"),
               "classify": labelled(classifier(texts, truncation=True, top_k=None), CLASSES)}
    written = {"files": FILES, "folders": FOLDERS, "texts": texts, **results}
    (HERE / "bart_classifier.json").write_text(json.dumps(written, ensure_ascii=False, separators=(",", ":")) + "\n",
                                               encoding="utf-8")
    save_file(TENSORS, HERE / "bart_classifier.safetensors")


if __name__ == "__main__":
    main()
