"""Writes pipelines.json and pipelines.safetensors beside this script: folders of small random models with their
tokenizers, and what transformers' pipelines make of texts with them.

    python make_pipelines.py                       # needs transformers 5.24, torch 2.13

    files        texts of files
    folders      name: {file name: its number in files}, and "tensors": {tensor's name: its key in pipelines.safetensors}
    texts        all texts; spans of results are counted in bytes
    classify, multi_label, regression, pairs, zero_shot, entities, questions, fill, rank, roberta, distilbert,
    modernbert, images, t5, gpt
                 results: see the functions

transformers 5 has no pipeline for questions any more: `answers` computes what the documentation of the one of
transformers 4 says.
"""

import json
import pathlib
import tempfile

import numpy
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import processors

from make_resize import sample_image
from make_tokenizers import byte_level, generated_lines, roberta, small_bpe, small_wordpiece, wordpiece

HERE = pathlib.Path(__file__).parent
SIZES = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, max_position_embeddings=48)
LONGEST = 40
FILES, TENSORS, FOLDERS = [], {}, {}


def wordpiece_tokenizer():
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=wordpiece(small_wordpiece(), lowercase=True), model_max_length=LONGEST, unk_token="[UNK]",
        sep_token="[SEP]", pad_token="[PAD]", cls_token="[CLS]", mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"])


def randomized(model, seed):
    """Weights so large that scores of different texts differ; equal ones for parameters of the same name and shape.
    bfloat16 holds them, which halves the file."""
    for name, parameter in model.named_parameters():
        name = name.removeprefix(model.base_model_prefix + ".")
        generator = torch.Generator().manual_seed(seed + sum(name.encode()) * 31 + parameter.numel())
        noise = torch.randn(parameter.shape, generator=generator)
        with torch.no_grad():
            is_norm = parameter.dim() == 1 and name.endswith("weight")
            value = 1 + 0.1 * noise if is_norm else (0.1 if parameter.dim() == 1 else 0.45) * noise
            parameter.copy_(value.bfloat16())
    return model.eval()


