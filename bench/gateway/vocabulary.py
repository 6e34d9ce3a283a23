"""The words of the prompts, and a tokenizer.json in which each of them, with the space before it, is one token."""

import json
import random

# With the space after it, a word takes 4.5 bytes on average: about one token of English text.
WORDS = """a an at be by do go he if in is it me my no of on or so to up us we and are ask bad big box boy but buy can car cut day
did dog end eye far few for get got had has her him his hot how its job key law let lot low man may men new not now off oil old
one our out own pay put red run saw say sea see set she sit six sun ten the too top try two use war was way who why win yes yet
you able area away back bank base best body book both call came care case city come cost dark days deal door down each even face
fact fall feel felt find fire form free full gave girl give goes gone good hand have head hear help here high home hour idea just
keep kind know land last left less life line list live long look lost made main make many mean more most move much must name near
about after again being below board bring build carry cause child class clear could doing early every field final first found
great group heart house human large later learn level light might money month""".split()

BYTES = 256
# Ids that `kvasir worker` knows, of as many digits as its vocabulary has.
WORD_IDS = range(1000, 2304)
# The pre-tokenizer of Qwen and Llama 3, which every text goes through before its words are looked up.
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_letters():
    """The letter that stands for each byte in a file of byte-level BPE."""
    printed = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(BYTES) if byte not in printed]
    return {**{byte: chr(byte) for byte in printed}, **{byte: chr(BYTES + i) for i, byte in enumerate(others)}}


LETTERS = byte_letters()
SPACE = LETTERS[ord(" ")]


def spaced_pieces():
    """Every beginning of every word with its space, shorter ones first: each but the space itself is made by one merge."""
    return list(dict.fromkeys((SPACE + word)[:size] for word in WORDS for size in range(2, len(word) + 2)))


def vocabulary():
    pieces = spaced_pieces()
    ids = random.Random(0).sample(WORD_IDS, len(pieces))
    return {**{letter: byte for byte, letter in LETTERS.items()}, **dict(zip(pieces, ids))}


VOCABULARY = vocabulary()


def token_ids(words):
    """The ids of the words with spaces between them. Nothing joins the letters of the first one, which has no space."""
    return [*words[0].encode(), *(VOCABULARY[SPACE + word] for word in words[1:])]


def write_tokenizer(path):
    merges = [[piece[:-1], piece[-1]] for piece in spaced_pieces()]
    split = {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False}
    bytes_of = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    path.write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, bytes_of]}, "post_processor": None, "decoder": None,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": VOCABULARY, "merges": merges}}))
