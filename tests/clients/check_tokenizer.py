"""Checks that Hugging Face transformers tokenizes exactly as tokens/vocabulary does.

    python3 -m venv VENV && VENV/bin/pip install transformers tokenizers jinja2
    cmake --build --preset release --target tokenizer_cases
    build/release/tests/clients/tokenizer_cases DIR      # the tokenizer's files and DIR/cases.jsonl
    VENV/bin/python tests/clients/check_tokenizer.py --tokenizer DIR --cases DIR/cases.jsonl

Each line of the cases file is {"text": ..., "ids": [...]}: a random text and what encode() made of it.
Exits with 1 at the first difference.
"""
import argparse
import json
import sys

from transformers import AutoTokenizer

CHAT = [
    {"role": "system", "content": "bab bab"},
    {"role": "user", "content": [{"type": "text", "text": "vov"},
                                 {"type": "image_url", "image_url": {}},
                                 {"type": "text", "text": " bab"}]},
    {"role": "assistant", "content": None},
    {"role": "user", "content": "caf\u00e9 \n"},
]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
CALLS = [{"role": "user", "content": "bab"},
         {"role": "assistant", "content": "", "tool_calls": [
             {"id": "a", "type": "function", "function": {"name": "f", "arguments": {"x": [1, "\u00e9"]}}}]},
         {"role": "tool", "content": "4"}]
RENDERED_CALLS = ('<|tools|>[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]\n'
                  '<|user|>bab\n<|assistant|><tool_call>{"name": "f", "arguments": {"x": [1, "\u00e9"]}}</tool_call>\n'
                  '<|tool|>4\n')
RENDERED = "<|system|>bab bab\n<|user|>vov bab\n<|assistant|>\n<|user|>caf\u00e9 \n\n"


def fail(what, got, expected):
    sys.exit(f"{what}\n  got      {got!r}\n  expected {expected!r}")


def check_cases(tokenizer, path):
    count = 0
    with open(path, encoding="utf-8") as cases:
        for line in cases:
            case = json.loads(line)
            ids = tokenizer.encode(case["text"])
            if ids != case["ids"]:
                fail(f"encode({case['text']!r})", ids, case["ids"])
            text = tokenizer.decode(ids)
            if text != case["text"]:
                fail("decode(encode(text))", text, case["text"])
            count += 1
    return count


def check_chat(tokenizer):
    for generation, tail in ((False, ""), (True, "<|assistant|>")):
        text = tokenizer.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=generation)
        if text != RENDERED + tail:
            fail("apply_chat_template", text, RENDERED + tail)


def check_tools(tokenizer):
    text = tokenizer.apply_chat_template(CALLS, tools=TOOLS, tokenize=False)
    if text != RENDERED_CALLS:
        fail("apply_chat_template with tools", text, RENDERED_CALLS)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--tokenizer", required=True, help="folder with tokenizer.json")
    arguments.add_argument("--cases", required=True, help="JSON lines of text and ids")
    options = arguments.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.tokenizer)
    special = (tokenizer.eos_token_id, tokenizer.bos_token, len(tokenizer))
    if special != (2304, None, 2305):
        fail("end of sequence, beginning, size", special, (2304, None, 2305))
    check_chat(tokenizer)
    check_tools(tokenizer)
    print(f"{check_cases(tokenizer, options.cases)} texts, all equal")


if __name__ == "__main__":
    main()