def keep(name, model, processor):
    """Keeps the folder that `save_pretrained` of both writes."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        if hasattr(processor, "backend_tokenizer"):  # what an earlier call has set would be saved
            processor.backend_tokenizer.no_truncation()
            processor.backend_tokenizer.no_padding()
        processor.save_pretrained(folder)
        kept = {}
        for path in sorted(pathlib.Path(folder).iterdir()):
            if path.suffix == ".json":
                text = json.dumps(json.loads(path.read_text(encoding="utf-8")), ensure_ascii=False, separators=(",", ":"))
                if text not in FILES:
                    FILES.append(text)
                kept[path.name] = FILES.index(text)
        known = {(tuple(tensor.shape), tensor.float().numpy().tobytes()): key for key, tensor in TENSORS.items()}
        kept["tensors"] = {}
        for tensor_name, tensor in load_file(pathlib.Path(folder) / "model.safetensors").items():
            key = known.setdefault((tuple(tensor.shape), tensor.numpy().tobytes()), str(len(known)))
            TENSORS[key] = tensor.bfloat16()
            assert torch.equal(TENSORS[key].float(), tensor), tensor_name
            kept["tensors"][tensor_name] = key
    FOLDERS[name] = kept


def number(value):
    return round(float(value), 6)


def in_bytes(text, *characters):
    return [len(text[:c].encode()) for c in characters]


def labelled(results, labels):
    """Of each text [label's number, score] for each label, the best first."""
    return [[[labels.index(one["label"]), number(one["score"])] for one in result] for result in results]


def sample_texts(lines):
    odd = ["", " ", "the [MASK] of the cat", "in Zürich, ZÜRICH, Zu\u0308rich", "我爱北京天安门。", "👍🏽 cat", "don't!?...",
           "\tthe  cat\u00a0sat ", "x" * 120, "qzjx qzjx", "THE CAT", "1,234.5", "a" * 30 + " the cat", "Привет, мир!"]
    long = [" ".join(lines[i:i + 9]).strip() for i in range(200, 280, 10)]
    texts = [line.strip() for line in lines[:78]] + odd + long
    assert len(texts) == 100
    return texts


# Tasks ----------------------------------------------------------------------------------------------------------------


def entities(model, tokenizer, texts):
    """By strategy: of each text [label's text, score, begin, end]; of `none` the token's number, too. `stride`: the
    strategy average in windows that have 8 tokens in common."""
    found = {}
    pipe = transformers.pipeline("token-classification", model=model, tokenizer=tokenizer)
    runs = {strategy: {"aggregation_strategy": strategy} for strategy in ("none", "simple", "first", "average", "max")}
    runs["stride"] = {"aggregation_strategy": "average", "stride": 8}
    runs["all"] = {"aggregation_strategy": "simple", "ignore_labels": ["PER", "B-LOC"]}
    for name, options in runs.items():
        chosen = texts[::2] if name in ("none", "stride") else texts[::4]
        found[name] = []
        for text in chosen:
            result = pipe(text, **options)
            found[name].append([[one.get("entity", one.get("entity_group")), number(one["score"]),
                                 *in_bytes(text, one["start"], one["end"]), *([one["index"]] if "index" in one else [])]
                                for one in result])
    return found


def answers(model, tokenizer, question, context, top_k=1, max_answer_len=15, max_seq_len=None, doc_stride=None,
            handle_impossible_answer=False, align_to_words=True):
    """What the question-answering pipeline of transformers 4 is documented to do: windows of the context, of each
    softmax over the context's tokens and the class token, products of starts and ends of at most max_answer_len tokens,
    spans extended to words, scores of equal texts added up; the lowest score of "no answer" of all windows."""
    longest = min(tokenizer.model_max_length, 384) if max_seq_len is None else max_seq_len
    stride = min(longest // 2, 128) if doc_stride is None else doc_stride
    windows = tokenizer(question, context, truncation="only_second", max_length=longest, stride=stride,
                        return_overflowing_tokens=True)
    found, impossible = {}, 1.0
    for w, ids in enumerate(windows["input_ids"]):
        encoding = windows.encodings[w]
        inputs = {name: torch.tensor([windows[name][w]]) for name in tokenizer.model_input_names}
        with torch.no_grad():
            output = model(**inputs)
        is_context = numpy.array([one == 1 for one in encoding.sequence_ids])
        is_possible = is_context | (numpy.array(ids) == tokenizer.cls_token_id)
        starts, ends = (torch.where(torch.tensor(is_possible), logits[0], -torch.inf).softmax(0).numpy().astype(float)
                        for logits in (output.start_logits, output.end_logits))
        impossible = min(impossible, starts[0] * ends[0])
        pairs = [(starts[s] * ends[e], s, e) for s in range(len(ids)) if is_context[s]
                 for e in range(s, min(len(ids), s + max_answer_len)) if is_context[e]]
        pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
        for score, s, e in pairs[:2 * top_k + 10 if align_to_words else top_k]:
            begin, end = encoding.offsets[s][0], encoding.offsets[e][1]
            if align_to_words:
                begin = encoding.word_to_chars(encoding.token_to_word(s), 1)[0]
                end = encoding.word_to_chars(encoding.token_to_word(e), 1)[1]
            entry = found.setdefault(context[begin:end].lower(), [0.0, begin, end])
            entry[0] += score
    listed = [[score, *in_bytes(context, begin, end)] for score, begin, end in found.values()]
    if handle_impossible_answer:
        listed.append([impossible, 0, 0])
    listed.sort(key=lambda one: -one[0])
    return [[number(score), begin, end] for score, begin, end in listed[:top_k]]


def fills(results):
    """Of each text, of each mask, [token, score, token's text, text]."""
    return [[[[one["token"], number(one["score"]), one["token_str"], one["sequence"]] for one in mask]
             for mask in (result if isinstance(result[0], list) else [result])] for result in results]


def bert_tasks(results, tokenizer, texts):
    def bert(kind, seed=5, **settings):
        config = transformers.BertConfig(vocab_size=len(tokenizer), pad_token_id=0, **SIZES, **settings)
        return randomized(getattr(transformers, "BertFor" + kind)(config), seed)

    def classes(names, **settings):
        return bert("SequenceClassification", id2label=dict(enumerate(names)),
                    label2id={name: i for i, name in enumerate(names)}, **settings)

    def classifier(model):  # takes an empty second text for none: " " has no tokens either
        return transformers.pipeline("text-classification", model=model, tokenizer=tokenizer)

    names = ["contradiction", "neutral", "Entailment"]
    model = classes(names)
    keep("classes", model, tokenizer)
    results["classify"] = labelled(classifier(model)(texts, truncation=True, top_k=None), names)
    results["sigmoid"] = labelled(classifier(model)(texts[::5], truncation=True, top_k=2, function_to_apply="sigmoid"), names)
    results["pairs"] = labelled(
        [classifier(model)({"text": a, "text_pair": b or " "}, truncation=True, top_k=None) for a, b in zip(texts, texts[1:])], names)
    multi = classes(names, problem_type="multi_label_classification")
    keep("multi_label", multi, tokenizer)
    results["multi_label"] = labelled(classifier(multi)(texts[::5], truncation=True, top_k=None), names)
    regression = classes(["score"], problem_type="regression")
    keep("regression", regression, tokenizer)
    results["regression"] = labelled(classifier(regression)(texts[::5], truncation=True, top_k=None), ["score"])

    zero_shot = transformers.pipeline("zero-shot-classification", model=model, tokenizer=tokenizer)
    labels = ["cats", "small dogs", "北京", "x"]
    results["zero_shot"] = {
        "labels": labels,
        "one": [[[labels.index(name), number(score)] for name, score in zip(one["labels"], one["scores"])]
                for one in zero_shot([text or " " for text in texts], candidate_labels=labels)],
        "multi": [[[labels.index(name), number(score)] for name, score in zip(one["labels"], one["scores"])]
                  for one in zero_shot([text or " " for text in texts[::3]], candidate_labels=labels, multi_label=True,
                                       hypothesis_template="the {} sat")],
    }

    ranker = classes(["LABEL_0"], seed=6)
    keep("rank", ranker, tokenizer)
    pipe = classifier(ranker)
    results["rank"] = [number(pipe({"text": texts[3], "text_pair": text or " "}, truncation=True)["score"]) for text in texts]

    tags = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    tagger = bert("TokenClassification", id2label=dict(enumerate(tags)), label2id={name: i for i, name in enumerate(tags)})
    keep("entities", tagger, tokenizer)
    results["entities"] = entities(tagger, tokenizer, texts)

    asked = bert("QuestionAnswering")
    keep("questions", asked, tokenizer)
    questions = [["the small cat?", text] for text in texts if len(tokenizer(text)["input_ids"]) > 2]
    short = [text for text in texts if 3 < len(tokenizer(text)["input_ids"]) < 14]
    questions += [[text, texts[99 - i]] for i, text in enumerate(short[:8])]  # of long contexts
    results["questions"] = {
        "questions": questions,
        "default": [answers(asked, tokenizer, *one) for one in questions],
        "three": [answers(asked, tokenizer, *one, top_k=3, max_answer_len=4, handle_impossible_answer=True)
                  for one in questions],
        "tokens": [answers(asked, tokenizer, *one, top_k=2, max_seq_len=30, doc_stride=5, align_to_words=False)
                   for one in questions[:90]],
    }

    filler = bert("MaskedLM")
    keep("fill", filler, tokenizer)
    pipe = transformers.pipeline("fill-mask", model=filler, tokenizer=tokenizer)
    masked = []
    for i, text in enumerate(texts[::2]):
        words = text.split(" ")
        words[i % min(len(words), 5)] = "[MASK]"
        if i % 4 == 0:
            words.insert(0, "[MASK]")
        masked.append(" ".join(words))
    run = [pipe([text], top_k=2, tokenizer_kwargs={"truncation": True}) for text in masked]
    targets = ["the", "cat", "zzz", "unwanted"]
    results["fill"] = {"texts": masked, "two": fills(run), "targets": targets,
                       "of_targets": fills([pipe([text], targets=targets, tokenizer_kwargs={"truncation": True})
                                            for text in masked[::5]])}


def other_encoders(results, texts):
    """roberta, distilbert: the same tasks on some of the texts."""
    tokenizer = roberta(small_bpe())
    tokenizer.add_special_tokens(["<pad>", "<unk>"])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=LONGEST, unk_token="<unk>", sep_token="</s>", pad_token="<pad>",
        cls_token="<s>", mask_token="<mask>", model_input_names=["input_ids", "attention_mask"])
    names = ["a", "b", "c"]
    labels = dict(id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)})
    # The padding token, from whose number positions are counted, is one that no text has.
    config = dict(SIZES, vocab_size=len(tokenizer), pad_token_id=1, type_vocab_size=1, num_hidden_layers=1, hidden_size=8)
    config["max_position_embeddings"] = 50

    def make(kind, **settings):
        model = randomized(getattr(transformers, "RobertaFor" + kind)(transformers.RobertaConfig(**config, **settings)), 5)
        keep("roberta_" + kind, model, tokenizer)
        return model

    some = [text or " " for text in texts[::2]]
    pipe = transformers.pipeline("text-classification", model=make("SequenceClassification", **labels), tokenizer=tokenizer)
    found = {"labels": names, "texts": some}
    found["pairs"] = labelled([pipe({"text": a, "text_pair": b}, truncation=True, top_k=None)
                               for a, b in zip(some, some[1:])], names)
    found["entities"] = entities(make("TokenClassification", **labels), tokenizer, some[::2])
    asked = make("QuestionAnswering")
    # The tokenizers package leaves the space before the first token of each window in its place: contexts of one window.
    found["questions"] = [["the small cat?", text] for text in some
                          if text.strip() and len(tokenizer("the small cat?", text)["input_ids"]) <= LONGEST]
    found["answers"] = [answers(asked, tokenizer, *one, top_k=2) for one in found["questions"]]
    filler = transformers.pipeline("fill-mask", model=make("MaskedLM"), tokenizer=tokenizer)
    found["masked"] = ["the <mask> of " + text for text in some]
    found["fills"] = fills([filler(text, top_k=2, tokenizer_kwargs={"truncation": True}) for text in found["masked"]])
    results["roberta"] = found

    tokenizer = wordpiece_tokenizer()
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    model = randomized(transformers.DistilBertForSequenceClassification(transformers.DistilBertConfig(
        vocab_size=len(tokenizer), dim=16, n_layers=1, n_heads=2, hidden_dim=24, max_position_embeddings=48, **labels)), 5)
    keep("distilbert", model, tokenizer)
    pipe = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer)
    results["distilbert"] = labelled([pipe({"text": a, "text_pair": b}, truncation=True, top_k=None)
                                      for a, b in zip(some, some[1:])], names)


