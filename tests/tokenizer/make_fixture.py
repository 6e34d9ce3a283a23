#!/usr/bin/env python3
"""Writes fixture.json: a small trained model, texts, and their ids by the tokenizers library under many
configurations. src/tokens/bpe_tokenizer_test.cc compares. Run it by a Python that has the library (run.py says
which version and makes one)."""

import copy
import json
import random
from pathlib import Path

import corpus
import run

HERE = Path(__file__).resolve().parent
GPT4 = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|"
        r"\s+(?!\S)|\s+")
MARKS = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|"
         r"\s*[\r\n]+|\s+(?!\S)|\s+")
SHORT_GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def added(identity, text, **flags):
    return {"id": identity, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": False, **flags}


def split(expression, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": behavior, "invert": invert}


def byte_level(use_regex, prefix=False):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": use_regex}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def without_letters(model, letters):
    """The model without some bytes, and with an unknown token."""
    keep = {token: i for token, i in model["vocab"].items() if not set(token) & set(letters)}
    pairs = [merge if isinstance(merge, list) else merge.split(" ") for merge in model["merges"]]
    merges = [pair for pair in pairs if not set("".join(pair)) & set(letters)]
    return {**model, "vocab": keep, "merges": merges, "unk_token": "<|unknown|>"}


def configurations(model):
    size = max(model["vocab"].values()) + 1
    plain = [added(model["vocab"]["<|begin|>"], "<|begin|>", special=True),
             added(model["vocab"]["<|end|>"], "<|end|>", special=True)]
    odd = plain + [
        added(size, "<word>", single_word=True), added(size + 1, "<left>", lstrip=True),
        added(size + 2, "<right>", rstrip=True, special=True), added(size + 3, "<both>", lstrip=True, rstrip=True),
        added(size + 4, "<bothers"), added(size + 5, "e\u0301t\u00e9", normalized=True),
        added(size + 6, "\u00e9t\u00e9", normalized=False, single_word=True), added(model["vocab"].get("the", size + 7), "the", normalized=True),
        added(size + 8, "  \n")]
    template = {"type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "<|begin|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [], "special_tokens": {"<|begin|>": {
                    "id": "<|begin|>", "ids": [model["vocab"]["<|begin|>"]], "tokens": ["<|begin|>"]}}}
    template["pair"] = template["single"] + [{"Sequence": {"id": "B", "type_id": 1}}]
    both = {"type": "Sequence", "processors": [{"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False,
                                                "use_regex": True}, template]}
    roberta = {"type": "RobertaProcessing", "sep": ["<|end|>", model["vocab"]["<|end|>"]],
               "cls": ["<|begin|>", model["vocab"]["<|begin|>"]], "trim_offsets": True, "add_prefix_space": True}
    nfc = {"type": "NFC"}
    llama = sequence(split(run.EXPRESSIONS["llama3"]), byte_level(False))
    qwen = sequence(split(run.EXPRESSIONS["qwen2"]), byte_level(False))
    pairs = {**model, "merges": [m if isinstance(m, list) else m.split(" ") for m in model["merges"]]}
    strings = {**model, "merges": [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]}
    unknown = without_letters(model, "eĠx")

    def one(name, pre, model_changes=None, normalizer=None, tokens=plain, post=None):
        return {"name": name, "pre_tokenizer": pre, "normalizer": normalizer, "added_tokens": tokens,
                "post_processor": post, "model": model_changes or {}}

    def changes(other):
        return {key: value for key, value in other.items() if value != model[key]}

    unknown["vocab"]["<|unknown|>"] = size + 50
    return [
        one("gpt2", byte_level(True), changes(strings)),
        one("gpt2 in other words", sequence(split(SHORT_GPT2), byte_level(False)), changes(pairs)),
        one("llama3", llama, {"ignore_merges": True}, post=both),
        one("llama3 removing what does not match", sequence(split(run.EXPRESSIONS["llama3"], "Removed", True),
                                                            byte_level(False))),
        one("gpt4", sequence(split(GPT4), byte_level(False)), post=template),
        one("qwen2", qwen, normalizer=nfc),
        one("qwen with marks", sequence(split(MARKS), byte_level(False)),
            normalizer={"type": "Sequence", "normalizers": [nfc]}),
        one("digits, then gpt2", sequence({"type": "Digits", "individual_digits": True}, byte_level(True))),
        one("runs of digits", sequence({"type": "Digits", "individual_digits": False}, byte_level(True))),
        one("roberta", byte_level(True, True), post=roberta),
        one("no words", byte_level(False, True)),
        one("added tokens", byte_level(True, True), tokens=odd),
        one("added tokens and NFC", qwen, normalizer=nfc, tokens=odd),
        one("unknown bytes", byte_level(True), changes({**unknown, "fuse_unk": False}), tokens=[]),
        one("unknown bytes fused", byte_level(True), changes({**unknown, "fuse_unk": True}), tokens=[]),
        one("unknown bytes left out", byte_level(True), changes({**unknown, "unk_token": None}), tokens=[]),
    ]


SPECIAL_TEXTS = [
    "", " ", "  ", "\n", "\r\n\r\n", " \n ", "a", " a", "  a", "'s", "I'm we'VE they'LL 'ſx 'S'sS", "a\u00a0b\u2003c",
    "1234567 12 1", "e\u0301te\u0301 \u00e9t\u00e9 x\u00e9t\u00e9", "\u1100\u1161\u11a8\u1100\u1161", "\u212b\u0958\ufb1d",
    "the <word> <word>x x<word> a  <left>b <right>  c   <both>   d <bothers other the\u0301",
    "<|begin|>text<|end|> <|begin <|end|>", "  \n   \n\n  x", "\t\tif (x) {\r\n\t\t\treturn 0;\r\n\t\t}\r\n", "x" * 100,
    "\u0e01\u0e33\u0e01\u0e34\u0e19 \u0928\u092e\u0938\u094d\u0924\u0947", "\U0002ebf0\U0001e5f0\u1c89\U00011bf1x",
    corpus.EMOJI, "字" * 50,
    "x\u0315\u0897x\u0315\u0898x\u0315\u1df6x\u0315\u0323x\U00011935\U00011930\U00011938", "e\u0323\u0301e\u0301\u0323", "x\u0301\u1ac8\u0327\u0301 x\u1df6\u0315\u0327", "a\u0300\u0301b \u0344\u0345", " <right>\u3000<right>  <both><left>",
]
BROKEN_TEXTS = [b"\xff", b"a\xf0\x9f\x98b", b"\xe0\x80\x80\xed\xa0\x80\xc0\xaf\xf4\x90\x80\x80", b"caf\xe9 \xe2\x82", b"\xf0\x9f\x98\x80\x80"]


def fixture_texts():
    rng = random.Random(5)
    texts = [text.encode() for text in SPECIAL_TEXTS] + BROKEN_TEXTS
    for script in corpus.SCRIPTS:
        texts.append(corpus.made_text(rng, script, corpus.made_words(rng, script), 60).encode())
    texts += [corpus.made_noise(rng, 200).encode() for _ in range(3)]
    code = (corpus.ROOT / "src/base/text.h").read_text()
    return texts + [code[1200:1900].encode(), corpus.broken(rng, code[:300])]


def main():
    import tokenizers
    texts = fixture_texts()
    training = [text.decode(errors="replace") for text in corpus.files(corpus.ROOT / "docs", ["*.md"], 400_000)]
    training += [text.decode(errors="replace") for text in texts] * 3
    model = json.loads(run.trained(run.families()["llama3"], 1536, training))["model"]
    seen = [text.decode("utf-8", errors="replace") for text in texts]
    result = {"model": model, "texts": [text.hex() for text in texts], "configurations": []}
    for configuration in configurations(model):
        parts = {key: configuration[key] for key in ("normalizer", "pre_tokenizer")}
        file = run.tokenizer_text(parts, {**copy.deepcopy(model), **configuration["model"]}, configuration["added_tokens"],
                                  configuration["post_processor"])
        tokenizer = tokenizers.Tokenizer.from_str(file)
        ids = [tokenizer.encode(text).ids for text in seen]
        configuration["ids"] = [" ".join(map(str, each)) for each in ids]
        result["configurations"].append(configuration)
    text = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
    (HERE / "fixture.json").write_text(text.replace('{"name"', '\n{"name"') + "\n", encoding="utf-8")
    print(len(text.encode()), "bytes")


if __name__ == "__main__":
    main()
