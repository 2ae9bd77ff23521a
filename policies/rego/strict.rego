# strict: for agents nobody watches. Add it with `rego: [strict]` in a policy.
package bartizan

untrusted if "untrusted" in input.session.labels

program := name if {
	parts := split(input.deed.program, "/")
	name := parts[count(parts) - 1]
}

# Kinds of action that reach beyond the box.
outgoing if input.deed.kind in {"http.request", "message.send", "tool.call", "llm.request"}

deny contains reason if {
	outgoing
	some sighting in input.sightings
	sighting["class"] == "secret"
	reason := sprintf("a %s would leave", [sighting.kind])
}

deny contains "nothing that changes something leaves after untrusted content was read" if {
	input.deed.kind == "http.request"
	untrusted
	not input.deed.method in {"GET", "HEAD", "OPTIONS"}
}

deny contains "requests leave over TLS only" if {
	input.deed.kind == "http.request"
	input.deed.scheme != "https"
}

deny contains "untrusted content was read, so no program starts" if {
	input.deed.kind == "exec.run"
	untrusted
}

deny contains "code is not taken from an argument" if {
	input.deed.kind == "exec.run"
	program in {"sh", "bash", "zsh", "dash", "python", "python3", "node", "perl", "ruby"}
	some argument in input.deed.args
	argument in {"-c", "-e", "--eval"}
}

ask contains reason if {
	outgoing
	some sighting in input.sightings
	sighting["class"] == "personal"
	reason := sprintf("personal data (%s) would leave", [sighting.kind])
}

ask contains reason if {
	input.deed.kind == "tool.call"
	not regex.match(`^(get|list|read|search|find|describe|show)_`, input.deed.name)
	reason := sprintf("the tool `%s` of `%s` may change something", [input.deed.name, input.deed.server])
}

ask contains reason if {
	input.deed.kind == "exec.run"
	program in {"npm", "cargo", "twine", "gem", "git"}
	some word in ["publish", "upload", "push"]
	word in input.deed.args
	reason := sprintf("`%s %s` makes something public", [program, word])
}