def modern_bert(results, texts):
    """modernbert: pairs of some texts."""
    names = ["a", "b", "c"]
    tokenizer = wordpiece_tokenizer()
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    model = randomized(transformers.ModernBertForSequenceClassification(transformers.ModernBertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=48, global_attn_every_n_layers=2, local_attention=8, pad_token_id=0, cls_token_id=2,
        sep_token_id=3, bos_token_id=2, eos_token_id=3, id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)})), 5)
    keep("modernbert", model, tokenizer)
    pipe = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer)
    some = [text or " " for text in texts[::2]]
    results["modernbert"] = labelled([pipe({"text": a, "text_pair": b}, truncation=True, top_k=None)
                                      for a, b in zip(some, some[1:])], names)


def generated(model, tokenizer, texts, prefix="", **options):
    """Of each text the texts that `generate` finds, of a model that continues prompts their tokens, without the prompt and
    an end token."""
    found = []
    for text in texts:
        inputs = tokenizer(prefix + text, return_tensors="pt")
        inputs.pop("token_type_ids", None)
        all_tokens = model.generate(**inputs, **options)
        if model.config.is_encoder_decoder:
            found.append([tokenizer.decode(tokens, skip_special_tokens=True) for tokens in all_tokens])
        else:
            behind = all_tokens[:, inputs["input_ids"].shape[1]:].tolist()
            found.append([[token for token in tokens if token != tokenizer.eos_token_id] for tokens in behind])
    return found


