#!/usr/bin/env python3
"""Checks answers of a simulated worker that call tools or have to fit a schema (pip install openai jsonschema).

    structured_client.py --url http://127.0.0.1:8000

The worker needs --enable-auto-tool-choice and --tool-call-parser. Each answer is asked for whole and as a stream, which must
agree, and is held against its schema by the jsonschema package. Exits with 1 at the first that fails.
"""

import argparse
import json
import sys

import jsonschema
import openai

STRING = {"type": "string"}
INTEGER = {"type": "integer"}
SCHEMAS = [
    {"type": "object"},
    {"type": "object", "properties": {"city": STRING, "unit": {"enum": ["c", "f"]}}, "required": ["city"]},
    {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3, "maximum": 5},
                                      "b": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
                                      "c": {"type": "boolean"}, "d": {"type": "null"}},
     "required": ["a", "b", "c", "d"], "additionalProperties": False},
    {"type": "object", "properties": {"list": {"type": "array", "items": INTEGER, "minItems": 3, "uniqueItems": True}},
     "required": ["list"]},
    {"type": "object", "properties": {"code": {"type": "string", "pattern": "^[A-Z]{3}-\\d{4}$"},
                                      "when": {"type": "string", "format": "date-time"},
                                      "mail": {"type": "string", "format": "email"}},
     "required": ["code", "when", "mail"]},
    {"$ref": "#/$defs/node",
     "$defs": {"node": {"type": "object", "required": ["value", "next"],
                        "properties": {"value": INTEGER,
                                       "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}}}},
    {"type": "object", "required": ["kind"], "properties": {"kind": {"enum": ["x", "y"]}},
     "if": {"properties": {"kind": {"const": "x"}}}, "then": {"required": ["left"]}, "else": {"required": ["right"]}},
    {"oneOf": [{"type": "object", "properties": {"t": {"const": "a"}, "v": INTEGER}, "required": ["t", "v"]},
               {"type": "object", "properties": {"t": {"const": "b"}, "w": STRING}, "required": ["t", "w"]}]},
    {"allOf": [{"type": "object", "properties": {"a": STRING}, "required": ["a"]},
               {"type": "object", "properties": {"b": INTEGER}, "required": ["b"]}]},
    {"type": "object", "properties": {"n": {"type": "string", "minLength": 30, "maxLength": 40}}, "required": ["n"]},
    {"type": "object", "required": ["gr\u00f6\u00dfe"], "properties": {"gr\u00f6\u00dfe": {"enum": ["\u00fc", "\U0001f600"]}}},
]


def require(condition, what):
    if not condition:
        print(f"FAILED: {what}", file=sys.stderr)
        sys.exit(1)


def require_fit(text, schema):
    try:
        jsonschema.validate(json.loads(text), schema, format_checker=jsonschema.FormatChecker())
    except (ValueError, jsonschema.ValidationError) as problem:
        require(False, f"{text!r} fits {json.dumps(schema)}: {problem}")


def tool(name, schema):
    return {"type": "function", "function": {"name": name, "parameters": schema}}


def streamed(client, **request):
    """The message, the finish reason and the usage that a stream amounts to."""
    content, calls, reason, usage = "", [], None, None
    for chunk in client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **request):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            content += choice.delta.content or ""
            reason = choice.finish_reason or reason
            for delta in choice.delta.tool_calls or []:
                if delta.index == len(calls):
                    calls.append([delta.id, delta.function.name, ""])
                calls[delta.index][2] += delta.function.arguments or ""
    return content, [tuple(call) for call in calls], reason, usage


def ask(client, **request):
    """Whole and streamed; the whole answer's choice and usage."""
    answer = client.chat.completions.create(**request)
    choice = answer.choices[0]
    calls = [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls or []]
    both = (choice.message.content or "", calls, choice.finish_reason)
    content, stream_calls, reason, usage = streamed(client, **request)
    require((content, stream_calls, reason) == both, f"stream and whole agree: {(content, stream_calls, reason)} {both}")
    require(usage.completion_tokens == answer.usage.completion_tokens, "usage agrees")
    return choice, calls


def check_tools(client, model):
    for number, schema in enumerate(SCHEMAS):
        messages = [{"role": "user", "content": f"question {number}"}]
        for tool_choice, reason in (("auto", "tool_calls"), ("required", "tool_calls"),
                                    ({"type": "function", "function": {"name": "f"}}, "stop")):
            choice, calls = ask(client, model=model, messages=messages, tools=[tool("f", schema)],
                                tool_choice=tool_choice)
            require(choice.finish_reason == reason, f"{tool_choice} ends with {reason}: {choice}")
            require(len(calls) == 1 and calls[0][1] == "f", f"one call of f: {calls}")
            require_fit(calls[0][2], schema)
    tools = [tool("f", SCHEMAS[1]), tool("g", SCHEMAS[2])]
    _, calls = ask(client, model=model, messages=messages, tools=tools, parallel_tool_calls=True)
    require(sorted(call[1] for call in calls) == ["f", "g"], f"both are called: {calls}")
    messages.append({"role": "assistant", "tool_calls": [
        {"id": call[0], "type": "function", "function": {"name": call[1], "arguments": call[2]}} for call in calls]})
    messages.append({"role": "tool", "tool_call_id": calls[0][0], "content": "done"})
    choice, calls = ask(client, model=model, messages=messages, tools=tools, max_tokens=5)
    require(not calls and choice.message.content, "a tool's result is answered with text")


def check_schemas(client, model):
    for number, schema in enumerate(SCHEMAS):
        messages = [{"role": "user", "content": f"question {number}"}]
        choice, _ = ask(client, model=model, messages=messages, response_format={
            "type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}})
        require(choice.finish_reason == "stop", f"it ends by itself: {choice}")
        require_fit(choice.message.content, schema)
        choice, _ = ask(client, model=model, messages=messages, extra_body={"structured_outputs": {"json": schema}})
        require_fit(choice.message.content, schema)
    choice, _ = ask(client, model=model, messages=messages, response_format={"type": "json_object"})
    require_fit(choice.message.content, {"type": "object"})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    arguments = parser.parse_args()
    client = openai.OpenAI(base_url=arguments.url.rstrip("/") + "/v1", api_key="none", max_retries=0)
    model = client.models.list().data[0].id
    check_tools(client, model)
    print("tools: ok")
    check_schemas(client, model)
    print("schemas: ok")


if __name__ == "__main__":
    main()
