"""Run by python-sdks.ts. The prompt names the scenario that the emulator answers with."""

import os
import sys

import anthropic
import openai

url, key = os.environ["GATEWAY_URL"], os.environ["GATEWAY_KEY"]
model = "claude-sonnet-4-5-20250929"
schema = {"type": "object", "properties": {"path": {"type": "string"}}}
scenarios = ["text", "tool call", "two tool calls", "tool call without input"]
scenarios += ["reasoning with signature"]


def messages(prompt: str) -> None:
    client = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)
    request = dict(
        model=model,
        max_tokens=8000,
        thinking={"type": "enabled", "budget_tokens": 2000},
        tools=[{"name": "read_file", "input_schema": schema}],
        messages=[{"role": "user", "content": prompt}],
    )
    with client.messages.stream(**request) as stream:
        streamed = stream.get_final_message()
    created = client.messages.create(**request)
    same(streamed.content, created.content)
    same(streamed.usage.output_tokens, created.usage.output_tokens)
    same(streamed.stop_reason, "tool_use" if "call" in prompt else "end_turn")


def chat(prompt: str) -> None:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)
    # The helper insists on strict tools.
    tool = {"name": "read_file", "strict": True, "parameters": schema}
    request = dict(
        model=model,
        tools=[{"type": "function", "function": tool}],
        messages=[{"role": "user", "content": prompt}],
    )
    with client.chat.completions.stream(**request) as stream:
        [streamed] = stream.get_final_completion().choices
    [created] = client.chat.completions.create(**request).choices
    same(streamed.message.content, created.message.content)
    same(*[choice.message.tool_calls or [] for choice in (streamed, created)])
    same(streamed.finish_reason, "tool_calls" if "call" in prompt else "stop")


def responses(prompt: str) -> None:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)
    request = dict(
        model=model,
        reasoning={"effort": "medium", "summary": "auto"},
        tools=[{"type": "function", "name": "read_file", "strict": True, "parameters": schema}],
        input=prompt,
    )
    with client.responses.stream(**request) as stream:
        streamed = stream.get_final_response()
    created = client.responses.create(**request)
    same([item.type for item in streamed.output], [item.type for item in created.output])
    same(streamed.output_text, created.output_text)
    same(streamed.status, "completed")


def same(one: object, other: object) -> None:
    if dumped(one) != dumped(other):
        raise AssertionError(f"{one!r} is not {other!r}")


def dumped(value: object) -> object:
    """As plain values, without what a helper adds to the vendor's own fields."""
    if isinstance(value, list):
        return [dumped(item) for item in value]
    if isinstance(value, dict):
        own = {"index", "parsed", "parsed_arguments"}
        return {name: dumped(item) for name, item in value.items() if name not in own}
    return dumped(value.model_dump(exclude_unset=True)) if hasattr(value, "model_dump") else value


print(f"anthropic {anthropic.__version__}, openai {openai.__version__}")
failed = 0
for api in (messages, chat, responses):
    for scenario in scenarios:
        try:
            api(scenario)
            print(f"ok   {api.__name__}: {scenario}")
        except Exception as error:
            failed += 1
            print(f"FAIL {api.__name__}: {scenario}: {error!r}")
sys.exit(failed)
