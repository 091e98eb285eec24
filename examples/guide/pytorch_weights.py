import math
import sys

import torch
from safetensors.torch import load_file


class Reverser(torch.nn.Module):
    def __init__(self, vocabulary=16, d_model=64):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary, d_model)
        parts = torch.nn.Transformer(d_model, nhead=4, num_encoder_layers=2, num_decoder_layers=2,
                                     dim_feedforward=256, batch_first=True)
        self.encoder, self.decoder = parts.encoder, parts.decoder

    def embed(self, tokens):
        d = self.embedding.embedding_dim
        angles = torch.arange(tokens.shape[1])[:, None] / 10000 ** (torch.arange(0, d, 2) / d)
        sinusoids = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
        return self.embedding(tokens) * math.sqrt(d) + sinusoids

    def forward(self, source, target):
        causal = torch.nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        hidden = self.decoder(self.embed(target), self.encoder(self.embed(source)), tgt_mask=causal)
        return hidden @ self.embedding.weight.T


model = Reverser().eval()
model.load_state_dict(load_file(sys.argv[1]))
source, target = torch.tensor([[3, 5, 7, 9, 11, 13, 2]]), [1]  # 2 ends a sequence, 1 begins one
while target[-1] != 2 and len(target) < 20:
    target.append(int(model(source, torch.tensor([target]))[0, -1].argmax()))
print(*target[1:-1], "is the reverse of 3 5 7 9 11 13")
torch.save(model.state_dict(), "from_pytorch.pt")
