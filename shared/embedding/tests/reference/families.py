#!/usr/bin/env python3
"""Makes families/: tiny models with random weights, one for each family and each way of pooling, and what
sentence-transformers says about texts.json with them, for tests/families.rs to compare with.

usage: families.py
needs: pip install sentence-transformers torch

The folders are what sentence-transformers itself saves, less the model card. Weights are large enough for positions,
attention biases and pooling to change a vector visibly: the initial ones of a new model would hide a mistake.
"""

import base64
import collections
import json
import pathlib
import re
import shutil
import tempfile

import sentence_transformers
import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

HERE = pathlib.Path(__file__).parent
TEXTS = json.loads((HERE / "texts.json").read_text())
VOCABULARY = 200
# Two layers, four heads of eight numbers.
SHAPE = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48)
DISTILBERT_SHAPE = dict(dim=32, n_layers=2, n_heads=4, hidden_dim=48)


def special(tokenizer, first, last):
    ids = [(token, tokenizer.token_to_id(token)) for token in (first, last)]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{first} $A {last}", special_tokens=ids)
    return tokenizer


def most_common(counter, count):
    return [item for item, _ in sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:count]]


# Counted here, because the trainers of `tokenizers` find another vocabulary each time.
LETTERS = most_common(collections.Counter(letter for text in TEXTS for letter in text.lower() if letter != " "), 60)
WORDS = most_common(collections.Counter(re.findall(r"[a-z]{2,}", " ".join(TEXTS).lower())), VOCABULARY)


def word_pieces(names):
    first, padding, last, unknown = names
    pieces = list(names) + LETTERS + [f"##{letter}" for letter in LETTERS] + WORDS
    vocabulary = {piece: i for i, piece in enumerate(pieces[:VOCABULARY])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return special(tokenizer, first, last)


def unigrams(names):
    first, padding, last, unknown = names
    # Earlier pieces are likelier, and a word is likelier than its letters together.
    pieces = ["\u2581"] + LETTERS + [f"\u2581{word}" for word in WORDS]
    vocabulary = [(name, 0.0) for name in names] + [(piece, -3.0 - i / 32) for i, piece in enumerate(pieces)]
    tokenizer = Tokenizer(models.Unigram(vocabulary[:VOCABULARY], unk_id=names.index(unknown)))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return special(tokenizer, first, last)


BERT = ("[CLS]", "[PAD]", "[SEP]", "[UNK]")
ROBERTA = ("<s>", "<pad>", "</s>", "<unk>")
FAMILIES = {
    "bert-cls": dict(
        model=lambda v: transformers.BertModel(
            transformers.BertConfig(vocab_size=v, max_position_embeddings=64, pad_token_id=1, **SHAPE)
        ),
        tokenizer=lambda: word_pieces(BERT),
        names=BERT,
        tokens_max=64,
        pooling="cls",
        normalise=True,
        prompts={"query": "Represent this sentence for searching relevant passages: "},
    ),
    "distilbert-mean": dict(
        model=lambda v: transformers.DistilBertModel(
            transformers.DistilBertConfig(vocab_size=v, max_position_embeddings=64, pad_token_id=1, **DISTILBERT_SHAPE)
        ),
        tokenizer=lambda: word_pieces(BERT),
        names=BERT,
        tokens_max=48,
        pooling="mean",
        normalise=False,
        prompts={},
    ),
    # Long enough for the last of the buckets that distances fall into.
    "mpnet-mean": dict(
        model=lambda v: transformers.MPNetModel(
            transformers.MPNetConfig(vocab_size=v, max_position_embeddings=162, **SHAPE)
        ),
        tokenizer=lambda: word_pieces(ROBERTA),
        names=ROBERTA,
        tokens_max=160,
        pooling="mean",
        normalise=True,
        prompts={},
    ),
    "xlm-roberta-max": dict(
        model=lambda v: transformers.XLMRobertaModel(
            transformers.XLMRobertaConfig(
                vocab_size=v, max_position_embeddings=66, type_vocab_size=1, pad_token_id=1, **SHAPE
            )
        ).half(),
        tokenizer=lambda: unigrams(ROBERTA),
        names=ROBERTA,
        tokens_max=64,
        pooling="max",
        normalise=True,
        prompts={"query": "query: ", "document": "passage: "},
    ),
}


def randomise(model):
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "norm" in name.lower():
                start, spread = (1.0 if name.endswith("weight") else 0.0), 0.3
            elif "attention_bias" in name or "embeddings" in name:
                start, spread = 0.0, 1.0
            else:
                start, spread = 0.0, 0.3
            weights.copy_(start + spread * torch.randn(weights.shape))


def save(kind, folder):
    tokenizer = kind["tokenizer"]()
    model = kind["model"](tokenizer.get_vocab_size())
    randomise(model)
    first, padding, last, unknown = kind["names"]
    with tempfile.TemporaryDirectory() as bare:
        model.save_pretrained(bare)
        transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            cls_token=first,
            pad_token=padding,
            sep_token=last,
            unk_token=unknown,
            model_max_length=kind["tokens_max"],
        ).save_pretrained(bare)
        modules = [Transformer(bare, max_seq_length=kind["tokens_max"]), Pooling(32, kind["pooling"])]
        if kind["normalise"]:
            modules.append(Normalize())
        SentenceTransformer(modules=modules, prompts=kind["prompts"], device="cpu").save(
            str(folder), create_model_card=False
        )


def encode(encode_one, text):
    vector = encode_one(text).astype("float64")
    return (vector / (vector**2).sum() ** 0.5).astype("<f4")


def main():
    for seed, (name, kind) in enumerate(FAMILIES.items()):
        torch.manual_seed(seed)
        folder = HERE / "families" / name
        shutil.rmtree(folder, ignore_errors=True)
        save(kind, folder)
        # Read again from the folder, as anybody would; in f32, as the crate computes.
        model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
        made = {
            "made_with": f"sentence-transformers {sentence_transformers.__version__}, "
            f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}"
        }
        # One text at a time: nothing is padded.
        for role, encode_one in (("query", model.encode_query), ("passage", model.encode_document)):
            vectors = [encode(encode_one, text) for text in TEXTS]
            made[role] = [base64.b64encode(vector.tobytes()).decode() for vector in vectors]
        if made["query"] == made["passage"]:
            del made["query"]
        (folder / "vectors.json").write_text(json.dumps(made, indent=1) + "\n")
        tokens = [len(model.tokenizer(text, truncation=True)["input_ids"]) for text in TEXTS]
        print(f"{name}: {min(tokens)} to {max(tokens)} tokens, vocabulary {model.tokenizer.vocab_size}")


if __name__ == "__main__":
    main()
