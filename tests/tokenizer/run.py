#!/usr/bin/env python3
"""Holds the embedded tokenizer against the tokenizers library: the same ids, and how fast.

Trains byte-level BPE tokenizers of 2,048 and 32,000 entries for each family of pre-tokenizers, tokenizes at
least 10 MB of code, prose, many scripts, emoji and broken UTF-8 with both, and compares every id. With
--tokenizer FILE (again and again) real files are compared, too. Ends with 1 when an id differs or the larger
vocabularies are slower than --least MB/s. Skips, and says so, where the library cannot be had.
"""

import argparse
import json
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
REQUIREMENT = "tokenizers==0.23.3"
VOCABULARIES = (2048, 32000)

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
EXPRESSIONS = {
    "llama3": CONTRACTIONS + r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + REST,
    "qwen2": CONTRACTIONS + r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + REST,
}


def families():
    """What a tokenizer.json of each family has beside its model."""
    def split(name):
        steps = [{"type": "Split", "pattern": {"Regex": EXPRESSIONS[name]}, "behavior": "Isolated", "invert": False},
                 byte_level(False)]
        return {"type": "Sequence", "pretokenizers": steps}

    def byte_level(use_regex):
        return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}

    return {
        "gpt2": {"normalizer": None, "pre_tokenizer": byte_level(True)},
        "llama3": {"normalizer": None, "pre_tokenizer": split("llama3")},
        "qwen2": {"normalizer": {"type": "NFC"}, "pre_tokenizer": split("qwen2")},
    }


def tokenizer_text(parts, model, added_tokens=(), post_processor=None):
    return json.dumps({"version": "1.0", "truncation": None, "padding": None, "added_tokens": list(added_tokens),
                       **parts, "post_processor": post_processor, "decoder": None, "model": model},
                      ensure_ascii=False)


def empty_model():
    return {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": {}, "merges": []}


def trained(parts, size, training_texts):
    """The text of a tokenizer.json of that family with `size` entries."""
    import tokenizers
    tokenizer = tokenizers.Tokenizer.from_str(tokenizer_text(parts, empty_model()))
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size, show_progress=False, special_tokens=["<|begin|>", "<|end|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(training_texts, trainer)
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="<|begin|> $A", special_tokens=[("<|begin|>", tokenizer.token_to_id("<|begin|>"))])
    return tokenizer.to_str()


def library_ids(file, texts):
    """The library's ids of each text, and its speed on one core in MB/s."""
    import tokenizers
    tokenizer = tokenizers.Tokenizer.from_str(file)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    seconds = 0.0
    result = []
    for text in texts:
        seen = text.decode("utf-8", errors="replace")
        begin = time.thread_time()
        encoding = tokenizer.encode(seen)
        seconds += time.thread_time() - begin
        result.append(encoding.ids)
    return result, sum(map(len, texts)) / seconds / 1e6


def own_ids(program, file, texts, folder, rounds=3):
    """The same of this project's tokenizer."""
    paths = [Path(folder) / name for name in ("tokenizer.json", "texts", "ids")]
    paths[0].write_text(file, encoding="utf-8")
    paths[1].write_bytes(b"".join(struct.pack("<I", len(text)) + text for text in texts))
    done = subprocess.run([program, *map(str, paths), str(rounds)], check=True, stdout=subprocess.PIPE, text=True)
    seconds = min(json.loads(done.stdout))
    data = paths[2].read_bytes()
    words = struct.unpack(f"<{len(data) // 4}I", data)
    result = []
    at = 0
    while at < len(words):
        result.append(list(words[at + 1:at + 1 + words[at]]))
        at += 1 + words[at]
    return result, sum(map(len, texts)) / seconds / 1e6


def compare(name, program, file, texts, folder):
    """Prints a line; returns whether all ids are equal, and the speed."""
    expected, library_speed = library_ids(file, texts)
    found, speed = own_ids(program, file, texts, folder)
    different = [i for i, ids in enumerate(expected) if i >= len(found) or found[i] != ids]
    size = sum(map(len, texts)) / 1e6
    tokens = sum(map(len, expected))
    verdict = "all equal" if not different else f"{len(different)} TEXTS DIFFER"
    print(f"{name:16} {size:6.1f} MB {tokens:9,} tokens  {verdict:16} {speed:7.1f} MB/s, the library {library_speed:5.1f}",
          flush=True)
    for i in different[:3]:
        show_difference(texts[i], expected[i], found[i] if i < len(found) else [])
    return not different, speed


def show_difference(text, expected, found):
    at = next((i for i, (a, b) in enumerate(zip(expected, found)) if a != b), min(len(expected), len(found)))
    print(f"    token {at}: expected {expected[at:at + 8]}, found {found[at:at + 8]} in {text[:100]!r}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "build/release/tests/tokenizer/tokenize_texts"))
    parser.add_argument("--venv", default=str(ROOT / "build/tokenizer_venv"), help="made when it is missing")
    parser.add_argument("--megabytes", type=float, default=12)
    parser.add_argument("--least", type=float, default=30.0, help="MB/s with the larger vocabularies")
    parser.add_argument("--only", help="a family")
    parser.add_argument("--tokenizer", action="append", default=[], help="a tokenizer.json to compare as well")
    return parser.parse_args()


def in_virtual_environment(arguments):
    """Runs this again by the Python that has the library. None: it is this one."""
    try:
        import tokenizers
        if REQUIREMENT.endswith(tokenizers.__version__):
            return None
    except ImportError:
        pass
    python = Path(arguments.venv) / "bin/python"
    if not python.exists() or subprocess.run([python, "-c", "import tokenizers"], capture_output=True).returncode != 0:
        subprocess.run([sys.executable, "-m", "venv", arguments.venv], check=True)
        done = subprocess.run([python, "-m", "pip", "install", "-q", REQUIREMENT], capture_output=True, text=True)
        if done.returncode != 0:
            print(f"SKIPPED: {REQUIREMENT} cannot be installed: {done.stderr.strip()[-300:]}")
            return 0
    return subprocess.run([python, *sys.argv]).returncode


def main():
    arguments = parse_arguments()
    ended = in_virtual_environment(arguments)
    if ended is not None:
        return ended
    import corpus
    texts = corpus.texts(int(arguments.megabytes * 1e6))
    training = [text.decode("utf-8", errors="replace") for text in texts[::3] if len(text) < 60000]
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for family, parts in families().items():
            if arguments.only not in (None, family):
                continue
            for size in VOCABULARIES:
                file = trained(parts, size, training)
                equal, speed = compare(f"{family} {size}", arguments.program, file, texts, folder)
                good &= equal and (size != max(VOCABULARIES) or speed >= arguments.least)
        for path in arguments.tokenizer:
            file = Path(path).read_text(encoding="utf-8")
            good &= compare(Path(path).parent.name, arguments.program, file, texts, folder)[0]
    print("equal, and fast enough" if good else "NOT GOOD")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
