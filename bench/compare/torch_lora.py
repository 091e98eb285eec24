#!/usr/bin/env python3
"""PyTorch's side of lora.py: models of transformers with adapters of PEFT, as their users train them."""

import time

import peft
import torch
import transformers
from safetensors.torch import load_file

from torch_worker import Worker, serve

CLASSES = {"gpt2": (transformers.GPT2Config, transformers.GPT2LMHeadModel),
           "bert": (transformers.BertConfig, transformers.BertForSequenceClassification)}


class LoraWorker(Worker):
    def save(self, model, folder, halves, adapter, options, adapter_options):
        """Folders of a new model in float32 and in bfloat16, of the same numbers, and of an adapter."""
        torch.manual_seed(1)
        config, make = CLASSES[model]
        base = make(config(**options)).bfloat16().float()
        base.save_pretrained(folder)
        peft.get_peft_model(base, peft.LoraConfig(**adapter_options)).save_pretrained(adapter)
        make.from_pretrained(folder, dtype=torch.bfloat16).save_pretrained(halves)
        return {"parameters": sum(p.numel() for p in make.from_pretrained(folder).parameters())}

    def open(self, model, folder, adapter, batches, weights, threads, precision):
        torch.set_num_threads(threads)
        dtype = torch.bfloat16 if weights == "bfloat16" else torch.float32
        base = CLASSES[model][1].from_pretrained(folder, dtype=dtype)
        self.model = peft.PeftModel.from_pretrained(base, adapter, is_trainable=True).train()
        self.adam = torch.optim.Adam((p for p in self.model.parameters() if p.requires_grad), lr=1e-3)
        self.autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")
        self.batches = {name: value.long() for name, value in load_file(batches).items()}
        self.losses_ = []
        return {"trained": sum(p.numel() for p in self.model.parameters() if p.requires_grad)}

    def step(self):
        i = len(self.losses_) % len(self.batches["ids"])
        ids = self.batches["ids"][i]
        with self.autocast:
            loss = self.model(input_ids=ids, labels=self.batches["labels"][i] if "labels" in self.batches else ids).loss
        loss.backward()
        self.adam.step()
        self.adam.zero_grad()
        self.losses_.append(loss.item())

    def run(self, uncounted, counted):
        for _ in range(uncounted):
            self.step()
        seconds, processor = [], []
        for _ in range(counted):
            start, begin = time.perf_counter(), time.process_time()
            self.step()
            processor.append(time.process_time() - begin)
            seconds.append(time.perf_counter() - start)
        return {"seconds": seconds, "processor": processor}

    def losses(self):
        return {"losses": self.losses_}


if __name__ == "__main__":
    serve(LoraWorker())
