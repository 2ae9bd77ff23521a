level := 1 if input.deed.kind == "exec.run"
level := 2 if "--force" in input.deed.args
f(x) := upper(x) if x != ""
deny contains msg if {
	some argument in input.deed.args
	startswith(argument, "--")
	msg := sprintf("%s at %d", [f(argument), level])
}
ask contains {"reason": "push"} if input.deed.args[1] == "push"
