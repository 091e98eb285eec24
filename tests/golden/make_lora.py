#!/usr/bin/env python3
"""Writes lora.safetensors and lora_more.safetensors: small random models of transformers with LoRA and DoRA adapters of
PEFT: logits, loss and gradients.

    python tests/golden/make_lora.py [folder]        # default: the folder of this script; needs peft

As pretrained_cases.py tells, and beside it:

    <case>/adapter/<name>       F32, the tensors of PEFT's adapter_model.safetensors
    <case>/grad/adapter/<name>  F32, their gradients; the base model's parameters are frozen
    <case>/base_logits          F32, of the model without the adapter

Metadata: "info" has for each case "<case>" config.json, and under "adapters" PEFT's adapter_config.json.
"""

import json
import pathlib
import sys
import tempfile

import peft
import torch
import transformers
from safetensors.torch import load_file

from pretrained_cases import Cases, config_json, random_sequences, randomise, stored_names

VOCABULARY = 23


def bert(number):
    config = transformers.BertConfig(vocab_size=VOCABULARY, hidden_size=12, num_hidden_layers=2, num_attention_heads=3,
                                     intermediate_size=16, max_position_embeddings=12, hidden_dropout_prob=0.0,
                                     attention_probs_dropout_prob=0.0, num_labels=3, attn_implementation="eager")
    return transformers.BertForSequenceClassification(config)


def gpt(number):
    config = transformers.GPT2Config(vocab_size=VOCABULARY, n_positions=12, n_embd=12, n_layer=2, n_head=2, n_inner=16,
                                     resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0,
                                     eos_token_id=None, attn_implementation="eager")
    return transformers.GPT2LMHeadModel(config)


def llama(number):
    config = transformers.LlamaConfig(vocab_size=VOCABULARY, hidden_size=16, intermediate_size=20, num_hidden_layers=2,
                                      num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=32,
                                      bos_token_id=0, eos_token_id=None, attn_implementation="eager")
    return transformers.LlamaForCausalLM(config)


def t5(number):
    config = transformers.T5Config(vocab_size=VOCABULARY, d_model=12, d_kv=4, d_ff=16, num_layers=1,
                                   num_decoder_layers=1, num_heads=3, relative_attention_num_buckets=8,
                                   relative_attention_max_distance=16, dropout_rate=0.0, pad_token_id=0,
                                   eos_token_id=1, decoder_start_token_id=0, attn_implementation="eager")
    return transformers.T5ForConditionalGeneration(config)


def bart(number):
    config = transformers.BartConfig(vocab_size=VOCABULARY, d_model=12, max_position_embeddings=14, encoder_layers=1,
                                     decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=3,
                                     encoder_ffn_dim=16, decoder_ffn_dim=12, dropout=0.0, pad_token_id=0,
                                     bos_token_id=0, eos_token_id=1, decoder_start_token_id=0,
                                     forced_eos_token_id=None, attn_implementation="eager")
    model = transformers.BartForConditionalGeneration(config)
    for module in model.modules():  # gives the padding token's row no gradient, although the decoder begins with it
        if isinstance(module, torch.nn.Embedding):
            module.padding_idx = None
    return model


CASES = {
    "bert": (bert, {"task_type": "SEQ_CLS", "r": 3, "lora_alpha": 5, "target_modules": ["query", "value"]}),
    "gpt": (gpt, {"task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 6, "use_rslora": True, "fan_in_fan_out": True,
                  "target_modules": ["c_attn", "mlp.c_proj"]}),
    "llama": (llama, {"task_type": "CAUSAL_LM", "r": 2, "lora_alpha": 3,
                      "target_modules": ["q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]}),
    "t5": (t5, {"task_type": "SEQ_2_SEQ_LM", "r": 2, "lora_alpha": 4, "target_modules": ["q", "v", "wi"]}),
}
MORE_CASES = {
    "bart": (bart, {"task_type": "SEQ_2_SEQ_LM", "r": 2, "lora_alpha": 4,
                    "target_modules": ["q_proj", "v_proj", "out_proj", "fc1"]}),
    "bert_dora": (bert, {"task_type": "SEQ_CLS", "r": 3, "lora_alpha": 5, "use_dora": True,
                         "target_modules": ["query", "value", "output.dense"]}),
    "gpt_dora": (gpt, {"task_type": "CAUSAL_LM", "r": 2, "lora_alpha": 6, "use_dora": True, "fan_in_fan_out": True,
                       "target_modules": ["c_attn", "mlp.c_proj"]}),
}


def logits_and_targets(model, case, sequences, splits):
    """Logits of all rows, and the rows and targets that the loss reads."""
    logits, targets, rows = [], [], []
    for i, sequence in enumerate(sequences):
        if case.startswith("bert"):
            logits.append(model(sequence[None]).logits)
            rows.append(i)
            targets.append(i % 3)
        elif case in ("t5", "bart"):
            shifted = torch.cat([torch.zeros(1, dtype=torch.int64), sequence[:-1]])
            logits.append(model(input_ids=sequence.flip(0)[None], decoder_input_ids=shifted[None]).logits[0])
            rows += range(splits[i], splits[i + 1])
            targets += sequence.tolist()
        else:
            logits.append(model(sequence[None]).logits[0])
            rows += range(splits[i], splits[i + 1] - 1)
            targets += sequence[1:].tolist()
    return torch.cat(logits), rows, targets


def write(path, wanted, first):
    cases, adapters = Cases(), {}
    for number, (case, (make, options)) in enumerate(wanted.items(), first):
        base = randomise(make(number).to(torch.float64), number).eval()
        parameters = {name: value.detach().clone() for name, value in stored_names(base).items()}
        sequences, splits = random_sequences([5, 2, 9], VOCABULARY, 100 + number, first=2)
        base_logits = logits_and_targets(base, case, sequences, splits)[0].detach()
        config = config_json(base.config, type(base).__name__)
        model = peft.get_peft_model(base, peft.LoraConfig(lora_dropout=0.0, bias="none", **options))
        model = randomise(model.to(torch.float64), 50 + number).eval()
        logits, rows, targets = logits_and_targets(model, case, sequences, splits)
        loss = torch.nn.functional.cross_entropy(logits[rows], torch.tensor(targets))
        loss.backward()
        for name, value in parameters.items():
            cases.put(f"{case}/param/{name}", value)
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                stored = name.replace(".modules_to_save", "").replace(".default", "")
                stored = stored.replace("magnitude_vector.weight", "magnitude_vector")  # as in the folder
                cases.put(f"{case}/grad/adapter/{stored}", parameter.grad)
        for name, value in {"base_logits": base_logits, "logits": logits, "loss": loss.reshape(1)}.items():
            cases.put(f"{case}/{name}", value.detach())
        for name, values in {"ids": torch.cat(sequences).tolist(), "row_splits": splits, "targets": targets,
                             "rows": rows}.items():
            cases.tensors[f"{case}/{name}"] = torch.tensor(values, dtype=torch.int64)
        with tempfile.TemporaryDirectory() as saved:
            model.save_pretrained(saved)
            for name, value in load_file(f"{saved}/adapter_model.safetensors").items():
                cases.put(f"{case}/adapter/{name}", value)
            adapters[case] = json.loads(pathlib.Path(saved, "adapter_config.json").read_text())
        cases.configs[case] = config
    cases.write(path, adapters=adapters, peft=peft.__version__)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    write(folder / "lora.safetensors", CASES, 0)
    write(folder / "lora_more.safetensors", MORE_CASES, len(CASES))


if __name__ == "__main__":
    main()
