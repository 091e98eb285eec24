#!/usr/bin/env python3
"""Published weights that travel in Python packages: rapt's examples `tasks` and `semantic_search` beside transformers.

    python -m pip install --no-deps --target PACKAGES rxnmapper==0.4.3 rxnfp==0.1.0 antiberty==0.1.3 iglm==0.1.0
    python bench/compare/real_weights.py PACKAGES [--programs build/examples]

PACKAGES is a folder in which the packages lie; those that are not there are left out. Their folders of models become
folders that rapt opens: pytorch_model.bin as safetensors, and where a package has a tokenizer of its own (of the regular
expression that cuts molecules into atoms, of letters with spaces between them) its tokenizer.json. config.json stays
as it is, except that one without a "model_type" is told that it is a BERT's.

Prints a table: the model, what was compared on how many inputs, for how many inputs the tokens that were found are the same,
and the largest difference of a probability, a number of a vector or the logarithm of a probability from transformers
in float64, beside that of transformers in float32. Fails if a token differs or a number by more than 1e-4.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors

from common import ROOT

LIMIT = 1e-4
TOP = 10  # tokens for each mask
GENERATED = 40  # tokens
MOLECULES = (r"(\%\([0-9]{3}\)|\[[^\]]+]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\||\(|\)|\.|=|#|-|\+|\\|\/|:|~|@|\?|>>?|\*|\$|"
             r"\%[0-9]{2}|[0-9])")
# Amide couplings, esterifications, couplings of Suzuki and Buchwald, reductions, protections, Grignard, Wittig, ...
REACTIONS = [
    "CC(C)S.CN(C)C=O.Fc1cccnc1F.O=C([O-])[O-].[K+].[K+]>>CC(C)Sc1ncccc1F",
    "C1COCCO1.CC(C)(C)OC(=O)CONC(=O)NCc1cccc2ccccc12.Cl>>O=C(O)CONC(=O)NCc1cccc2ccccc12",
    "CC(=O)O.OCC>>CC(=O)OCC", "CC(=O)Cl.Nc1ccccc1>>CC(=O)Nc1ccccc1", "OB(O)c1ccccc1.Brc1ccccc1>>c1ccc(-c2ccccc2)cc1",
    "COC(=O)c1ccccc1.[Li+].[OH-]>>O=C(O)c1ccccc1", "O=Cc1ccccc1.[BH4-].[Na+]>>OCc1ccccc1",
    "CC(C)(C)OC(=O)OC(=O)OC(C)(C)C.NCCc1ccccc1>>CC(C)(C)OC(=O)NCCc1ccccc1",
    "C[Mg]Br.O=C1CCCCC1>>CC1(O)CCCCC1", "C=P(c1ccccc1)(c1ccccc1)c1ccccc1.O=C1CCCCC1>>C=C1CCCCC1",
    "O=[N+]([O-])c1ccc(F)cc1.C1CCNCC1>>O=[N+]([O-])c1ccc(N2CCCCC2)cc1",
    "O=[N+]([O-])c1ccccc1.[H][H].[Pd]>>Nc1ccccc1", "C1CCNCC1.ClCc1ccccc1>>c1ccc(CN2CCCCC2)cc1",
    "N#Cc1ccccc1.OO>>NC(=O)c1ccccc1", "CCO.CS(=O)(=O)Cl>>CCOS(C)(=O)=O", "Oc1ccccc1.CI>>COc1ccccc1",
    "C=CC(=O)OC.C1=CCC=C1>>COC(=O)C1CC2C=CC1C2", "CC(C)=O.NO>>CC(C)=NO", "Clc1ncccn1.NCC>>CCNc1ncccn1",
    "O=C(O)[C@@H](N)Cc1ccccc1.CO.Cl>>COC(=O)[C@@H](N)Cc1ccccc1"]
# Variable domains of antibodies that are medicines: trastuzumab (both chains), adalimumab, rituximab, bevacizumab.
HEAVY = ["EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYCSRWGGDGFYAMDYWGQGTLVTVSS",
         "EVQLVESGGGLVQPGRSLRLSCAASGFTFDDYAMHWVRQAPGKGLEWVSAITWNSGHIDYADSVEGRFTISRDNAKNSLYLQMNSLRAEDTAVYYCAKVSYLSTASSLDYWGQGTLVTVSS",
         "QVQLQQPGAELVKPGASVKMSCKASGYTFTSYNMHWVKQTPGRGLEWIGAIYPGNGDTSYNQKFKGKATLTADKSSSTAYMQLSSLTSEDSAVYYCARSTYYGGDWYFNVWGAGTTVTVSA",
         "EVQLVESGGGLVQPGGSLRLSCAASGYTFTNYGMNWVRQAPGKGLEWVGWINTYTGEPTYAADFKRRFTFSLDTSKSTAYLQMNSLRAEDTAVYYCAKYPHYYGSSHWYFDVWGQGTLVTVSS"]
LIGHT = ["DIQMTQSPSSLSASVGDRVTITCRASQDVNTAVAWYQQKPGKAPKLLIYSASFLYSGVPSRFSGSRSGTDFTLTISSLQPEDFATYYCQQHYTTPPTFGQGTKVEIK",
         "DIQMTQSPSSLSASVGDRVTITCRASQGIRNYLAWYQQKPGKAPKLLIYAASTLQSGVPSRFSGSGSGTDFTLTISSLQPEDVATYYCQRYNRAPYTFGQGTKVEIK"]


def masked(tokens, count):
    """So many texts, of which every third to eleventh token is hidden, by the number of the text."""
    return ["".join("[MASK]" if (i + n) % (3 + n % 9) == 0 else token for i, token in enumerate(tokens[n % len(tokens)]))
            for n in range(count)]


# Folders --------------------------------------------------------------------------------------------------------------


def tokenizer_of(vocabulary, pre_tokenizer, around):
    """Words of a vocab.txt, [CLS] and [SEP] around them if `around`."""
    words = {word: i for i, word in enumerate(Path(vocabulary).read_text(encoding="utf-8").splitlines())}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    if around:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[(word, words[word]) for word in ("[CLS]", "[SEP]")])
    return tokenizer


def convert(source, target, tokenizer, drop=(), settings=None):
    """The folder `source` as one that rapt opens; tensors whose names begin with one of `drop` stay behind."""
    target.mkdir()
    config = json.loads((source / "config.json").read_text())
    if "model_type" not in config:
        config = {"model_type": "bert", **config}
    (target / "config.json").write_text(json.dumps(config))
    tensors = torch.load(source / "pytorch_model.bin", map_location="cpu", weights_only=True)
    save_file({name: value.contiguous().clone() for name, value in tensors.items() if not name.startswith(tuple(drop))},
              target / "model.safetensors", {"format": "pt"})
    if isinstance(tokenizer, Tokenizer):
        tokenizer.save(str(target / "tokenizer.json"))
    else:
        shutil.copy(tokenizer, target / "vocab.txt")
    (target / "tokenizer_config.json").write_text(json.dumps(settings or {}))
    return target


def molecules(folder):
    pieces = pre_tokenizers.Split(Regex(MOLECULES), "removed", invert=True)
    return tokenizer_of(folder / "vocab.txt", pieces, around=True)


def load(kind, folder, dtype):
    model = getattr(transformers, kind).from_pretrained(folder, dtype=dtype, attn_implementation="eager")
    return model.eval()


def both(kind, folder, compute):
    """What compute(model) gives in float64 and in float32."""
    with torch.inference_mode():
        return [compute(load(kind, folder, dtype)) for dtype in (torch.float64, torch.float32)]


# Comparisons: (inputs, how many are the same, rapt's largest difference, that of transformers in float32) ---------------


def tasks(settings, task, folder, lines, *flags):
    run = subprocess.run([settings.programs / "tasks", task, "--model", folder, "--json", *flags], check=True,
                         capture_output=True, text=True, input="".join(line + "\n" for line in lines))
    return [json.loads(line)["results"] for line in run.stdout.splitlines()]


def encode(folder, tokenizer, lines):
    if not isinstance(tokenizer, Tokenizer):
        tokenizer = transformers.BertTokenizer(vocab=str(tokenizer), do_lower_case=False).backend_tokenizer
    return [torch.tensor([tokenizer.encode(line).ids]) for line in lines], tokenizer


def fill(settings, kind, folder, tokenizer, lines):
    inputs, tokenizer = encode(folder, tokenizer, lines)
    mask = tokenizer.token_to_id("[MASK]")

    def compute(model):
        return [model(input_ids=ids).logits[0][ids[0] == mask].double().softmax(-1) for ids in inputs]

    exact, single = both(kind, folder, compute)
    found = tasks(settings, "fill", folder, lines, "--top-k", str(TOP))
    same, ours, theirs = 0, 0.0, 0.0
    for results, right, rough in zip(found, exact, single):
        scores, best = right.topk(TOP)
        theirs = max(theirs, float((right - rough).abs().max()))
        names = [tokenizer.id_to_token(int(token)) for token in best.flatten()]
        same += names == [one["token"] for one in results]
        ours = max(ours, float((scores.flatten() - torch.tensor([one["score"] for one in results])).abs().max()))
    return len(lines), same, ours, theirs


def classify(settings, kind, folder, tokenizer, lines):
    inputs, _ = encode(folder, tokenizer, lines)
    exact, single = both(kind, folder, lambda model: [model(input_ids=ids).logits[0].double().softmax(-1) for ids in inputs])
    labels = transformers.AutoConfig.from_pretrained(folder).id2label
    found = tasks(settings, "classify", folder, lines, "--top-k", str(len(labels)))
    same, ours = 0, 0.0
    for results, right in zip(found, exact):
        scores = {one["label"]: one["score"] for one in results}
        ours = max(ours, max(abs(scores[name] - float(right[i])) for i, name in labels.items()))
        same += results[0]["label"] == labels[int(right.argmax())]
    return len(lines), same, ours, max(float((a - b).abs().max()) for a, b in zip(exact, single))


def embed(settings, kind, folder, tokenizer, lines, pooling):
    """Vectors that are not normalised."""
    inputs, _ = encode(folder, tokenizer, lines)

    def compute(model):
        hidden = [model(input_ids=ids).last_hidden_state[0].double() for ids in inputs]
        return torch.stack([one[0] if pooling == "cls" else one.mean(0) for one in hidden]).numpy()

    exact, single = both(kind, folder, compute)
    (folder / "modules.json").write_text(json.dumps([{"type": "Transformer", "path": ""}, {"type": "Pooling", "path": "1"}]))
    (folder / "1").mkdir(exist_ok=True)
    (folder / "1/config.json").write_text(json.dumps({f"pooling_mode_{'cls_token' if pooling == 'cls' else 'mean_tokens'}": True}))
    (folder / "lines.txt").write_text("".join(line + "\n" for line in lines))
    subprocess.run([settings.programs / "semantic_search", "--model", folder, "--lines", folder / "lines.txt", "--query", "C",
                    "--vectors", folder / "vectors.safetensors"], check=True, capture_output=True)
    vectors = load_file(folder / "vectors.safetensors")["vectors"].double().numpy()
    return len(lines), len(lines), float(np.abs(vectors - exact).max()), float(np.abs(single - exact).max())


def generate(settings, kind, folder, tokenizer, lines):
    inputs, tokenizer = encode(folder, tokenizer, lines)

    def compute(model):
        found = []
        for ids in inputs:
            model.generation_config.eos_token_id = model.generation_config.pad_token_id = None
            tokens = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=GENERATED, do_sample=False)
            logits = model(input_ids=tokens).logits[0, ids.shape[1] - 1:-1].double().log_softmax(-1)
            behind = tokens[0, ids.shape[1]:]
            found.append((behind.tolist(), float(logits.gather(1, behind[:, None]).sum())))
        return found

    exact, single = both(kind, folder, compute)
    found = tasks(settings, "generate", folder, lines, "--max-new-tokens", str(GENERATED))
    same = sum(results[0]["text"].split() == tokenizer.decode(tokens).split() for results, (tokens, _) in zip(found, exact))
    ours = max(abs(results[0]["log_probability"] - right) for results, (_, right) in zip(found, exact))
    return len(lines), same, ours, max(abs(a - b) for (_, a), (_, b) in zip(exact, single))


def comparisons(packages, work):
    """(model, what, how to compute it) of each package that is there."""
    cut = [pre_tokenizers.Split(Regex(MOLECULES), "removed", invert=True).pre_tokenize_str(one) for one in REACTIONS]
    hidden = masked([[token for token, _ in one] for one in cut], 100)
    lines = REACTIONS + hidden[:80]
    if (source := packages / "rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k").is_dir():
        tokenizer = molecules(source)
        folder = convert(source, work / "rxnmapper", tokenizer)
        yield "rxnmapper, ALBERT", "masked tokens", fill, ("AlbertForMaskedLM", folder, tokenizer, hidden)
        yield "rxnmapper, ALBERT", "mean of the hidden states", embed, ("AlbertModel", folder, tokenizer, lines, "mean")
    if (source := packages / "rxnfp/models/transformers").is_dir():
        tokenizer = molecules(source / "bert_pretrained")
        folder = convert(source / "bert_pretrained", work / "rxnfp_pretrained", tokenizer)
        yield "rxnfp, BERT", "masked tokens", fill, ("BertForMaskedLM", folder, tokenizer, hidden)
        folder = convert(source / "bert_ft_10k_25s", work / "rxnfp_10k", tokenizer)
        yield "rxnfp, BERT", "50 classes of reactions", classify, ("BertForSequenceClassification", folder, tokenizer, lines)
        yield "rxnfp, BERT", "fingerprints ([CLS])", embed, ("BertModel", folder, tokenizer, lines, "cls")
    if (source := packages / "antiberty/trained_models/AntiBERTy_md_smooth").is_dir():
        vocabulary = source.parent / "vocab.txt"
        folder = convert(source, work / "antiberty", vocabulary, drop=["cls.species.", "cls.chain.", "cls.graft."],
                         settings={"tokenizer_class": "BertTokenizer", "do_lower_case": False})
        letters = [[letter + " " for letter in one] for one in HEAVY + LIGHT]
        texts = [text.replace("[MASK]", "[MASK] ").strip() for text in masked(letters, 12)]
        yield "antiberty, BERT", "masked residues", fill, ("BertForMaskedLM", folder, vocabulary, texts)
    if (source := packages / "iglm/trained_models").is_dir():
        for name in ("IgLM-S", "IgLM"):
            tokenizer = tokenizer_of(source / "vocab.txt", pre_tokenizers.WhitespaceSplit(), around=False)
            folder = convert(source / name, work / name, tokenizer)
            prompts = [f"[{chain}] [HUMAN] " + " ".join(one[:length]) for chain, of_chain in
                       (("HEAVY", HEAVY), ("LIGHT", LIGHT)) for one in of_chain for length in (3, 20, 47)]
            yield f"iglm, GPT-2 ({name})", f"{GENERATED} tokens", generate, ("GPT2LMHeadModel", folder, tokenizer, prompts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packages", type=Path)
    parser.add_argument("--programs", type=Path, default=ROOT / "build/examples")
    settings = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    print("| weights | compared | inputs | same tokens or labels | largest difference | of transformers in float32 |\n"
          "|---|---|---:|---:|---:|---:|")
    failed = False
    with tempfile.TemporaryDirectory() as work:
        for name, what, compare, arguments in comparisons(settings.packages, Path(work)):
            inputs, same, ours, theirs = compare(settings, *arguments)
            print(f"| {name} | {what} | {inputs} | {same} | {ours:.1e} | {theirs:.1e} |", flush=True)
            failed = failed or same < inputs or not ours <= LIMIT
    sys.exit("rapt's results are not the same" if failed else 0)


if __name__ == "__main__":
    main()
