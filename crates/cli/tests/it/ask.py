"""Asks a model through a real SDK: ask.py SDK MODEL [--stream] [--seen URL] PROMPT. Prints what came of it as JSON."""
import argparse, json, os, sys, urllib.error, urllib.request

parser = argparse.ArgumentParser()
parser.add_argument("sdk", choices=["chat", "responses", "messages", "ollama"])
parser.add_argument("model")
parser.add_argument("--stream", action="store_true")
parser.add_argument("--seen", help="asked for when the first text has come")
parser.add_argument("prompt")
options = parser.parse_args()
found = {"text": "", "tools": [], "error": None, "status": None, "pieces": 0}


def text(piece):
    if not piece:
        return
    found["text"] += piece
    found["pieces"] += 1
    if options.seen and found["pieces"] == 1:
        urllib.request.urlopen(options.seen, timeout=30).read()


def chat():
    import openai

    client = openai.OpenAI(max_retries=0, timeout=60)
    tool = {"type": "function", "function": {"name": "run", "parameters": {"type": "object", "properties": {}}}}
    answer = client.chat.completions.create(
        model=options.model, messages=[{"role": "user", "content": options.prompt}], tools=[tool], stream=options.stream
    )
    if not options.stream:
        message = answer.choices[0].message
        text(message.content)
        found["tools"] = [[call.function.name, json.loads(call.function.arguments)] for call in message.tool_calls or []]
        found["usage"] = answer.usage.completion_tokens
        return
    calls = {}
    for chunk in answer:
        for choice in chunk.choices:
            text(choice.delta.content)
            for call in choice.delta.tool_calls or []:
                name, arguments = calls.get(call.index, ("", ""))
                calls[call.index] = (name + (call.function.name or ""), arguments + (call.function.arguments or ""))
                found["tools"] = [list(call) for call in calls.values()]
    found["tools"] = [[name, json.loads(arguments)] for name, arguments in calls.values()]


def responses():
    import openai

    client = openai.OpenAI(max_retries=0, timeout=60)
    answer = client.responses.create(model=options.model, input=options.prompt, stream=options.stream)
    if options.stream:
        for event in answer:
            if event.type == "error":
                raise RuntimeError(event.message)
            if event.type == "response.output_text.delta":
                text(event.delta)
            elif event.type == "response.output_item.added" and event.item.type == "function_call":
                found["tools"].append([event.item.name, None])
            elif event.type == "response.output_item.done" and event.item.type == "function_call":
                found["tools"][-1] = [event.item.name, json.loads(event.item.arguments)]
        return
    text(answer.output_text)
    found["tools"] = [[item.name, json.loads(item.arguments)] for item in answer.output if item.type == "function_call"]


def messages():
    import anthropic

    client = anthropic.Anthropic(max_retries=0, timeout=60)
    question = dict(model=options.model, max_tokens=100, messages=[{"role": "user", "content": options.prompt}])
    if options.stream:
        with client.messages.stream(**question) as answer:
            for event in answer:
                if event.type == "text":
                    text(event.text)
                elif event.type == "content_block_start" and event.content_block.type == "tool_use":
                    found["tools"].append([event.content_block.name, None])
                elif event.type == "content_block_stop" and event.content_block.type == "tool_use":
                    found["tools"][-1] = [event.content_block.name, event.content_block.input]
        return
    for block in client.messages.create(**question).content:
        if block.type == "text":
            text(block.text)
        else:
            found["tools"].append([block.name, block.input])


def ollama():
    question = {"model": options.model, "messages": [{"role": "user", "content": options.prompt}], "stream": options.stream}
    request = urllib.request.Request(
        os.environ["OLLAMA_HOST"] + "/api/chat", json.dumps(question).encode(), {"Content-Type": "application/json"}
    )
    try:
        answer = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        found["status"] = error.code
        raise RuntimeError(json.loads(error.read())["error"])
    for line in answer:
        said = json.loads(line)
        if "error" in said:
            raise RuntimeError(said["error"])
        text(said["message"]["content"])
        for call in said["message"].get("tool_calls", []):
            found["tools"].append([call["function"]["name"], call["function"]["arguments"]])


try:
    {"chat": chat, "responses": responses, "messages": messages, "ollama": ollama}[options.sdk]()
except Exception as error:
    found["error"] = f"{type(error).__name__}: {error}"
    found["status"] = getattr(error, "status_code", None) or found["status"]
print(json.dumps(found))
