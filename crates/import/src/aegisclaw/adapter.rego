
# What an action would have needed there. Actions without a scope are left to the policy.
imported_scope := {"name": "files.read", "resource": input.deed.path, "risk": "low"} if input.deed.kind == "file.read"

imported_scope := {"name": "files.write", "resource": input.deed.path, "risk": "high"} if {
	input.deed.kind in {"file.write", "file.patch"}
}

imported_scope := {"name": "shell.exec", "resource": input.deed.program, "risk": "critical"} if {
	input.deed.kind == "exec.run"
}

imported_scope := {"name": "net.outbound", "resource": input.deed.host, "risk": "medium"} if {
	input.deed.kind == "net.connect"
}

imported_scope := {"name": "http.request", "resource": input.deed.host, "risk": "medium"} if {
	input.deed.kind == "http.request"
}

imported_scope := {"name": "secrets.access", "resource": input.deed.name, "risk": "high"} if {
	input.deed.kind == "secret.use"
}

imported_scope := {"name": "email.send", "resource": input.deed.recipient, "risk": "high"} if {
	input.deed.kind == "message.send"
	input.deed.channel == "email"
}

# Nothing here is signed, and a person is asked for each action.
imported_signed := false

imported_approval := false