def generating_tasks(results, texts):
    """t5: summarization, translation and plain, with the settings that the folder names; gpt: with those of its
    generation_config.json and with others."""
    some = [text for text in texts[:60:2] if text.strip()]
    tokenizer = wordpiece(small_wordpiece(), lowercase=True)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A [SEP]", pair="$A [SEP] $B [SEP]", special_tokens=[("[SEP]", tokenizer.token_to_id("[SEP]"))])
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", eos_token="[SEP]",
                                                     pad_token="[PAD]")
    tasks = {"summarization": {"prefix": "the cat: ", "num_beams": 3, "max_length": 12, "min_length": 4,
                               "no_repeat_ngram_size": 2, "early_stopping": True, "length_penalty": 2.0},
             "translation_en_to_de": {"prefix": "small: ", "max_length": 9}}
    config = transformers.T5Config(vocab_size=len(tokenizer), d_model=8, d_kv=4, d_ff=24, num_layers=1, num_decoder_layers=1,
                                   num_heads=2, eos_token_id=3, pad_token_id=0, decoder_start_token_id=0,
                                   task_specific_params=tasks)
    model = randomized(transformers.T5ForConditionalGeneration(config), 7)
    model.generation_config.max_new_tokens = 6
    keep("t5", model, tokenizer)
    found = {"texts": some, "plain": generated(model, tokenizer, some),
             "beams": generated(model, tokenizer, some[:10], num_beams=3, num_return_sequences=2, max_new_tokens=5)}
    model.generation_config.max_new_tokens = None  # max_length of the task would not count beside it
    for name, task in tasks.items():
        options = {key: value for key, value in task.items() if key != "prefix"}
        found[name] = generated(model, tokenizer, some, prefix=task["prefix"], **options)
    results["t5"] = found

    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=byte_level(small_bpe()), eos_token="<|endoftext|>", unk_token="<|endoftext|>")
    config = transformers.GPT2Config(vocab_size=len(tokenizer), n_positions=64, n_embd=8, n_layer=1, n_head=2, n_inner=24,
                                     bos_token_id=len(tokenizer) - 1, eos_token_id=len(tokenizer) - 1)
    model = randomized(transformers.GPT2LMHeadModel(config), 7)
    model.generation_config.max_new_tokens = 7
    model.generation_config.repetition_penalty = 1.3
    keep("gpt", model, tokenizer)
    short = [text for text in some if len(tokenizer(text)["input_ids"]) < 50]
    results["gpt"] = {"texts": short, "plain": generated(model, tokenizer, short),
                      "beams": generated(model, tokenizer, short[:10], num_beams=3, num_return_sequences=2, max_new_tokens=4,
                                         repetition_penalty=1.0)}


