"""agent-governance-toolkit's own evaluator on the common rules. Arguments: calls, cases as JSON."""

import json
import sys
import time

from agent_os.policies.evaluator import PolicyEvaluator
from agent_os.policies.schema import PolicyDocument

RULES = {
    "name": "peers",
    "rules": [
        {
            "name": "secret files",
            "condition": {"field": "path", "operator": "matches", "value": r"/\.(ssh|aws|gnupg|kube)/|/\.env$"},
            "action": "deny",
            "priority": 100,
        },
        {
            "name": "known hosts",
            "condition": {
                "field": "host",
                "operator": "matches",
                "value": r"^(.+\.openai\.com|.+\.anthropic\.com|(api\.)?github\.com"
                r"|raw\.githubusercontent\.com|registry\.npmjs\.org|pypi\.org|crates\.io)$",
            },
            "action": "allow",
            "priority": 90,
        },
        {
            "name": "other hosts",
            "condition": {"field": "kind", "operator": "eq", "value": "connect"},
            "action": "deny",
            "priority": 80,
        },
        {
            "name": "forbidden tools",
            "condition": {
                "field": "tool_name",
                "operator": "in",
                "value": ["shell_exec", "run_command", "raw_file_write", "raw_file_delete"],
            },
            "action": "deny",
            "priority": 70,
        },
    ],
    "defaults": {"action": "allow"},
}


def main() -> None:
    calls, cases = int(sys.argv[1]), json.loads(sys.argv[2])
    evaluator = PolicyEvaluator([PolicyDocument.model_validate(RULES)])
    for case in cases:
        spans = []
        for call in range(calls + calls // 10):
            started = time.perf_counter_ns()
            decision = evaluator.evaluate(case["context"])
            span = time.perf_counter_ns() - started
            if decision.allowed != case["allowed"]:
                sys.exit(f"{case['what']}: {decision}")
            if call >= calls // 10:
                spans.append(span)
        spans.sort()
        at = [spans[len(spans) * share // 100] / 1000 for share in (50, 99)]
        print(json.dumps({"what": case["what"], "p50_us": at[0], "p99_us": at[1]}))


main()
