"""Texts to compare tokenizers on: this project's own, Python's library, and made ones of many scripts."""

import random
import sysconfig
import unicodedata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

EMOJI = "😀😂🥲🤖👍🏽👩‍👩‍👧‍👦🏳️‍🌈🇩🇪🇯🇵❤️‍🔥☃️✈️①②③½Ⅷ🅰️"
# The first and last code point of letters of a script, and whether it writes words with spaces.
SCRIPTS = [
    (0x4E00, 0x5FFF, False), (0x6000, 0x9FA5, False), (0x3041, 0x3096, False), (0x30A1, 0x30FA, False),
    (0xAC00, 0xD7A3, True), (0x0410, 0x044F, True), (0x0391, 0x03C9, True), (0x05D0, 0x05EA, True),
    (0x0620, 0x0652, True), (0x0904, 0x094D, True), (0x0E01, 0x0E3A, False), (0x10D0, 0x10FA, True),
    (0x1E00, 0x1EF9, True), (0x00C0, 0x017F, True), (0x1100, 0x11F9, False), (0x0300, 0x036F, False),
]
PUNCTUATION = "、。「」，！？；：…—·.,;:!?()[]{}<>|/\\'\"`~@#$%^&*-_=+"


def zipf(rng, count):
    """A number below `count`; small ones are frequent."""
    return min(int(count ** rng.random()) - 1, count - 1)


def made_words(rng, script):
    first, last, _ = script
    letters = [chr(rng.randint(first, last)) for _ in range(400)]
    words = []
    for _ in range(2000):
        words.append("".join(letters[zipf(rng, len(letters))] for _ in range(rng.randint(1, 7))))
    return words


def made_text(rng, script, words, size):
    text = []
    length = 0
    while length < size:
        word = words[zipf(rng, len(words))]
        if rng.random() < 0.1:
            word += rng.choice(PUNCTUATION)
        if rng.random() < 0.02:
            word += rng.choice(["\n", "\n\n", "  \n", "\r\n", "\t", "  ", "\u3000", "\u00a0 ", "\u0085"])
        if rng.random() < 0.02:
            word += str(rng.randint(0, 10 ** rng.randint(1, 12)))
        text.append(word + (" " if script[2] else ""))
        length += len(word.encode()) + 1
    return "".join(text)


def made_noise(rng, size):
    """Any characters at all, contractions in both cases, and white space of all kinds."""
    pieces = ["'s", "'S", "'ll", "'LL", "'Re", "'ſ", "'", "I'm", "we'VE", " ", "  ", "\n", "\r\n", "\t", "\u2003",
              "\u200b", "\u200d", "e\u0301", "\u1100\u1161\u11a8", "\u0e33", "<|end|>", "<s>", "1234567", "x" * 40]
    text = []
    length = 0
    while length < size:
        kind = rng.random()
        if kind < 0.4:
            piece = rng.choice(pieces)
        elif kind < 0.6:
            piece = rng.choice(EMOJI)
        elif kind < 0.8:
            piece = chr(rng.randint(0, 0x2FFF))
        else:
            piece = chr(rng.choice([rng.randint(0xE000, 0x10FFFF), rng.randint(0x3000, 0xD7FF)]))
        text.append(piece)
        length += len(piece.encode())
    return "".join(text)


def marks(rng):
    """Every mark beside others, in both orders, and every character that can be taken apart."""
    everything = [chr(c) for c in range(0x80, 0x110000) if not 0xD800 <= c < 0xE000]
    all_marks = [c for c in everything if unicodedata.combining(c) or unicodedata.category(c) in ("Mn", "Cn", "Mc")]
    lines = ["".join("x" + rng.choice("\u0315\u0327\u0334\u0301") + mark + rng.choice(["", "\u0315", "\u0327"])
                     for mark in all_marks[at:at + 200]) for at in range(0, min(len(all_marks), 40000), 200)]
    apart = [c for c in everything if unicodedata.decomposition(c)]
    lines += ["".join(unicodedata.normalize("NFD", c) + c + "\u0323 " for c in apart[at:at + 200])
              for at in range(0, len(apart), 200)]
    return lines


def broken(rng, text):
    """The text's bytes with some lost, changed and cut."""
    data = bytearray(text.encode())
    for _ in range(len(data) // 50):
        at = rng.randrange(len(data))
        if rng.random() < 0.5:
            data[at] = rng.randrange(256)
        else:
            del data[at]
    return bytes(data)


def files(folder, patterns, size):
    found = []
    total = 0
    for pattern in patterns:
        for path in sorted(Path(folder).rglob(pattern)):
            if "build" in path.parts or not path.is_file():
                continue
            found.append(path.read_bytes())
            total += len(found[-1])
            if total > size:
                return found
    return found


def texts(size, seed=11):
    """About `size` bytes of texts, each as bytes: UTF-8, most of it."""
    rng = random.Random(seed)
    result = files(ROOT / "docs", ["*.md"], size // 10) + files(ROOT / "src", ["*.cc", "*.h"], size // 5)
    result += files(sysconfig.get_paths()["stdlib"], ["*.py"], size // 4)
    per_script = size // 4 // len(SCRIPTS)
    for script in SCRIPTS:
        text = made_text(rng, script, made_words(rng, script), per_script)
        result += [text[at:at + 5000].encode() for at in range(0, len(text), 5000)]
    result += [made_noise(rng, 2000).encode() for _ in range(size // 10 // 2000)]
    result += [text.encode() for text in marks(rng)]
    result += [broken(rng, made_noise(rng, 1000) + text.decode(errors="replace")[:3000])
               for text in rng.sample(result, min(len(result), size // 15 // 4000))]
    result += [b"", b" ", b"\n", b"'", b"a", b"\xff", b"\xf0\x9f\x98", " a".encode() * 50000, ("字" * 30000).encode()]
    rng.shuffle(result)
    return result
