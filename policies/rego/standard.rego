# standard: for everyday work with an agent. Add it with `rego: [standard]` in a policy.
package bartizan

# What was read from places nobody vouches for may carry instructions.
untrusted if "untrusted" in input.session.labels

# Methods that change something.
changes if input.deed.method in {"POST", "PUT", "PATCH", "DELETE"}

program := name if {
	parts := split(input.deed.program, "/")
	name := parts[count(parts) - 1]
}

deny contains "a secret would leave in this request" if {
	input.deed.kind == "http.request"
	some sighting in input.sightings
	sighting["class"] == "secret"
	sighting.score >= 80
}

deny contains reason if {
	input.deed.kind == "message.send"
	some sighting in input.sightings
	sighting["class"] == "secret"
	reason := sprintf("the message to `%s` holds a %s", [input.deed.recipient, sighting.kind])
}

ask contains reason if {
	input.deed.kind == "http.request"
	changes
	untrusted
	reason := sprintf("it changes something at `%s` after untrusted content was read", [input.deed.host])
}

ask contains "untrusted content was read, and this runs a shell or an interpreter" if {
	input.deed.kind == "exec.run"
	untrusted
	program in {"sh", "bash", "zsh", "python", "python3", "node", "perl", "ruby"}
}

ask contains "it rewrites history that others may have" if {
	input.deed.kind == "exec.run"
	program == "git"
	"push" in input.deed.args
	some argument in input.deed.args
	argument in {"--force", "-f", "--force-with-lease", "--mirror"}
}

ask contains reason if {
	input.deed.kind == "exec.run"
	program in {"npm", "cargo", "twine", "gem"}
	some word in ["publish", "upload", "push"]
	word in input.deed.args
	reason := sprintf("`%s %s` makes something public", [program, word])
}

ask contains reason if {
	input.deed.kind == "tool.call"
	regex.match(`^(delete|drop|remove|destroy|purge)_`, input.deed.name)
	reason := sprintf("the tool `%s` of `%s` takes something away", [input.deed.name, input.deed.server])
}