def image_tasks(results):
    """images: sizes of images [channels, height, width], whose bytes `sample_image` gives; by folder: of each image
    [label's number, score]."""
    shapes = [[3, 16, 16], [3, 21, 33], [3, 50, 18], [1, 30, 24], [3, 16, 40], [3, 9, 7], [3, 120, 90], [1, 16, 16]]
    shapes += [[3, 17 + i, 25 - i] for i in range(12)]
    images = []
    for shape in shapes:
        pixels = sample_image(*shape)
        images.append(Image.fromarray(pixels if shape[0] == 3 else pixels[:, :, 0]).convert("RGB"))
    names = ["cat", "dog", "house", "tree"]
    sizes = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, image_size=16, patch_size=4,
                 id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)})
    found = {"shapes": shapes, "labels": names}
    for name, config, kind, settings in [
            ("vit", transformers.ViTConfig(**sizes), "ViT", dict(size={"height": 16, "width": 16}, image_mean=[0.4, 0.5, 0.6])),
            ("deit", transformers.DeiTConfig(**sizes, problem_type="multi_label_classification"), "DeiT",
             dict(size={"shortest_edge": 18}, crop_size={"height": 16, "width": 16}, image_std=[0.2, 0.3, 0.25])),
            ("beit", transformers.BeitConfig(**sizes, use_absolute_position_embeddings=True), "Beit",
             dict(size={"height": 16, "width": 16}, do_normalize=False, resample=1))]:
        model = randomized(getattr(transformers, kind + "ForImageClassification")(config), 11)
        processor = getattr(transformers, kind + "ImageProcessor")(**settings)
        keep(name, model, processor)
        pipe = transformers.pipeline("image-classification", model=model, image_processor=processor)
        found[name] = labelled([pipe(image, top_k=4) for image in images], names)
    results["images"] = found


def main():
    transformers.logging.set_verbosity_error()
    lines = list(generated_lines())
    texts = sample_texts(lines)
    results = {"texts": texts}
    torch.set_num_threads(1)
    bert_tasks(results, wordpiece_tokenizer(), texts)
    other_encoders(results, texts)
    modern_bert(results, texts)
    image_tasks(results)
    generating_tasks(results, texts)
    save_file(TENSORS, HERE / "pipelines.safetensors")
    text = json.dumps({"files": FILES, "folders": FOLDERS, **results}, ensure_ascii=False, separators=(",", ":"))
    (HERE / "pipelines.json").write_text(text.replace("]],[[", "]],\n[[") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
