"""Reads Go source far enough for tables of test cases: constants, composite literals and calls become Python values."""
import re
import subprocess
from pathlib import Path

TOKEN = re.compile(r"""
    (?P<space>\s+|//[^\n]*|/\*.*?\*/)
  | (?P<raw>`[^`]*`)
  | (?P<string>"(?:\\.|[^"\\])*")
  | (?P<number>-?\d+(?:\.\d+)?)
  | (?P<name>[A-Za-z_][A-Za-z_0-9]*(?:\.[A-Za-z_][A-Za-z_0-9]*)*)
  | (?P<mark>\.\.\.|:=|[][{}(),:+&*.=!<>|;-])
""", re.X | re.S)
ESCAPE = re.compile(r'\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[0-7]{3}|.)')
SIMPLE = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "'": "'", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


class NotTranslated(Exception):
    """Something that this reader, or the harness, has no counterpart for."""


class Copy:
    """Files of a checkout or of a git directory."""

    def __init__(self, path, revision="HEAD"):
        self.path, self.revision = str(path), revision
        self.is_git = not (Path(path) / "go.mod").exists()

    def git(self, *arguments):
        return subprocess.run(["git", "-C", self.path, *arguments], capture_output=True, text=True, check=True).stdout

    def commit(self):
        try:
            return self.git("rev-parse", self.revision).strip()
        except subprocess.CalledProcessError:
            return "a checkout without git"

    def read(self, name):
        if self.is_git:
            return self.git("show", f"{self.revision}:{name}")
        return (Path(self.path) / name).read_text()

    def files(self, folder):
        if self.is_git:
            return self.git("ls-tree", "--name-only", self.revision, folder + "/").split()
        return [f"{folder}/{file.name}" for file in sorted((Path(self.path) / folder).iterdir())]


def unquote(text):
    if text[0] == "`":
        return text[1:-1]

    def replace(match):
        code = match.group(1)
        if code[0] in "xu":
            return chr(int(code[1:], 16))
        return SIMPLE.get(code) or chr(int(code, 8))
    return ESCAPE.sub(replace, text[1:-1])


def tokens_of(source):
    at, found = 0, []
    while at < len(source):
        match = TOKEN.match(source, at)
        if not match:
            raise NotTranslated(f"source that is not understood: {source[at:at + 30]!r}")
        at = match.end()
        if match.lastgroup != "space":
            found.append((match.lastgroup, match.group()))
    return found


def string_constants(source):
    """NAME [TYPE] = "TEXT" of const blocks and lines."""
    pattern = r'^\s*(?:const\s+)?([A-Za-z_]\w*)(?:\s+[A-Za-z_]\w*)?\s*=\s*("(?:\\.|[^"\\])*"|`[^`]*`)'
    return {name: unquote(text) for name, text in re.findall(pattern, source, re.M)}


def balanced(source, begin):
    """The text from `begin`, an opening bracket, to the one that closes it."""
    depth, at = 0, begin
    while at < len(source):
        match = TOKEN.match(source, at)
        text = match.group() if match else source[at]
        at = match.end() if match else at + 1
        depth += (text in "{([") - (text in "})]") if len(text) == 1 else 0
        if depth == 0 and text.strip():
            return source[begin:at]
    raise NotTranslated("a bracket that is not closed")


def function_source(source, name):
    match = re.search(rf"^func {name}\(", source, re.M)
    if not match:
        raise NotTranslated(f"there is no function {name}")
    return source[match.start():source.index("\n}\n", match.start())]


class Expression:
    """Evaluates one expression; `names` holds constants and the functions that may be called."""

    def __init__(self, source, names):
        self.tokens, self.at, self.names = tokens_of(source), 0, names

    def peek(self):
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self, text=None):
        kind, found = self.tokens[self.at]
        if text is not None and found != text:
            raise NotTranslated(f"'{found}' where '{text}' was expected")
        self.at += 1
        return kind, found

    def value(self):
        result = self.operand()
        while self.peek() == "+":
            self.take()
            right = self.operand()
            if isinstance(result, bytes) != isinstance(right, bytes):
                raise NotTranslated("a sum of text and bytes")
            result = result + right
        return result

    def operand(self):
        if self.peek() in ("&", "*"):
            self.take()
            return self.operand()
        if self.peek() == "[":
            return self.slice_or_conversion()
        if self.peek() == "map":
            self.take(), self.take("[")
            self.take(), self.take("]"), self.take()
            return self.literal()
        if self.peek() == "(":
            self.take()
            result = self.value()
            self.take(")")
            return result
        kind, text = self.take()
        if kind in ("raw", "string"):
            return unquote(text)
        if kind == "number":
            return float(text) if "." in text else int(text)
        if kind != "name":
            raise NotTranslated(f"'{text}'")
        if self.peek() == "(":
            return self.call(text)
        if self.peek() == "{":
            return self.literal()
        return self.named(text)

    def named(self, text):
        if text in ("true", "false", "nil"):
            return {"true": True, "false": False, "nil": None}[text]
        for name in (text, text.split(".")[-1]):
            if name in self.names:
                return self.names[name]
        raise NotTranslated(f"the name {text}")

    def call(self, name):
        self.take("(")
        arguments = []
        while self.peek() != ")":
            arguments.append(self.value())
            if self.peek() == "...":
                self.take()
                arguments[-1:] = arguments[-1]
            if self.peek() == ",":
                self.take()
        self.take(")")
        function = self.names.get(name.split(".")[-1])
        if not callable(function):
            raise NotTranslated(f"a call of {name}")
        return function(*arguments)

    def slice_or_conversion(self):
        self.take("["), self.take("]")
        if self.peek() == "*":
            self.take()
        _, kind = self.take()
        if kind == "byte" and self.peek() == "(":
            self.take()
            result = self.value()
            self.take(")")
            return result.encode()
        return self.literal()

    def literal(self):
        """{a, b} is a list, {k: v} a dictionary."""
        self.take("{")
        values, keyed = [], {}
        while self.peek() != "}":
            begin = self.at
            kind, text = self.take()
            if kind == "name" and self.peek() == ":":
                self.take()
                keyed[text] = self.value_or_reason()  # a field, or a constant: map_of() knows
            else:
                self.at = begin
                entry = self.value_or_reason()
                if self.peek() == ":":
                    self.take()
                    keyed[entry] = self.value_or_reason()
                else:
                    values.append(entry)
            if self.peek() == ",":
                self.take()
        self.take("}")
        return keyed if keyed else values

    def value_or_reason(self):
        """What cannot be translated is kept as its reason, so that one field does not lose a whole table."""
        begin = self.at
        try:
            return self.literal() if self.peek() == "{" else self.value()
        except NotTranslated as reason:
            self.at = begin
            depth = 0
            while depth > 0 or self.peek() not in (",", "}", ")", ":"):
                depth += (self.peek() in ("(", "{", "[")) - (self.peek() in (")", "}", "]"))
                self.at += 1
            return reason


def map_of(literal, names):
    """A map[string]string whose keys may be constants."""
    result = {}
    for key, value in (literal or {}).items():
        if isinstance(value, NotTranslated):
            raise value
        result[names.get(key.split(".")[-1], key) if isinstance(key, str) else key] = value
    return result
