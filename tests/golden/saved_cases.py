"""Cases whose tensors have the names of transformers' files, where those are not the names of its modules."""

import copy
import tempfile

import torch
from safetensors.torch import load_file

from pretrained_cases import Cases


def saved(model, rename=str):
    """What save_pretrained writes, by name."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return {rename(name): value for name, value in load_file(folder + "/model.safetensors").items()}


class SavedCases(Cases):
    """As Cases, with parameters and gradients under the names of files. rename: a function of these names."""

    def __init__(self, rename=str):
        super().__init__()
        self.rename = rename

    def add(self, case, config, model, results, loss, batch, buffers=()):
        assert not buffers
        loss.backward()
        gradients = copy.deepcopy(model)
        with torch.no_grad():
            for ours, theirs in zip(gradients.parameters(), model.parameters(), strict=True):
                ours.copy_(torch.full_like(ours, torch.nan) if theirs.grad is None else theirs.grad)
        for name, value in saved(model, self.rename).items():
            self.put(f"{case}/param/{name}", value)
        for name, value in saved(gradients, self.rename).items():
            if not value.isnan().all():
                self.put(f"{case}/grad/param/{name}", value)
        for name, value in results.items():
            self.put(f"{case}/{name}", value.detach())
        self.put(f"{case}/loss", loss.detach().reshape(1))
        for name, values in batch.items():
            self.tensors[f"{case}/{name}"] = torch.tensor(values, dtype=torch.int64)
        self.configs[case] = config
