#!/usr/bin/env python3
"""The OpenAI and Anthropic Python clients with API keys of a Kvasir gateway (tests/clients/keys.py starts it).

    keys_client.py --openai URL --anthropic URL --key KEY --narrow-key KEY

`--key`: of a tenant without limits; `--narrow-key`: of one that may ask once in a minute, and for the model "sim" only. Prints one
line for each check; exits with 1 at the first that fails.
"""
import argparse
import sys

import anthropic
import openai


def require(condition, what):
    if not condition:
        print(f"FAILED: {what}", file=sys.stderr)
        sys.exit(1)


def fails(kind, ask):
    try:
        ask()
    except kind as problem:
        return problem
    require(False, f"{kind.__name__} is raised")


def check_openai(url, key, narrow_key):
    def client(api_key):
        return openai.OpenAI(base_url=url + "/v1", api_key=api_key, max_retries=0)

    def chat(api_key, model="sim", **more):
        return client(api_key).chat.completions.create(model=model, max_tokens=4, messages=[{"role": "user", "content": "hi"}], **more)
    require(chat(key).usage.completion_tokens == 4, "an answer")
    pieces = list(chat(key, stream=True, stream_options={"include_usage": True}))
    require(pieces[-1].usage.completion_tokens == 4, "a stream with its usage")
    wrong = fails(openai.AuthenticationError, lambda: chat("sk-nobody"))
    require("a valid API key is needed" in wrong.message and wrong.response.headers["www-authenticate"] == "Bearer", wrong.message)
    other = fails(openai.PermissionDeniedError, lambda: chat(narrow_key, model="other"))
    require("may not use the model" in other.message, other.message)
    raw = client(narrow_key).chat.completions.with_raw_response.create(
        model="sim", max_tokens=4, messages=[{"role": "user", "content": "hi"}])
    require(raw.headers["x-ratelimit-limit-requests"] == "1" and raw.headers["x-ratelimit-remaining-requests"] == "0", str(raw.headers))
    limit = fails(openai.RateLimitError, lambda: chat(narrow_key, stream=True))
    require(0 < int(limit.response.headers["retry-after"]) <= 60, str(limit.response.headers))
    require("1 requests a minute" in limit.message and limit.body["code"] == 429, f"{limit.message} {limit.body}")
    print(f"openai {openai.__version__}: an answer, a stream, 401, 403, 429")


def check_anthropic(url, key, narrow_key):
    def client(api_key):
        return anthropic.Anthropic(base_url=url, api_key=api_key, max_retries=0)

    def ask(api_key, **more):
        return client(api_key).messages.create(model="sim", max_tokens=4, messages=[{"role": "user", "content": "hi"}], **more)
    require(ask(key).content[0].text == "hello", "an answer")
    with client(key).messages.stream(model="sim", max_tokens=4, messages=[{"role": "user", "content": "hi"}]) as stream:
        require("".join(stream.text_stream) == "hello", "a stream")
        require(stream.get_final_message().usage.output_tokens == 1, "its usage")
    bearer = anthropic.Anthropic(base_url=url, auth_token=key, api_key=None, max_retries=0)
    require(bearer.messages.create(model="sim", max_tokens=4, messages=[{"role": "user", "content": "hi"}]).content, "a bearer token")
    wrong = fails(anthropic.AuthenticationError, lambda: ask("sk-nobody"))
    require(wrong.body["error"]["type"] == "authentication_error", str(wrong.body))
    ask(narrow_key)
    limit = fails(anthropic.RateLimitError, lambda: ask(narrow_key))
    require(limit.body["type"] == "error" and limit.body["error"]["type"] == "rate_limit_error", str(limit.body))
    require(0 < int(limit.response.headers["retry-after"]) <= 60, str(limit.response.headers))
    print(f"anthropic {anthropic.__version__}: an answer, a stream, a bearer token, 401, 429")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--openai", "--anthropic", "--key", "--narrow-key"):
        parser.add_argument(name, required=True)
    arguments = parser.parse_args()
    check_openai(arguments.openai, arguments.key, arguments.narrow_key)
    check_anthropic(arguments.anthropic, arguments.key, arguments.narrow_key)


if __name__ == "__main__":
    main()
