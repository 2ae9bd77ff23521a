# permissive: only what is nearly always a mistake. Add it with `rego: [permissive]` in a policy.
package bartizan

# A database dropped, a disk formatted or history rewritten can't be taken back.
ask contains reason if {
	input.deed.kind == "exec.run"
	some word in ["drop database", "drop table", "truncate table"]
	contains(lower(concat(" ", input.deed.args)), word)
	reason := sprintf("the command says `%s`", [word])
}

ask contains reason if {
	input.deed.kind == "exec.run"
	program in {"mkfs", "dd", "wipefs", "shred"}
	reason := sprintf("`%s` overwrites what was there", [program])
}

ask contains "it rewrites history that others may have" if {
	input.deed.kind == "exec.run"
	program == "git"
	"push" in input.deed.args
	some argument in input.deed.args
	argument in {"--force", "-f", "--force-with-lease", "--mirror"}
}

program := name if {
	parts := split(input.deed.program, "/")
	name := parts[count(parts) - 1]
}
