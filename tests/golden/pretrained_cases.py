"""What the scripts for pretrained models share: small random models of transformers, and a file of cases.

A tensor of the file is `<case>/<name>`:

    <case>/param/<name>         F32, parameters under their names in transformers' own file
    <case>/ids, row_splits      I64, sequences laid end to end; every one is run by itself, without padding
    <case>/<output>             F32, results, rows laid end to end likewise
    <case>/loss                 F32 [1]
    <case>/grad/param/<name>    F32, gradients of the loss

Metadata: "info", a JSON object {"torch": .., "transformers": .., "cases": {"<case>": <config.json>}}. Everything is
computed in float64 from values rounded to float32.
"""

import json

import torch
from safetensors.torch import save_file


class Cases:
    """Collects cases and writes them."""

    def __init__(self):
        self.tensors, self.configs = {}, {}

    def add(self, case, config, model, results, loss, batch, buffers=()):
        """results: name -> tensor; batch: name -> list of integers. Names in the file are those of save_pretrained.
        buffers: names of those that it writes, too."""
        loss.backward()
        stored = stored_names(model)
        for name, parameter in stored.items():
            self.put(f"{case}/param/{name}", parameter.detach())
            if parameter.grad is not None:
                self.put(f"{case}/grad/param/{name}", parameter.grad)
        for name in buffers:
            self.put(f"{case}/param/{name}", model.get_buffer(name))
        for name, value in results.items():
            self.put(f"{case}/{name}", value.detach())
        self.put(f"{case}/loss", loss.detach().reshape(1))
        for name, values in batch.items():
            self.tensors[f"{case}/{name}"] = torch.tensor(values, dtype=torch.int64)
        self.configs[case] = config

    def put(self, name, value):
        self.tensors[name] = value.to(torch.float32).contiguous().clone()

    def write(self, path, **more):
        """more: further entries of "info"."""
        import transformers
        info = {"torch": torch.__version__, "transformers": transformers.__version__, "cases": self.configs, **more}
        save_file(self.tensors, path, metadata={"info": json.dumps(info)})
        print(f"{path}: {path.stat().st_size} bytes, cases {', '.join(self.configs)}")


def stored_names(model):
    """The parameters that save_pretrained would write: tied ones once, and none that are frozen (sinusoids)."""
    seen, names = set(), {}
    for name, parameter in model.named_parameters():  # shared parameters come once, under their first name
        if id(parameter) not in seen and parameter.requires_grad:
            seen.add(id(parameter))
            names[name] = parameter
    return names


def config_json(config, architecture):
    """config.json as save_pretrained writes it, with every setting."""
    values = config.to_dict()
    values["architectures"] = [architecture]
    values["model_type"] = config.model_type
    return json.loads(json.dumps(values))


def randomise(model, seed, deviation=0.2):
    """Values of a size at which mistakes show, rounded to float32; norms stay near one, and what is frozen as it is."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float32) * deviation
            is_norm = parameter.dim() == 1 and name.endswith("weight")
            parameter.copy_((noise + 1 if is_norm else noise).to(torch.float64))
    return model


def random_sequences(lengths, vocabulary, seed, first=0):
    """Token ids of sequences, and their row splits."""
    generator = torch.Generator().manual_seed(seed)
    sequences = [torch.randint(first, vocabulary, (length,), generator=generator) for length in lengths]
    splits = [0]
    for length in lengths:
        splits.append(splits[-1] + length)
    return sequences, splits
