#!/usr/bin/env python3
"""Checks a Kvasir endpoint with the official OpenAI Python client (pip install openai).

    openai_client.py --url http://127.0.0.1:8000 [--api-key KEY]

Asks for completions and chats, streamed and not, and asserts on shapes, usage and token counts. Prints one line for
each check; exits with 1 at the first that fails.
"""

import argparse
import sys

import openai

PROMPT = " bab bad baf bag"  # four tokens of the simulated vocabulary
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello there"}]
MAX_TOKENS = 12
BYTES_PER_TOKEN = 4  # an answer consists of words of three letters and a space


def require(condition, what):
    if not condition:
        print(f"FAILED: {what}", file=sys.stderr)
        sys.exit(1)


def require_usage(usage, prompt_tokens, completion_tokens):
    require(usage is not None, "usage is there")
    require(usage.completion_tokens == completion_tokens, f"{completion_tokens} completion tokens, got {usage}")
    require(prompt_tokens is None or usage.prompt_tokens == prompt_tokens, f"{prompt_tokens} prompt tokens, got {usage}")
    require(usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, f"the sum is right: {usage}")
    details = usage.prompt_tokens_details
    require(details is not None and details.cached_tokens is not None, f"cached_tokens is there: {usage}")


def require_text(text, tokens):
    require(len(text) == tokens * BYTES_PER_TOKEN, f"{tokens} tokens of text, got {text!r}")


def check_models(client):
    models = client.models.list()
    require(len(models.data) >= 1 and models.data[0].object == "model", "a model is listed")
    return models.data[0].id


def check_completion(client, model):
    answer = client.completions.create(model=model, prompt=PROMPT, max_tokens=MAX_TOKENS, n=2, seed=7)
    require(answer.object == "text_completion" and answer.model == model, "a completion of the model")
    require([choice.index for choice in answer.choices] == [0, 1], "two choices")
    for choice in answer.choices:
        require(choice.finish_reason == "length", "the length ends it")
        require_text(choice.text, MAX_TOKENS)
    require(answer.choices[0].text != answer.choices[1].text, "choices differ")
    require_usage(answer.usage, 4, 2 * MAX_TOKENS)
    return answer.choices[0].text


def check_completion_stream(client, model, expected):
    stream = client.completions.create(model=model, prompt=PROMPT, max_tokens=MAX_TOKENS, seed=7, stream=True,
                                       stream_options={"include_usage": True})
    chunks = list(stream)
    text = "".join(chunk.choices[0].text for chunk in chunks[:-1])
    require(text == expected, f"the streamed text is the whole one: {text!r} and {expected!r}")
    require(len(chunks) == MAX_TOKENS + 1, f"a chunk for each token and one for usage, got {len(chunks)}")
    require(chunks[-2].choices[0].finish_reason == "length", "the last chunk says why it ended")
    require(chunks[-1].choices == [], "the usage chunk has no choices")
    require_usage(chunks[-1].usage, 4, MAX_TOKENS)


def check_chat(client, model):
    answer = client.chat.completions.create(model=model, messages=MESSAGES, max_completion_tokens=MAX_TOKENS)
    require(answer.object == "chat.completion" and len(answer.choices) == 1, "one choice of a chat")
    message = answer.choices[0].message
    require(message.role == "assistant", "the assistant answers")
    require_text(message.content, MAX_TOKENS)
    require_usage(answer.usage, None, MAX_TOKENS)
    return message.content


def check_chat_stream(client, model, expected):
    stream = client.chat.completions.create(model=model, messages=MESSAGES, max_completion_tokens=MAX_TOKENS,
                                            stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    require(chunks[0].choices[0].delta.role == "assistant", "the first chunk names the role")
    text = "".join(chunk.choices[0].delta.content for chunk in chunks[:-1])
    require(text == expected, f"the streamed text is the whole one: {text!r} and {expected!r}")
    require(chunks[-2].choices[0].finish_reason == "length", "the last chunk says why it ended")
    require_usage(chunks[-1].usage, None, MAX_TOKENS)


def check_token_ids(client, model):
    answer = client.completions.create(model=model, prompt=[300, 301, 302], max_tokens=3)
    require_usage(answer.usage, 3, 3)


def check_errors(client):
    try:
        client.completions.create(model="no-such-model", prompt=PROMPT)
    except openai.NotFoundError as error:
        require(error.param == "model" and error.status_code == 404, f"the error names the model: {error}")
    else:
        require(False, "an unknown model is refused")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--api-key", default="none")
    arguments = parser.parse_args()
    client = openai.OpenAI(base_url=arguments.url.rstrip("/") + "/v1", api_key=arguments.api_key, max_retries=0)
    model = check_models(client)
    print(f"models: {model}")
    text = check_completion(client, model)
    print("completion: ok")
    check_completion_stream(client, model, text)
    print("completion, streamed: ok")
    content = check_chat(client, model)
    print("chat: ok")
    check_chat_stream(client, model, content)
    print("chat, streamed: ok")
    check_token_ids(client, model)
    print("token ids: ok")
    check_errors(client)
    print("errors: ok")


if __name__ == "__main__":
    main()
